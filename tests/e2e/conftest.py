"""One cluster for the suite, the bundle installed on it, and a namespace for each test that must be empty in the end.

The suite runs when it is asked for by its folder: `make e2e` (kind, by pytest-kind, whose options pass through), or on the cluster
of KUBECONFIG: `E2E_LOAD_IMAGE=<command> make e2e ARGS=--existing-cluster`.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any, Protocol

import pytest
from pytest_kind import KindCluster

from tests.e2e import bundle
from tests.e2e.cluster import Cluster
from tests.e2e.control import VARIABLE, nodes
from tests.e2e.servers import NAMESPACE as SERVERS
from tests.e2e.servers import S3, OdpServer, servers
from tests.e2e.sharing import PROCESSES, Shared, Turns
from tests.e2e.workspace import Workspace, keep_evidence, removed, workspace

HERE = Path(__file__).parent
KIND_CONFIG = HERE / "kind.yaml"
HOW = "`make e2e` runs it on kind, `E2E_LOAD_IMAGE=... make e2e ARGS=--existing-cluster` on the cluster of KUBECONFIG"
_TEST_SECONDS, _FIRST_SECONDS = 1200, 3600


class NewPlace(Protocol):
    """Makes a namespace for a test; `alone` while no other process has one."""

    def __call__(self, name: str, *, alone: bool = False) -> AbstractContextManager[Workspace]: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """What a run that names this folder may say."""
    group = parser.getgroup("e2e")
    group.addoption("--existing-cluster", action="store_true", help="use the cluster of KUBECONFIG instead of making one with kind")
    group.addoption("--skip-build", action="store_true", help="the images are built already")
    group.addoption("--skip-images", action="store_true", help="the nodes have the images already")
    group.addoption("--evidence", type=Path, default=bundle.ROOT / ".e2e", help="where failures and screenshots are kept")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what was not asked for; the first test of a process, of whichever module, has the time to build images and cluster."""
    own = [item for item in items if item.path.is_relative_to(HERE)]
    if os.environ.get(VARIABLE) is None:
        for item in own:
            if item.get_closest_marker("control"):
                item.add_marker(pytest.mark.skip(reason=f"{VARIABLE} names no command that stops and starts nodes"))
    asked = any((config.invocation_params.dir / word.split("::")[0]).resolve().is_relative_to(HERE) for word in config.args)
    modules: set[Path] = set()
    for item in own:
        if not asked:
            item.add_marker(pytest.mark.skip(reason=HOW))
        item.add_marker(pytest.mark.timeout(_TEST_SECONDS if item.path in modules else _FIRST_SECONDS))
        modules.add(item.path)


@pytest.fixture(scope="session")
def evidence(request: pytest.FixtureRequest) -> Path:
    """Where screenshots and what belongs to failures is kept."""
    folder: Path = request.config.getoption("--evidence").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if PROCESSES > 1 else own


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, common: Path) -> Iterator[Cluster]:
    """The cluster of the suite, with all images on its nodes."""
    discovery = tmp_path_factory.mktemp("discovery") / "api.json"
    config = request.config
    shared = Shared(common / "cluster")
    with shared.coming() as first:
        kind = None if config.getoption("--existing-cluster") else from_kind(request)
        try:
            found = connected(kind, discovery)
            if first and not config.getoption("--skip-images"):
                if not config.getoption("--skip-build"):
                    bundle.build()
                bundle.load(found)
        except BaseException:
            if first:
                _delete(kind, config)
            raise
    yield found
    with shared.going() as last:
        if last:
            _delete(kind, config)


def _delete(kind: KindCluster | None, config: pytest.Config) -> None:
    if kind is not None and not config.getoption("keep_cluster"):
        kind.delete()


def connected(kind: KindCluster | None, discovery: Path) -> Cluster:
    """That cluster of kind's, or the one of KUBECONFIG."""
    if kind is not None:
        load = bundle.image_loader(kind.load_docker_image)
        return Cluster(kind.kubeconfig_path.resolve(), str(kind.kubectl_path), load, discovery)
    kubectl = shutil.which("kubectl")
    assert kubectl, "kubectl is not on PATH"
    kubeconfig = Path(os.environ.get("KUBECONFIG", Path.home() / ".kube/config"))
    return Cluster(kubeconfig, kubectl, bundle.image_loader(None), discovery)


