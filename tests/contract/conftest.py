"""One API server for all contract tests, a namespace for each, and for who asks for it an operator of the module."""

from collections.abc import Iterator

import pytest

from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer, api_server
from tests.support.by_hand import ByHand
from tests.support.operator_process import OperatorProcess, operator

_BUILD_SECONDS = 1800
"""Building the API server from its sources takes four minutes on two idle cores, and more on busy ones."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test that needs the API server the time to build it."""
    first = next((item for item in items if "server" in getattr(item, "fixturenames", ()) and "contract" in item.path.parts), None)
    if first is not None:
        first.add_marker(pytest.mark.timeout(_BUILD_SECONDS))


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


@pytest.fixture(scope="module")
def system(server: ApiServer) -> Iterator[str]:
    """The operator's own namespace, with the presets that the chart puts there."""
    with server.namespace() as name:
        for preset in BUILT_IN.values():
            raw = preset.model_dump(mode="json", by_alias=True, exclude_none=True)
            ByHand(server, name).create({**raw, "metadata": {"name": raw["metadata"]["name"]}})
        yield name


@pytest.fixture(scope="module")
def running(server: ApiServer, system: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """One operator for all namespaces."""
    folder = tmp_path_factory.mktemp("operator")
    with operator(server.kubeconfig, folder, operator_namespace=system, namespaces=()) as process:
        yield process
        assert process.process.poll() is None, process.log.read_text()[-3000:]
        assert "Traceback" not in process.log.read_text()


@pytest.fixture
def hand(server: ApiServer, namespace: str, running: OperatorProcess) -> ByHand:
    """The hands of controllers and nodes in the namespace of a test."""
    return ByHand(server, namespace)
