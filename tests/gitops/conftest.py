"""The kinds of Argo CD and Flux, where Go is."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.apiserver import ApiServer
from tests.support.go_tools import ROOT
from tests.support.yaml_documents import parsed

KINDS = ROOT / "tools/gitops-kinds"
FOLDERS = {
    "github.com/argoproj/argo-cd/v2": "manifests/crds",
    "github.com/fluxcd/helm-controller": "config/crd/bases",
    "github.com/fluxcd/kustomize-controller": "config/crd/bases",
    "github.com/fluxcd/source-controller": "config/crd/bases",
}


@pytest.fixture(scope="session")
def tools_kinds(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The kinds of Argo CD and Flux, from the modules that tools/gitops-kinds pins."""
    folder = tmp_path_factory.mktemp("kinds")
    for module, place in FOLDERS.items():
        for file in (_module(module) / place).glob("*.yaml"):
            if any(document["kind"] == "CustomResourceDefinition" for document in parsed(file.read_text())):
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
