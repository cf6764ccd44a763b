"""What tests of all parts share: an S3 server, and a folder of Secrets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.s3 import S3Server, s3_server

from odp_loader.store.secret import SECRETS_VARIABLE


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the whole session; a test takes a place of its own with `s3.url()`."""
    with s3_server(tmp_path_factory.mktemp("s3-server")) as server:
        yield server


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the loader looks for Secrets."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv(SECRETS_VARIABLE, str(folder))
    return folder
