"""The life of a job from its creation to the last object deleted, in every branch, on a cluster in memory."""

import copy
import datetime
from typing import Any

import pytest

from odp_dask_operator.core.names import Child
from odp_dask_operator.core.observed import Refusal
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_controllers import (
    LAST_WORD,
    cluster_is_ready,
    dask_builds,
    everything_runs,
    job_makes_pod,
    loader_ends,
    loader_pod,
    loader_runs,
    loader_waits,
    owned,
)
from tests.support.operator_jobs import LOAD, UID, job

BASE = "sst-3f2a1"
WITHOUT_A_WORD = "the loader ended with exit status {} and without a word; see kubectl logs -n ocean job/sst-3f2a1"
LEFT = {"ConfigMap", "Job", "Pod"}
"""What stays of a job that has ended: the loader's pods with their logs, and what it was told to do."""


def test_a_load_from_beginning_to_end() -> None:
    cluster = FakeCluster(job())
    cluster.step()
    assert cluster.objects == {}, "the beginning is recorded before anything is made"
    assert cluster.said == ("Pending", "Accepted")
    cluster.settle()
    assert cluster.writes == [
        "status OdpDaskJob/sst",
        "create Service/sst-dashboard",
        f"create NetworkPolicy/{BASE}",
        f"create ConfigMap/{BASE}",
        f"create Secret/{BASE}-1",
        f"create Job/{BASE}",
        f"create DaskCluster/{BASE}",
        "status OdpDaskJob/sst",
    ]
    assert cluster.said == ("Starting", "ClusterStarting")
    job_makes_pod(cluster)
    dask_builds(cluster)
    cluster_is_ready(cluster)
    loader_runs(cluster)
    cluster.progress = {"percent": 40, "partitions": {"done": 2, "total": 12}, "rows": 400, "bytes": 4096, "stage": "Loading"}
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    assert cluster.status["progress"]["rows"] == 400
    assert cluster.status["workers"] == {"desired": 1, "ready": 1}
    assert cluster.status["dashboardURL"] == "http://sst-dashboard.ocean.svc:8787/status"
    loader_ends(cluster, 0, LAST_WORD)
    cluster.progress = None
    cluster.step()
    assert cluster.said == ("Succeeded", "LoadVerified")
    assert "DaskCluster" in cluster.kinds(), "the end is recorded before anything is deleted"
    cluster.wind_down()
    assert cluster.kinds() == LEFT
    assert cluster.writes[-4:] == [
        "delete Service/sst-dashboard",
        f"delete DaskCluster/{BASE}",
        f"delete Secret/{BASE}-1",
        f"delete NetworkPolicy/{BASE}",
    ]
    assert cluster.status["message"] == "1000 rows read of 1000 expected, 990 written to s3://bucket/x/data"
    assert cluster.status["result"]["manifestSHA256"] == "ab" * 32
    assert cluster.status["progress"]["percent"] == 100
    assert not {"workers", "dashboardURL", "serviceName"} & cluster.status.keys()
    assert cluster.notices == ["Normal Accepted", "Normal LoadVerified"]
    assert len(cluster.writes) <= 16
    step = cluster.step()
    assert (step.decision.requeue_after, step.decision.writes) == (None, 0), "an ended job costs nothing"


@pytest.mark.parametrize(
    ("code", "word", "reason", "message"),
    [
        (2, {"reason": "InvalidExpression", "message": "no column 'x'"}, "InvalidExpression", "no column 'x'"),
        (3, "", "CredentialsRefused", WITHOUT_A_WORD.format(3)),
        (4, "no JSON at all {", "VerificationFailed", WITHOUT_A_WORD.format(4)),
        (1, {"reason": "not a reason!", "message": "down"}, "LoaderFailed", "down"),
        (77, "[]", "LoaderFailed", WITHOUT_A_WORD.format(77)),
    ],
)  # fmt: skip
def test_a_load_that_fails_says_why_and_gives_its_cluster_back(code: int, word: object, reason: str, message: str) -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, code, word)
    cluster.wind_down()
    assert cluster.said == ("Failed", reason)
    assert cluster.status["message"] == message
    assert cluster.kinds() == LEFT
    assert cluster.notices[-1] == f"Warning {reason}"
    assert (cluster.condition("Stalled")["status"], cluster.condition("Ready")["status"]) == ("True", "False")


