"""What tests of the loader share: an S3 server, an ODP-compatible one, one Dask cluster with workers in processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest

from odp_loader.store.secret import SECRETS_VARIABLE
from tests.support.odp_server import API_KEY, OdpServer, odp_server
from tests.support.s3 import S3Server, s3_server

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the whole session; a test takes a place of its own with `s3.url()`."""
    with s3_server(tmp_path_factory.mktemp("s3-server")) as server:
        yield server


@pytest.fixture(scope="session")
def coads_server() -> Iterator[OdpServer]:
    """A server of the COADS table in small batches, so that every partition has many."""
    with odp_server({"coads": COADS}, "--batch-rows", "2048") as running:
        yield running


@pytest.fixture
def server(coads_server: OdpServer, monkeypatch: pytest.MonkeyPatch) -> OdpServer:
    """The same with nothing changed and nothing counted yet; the key is in the environment. A module may have one of its own."""
    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    coads_server.reset()
    return coads_server


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the loader looks for Secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[distributed.LocalCluster]:
    """Two workers with two threads each; the key is in their environment, as a Secret would put it there."""
    os.environ["ODP_API_KEY"] = API_KEY
    settings = {"distributed.worker.preload": ["odp_loader.task", "odp_loader.sources.odp", "odp.dataset"]}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0") as running,
    ):
        yield running
    del os.environ["ODP_API_KEY"]


@pytest.fixture
def client(cluster: distributed.LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[distributed.Client]:
    """A client of the shared cluster; the driver has the key in its environment, too."""
    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    with distributed.Client(cluster) as connected:
        yield connected
