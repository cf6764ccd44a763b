"""An API server that knows our kinds, those of the Dask operator, and where Go is, those of Argo CD and Flux."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.apiserver import ApiServer, api_server
from tests.support.go_tools import ROOT

_BUILD_SECONDS = 1800
KINDS = ROOT / "tools/gitops-kinds"
FOLDERS = {
    "github.com/argoproj/argo-cd/v2": "manifests/crds",
    "github.com/fluxcd/helm-controller": "config/crd/bases",
    "github.com/fluxcd/kustomize-controller": "config/crd/bases",
    "github.com/fluxcd/source-controller": "config/crd/bases",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test that needs the API server the time to build it."""
    first = next((item for item in items if "server" in getattr(item, "fixturenames", ()) and "gitops" in item.path.parts), None)
    if first is not None:
        first.add_marker(pytest.mark.timeout(_BUILD_SECONDS))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with our kinds and the Dask operator's."""
    with api_server(tmp_path_factory.mktemp("apiserver")) as running:
        running.install_crds()
        yield running


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    with server.namespace() as name:
        yield name


@pytest.fixture(scope="session")
def tools_kinds(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The kinds of Argo CD and Flux, from the modules that tools/gitops-kinds pins."""
    folder = tmp_path_factory.mktemp("kinds")
    for module, place in FOLDERS.items():
        for file in (_module(module) / place).glob("*.yaml"):
            documents = yaml.safe_load_all(file.read_text())
            if any(document and document["kind"] == "CustomResourceDefinition" for document in documents):
                shutil.copy(file, folder)
    server.install_crds(folder)


def _module(module: str) -> Path:
    command = ["go", "mod", "download", "-C", str(KINDS.relative_to(ROOT)), "-json", module]
    if shutil.which("go") is None:
        pytest.skip(f"the kinds of Argo CD and Flux are not there: install Go 1.26, which runs `{' '.join(command)}`")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    if "Dir" not in found:
        pytest.skip(f"`{' '.join(command)}` does not work here: {found.get('Error') or done.stderr[-300:]}")
    return Path(found["Dir"])