def test_a_loader_without_memory_says_so() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, 137, word="OOMKilled")
    cluster.settle()
    assert cluster.said == ("Failed", "OutOfMemory")


def test_a_lost_last_word_fails_no_load() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, 0)
    del cluster.objects["Pod", loader_pod(cluster)["metadata"]["name"]]
    cluster.wind_down()
    assert cluster.said == ("Succeeded", "LoadVerified")
    assert "result" not in cluster.status


@pytest.mark.parametrize(("code", "phase", "reason"), [(0, "Succeeded", "ScriptFinished"), (2, "Failed", "ScriptFailed")])
def test_a_script_ends_as_its_program_does(code: int, phase: str, reason: str) -> None:
    cluster = FakeCluster(job(script={"module": "ocean.analysis"}))
    everything_runs(cluster)
    assert cluster.said == ("Running", "ScriptRunning")
    loader_ends(cluster, code, {"reason": "LoadVerified", "message": ""})
    cluster.wind_down()
    assert cluster.said == (phase, reason)
    assert cluster.kinds() == LEFT


def test_a_scheduler_that_dies_costs_an_attempt_and_the_cluster_stays() -> None:
    """The loader notices and ends with 1; the Job makes its next pod, which finds the same cluster and the ledger."""
    cluster = FakeCluster(job())
    everything_runs(cluster)
    uid = cluster.only("DaskCluster")["metadata"]["uid"]
    cluster_is_ready(cluster, False)
    loader_ends(cluster, 1, {"reason": "Unavailable", "message": "the Dask scheduler is gone"}, last=False)
    cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting")
    cluster_is_ready(cluster)
    cluster.settle()
    assert cluster.said == ("Running", "Retrying")
    assert cluster.status["message"] == "attempt 2 of 4 comes next; the one before failed: Unavailable: the Dask scheduler is gone"
    cluster.tick(10)
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.settle()
    assert cluster.said == ("Running", "Retrying")
    assert cluster.status["attempts"] == 2
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.said == ("Succeeded", "LoadVerified")
    assert cluster.status["attempts"] == 2
    assert uid not in [raw["metadata"]["uid"] for raw in cluster.objects.values()]


def test_suspend_gives_all_back_and_resume_begins_anew() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.tick(100)
    cluster.job["spec"]["suspend"] = True
    cluster.job["metadata"]["generation"] = 2
    cluster.step()
    assert cluster.said == ("Suspended", "Suspending")
    assert not [write for write in cluster.writes if write.startswith("delete")], "the stop is recorded before anything is deleted"
    assert "startTime" not in cluster.status
    assert (cluster.condition("Ready")["status"], cluster.condition("Reconciling")["status"]) == ("False", "True")
    cluster.wind_down()
    assert cluster.kinds() == {"ConfigMap"}
    assert cluster.said == ("Suspended", "Suspended")
    assert (cluster.condition("Ready")["status"], cluster.condition("Ready")["reason"]) == ("True", "Suspended")
    assert cluster.settle().decision.requeue_after is None
    cluster.job["spec"]["suspend"] = False
    cluster.step()
    assert (cluster.said, cluster.status["runs"], cluster.kinds()) == (("Pending", "Accepted"), 2, {"ConfigMap"})
    everything_runs(cluster)
    assert ("Secret", f"{BASE}-2") in cluster.objects
    assert cluster.only("Job")["metadata"]["labels"]["odpdask.dev/run"] == "2"
    assert cluster.status["startTime"] == "2026-01-01T12:01:40Z"
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.kinds() == LEFT


