"""One API server for all contract tests, and a namespace for each."""

from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer, api_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that knows our kinds and those of the Dask operator."""
    with api_server(tmp_path_factory.mktemp("apiserver")) as running:
        running.install_crds()
        yield running


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    with server.namespace() as name:
        yield name