def from_kind(request: pytest.FixtureRequest) -> KindCluster:
    """The cluster of pytest-kind's fixture, which takes one that is there. The fixture would delete it after the first process."""
    with pytest.MonkeyPatch.context() as patch:  # the fixture passes no configuration on, though what it calls takes one
        patch.setattr(KindCluster, "create", partialmethod(KindCluster.create, config_file=KIND_CONFIG))
        patch.setattr(request.config.option, "keep_cluster", True)
        kind: KindCluster = request.getfixturevalue("kind_cluster")
    kind.ensure_kubectl()
    return kind


@pytest.fixture(scope="session")
def release(cluster: Cluster, request: pytest.FixtureRequest, evidence: Path, common: Path) -> Iterator[bundle.Release]:
    """The bundle, installed as its README says, for all namespaces; stays with the cluster under pytest-kind's --keep-cluster."""
    shared = Shared(common / "release")
    with shared.coming() as first:
        made = bundle.install(cluster, evidence=evidence) if first else bundle.release(cluster)
    yield made
    with shared.going() as last:
        if last and not request.config.getoption("keep_cluster"):
            bundle.uninstall(made)


@pytest.fixture(scope="session")
def running_servers(cluster: Cluster, evidence: Path) -> Iterator[tuple[OdpServer, S3]]:
    """What jobs read from and write to."""
    with bundle.namespace(cluster, SERVERS):
        try:
            made = servers(cluster)
        except AssertionError:
            keep_evidence(cluster, [SERVERS], evidence / "servers")
            raise
        yield made


@pytest.fixture(scope="session")
def new_place(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    release: bundle.Release,
    running_servers: tuple[OdpServer, S3],
    evidence: Path,
    common: Path,
) -> Iterator[NewPlace]:
    """Makes namespaces. Whatever is left of the jobs in one after they are deleted is a failure; the namespaces go."""
    odp, s3 = running_servers
    turns = Turns(common)

    @contextmanager
    def made(name: str, *, alone: bool = False) -> Iterator[Workspace]:
        odp.reset()
        failed_before = request.session.testsfailed
        short = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("test_").lower())
        with turns.taken(alone=alone), workspace(cluster, short, odp=odp, s3=s3) as place:
            try:
                yield place
                if request.session.testsfailed > failed_before:
                    keep_evidence(cluster, [place.namespace, release.namespace, SERVERS], evidence / name)
                place.clear()
            except BaseException:
                keep_evidence(cluster, [place.namespace, release.namespace, SERVERS], evidence / name)
                raise
            finally:
                place.remove()

    yield made
    removed(cluster)


@pytest.fixture
def place(request: pytest.FixtureRequest, new_place: NewPlace) -> Iterator[Workspace]:
    """A namespace of the test's own."""
    with new_place(request.node.name, alone=request.node.get_closest_marker("alone") is not None) as made:
        yield made


@pytest.fixture(autouse=True)
def _able(request: pytest.FixtureRequest) -> None:
    """Skips what this cluster cannot show."""
    if request.node.get_closest_marker("two_nodes") and len(nodes(request.getfixturevalue("cluster"))) < 2:
        pytest.skip("the cluster has one node only")
    if request.node.get_closest_marker("policies") and not request.config.getoption("--existing-cluster"):
        pytest.skip("kind's own network enforces no NetworkPolicy; run with --existing-cluster on a cluster that does")


def pytest_configure(config: pytest.Config) -> None:
    """The words by which a cluster that cannot do something skips a test."""
    for line in _MARKS:
        config.addinivalue_line("markers", line)


_MARKS: Any = (
    "two_nodes: needs a cluster of two nodes or more",
    "policies: needs a cluster that enforces NetworkPolicies",
    "control: needs E2E_CONTROL, a command that stops and starts nodes and control-plane components",
    "alone: changes the release; no other process of the run has a job meanwhile",
)
