"""Nodes and control plane that go away under a running load, and come back."""

import pytest

from tests.e2e.bundle import Release
from tests.e2e.cluster import Raw
from tests.e2e.control import control, cordoned, nodes, without_component, without_node
from tests.e2e.eventually import eventually
from tests.e2e.job import Job
from tests.e2e.servers import NAMESPACE as SERVERS
from tests.e2e.workspace import Workspace

pytestmark = pytest.mark.control
SPEC: Raw = {
    "workers": {"replicas": 1},
    "worker": {"cpu": "400m", "memory": "1Gi", "threads": 4},
    "scheduler": {"cpu": "300m", "memory": "1Gi"},
    "loader": {"cpu": "300m", "memory": "1Gi"},
}
"""Small enough for a whole job on one node of two processors."""


@pytest.fixture
def other(place: Workspace) -> str:
    """A node without the servers that the job reads from and writes to, to which all its pods go."""
    place.cluster.create(
        {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskPreset", "metadata": {"name": "tiny"}, "spec": SPEC}, place.namespace
    )
    home = {raw["spec"]["nodeName"] for raw in place.cluster.all("Pod", SERVERS)}
    return next(name for name in nodes(place.cluster) if name not in home)


def slow_on(place: Workspace, node: str) -> Job:
    """A load all of whose pods run on this node."""
    (first,) = (name for name in nodes(place.cluster) if name != node)
    with cordoned(place.cluster, first):
        job = place.slow(scale="tiny", bytes_per_s=60_000)
    pods = [raw for component in ("scheduler", "worker", "loader") for raw in job.pods(component)]
    assert {raw["spec"]["nodeName"] for raw in pods} == {node}
    return job


@pytest.mark.two_nodes
def test_a_drained_node_costs_time_only(place: Workspace, other: str) -> None:
    job = slow_on(place, other)
    place.cluster.kubectl("drain", other, "--ignore-daemonsets", "--delete-emptydir-data", "--force", seconds=300)
    try:
        place.odp.reset()
        place.succeeds(job)
        assert job.status["attempts"] == 1
        place.gives_back()
    finally:
        place.cluster.kubectl("uncordon", other)


@pytest.mark.two_nodes
def test_a_node_that_dies_and_comes_back_costs_no_row(place: Workspace, other: str) -> None:
    job = slow_on(place, other)
    with without_node(place.cluster, other):
        place.odp.reset()
    place.succeeds(job, seconds=400)
    place.gives_back()


def test_a_control_plane_that_begins_anew_costs_no_row(place: Workspace, release: Release) -> None:
    job = place.slow(bytes_per_s=60_000)
    with without_component("kube-apiserver"):
        control("control-plane", "stop", "etcd")
        control("control-plane", "start", "etcd")
    eventually(lambda: job.status, "the API server answers")
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 1
    place.gives_back()
    eventually(release.is_ready, "both operators are well")
