"""The whole life of a job against a real API server: the operator runs as a process, the test is controllers and nodes."""

import random
import sys
from typing import Any

import pytest

from odp_dask_operator.core.names import PROGRESS_PORT
from odp_dask_operator.presets import BUILT_IN
from odp_loader.metrics import ProgressServer
from odp_loader.progress import Progress
from tests.support.apiserver import until
from tests.support.by_hand import CHILDREN, KEPT, ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job
from tests.support.kstatus import kstatus
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.usefixtures("alone")


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def is_gone(hand: ByHand, name: str) -> bool:
    hand.collect()
    return hand.get("OdpDaskJob", name) is None and hand.of_jobs() == set()


def test_a_job_becomes_a_cluster_a_load_and_a_result_and_leaves_nothing(hand: ByHand) -> None:
    hand.create(load_job("sst"))
    until(lambda: hand.of_jobs() == CHILDREN, "all children are there")
    job = hand.job("sst")
    assert kstatus(job) == "InProgress"
    assert not {"finalizers", "annotations"} & job["metadata"].keys()
    hand.dask_builds()
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    assert hand.status("sst")["workers"] == {"desired": 1, "ready": 1}

    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
    until(lambda: hand.collect() or hand.of_jobs() == KEPT, "the cluster is given back")  # type: ignore[func-returns-value]
    status = hand.status("sst")
    assert status["result"]["rows"] == LAST_WORD["result"]["rows_written"]  # type: ignore[index]
    assert conditions(status) == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "ClusterReady": "False",
        "Suspended": "False",
        "Complete": "True",
        "Failed": "False",
    }
    assert kstatus(hand.job("sst")) == "Current"
    until(lambda: {event["reason"] for event in hand.all("Event")} == {"Accepted", "LoadVerified"}, "the end is told")
    assert not {"finalizers", "annotations"} & hand.job("sst")["metadata"].keys()
    hand.delete("OdpDaskJob", "sst")
    until(lambda: is_gone(hand, "sst"), "nothing is left")


def test_a_load_that_fails_says_why_and_gives_its_cluster_back(hand: ByHand, running: OperatorProcess) -> None:
    pod = hand.starts("sst")
    hand.loader_ends(pod, 2, {"reason": "InvalidLoad", "message": "there is no column depht"})
    hand.is_at("sst", "Failed", "InvalidLoad")
    assert hand.status("sst")["message"] == "there is no column depht"
    until(lambda: hand.collect() or hand.of_jobs() == KEPT, "the cluster is given back")  # type: ignore[func-returns-value]
    assert kstatus(hand.job("sst")) == "Failed"
    assert running.metric('odp_dask_job_failures_total{reason="InvalidLoad"}') >= 1


def test_a_suspended_job_gives_everything_back_and_goes_on_when_resumed(hand: ByHand) -> None:
    hand.starts("sst")
    first = hand.only("Secret")["metadata"]["name"]
    hand.patch("OdpDaskJob", "sst", {"spec": {"suspend": True}})
    hand.is_at("sst", "Suspended", "Suspended", meanwhile=hand.collect)
    assert hand.of_jobs() == {"ConfigMap"}
    assert kstatus(hand.job("sst")) == "Current"
    assert "startTime" not in hand.status("sst")

    hand.patch("OdpDaskJob", "sst", {"spec": {"suspend": False}})
    until(lambda: hand.of_jobs() == CHILDREN, "all children are there again")
    assert hand.only("Secret")["metadata"]["name"] != first
    hand.dask_builds()
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded")


def test_a_job_that_is_deleted_in_mid_run_leaves_nothing(hand: ByHand) -> None:
    hand.starts("sst")
    hand.delete("OdpDaskJob", "sst")
    until(lambda: is_gone(hand, "sst"), "nothing is left")


def test_a_name_that_is_taken_ends_the_job_and_nothing_is_touched(hand: ByHand) -> None:
    spec = {"ports": [{"port": 80}]}
    there = hand.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sst-dashboard"}, "spec": spec})
    hand.create(load_job("sst"))
    hand.is_at("sst", "Failed", "NameConflict", meanwhile=hand.collect)
    assert "Service sst-dashboard" in hand.status("sst")["message"]
    until(lambda: hand.collect() or hand.of_jobs() <= {"ConfigMap"}, "what was made is gone")  # type: ignore[func-returns-value]
    assert hand.get("Service", "sst-dashboard") == there


def test_the_finalizer_of_the_dask_operator_is_left_alone(hand: ByHand) -> None:
    hand.create(load_job("sst"))
    until(lambda: bool(hand.all("DaskCluster")), "there is a DaskCluster")
    cluster = hand.only("DaskCluster")["metadata"]["name"]
    finalizers = ["kopf.zalando.org/KopfFinalizerMarker"]
    hand.patch("DaskCluster", cluster, {"metadata": {"finalizers": finalizers}})
    hand.dask_builds()
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
    until(lambda: "deletionTimestamp" in hand.only("DaskCluster")["metadata"], "the cluster is being deleted")
    hand.patch("DaskCluster", cluster, {"metadata": {"labels": {"example.org/seen": "yes"}}})
    hand.collect()
    assert finalizers[0] in hand.only("DaskCluster")["metadata"]["finalizers"]
    hand.patch("DaskCluster", cluster, {"metadata": {"finalizers": []}})


def test_a_missing_preset_is_waited_for(hand: ByHand) -> None:
    hand.create(load_job("sst", scale="tiny"))
    hand.is_at("sst", "Pending", "PresetNotFound")
    assert hand.of_jobs() == set()
    raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
    hand.create({**raw, "metadata": {"name": "tiny"}})
    until(lambda: hand.of_jobs() == CHILDREN, "the job goes on")
    assert hand.status("sst")["preset"]["namespace"] == hand.namespace


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more loopback addresses than one, so that the port is free")
def test_auto_is_what_the_loader_says_of_its_table(hand: ByHand) -> None:
    address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    hand.create(load_job("sst", scale="auto"))
    with ProgressServer(PROGRESS_PORT, address) as server:
        assert server.address is not None, server.notice
        pod = hand.loader_runs(address=address)
        hand.is_at("sst", "Starting", "ChoosingPreset")
        assert hand.of_jobs() == CHILDREN - {"DaskCluster"} | {"Pod"}
        server.progress(Progress(rows_expected=20_000_000, bytes_expected=900 * 2**20))
        hand.dask_builds()
    assert hand.only("DaskCluster")["spec"]["worker"]["replicas"] == 4
    hand.is_at("sst", "Running", "Loading")
    preset = hand.status("sst")["preset"]
    assert (preset["name"], preset["why"]) == ("large", "auto is large: the table has 20,000,000 rows, 900 MiB")
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
