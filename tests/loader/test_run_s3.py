"""Whole loads of an ODP table into an object store: resumed, replaced, and with keys that change meanwhile."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import distributed
import pyarrow.parquet as pq
import pytest

from odp_loader.dataset import open_dataset
from odp_loader.errors import CredentialsRefused, InvalidLoad, OutputExists
from odp_loader.run import run_load
from odp_loader.spec import Load, Storage
from odp_loader.store import Store
from odp_loader.store.secret import SECRETS_VARIABLE
from tests.support.loads import load_of
from tests.support.odp_server import OdpServer, odp_server
from tests.support.s3 import S3Server

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
KEYS = [("time", "ascending"), ("lat", "ascending"), ("lon", "ascending")]


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    with odp_server({"coads": COADS}, "--batch-rows", "4096") as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> OdpServer:
    running.reset()
    return running


@pytest.fixture
def storage(s3: S3Server, secrets: Path, client: distributed.Client) -> Storage:
    """How to reach the server, with keys in a Secret that the workers see, too."""
    s3.secret_folder(secrets)
    client.run(lambda: os.environ.update({SECRETS_VARIABLE: str(secrets)}))
    return s3.storage()


def load_into(url: str, storage: Storage, server: OdpServer, **fields: object) -> Load:
    source = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url, "streams": 1}}
    return load_of(source, url, partitions={"targetBytes": "1Mi"}, sink_storage=storage.model_dump(by_alias=True), **fields)


def whole(url: str, storage: Storage) -> bool:
    found = open_dataset(url, storage).to_table().sort_by(KEYS)
    expected = pq.read_table(COADS).sort_by(KEYS)
    return all(found[name].equals(expected[name]) for name in expected.column_names)


def test_a_stopped_load_goes_on_and_nothing_half_done_is_visible(
    s3: S3Server, storage: Storage, server: OdpServer, client: distributed.Client
):
    url = s3.url("resumed")
    store = Store.open(url, storage)
    load = load_into(url, storage, server)
    server.fault("status", status=400, requests=["select"], skip=6, times=1)
    with pytest.raises(InvalidLoad):
        run_load(load, client)
    with pytest.raises(InvalidLoad, match=r"no load into .* has finished"):
        open_dataset(url, storage)
    kept = sum(entry.path.endswith(".json") for entry in store.list("receipts"))
    assert kept >= 4
    server.reset()
    result = run_load(load, client)
    assert result.resumed_partitions == kept
    assert sum(1 for each in server.counters()["selects"]["each"] if each["query"]) == result.partitions - kept
    assert whole(url, storage)


def test_the_old_dataset_stands_until_the_new_one_is_verified_and_goes_then(
    s3: S3Server, storage: Storage, server: OdpServer, client: distributed.Client
):
    url = s3.url("replaced")
    store = Store.open(url, storage)
    run_load(load_of({"synthetic": {"rows": 1000}}, url, sink_storage=storage.model_dump(by_alias=True)), client)
    with pytest.raises(OutputExists):
        run_load(load_into(url, storage, server), client)
    replacement = load_into(url, storage, server, sink_ifExists="Overwrite")
    server.fault("status", status=400, requests=["select"], skip=4, times=1)
    with pytest.raises(InvalidLoad):
        run_load(replacement, client)
    assert open_dataset(url, storage).count_rows() == 1000, (
        "files of the unfinished load are beside it, the manifest does not name them"
    )
    run_load(replacement, client)
    assert whole(url, storage)
    manifest = json.loads(store.read("manifest.json") or b"")
    assert {entry.path for entry in store.list("data")} == {f"data/{file['path']}" for file in manifest["files"]}
    assert {entry.path.split("/")[1] for entry in store.list("receipts")} == {manifest["id"]}


def test_keys_that_are_withdrawn_meanwhile_end_the_load_and_new_ones_let_it_go_on(
    s3: S3Server, storage: Storage, server: OdpServer, client: distributed.Client, secrets: Path
):
    url = s3.url("rotated")
    keys = s3.new_keys("rotating")
    s3.secret_folder(secrets, "temporary", **keys)
    temporary = storage.model_copy(update={"secret_name": "temporary"})
    load = load_into(url, temporary, server)
    server.fault("status", status=400, requests=["select"], skip=4, times=1)
    with pytest.raises(InvalidLoad):
        run_load(load, client)
    s3.withdraw("rotating", keys)
    with pytest.raises(CredentialsRefused) as refused:
        run_load(load, client)
    assert not any(secret in str(refused.value) for secret in keys.values())
    s3.secret_folder(secrets, "temporary", **s3.new_keys("rotating"))
    server.reset()
    assert run_load(load, client).resumed_partitions >= 2
    assert whole(url, temporary)
