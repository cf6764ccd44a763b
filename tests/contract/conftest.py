"""The operator of a module, for tests that ask for it, and its namespace with the presets."""

from collections.abc import Iterator

import pytest

from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer
from tests.support.by_hand import ByHand
from tests.support.operator_process import OperatorProcess, operator


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