def test_resume_waits_until_nothing_is_left_of_the_last_run() -> None:
    """A new DaskCluster of the same name would take the old scheduler's Deployment for its own (dask-kubernetes#829)."""
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = True
    cluster.settle()
    cluster.job["spec"]["suspend"] = False
    cluster.settle()
    assert cluster.said == ("Suspended", "Suspending")
    assert cluster.status["runs"] == 1
    del cluster.objects["DaskCluster", BASE]  # as after a deletion that left its children behind
    cluster.settle()
    assert cluster.status["runs"] == 1
    assert not any(write.startswith("create") for write in cluster.writes[-6:])
    cluster.collect()
    cluster.settle()
    cluster.collect()
    everything_runs(cluster)
    assert cluster.status["runs"] == 2


def test_a_worker_group_that_came_too_late_for_its_cluster_is_deleted() -> None:
    """The Dask operator makes it without an owner and adopts it later, if the cluster is still there."""
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, 2)
    cluster.settle()
    group = cluster.only("DaskWorkerGroup")
    del group["metadata"]["ownerReferences"]
    cluster.settle()
    assert "deletionTimestamp" not in group["metadata"], "it may still be adopted"
    cluster.collect()
    cluster.wind_down()
    assert "DaskWorkerGroup" not in cluster.kinds()
    assert cluster.kinds() == LEFT


def test_a_new_job_waits_for_the_loader_of_the_last_one() -> None:
    """A Job that somebody deleted without its pod: two loaders would write at once."""
    cluster = FakeCluster(job())
    everything_runs(cluster)
    del cluster.objects["Job", BASE]
    cluster.settle()
    assert "Job" not in cluster.kinds()
    loader_pod(cluster)["status"]["phase"] = "Failed"
    cluster.settle()
    assert "Job" in cluster.kinds()


def test_a_job_made_suspended_makes_nothing() -> None:
    cluster = FakeCluster(job(suspend=True))
    cluster.settle()
    assert (cluster.said, cluster.objects, cluster.writes) == (("Suspended", "Suspended"), {}, ["status OdpDaskJob/sst"])


