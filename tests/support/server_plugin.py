"""A pytest plugin: one API server for all tests that ask for `server`, a namespace for each that asks for `namespace`."""

from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer, api_server

_BUILD_SECONDS = 1800
"""Building the API server from its sources takes four minutes on two idle cores, and more on busy ones."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test that needs the API server the time to build it."""
    first = next((item for item in items if "shared_server" in getattr(item, "fixturenames", ())), None)
    if first is not None:
        first.add_marker(pytest.mark.timeout(_BUILD_SECONDS))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that knows our kinds and those of the Dask operator."""
    with api_server(tmp_path_factory.mktemp("apiserver")) as running:
        running.install_crds()
        yield running


@pytest.fixture(scope="session")
def server(shared_server: ApiServer) -> ApiServer:
    """The shared one; a module with a server of its own kind says otherwise."""
    return shared_server


@pytest.fixture(scope="session")
def alone(server: ApiServer) -> None:
    """Asked for by tests that do by hand what controllers and nodes do: nobody else may do it."""
    if server.process is None:
        pytest.skip(
            "controllers and nodes of the cluster that KUBECONFIG_CONTRACT names would act beside this test;"
            " without the variable it gets an API server where nobody does"
        )


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    with server.namespace() as name:
        yield name
