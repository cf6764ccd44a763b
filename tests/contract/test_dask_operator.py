"""The real operator of dask-kubernetes with our DaskClusters: what it makes of them, and what becomes of jobs without it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from odp_dask_operator.core.observed.observe import covers
from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer, until
from tests.support.by_hand import ByHand
from tests.support.dask_operator import FINALIZER, dask_operator
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job
from tests.support.operator_process import operator
from tests.support.processes import Program

pytestmark = pytest.mark.usefixtures("alone")

Raw = dict[str, Any]
KEPT = {"Job", "Pod", "ConfigMap"}
IMPATIENT = "import datetime; from odp_dask_operator.core import waiting; waiting.STUCK = datetime.timedelta(seconds=3)"
"""Two minutes, in which a pod may take its time to go, are too long for a test."""


@dataclass
class Stage:
    """Both operators, and a namespace for each test of this module."""

    server: ApiServer
    dask: Program
    namespaces: list[str]

    def take(self) -> ByHand:
        return ByHand(self.server, self.namespaces.pop())


@pytest.fixture(scope="module")
def stage(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("operators")
    with server.namespace() as system, server.namespace() as a, server.namespace() as b, server.namespace() as c:
        raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
        ByHand(server, system).create({**raw, "metadata": {"name": "small"}})
        with (
            dask_operator(server.kubeconfig, folder, namespaces=[a, b, c]) as dask,
            operator(server.kubeconfig, folder, operator_namespace=system, namespaces=[a, b, c], prelude=IMPATIENT) as ours,
        ):
            yield Stage(server, dask, [a, b, c])
            assert ours.end() == 0
        assert "Traceback" not in ours.log.read_text()


@pytest.fixture
def hand(stage: Stage) -> ByHand:
    return stage.take()


def workers(hand: ByHand) -> list[Raw]:
    return [raw for raw in hand.all("Deployment") if raw["metadata"]["labels"]["dask.org/component"] == "worker"]


def cluster_runs(hand: ByHand, *, size: int) -> None:
    """The Dask operator has made everything, and nodes have started it."""
    until(lambda: len(workers(hand)) == size and len(hand.all("Deployment")) == size + 1, "all Deployments are there", seconds=90)
    for raw in hand.all("Deployment"):
        hand.patch("Deployment", raw["metadata"]["name"], {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, status=True)


def given_back(hand: ByHand) -> bool:
    hand.collect()
    return hand.of_jobs() == KEPT


def variables(deployment: Raw) -> Raw:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def test_it_makes_what_we_ask_for_and_touches_neither_addresses_nor_certificates(hand: ByHand) -> None:
    hand.create(load_job("sst", workers={"replicas": 2}))
    cluster_runs(hand, size=2)
    cluster = hand.only("DaskCluster")
    name, spec = cluster["metadata"]["name"], cluster["spec"]
    assert hand.get("Service", f"{name}-scheduler")["spec"]["ports"][0]["port"] == 8786  # type: ignore[index]
    assert hand.only("DaskWorkerGroup")["metadata"]["name"] == f"{name}-default"
    scheduler = hand.get("Deployment", f"{name}-scheduler")
    assert scheduler is not None
    assert covers(scheduler["spec"]["template"]["spec"], spec["scheduler"]["spec"])
    assert variables(scheduler) == {each["name"]: each.get("value") for each in spec["scheduler"]["spec"]["containers"][0]["env"]}
    given = {each["name"]: each.get("value") for each in spec["worker"]["spec"]["containers"][0]["env"]}
    assert given["DASK_SCHEDULER_ADDRESS"] == f"tls://{name}-scheduler.{hand.namespace}.svc:8786"
    for worker in workers(hand):
        assert covers(worker["spec"]["template"]["spec"]["containers"][0]["args"], spec["worker"]["spec"]["containers"][0]["args"])
        assert variables(worker) == {**given, "DASK_WORKER_NAME": worker["metadata"]["name"]}
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    until(lambda: hand.status("sst")["workers"] == {"desired": 2, "ready": 2}, "the workers are counted")
    assert FINALIZER in hand.only("DaskCluster")["metadata"]["finalizers"]
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
    until(lambda: given_back(hand), "the cluster is given back, the Dask operator's finalizer included", seconds=60)
    hand.delete("OdpDaskJob", "sst")

    def gone() -> bool:
        hand.collect()
        return hand.of_jobs() == set()

    until(gone, "nothing is left", seconds=60)


def test_it_takes_our_autoscaler(stage: Stage, hand: ByHand) -> None:
    hand.create(load_job("sst", workers={"minimum": 1, "maximum": 3}))
    cluster_runs(hand, size=1)
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    until(lambda: FINALIZER in (hand.only("DaskAutoscaler")["metadata"].get("finalizers") or ()), "it has seen the autoscaler")
    (owner,) = hand.only("DaskAutoscaler")["metadata"]["ownerReferences"]
    assert owner["uid"] == hand.only("DaskCluster")["metadata"]["uid"]
    assert hand.status("sst")["phase"] == "Running"
    # Kopf looks but once a minute whether a timer has ended that runs when its object is deleted; ours would be a slow test.
    until(lambda: "Timer 'daskautoscaler_adapt' failed" in stage.dask.log.read_text(), "it has looked for a scheduler in vain")
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
    until(lambda: given_back(hand), "the cluster and its autoscaler are given back", seconds=90)


def test_without_it_jobs_say_so_and_deadlines_end_them_and_deletion_is_explained(stage: Stage, hand: ByHand) -> None:
    hand.create(load_job("sst"))
    cluster_runs(hand, size=1)
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    stage.dask.stop()
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")

    def explained() -> bool:
        hand.collect()
        (ready,) = (each for each in hand.status("sst")["conditions"] if each["type"] == "ClusterReady")
        return ready["reason"] == "DeletionStuck" and "does the Dask operator run?" in ready["message"]

    until(explained, "what keeps the cluster from going is told", seconds=60)
    assert FINALIZER in hand.only("DaskCluster")["metadata"]["finalizers"], "that of another operator is not ours to take off"
    stuck = hand.only("DaskCluster")["metadata"]["name"]

    hand.create(load_job("next", startupDeadlineSeconds=20))
    hand.is_at("next", "Starting", "DaskOperatorSilent")
    hand.is_at("next", "Failed", "StartupDeadlineExceeded")
    assert "it does not run, or is stuck" in hand.status("next")["message"]
    until(lambda: hand.collect() or len(hand.all("DaskCluster")) == 1, "what it never saw goes")  # type: ignore[func-returns-value]

    stage.dask.start()
    until(lambda: hand.collect() or hand.get("DaskCluster", stuck) is None, "the cluster goes when it is back", seconds=90)  # type: ignore[func-returns-value]
