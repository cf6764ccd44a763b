"""Whole loads of files on Dask: from a folder, and from one object store into another with keys of their own."""

import os
from pathlib import Path

import distributed
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_loader.dataset import open_dataset
from odp_loader.errors import CredentialsRefused, InvalidLoad
from odp_loader.run import run_load
from odp_loader.store import Store
from odp_loader.store.secret import SECRETS_VARIABLE
from tests.support.loads import Watcher, load_of, rows_of
from tests.support.s3 import S3Server

TABLE = pa.table(
    {"id": list(range(20_000)), "temp": [i / 7 for i in range(20_000)], "station": [f"ST-{i % 9}" for i in range(20_000)]}
)


@pytest.fixture
def everywhere(secrets: Path, client: distributed.Client) -> Path:
    """The folder of Secrets, which the workers look into, too."""
    client.run(lambda: os.environ.update({SECRETS_VARIABLE: str(secrets)}))
    return secrets


def test_csv_with_a_filter_on_a_column_that_is_not_loaded(tmp_path: Path, client: distributed.Client) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        rows = "".join(f"{number * 100 + i},{i / 4},ST-{i % 2}\n" for i in range(100))
        (tmp_path / f"in/{number}.csv").write_text(f"id,temp,station\n{rows}")
    source = {"files": {"url": f"{tmp_path}/in/*.csv", "columns": ["id"], "filter": 'station == "ST-1" and temp > 20'}}
    result = run_load(load_of(source, tmp_path / "out"), client)
    expected = [number * 100 + i for number in range(3) for i in range(81, 100, 2)]
    assert rows_of(tmp_path / "out", "id").column("id").to_pylist() == expected
    assert (result.rows_expected, result.rows_read, result.rows_written) == (30, 30, 30)
    for file in (tmp_path / "out/data").iterdir():
        assert "filter_columns" not in str(pq.read_schema(file).metadata)


def test_from_s3_to_s3(s3: S3Server, everywhere: Path, client: distributed.Client) -> None:
    s3.secret_folder(everywhere, "reader", **s3.new_keys("reader"))
    s3.secret_folder(everywhere, "writer", **s3.new_keys("writer"))
    raw, out = s3.url(), s3.url()
    for number in range(4):
        sink = pa.BufferOutputStream()
        pq.write_table(TABLE.slice(number * 5000, 5000), sink, row_group_size=1000)
        Store.open(raw, s3.storage("reader")).write(f"{number}.parquet", sink.getvalue().to_pybytes())
    source = {"files": {"url": f"{raw}/*.parquet", "storage": s3.storage("reader").model_dump(by_alias=True, exclude_none=True)}}
    storage = s3.storage("writer").model_dump(by_alias=True, exclude_none=True)
    load = load_of(source, out, sink_storage=storage, partitions={"targetBytes": 2**16})
    watcher = Watcher()
    result = run_load(load, client, observer=watcher)
    assert (result.rows_expected, result.rows_read, result.rows_written) == (20_000, 20_000, 20_000)
    assert result.partitions > 5
    found = open_dataset(out, s3.storage("writer")).to_table().sort_by("id")
    assert found.select(TABLE.column_names).to_pydict() == TABLE.to_pydict()
    again = run_load(load, client, observer=watcher)
    assert again.manifest_sha256 == result.manifest_sha256
    assert any("complete and verified" in note for note in watcher.notes)


def test_a_sink_that_refuses(s3: S3Server, everywhere: Path, tmp_path: Path, client: distributed.Client) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    s3.secret_folder(everywhere, "wrong", AWS_ACCESS_KEY_ID="AKIANOBODY", AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI")
    source = {"files": {"url": str(tmp_path / "a.parquet")}}
    storage = s3.storage("wrong").model_dump(by_alias=True, exclude_none=True)
    with pytest.raises(CredentialsRefused) as caught:
        run_load(load_of(source, s3.url(), sink_storage=storage), client)
    assert "wJalr" not in str(caught.value)
    s3.secret_folder(everywhere)
    storage = s3.storage().model_dump(by_alias=True, exclude_none=True)
    with pytest.raises(InvalidLoad, match="there is no bucket 'no-such-bucket'"):
        run_load(load_of(source, "s3://no-such-bucket/out", sink_storage=storage), client)