def test_what_somebody_deletes_is_made_again() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    for kind, name in (("Job", BASE), ("DaskCluster", BASE), ("NetworkPolicy", BASE), ("Service", "sst-dashboard")):
        cluster.objects[kind, name]["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
        cluster.settle()
        assert f"create {kind}/{name}" not in cluster.writes[9:], "not while the old one goes"
        cluster.collect()
        cluster.settle()
        assert f"create {kind}/{name}" in cluster.writes[9:]


def test_what_somebody_changes_is_put_right() -> None:
    cluster = FakeCluster(job(workers={"minimum": 1, "maximum": 3}))
    everything_runs(cluster)
    before = copy.deepcopy({key: raw["spec"] for key, raw in cluster.objects.items() if "spec" in raw})
    cluster.objects["Service", "sst-dashboard"]["spec"]["selector"]["app"] = "other"
    cluster.objects["NetworkPolicy", BASE]["spec"]["ingress"] = []
    cluster.objects["DaskAutoscaler", BASE]["spec"]["maximum"] = 99
    cluster.settle()
    assert cluster.writes[-3:] == ["apply Service/sst-dashboard", f"apply NetworkPolicy/{BASE}", f"apply DaskAutoscaler/{BASE}"]
    assert {key: raw["spec"] for key, raw in cluster.objects.items() if "spec" in raw} == before


def test_defaults_that_the_api_server_adds_are_no_change() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    service = cluster.objects["Service", "sst-dashboard"]
    service["spec"] |= {"clusterIP": "10.0.0.1", "sessionAffinity": "None"}
    service["spec"]["ports"][0]["nodePort"] = 30000
    service["metadata"]["annotations"] = {"somebody": "else"}
    count = len(cluster.writes)
    cluster.settle()
    assert len(cluster.writes) == count


def test_backoff_limit_is_the_one_thing_of_a_job_that_may_change() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.job["spec"]["backoffLimit"] = 7
    template = cluster.only("Job")["spec"]["template"]
    cluster.settle()
    assert cluster.writes[-1] == f"apply Job/{BASE}"
    assert cluster.only("Job")["spec"]["backoffLimit"] == 7
    assert cluster.only("Job")["spec"]["template"] == template


@pytest.mark.parametrize("kind", ["Service", "Ingress"])
def test_a_name_that_is_taken_fails_the_job_and_nothing_of_it_is_touched(kind: str) -> None:
    cluster = FakeCluster(job(dashboard={"ingress": {"host": "sst.example.org"}}))
    theirs = cluster.put({"apiVersion": "v1", "kind": kind, "metadata": {"name": "sst-dashboard"}, "spec": {"theirs": True}})
    cluster.wind_down()
    assert cluster.said == ("Failed", "NameConflict")
    assert kind in cluster.status["message"]
    assert cluster.objects[kind, "sst-dashboard"] == theirs
    assert cluster.kinds() <= {kind} | LEFT


def test_a_predecessors_service_is_waited_for() -> None:
    """Deleted and made again at once: the garbage collector has not been there yet."""
    cluster = FakeCluster(job())
    owner = {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskJob", "name": "sst", "uid": "gone", "controller": True}
    meta = {"name": "sst-dashboard", "labels": {"odpdask.dev/job": "sst"}, "ownerReferences": [owner]}
    cluster.put({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {}})
    cluster.settle()
    assert cluster.said == ("Starting", "WaitingForDeletion")
    cluster.collect()
    everything_runs(cluster)
    assert cluster.said == ("Running", "Loading")
    assert cluster.objects["Service", "sst-dashboard"]["metadata"]["ownerReferences"][0]["uid"] == UID


def test_a_missing_preset_is_waited_for() -> None:
    cluster = FakeCluster(job(scale="huge"))
    cluster.settle()
    assert cluster.said == ("Pending", "PresetNotFound")
    assert cluster.status["message"].startswith(
        "there is no OdpDaskPreset 'huge' beside the job or the operator (there are: large, "
    )
    assert "startTime" not in cluster.status
    assert cluster.condition("Reconciling")["status"] == "True"
    assert cluster.notices == ["Warning PresetNotFound"]
    huge = {**cluster.presets[0], "metadata": {"name": "huge", "namespace": "ocean", "generation": 4}}
    cluster.presets.append({**huge, "spec": {"workers": {"replicas": 0}}})
    cluster.settle()
    assert cluster.said == ("Pending", "PresetInvalid")
    cluster.presets[-1] = huge
    everything_runs(cluster)
    assert cluster.said == ("Running", "Loading")
    assert (cluster.status["preset"]["name"], cluster.status["preset"]["generation"]) == ("huge", 4)


def test_an_edited_preset_changes_no_running_job() -> None:
    cluster = FakeCluster(job(scale="medium"))
    cluster.step()
    next(preset for preset in cluster.presets if preset["metadata"]["name"] == "medium")["spec"]["workers"] = {"replicas": 9}
    everything_runs(cluster)
    assert cluster.only("DaskCluster")["spec"]["worker"]["replicas"] == 2
    cluster.presets.clear()
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.said == ("Succeeded", "LoadVerified")


def test_more_than_the_preset_allows_fails() -> None:
    cluster = FakeCluster(job(workers={"replicas": 5}))
    cluster.settle()
    assert cluster.said == ("Failed", "LimitExceeded")
    assert cluster.objects == {}
    assert cluster.settle().decision.requeue_after is None


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"workers": {"replicas": 0}}, "spec.workers.replicas: 0 is too small; the least is 1"),
        ({"load": {**LOAD, "verify": "Sometimes"}}, 'spec.load.verify: "Sometimes" is not one of Strict, Warn'),
        ({"volumes": [{"name": "odp-tmp", "emptyDir": {}}]}, "spec.volumes: 'odp-tmp' begins with 'odp-'"),
        (
            {"volumes": [{"name": "x", "emptyDir": {}}], "volumeMounts": [{"name": "x", "mountPath": "/etc/odp-dask/tls"}]},
            "spec.volumeMounts: /etc/odp-dask/tls is in use by the operator",
        ),
        (
            {"workers": {"minimum": 1, "maximum": 2}, "dashboard": {"service": {"type": "NodePort"}}},
            "spec.dashboard.service.type NodePort would publish the scheduler's HTTP API",
        ),
    ],
)
def test_a_spec_that_cannot_be_carried_out_fails_with_the_cure(spec: dict[str, Any], words: str) -> None:
    cluster = FakeCluster(job(**spec))
    cluster.wind_down()
    assert cluster.said == ("Failed", "InvalidSpec")
    assert words in cluster.status["message"]
    assert cluster.objects == {}


