"""Runs the examples as a person would, with `odp-dask run`; only where they read and write is of the test."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest

from odp_dask_operator.cli.session import Flags, run_session
from odp_dask_operator.spec import JobStatus
from tests.support.odp_server import API_KEY, OdpServer, odp_server
from tests.support.s3 import S3Server, s3_server

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "manifests/examples"
COADS = ROOT / "tests/data/coads.parquet"


@dataclass(frozen=True)
class Run:
    """How an example ended, and what was said meanwhile."""

    exit_code: int
    status: JobStatus
    said: str


RunExample = Callable[..., Run]
"""(name, *assignments, **flags): `assignments` as after --set, `flags` those of the command."""


@pytest.fixture(scope="session")
def platform() -> Iterator[OdpServer]:
    """A server that has the table of the examples, under the same id."""
    with odp_server({"coads": COADS}, "--batch-rows", "8192") as server:
        yield server


@pytest.fixture(scope="session")
def coads() -> pd.DataFrame:
    """The same table, for computing by hand what an example should find."""
    return pd.read_parquet(COADS)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server with one bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def run_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> RunExample:
    """Runs an example in a folder of the test's own; a test that asks for `platform` has its key and its address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    address = ""
    if "platform" in request.fixturenames:
        address = request.getfixturevalue("platform").url
        monkeypatch.setenv("ODP_API_KEY", API_KEY)
        monkeypatch.setenv("ODP_BASE_URL", address)
    else:
        monkeypatch.delenv("ODP_API_KEY", raising=False)

    def run(name: str, *assignments: str, **flags: tuple[str, ...]) -> Run:
        file = EXAMPLES / f"{name}.yaml"
        if "source: {odp:" in file.read_text() or "      odp:\n" in file.read_text():
            assignments = (f"spec.load.source.odp.baseURL={address}", *assignments)
        with mock.patch.dict(os.environ):  # Dask's worker processes inherit theirs by way of it
            code = run_session(Flags(file=str(file), assignments=assignments, **flags), as_json=True)  # type: ignore[arg-type]
        captured = capfd.readouterr()
        return Run(code, JobStatus.model_validate_json(captured.out.splitlines()[-1]), captured.err)

    return run
