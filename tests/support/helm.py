"""The chart under test, and the programs that render and judge it, built once from their pinned Go modules."""

import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.apiserver import ApiServer
from tests.support.go_tools import built
from tests.support.yaml_documents import parsed
from tools.dask_chart import OURS, package

RELEASE, SYSTEM = "odp-dask-operator", "odp-dask-system"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
Thing = dict[str, Any]


def program(name: str) -> Path:
    """A program of .cache/bin, built when Go is there; skips the test otherwise."""
    return built(name, ["make", f".cache/bin/{name}"])


@dataclass(frozen=True)
class Chart:
    """A copy of the chart with the Dask operator's in it."""

    folder: Path
    helm: Path

    def run(self, *words: str | Path, kubeconfig: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Helm with a home of its own, told as it is."""
        home = self.folder.parent / "home"
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {})}
        return subprocess.run([self.helm, *words], env=environment, capture_output=True, text=True)

    def template(self, *flags: str) -> str:
        """What is rendered, as text."""
        return _rendered(self, flags)

    def objects(self, *flags: str) -> list[Thing]:
        """What is rendered."""
        return parsed(self.template(*flags))

    def refusal(self, *flags: str) -> str:
        """Why nothing is rendered."""
        done = self.run("template", RELEASE, self.folder, *flags)
        assert done.returncode != 0, f"{flags} is accepted"
        return done.stderr


@functools.cache
def _rendered(chart: Chart, flags: tuple[str, ...]) -> str:
    done = chart.run("template", RELEASE, chart.folder, f"--namespace={SYSTEM}", *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_of_chart(folder: Path) -> Chart:
    """The chart, complete, below `folder`."""
    helm = program("helm")
    copy = folder / OURS.name
    shutil.copytree(OURS, copy, ignore=shutil.ignore_patterns("charts"))
    package(copy / "charts")
    return Chart(copy, helm)


def only(things: list[Thing], kind: str, name: str) -> Thing:
    """The one object of this kind and name."""
    (found,) = (thing for thing in things if (thing["kind"], thing["metadata"]["name"]) == (kind, name))
    return found


def path_in_api(thing: Thing) -> str:
    """Where an object lives in the API."""
    version, meta = thing["apiVersion"], thing["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    place = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    kind = thing["kind"].lower()
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return f"{root}{place}/{plural}/{meta['name']}"


def make_namespace(server: ApiServer, name: str) -> None:
    """One that admits nothing but restricted pods; it may be there."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    assert server.request("POST", "/api/v1/namespaces", body).status in (201, 409)


def applied(server: ApiServer, thing: Thing) -> str:
    """Apply as kubectl does, refusing unknown fields; the resource version after it."""
    answer = server.apply(thing, path_in_api(thing), fieldManager="kubectl", fieldValidation="Strict", force=True)
    assert answer.status in (200, 201), (path_in_api(thing), answer.body)
    heard = [warning for warning in answer.warnings if "unrecognized format" not in warning]
    assert heard == [], path_in_api(thing)
    version: str = answer.body["metadata"]["resourceVersion"]
    return version