def test_ports_that_others_add_to_the_dashboard_are_left_alone() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    ports = cluster.objects["Service", "sst-dashboard"]["spec"]["ports"]
    ports.insert(0, {"name": "mine", "protocol": "TCP", "port": 80, "targetPort": 8787})
    written = len(cluster.writes)
    cluster.settle()
    assert cluster.writes[written:] == []
    ports[1]["targetPort"] = 1
    cluster.step()
    assert cluster.writes[written:] == ["apply Service/sst-dashboard"]


def test_auto_asks_the_loader_first() -> None:
    cluster = FakeCluster(job(scale="auto"))
    cluster.settle()
    assert "DaskCluster" not in cluster.kinds()
    assert "preset" not in cluster.status
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.settle()
    assert cluster.said == ("Starting", "ChoosingPreset")
    cluster.progress = {"stage": "Planning", "table": {"rows": 1_000_000, "bytes": 50_000_000}}
    cluster.step()
    assert cluster.status["preset"]["name"] == "medium"
    assert cluster.status["preset"]["why"] == "auto is medium: the table has 1,000,000 rows, 48 MiB"
    assert "DaskCluster" not in cluster.kinds(), "the choice is recorded before anything is made by it"
    cluster.settle()
    assert cluster.only("DaskCluster")["spec"]["worker"]["replicas"] == 2
    cluster.progress = {"stage": "Loading", "table": {"rows": 1, "bytes": 1}}
    cluster.settle()
    assert cluster.status["preset"]["name"] == "medium"


def test_auto_decides_without_a_loader_that_does_not_say() -> None:
    cluster = FakeCluster(job(scale="auto"))
    cluster.settle()
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.settle()
    cluster.tick(61)
    cluster.settle()
    assert cluster.status["preset"]["why"] == "auto is medium: the loader did not say within 60 s how large the table is"
    assert "DaskCluster" in cluster.kinds()


def test_auto_waits_for_the_preset_that_it_chose() -> None:
    cluster = FakeCluster(job(scale="auto"))
    small = next(preset for preset in cluster.presets if preset["metadata"]["name"] == "small")
    cluster.presets.remove(small)
    cluster.settle()
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.progress = {"table": {"rows": 10, "bytes": None}}
    cluster.settle()
    assert cluster.said == ("Starting", "PresetNotFound")
    cluster.presets.append(small)
    cluster.settle()
    assert cluster.status["preset"]["name"] == "small"


def test_auto_of_a_script_is_decided_at_once() -> None:
    cluster = FakeCluster(job(scale="auto", script={"module": "ocean.analysis"}))
    cluster.settle()
    assert cluster.status["preset"]["why"] == "auto is medium: a script has no table"
    assert "DaskCluster" in cluster.kinds()


