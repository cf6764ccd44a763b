"""The bundle on a cluster: images on its nodes, and the chart in a namespace with restricted Pod Security."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.artefacts import save
from tests.e2e.cluster import Cluster, Raw
from tests.e2e.eventually import eventually
from tests.e2e.sharing import share_of

ROOT = Path(__file__).parents[2]
HELM = ROOT / ".cache/bin/helm"
CHART = ROOT / "charts/odp-dask-operator"
LOADER, ODP_SERVER, VERSITYGW = (f"localhost/{name}:dev" for name in ("odp-loader", "odp-server", "versitygw"))
IMAGES = (LOADER, "localhost/odp-dask-operator:dev", ODP_SERVER, "localhost/dask-operator:dev", VERSITYGW)
NAMESPACE = "odp-dask-system"
RELEASE = "odp"
VALUES = (
    "image.registry=localhost",
    "image.tag=dev",
    "loader.image.registry=localhost",
    "loader.image.tag=dev",
    "dask-operator.image.name=localhost/dask-operator",
    "dask-operator.image.tag=dev",
    f"presets.small.worker.cpu={share_of(400)}",
    f"presets.medium.loader.cpu={share_of(300)}",  # `auto` begins with this one
    "presets.medium.loader.memory=1Gi",
    *(
        f"presets.small.{setting}"
        for setting in (
            f"scheduler.cpu={share_of(200)}",
            "scheduler.memory=1Gi",
            f"loader.cpu={share_of(300)}",
            "loader.memory=1Gi",
        )
    ),
)
"""The tests' images, and a preset `small` for which a node of two processors has room beside its control plane."""
OPERATOR, DASK_OPERATOR = "app.kubernetes.io/name=odp-dask-operator", "app.kubernetes.io/name=dask-kubernetes-operator"
"""Labels of the pods of the two operators."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
_WAIT = ("--wait", "--timeout", "3m")
_GROUPS = ("odpdask.dev", "kubernetes.dask.org")


@dataclass(frozen=True)
class Release:
    """The chart, installed."""

    cluster: Cluster
    name: str
    namespace: str

    def helm(self, verb: str, *words: str) -> str:
        """Runs helm on this release."""
        return helm(self.cluster, verb, self.name, *words, "--namespace", self.namespace)

    @contextmanager
    def changed(self, *values: str) -> Iterator[None]:
        """Upgraded to other values, and rolled back at the end."""
        self.helm("upgrade", str(CHART), "--reuse-values", *settings(values), *_WAIT)
        try:
            yield
        finally:
            self.helm("rollback", *_WAIT)

    @contextmanager
    def removed(self) -> Iterator[None]:
        """Uninstalled, and installed again at the end."""
        self.helm("uninstall", "--wait")
        try:
            yield
        finally:
            self.helm("install", str(CHART), *settings(VALUES), *_WAIT)

    def pods(self, labels: str) -> list[str]:
        """Names of its pods that are not about to go."""
        found = self.cluster.all("Pod", self.namespace, labels=labels)
        return [raw["metadata"]["name"] for raw in found if not raw["metadata"].get("deletionTimestamp")]

    def is_ready(self) -> bool:
        """All its pods answer."""
        pods = self.cluster.all("Pod", self.namespace)
        return bool(pods) and all(map(_is_ready, pods))


def _is_ready(pod: Raw) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def helm(cluster: Cluster, *words: str) -> str:
    """What helm prints. Raises AssertionError with what it says when it fails."""
    done = subprocess.run([HELM, *words], env=cluster.environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}"
    return done.stdout


def settings(values: Sequence[str]) -> list[str]:
    """As flags of helm."""
    return [word for value in values for word in ("--set", value)]


def build() -> None:
    """Builds all images."""
    subprocess.run(["make", "images", "test-images"], cwd=ROOT, check=True)


def load(cluster: Cluster) -> None:
    """Brings them to the nodes."""
    for image in IMAGES:
        cluster.load_image(image)


def image_loader(given: Callable[[str], None] | None) -> Callable[[str], None]:
    """How an image gets to the nodes: by the command in E2E_LOAD_IMAGE, to which its name is added, else as given."""
    command = shlex.split(os.environ.get("E2E_LOAD_IMAGE", ""))

    def load_one(image: str) -> None:
        assert command, "set E2E_LOAD_IMAGE to the command that brings an image to the nodes; its name is added"
        subprocess.run([*command, image], check=True)

    return load_one if command or given is None else given


@contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[None]:
    """A namespace that enforces restricted Pod Security; gone at the end."""
    _make_namespace(cluster, name)
    try:
        yield
    finally:
        _remove_namespace(cluster, name)


@contextmanager
def installed(cluster: Cluster, *, evidence: Path) -> Iterator[Release]:
    """The release, for as long as the block runs."""
    made = install(cluster, evidence=evidence)
    try:
        yield made
    finally:
        uninstall(made)


def release(cluster: Cluster) -> Release:
    """The release that is there already."""
    return Release(cluster, RELEASE, NAMESPACE)


def install(cluster: Cluster, *, evidence: Path) -> Release:
    """Installs the chart, in a namespace of its own; when that fails, keeps evidence and leaves nothing else."""
    subprocess.run(["make", "chart"], cwd=ROOT, check=True, capture_output=True)
    made = release(cluster)
    _make_namespace(cluster, made.namespace)
    try:
        made.helm("upgrade", "--install", str(CHART), *settings(VALUES), *_WAIT)
    except BaseException:
        save(cluster, made.namespace, evidence / "install")
        uninstall(made)
        raise
    return made


def uninstall(made: Release) -> None:
    """Removes a release, and the kinds, which the chart itself leaves."""
    cluster = made.cluster
    made.helm("uninstall", "--wait", "--ignore-not-found")
    for raw in cluster.all("CustomResourceDefinition"):
        if raw["spec"]["group"] in _GROUPS:
            cluster.delete("CustomResourceDefinition", raw["metadata"]["name"])
    _remove_namespace(cluster, made.namespace)


def _make_namespace(cluster: Cluster, name: str) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})


def _remove_namespace(cluster: Cluster, name: str) -> None:
    cluster.delete("Namespace", name)
    eventually(lambda: cluster.get("Namespace", name) is None, f"the namespace {name} is gone")