def test_adaptive_workers_follow_the_cluster() -> None:
    cluster = FakeCluster(job(workers={"minimum": 1, "maximum": 3}))
    cluster.settle()
    autoscaler, there = cluster.only("DaskAutoscaler"), cluster.only("DaskCluster")
    assert autoscaler["metadata"]["ownerReferences"][0]["uid"] == there["metadata"]["uid"]
    everything_runs(cluster)
    autoscaler["metadata"]["ownerReferences"] = owned(there)  # as the Dask operator adopts it
    dask_builds(cluster, workers=3)
    cluster_is_ready(cluster)
    cluster.settle()
    assert cluster.status["workers"] == {"desired": 3, "ready": 3}
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.kinds() == LEFT


@pytest.mark.parametrize(
    ("spec", "seconds", "reason"),
    [
        ({"activeDeadlineSeconds": 60}, 61, "DeadlineExceeded"),
        ({"progressDeadlineSeconds": 30}, 31, "ProgressDeadlineExceeded"),
    ],
)
def test_deadlines_end_a_load_that_runs(spec: dict[str, Any], seconds: float, reason: str) -> None:
    cluster = FakeCluster(job(**spec))
    cluster.progress = {"rows": 5, "stage": "Loading"}
    everything_runs(cluster)
    step = cluster.settle()
    assert step.decision.requeue_after is not None
    cluster.tick(seconds)
    cluster.wind_down()
    assert cluster.said == ("Failed", reason)
    assert cluster.kinds() == {"ConfigMap"}, "a loader that still ran is stopped"


def test_progress_moves_its_deadline_and_silence_does_not_count() -> None:
    cluster = FakeCluster(job(progressDeadlineSeconds=30))
    everything_runs(cluster)
    for rows in range(1, 5):
        cluster.progress = {"rows": rows, "stage": "Loading"}
        cluster.tick(20)
        cluster.settle()
    assert cluster.said == ("Running", "Loading")
    cluster.progress = None
    cluster.tick(1000)
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    cluster.progress = {"rows": 4, "stage": "Verifying"}
    cluster.tick(1000)
    cluster.settle()
    assert cluster.said == ("Running", "Loading")


def test_the_startup_deadline_says_what_was_missing() -> None:
    cluster = FakeCluster(job(startupDeadlineSeconds=120))
    cluster.settle()
    job_makes_pod(cluster)
    loader_waits(cluster, "ErrImagePull", "not found")
    cluster.tick(119)
    cluster.settle()
    assert cluster.said == ("Starting", "ImagePullFailed")
    cluster.tick(2)
    cluster.wind_down()
    assert cluster.said == ("Failed", "StartupDeadlineExceeded")
    assert "the image image of the loader cannot be pulled: not found" in cluster.status["message"]


def test_a_cluster_that_is_lost_has_the_same_time_to_come_back() -> None:
    cluster = FakeCluster(job(startupDeadlineSeconds=120))
    everything_runs(cluster)
    cluster.tick(3600)
    cluster_is_ready(cluster, False)
    cluster.settle()
    assert cluster.said[0] == "Starting"
    cluster.tick(119)
    cluster.settle()
    assert cluster.said[0] == "Starting"
    cluster.tick(2)
    cluster.settle()
    assert cluster.said == ("Failed", "StartupDeadlineExceeded")


def loads_before_any_probe(**spec: Any) -> FakeCluster:
    """A load that reads; the readiness probe of its worker comes later."""
    cluster = FakeCluster(job(**spec))
    cluster.settle()
    job_makes_pod(cluster)
    dask_builds(cluster)
    loader_runs(cluster)
    cluster.tick(5)
    cluster.progress = {"rows": 0, "stage": "Planning"}
    cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting")
    cluster.progress = {"rows": 5, "stage": "Loading"}
    cluster.settle()
    return cluster


def test_a_load_that_reads_is_running_whatever_the_probes_say_yet() -> None:
    cluster = loads_before_any_probe()
    assert cluster.said == ("Running", "Loading")
    assert cluster.status["message"] == "0 of 1 workers are ready"
    ready = cluster.condition("ClusterReady")
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "ClusterStarting", "waits for the scheduler")
    cluster.tick(1)
    cluster_is_ready(cluster)
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    cluster.tick(1)
    cluster_is_ready(cluster, False)
    cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting"), "its progress says nothing about workers that were lost"


def test_a_load_whose_worker_is_never_ready_is_given_up_though_it_has_read() -> None:
    cluster = loads_before_any_probe(startupDeadlineSeconds=120)
    cluster.tick(114)
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    cluster.tick(2)
    cluster.settle()
    assert cluster.said == ("Failed", "StartupDeadlineExceeded")
    assert "0 of 1 workers are ready" in cluster.status["message"]


def test_a_resumed_load_is_running_when_it_reads_again() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.tick(60)
    cluster.job["spec"]["suspend"] = True
    cluster.wind_down()
    cluster.tick(60)
    cluster.job["spec"]["suspend"] = False
    cluster.settle()
    job_makes_pod(cluster)
    dask_builds(cluster)
    loader_runs(cluster)
    cluster.progress = {"rows": 5, "stage": "Planning"}
    cluster.settle()
    assert cluster.said[0] == "Starting"
    cluster.progress = {"rows": 5, "stage": "Loading"}
    cluster.settle()
    assert cluster.said == ("Running", "Loading")


def test_the_time_between_attempts_is_no_startup() -> None:
    cluster = FakeCluster(job(startupDeadlineSeconds=20))
    everything_runs(cluster)
    loader_ends(cluster, 1, last=False)
    cluster.tick(300)
    cluster.settle()
    assert cluster.said == ("Running", "Retrying")
    cluster.tick(400)
    cluster.settle()
    assert cluster.said == ("Failed", "StartupDeadlineExceeded"), "but it is not endless: a quota may hold the next pod back"


def test_a_cluster_is_kept_after_a_failure_for_as_long_as_asked() -> None:
    cluster = FakeCluster(job(keepCluster="OnFailure", keepClusterSeconds=600))
    everything_runs(cluster)
    loader_ends(cluster, 4, {"reason": "VerificationFailed", "message": "10 rows are missing"})
    for _ in range(3):
        step = cluster.settle()
        cluster.collect()
    assert {"DaskCluster", "Service", "Secret", "NetworkPolicy"} <= cluster.kinds()
    assert cluster.condition("ClusterReady")["reason"] == "ClusterKept"
    assert cluster.status["dashboardURL"]
    assert step.decision.requeue_after is not None
    cluster.tick(step.decision.requeue_after.total_seconds())
    cluster.wind_down()
    assert cluster.kinds() == LEFT
    assert cluster.condition("ClusterReady")["reason"] == "ClusterDeleted"
    assert "dashboardURL" not in cluster.status


def test_nothing_is_kept_after_a_success() -> None:
    cluster = FakeCluster(job(keepCluster="OnFailure"))
    everything_runs(cluster)
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.kinds() == LEFT


def test_ttl_deletes_the_job_itself_and_no_child() -> None:
    cluster = FakeCluster(job(ttlSecondsAfterFinished=60))
    everything_runs(cluster)
    assert "ttlSecondsAfterFinished" not in cluster.only("Job")["spec"]
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    step = cluster.settle()
    assert step.decision.requeue_after is not None
    cluster.tick(step.decision.requeue_after.total_seconds())
    cluster.step()
    assert cluster.job is None
    cluster.collect()
    assert cluster.objects == {}


def test_a_deleted_job_is_left_to_the_garbage_collector() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.job["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    loader_ends(cluster, 0, LAST_WORD)
    count = len(cluster.writes)
    step = cluster.step()
    assert (len(cluster.writes), step.decision.requeue_after) == (count, None)


def test_a_dask_operator_that_is_gone_holds_a_cluster_and_that_is_said() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    cluster.only("DaskCluster")["metadata"]["finalizers"] = ["kopf.zalando.org/KopfFinalizerMarker"]
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    cluster.tick(121)
    cluster.wind_down()
    assert cluster.said == ("Succeeded", "LoadVerified"), "the load is done all the same"
    assert cluster.condition("ClusterReady")["reason"] == "DeletionStuck"
    assert (
        "held by finalizer kopf.zalando.org/KopfFinalizerMarker; does the Dask operator run?"
        in cluster.condition("ClusterReady")["message"]
    )
    assert cluster.step().decision.requeue_after is not None
    del cluster.only("DaskCluster")["metadata"]["finalizers"]
    cluster.collect()
    cluster.wind_down()
    assert cluster.kinds() == LEFT
    assert cluster.condition("ClusterReady")["reason"] == "ClusterDeleted"


def test_without_the_dask_operator_nothing_begins() -> None:
    cluster = FakeCluster(job())
    cluster.dask_served = False
    cluster.settle()
    assert (cluster.said, cluster.objects) == (("Pending", "DaskOperatorMissing"), {})
    cluster.dask_served = True
    everything_runs(cluster)
    assert cluster.said == ("Running", "Loading")


def test_a_dask_operator_that_does_nothing_is_noticed() -> None:
    cluster = FakeCluster(job())
    step = cluster.settle()
    assert step.decision.requeue_after is not None
    assert step.decision.requeue_after.total_seconds() <= 10
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.tick(10)
    cluster.settle()
    assert cluster.said == ("Starting", "DaskOperatorSilent")
    dask_builds(cluster)
    cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting")


def test_a_dask_operator_that_works_for_other_jobs_is_waited_for() -> None:
    cluster = FakeCluster(job())
    cluster.settle()
    cluster.tick(60)
    cluster.dask_seen_at = cluster.now - datetime.timedelta(seconds=9)
    step = cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting")
    assert "Warning DaskOperatorSilent" not in cluster.notices
    assert step.decision.requeue_after is not None
    cluster.tick(1)
    cluster.settle()
    assert cluster.said == ("Starting", "DaskOperatorSilent")


def test_an_object_that_the_api_server_cannot_take_fails_the_job() -> None:
    cluster = FakeCluster(job(affinity={"nodeAffinity": {"nonsense": 1}}))
    cluster.refusals[Child.JOB] = Refusal(
        Child.JOB, "create", 422, 'Job.batch "sst" is invalid: spec.template.spec.affinity: Invalid'
    )
    cluster.wind_down()
    assert cluster.said == ("Failed", "Refused")
    assert "spec.template.spec.affinity: Invalid" in cluster.status["message"]
    assert cluster.kinds() == {"ConfigMap"}


def test_a_quota_is_waited_for() -> None:
    cluster = FakeCluster(job())
    words = 'jobs.batch "sst-3f2a1" is forbidden: exceeded quota: counts, requested: count/jobs.batch=1'
    cluster.refusals[Child.JOB] = Refusal(Child.JOB, "create", 403, words)
    for _ in range(3):
        step = cluster.step()
    assert cluster.said == ("Starting", "QuotaExceeded")
    assert step.decision.requeue_after is not None
    assert "DaskCluster" not in cluster.kinds(), "the loader comes first"
    cluster.refusals.clear()
    everything_runs(cluster)
    assert cluster.said == ("Running", "Loading")


def test_a_lost_status_finds_its_run_again() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = True
    cluster.wind_down()
    cluster.job["spec"]["suspend"] = False
    everything_runs(cluster)
    assert cluster.status["runs"] == 2
    uids = {raw["metadata"]["uid"] for raw in cluster.objects.values()}
    del cluster.job["status"]
    cluster.settle()
    assert (cluster.said, cluster.status["runs"]) == (("Running", "Loading"), 2)
    assert {raw["metadata"]["uid"] for raw in cluster.objects.values()} == uids
