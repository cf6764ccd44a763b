"""What is said about a job that waits: a reason and a sentence, from the words of Kubernetes 1.36."""

import json
from typing import Any

import pytest

from odp_dask_operator.core.observed.trouble import admission_trouble, event_trouble, scheduling_trouble, waiting_trouble
from odp_dask_operator.core.waiting import HUSH, events_wanted, progress_url
from odp_dask_operator.spec import Reason
from odp_dask_operator.spec.meta import format_time
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
from tests.support.operator_jobs import job

NO_KEY = "couldn't find key ODP_API_KEY in Secret ocean/odp-api-key"
AS_ROOT = "container has runAsNonRoot and image will run as root"


@pytest.mark.parametrize(
    ("word", "message", "reason", "said"),
    [
        ("ErrImagePull", 'failed to pull "x": not found', Reason.IMAGE_PULL_FAILED, "the image img of the worker cannot be pulled"),
        ("ImagePullBackOff", "Back-off pulling", Reason.IMAGE_PULL_FAILED, "or name a Secret in spec.imagePullSecrets"),
        ("InvalidImageName", "couldn't parse image", Reason.IMAGE_PULL_FAILED, "correct spec.image"),
        ("CreateContainerConfigError", 'secret "key" not found', Reason.SECRET_NOT_FOUND, "the Secret key does not exist"),
        ("CreateContainerConfigError", NO_KEY, Reason.SECRET_NOT_FOUND, "the Secret odp-api-key has no key ODP_API_KEY"),
        ("CreateContainerConfigError", 'configmap "c" not found', Reason.CONFIG_MAP_NOT_FOUND, "the ConfigMap c does not exist"),
        ("CreateContainerConfigError", AS_ROOT, Reason.POD_NOT_STARTING, "runAsNonRoot"),
        ("CreateContainerError", "deadline exceeded", Reason.POD_NOT_STARTING, "cannot be started: CreateContainerError"),
        ("CrashLoopBackOff", "back-off 20s", Reason.POD_CRASHING, "ends again and again: exit status 1"),
    ],
)
def test_a_container_that_waits(word: str, message: str, reason: Reason, said: str) -> None:
    trouble = waiting_trouble("worker", image="img", waiting={"reason": word, "message": message}, last={"exitCode": 1})
    assert trouble is not None
    assert trouble.reason is reason
    assert said in trouble.message


@pytest.mark.parametrize("word", ["", "ContainerCreating", "PodInitializing"])
def test_a_container_on_its_way_is_no_trouble(word: str) -> None:
    assert waiting_trouble("worker", image="img", waiting={"reason": word}, last={}) is None


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "0/3 nodes are available: 1 Insufficient cpu, 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No victims",
            "no node has room for the loader: not enough cpu and memory; make the cluster larger or choose a smaller preset"
            " (0/3 nodes are available: 1 Insufficient cpu, 3 Insufficient memory.)",
        ),
        ("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.", "not enough nvidia.com/gpu;"),
        ("0/2 nodes are available: 2 node(s) had untolerated taint {a: b}.", "no node may take the loader; look at nodeSelector"),
        ("", "no node may take the loader; look at nodeSelector, tolerations, affinity and volumes of job and preset"),
    ],
)
def test_a_pod_without_a_node(message: str, said: str) -> None:
    trouble = scheduling_trouble("loader", message)
    assert trouble.reason is Reason.UNSCHEDULABLE
    assert said in trouble.message


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "odp-storage-0" : secret "s3" not found', Reason.SECRET_NOT_FOUND),
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "odp-script" : configmap "code" not found',
            Reason.CONFIG_MAP_NOT_FOUND,
        ),
        ("FailedMount", "MountVolume.SetUp failed: references non-existent config key: main.py", Reason.CONFIG_MAP_NOT_FOUND),
        ("FailedAttachVolume", "Multi-Attach error for volume", Reason.POD_NOT_STARTING),
        ("FailedCreate", 'pods "x" is forbidden: exceeded quota: compute, requested: limits.cpu=1', Reason.QUOTA_EXCEEDED),
        ("FailedCreate", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', Reason.POD_REFUSED),
        ("Scheduled", "Successfully assigned", None),
    ],
)
def test_events_say_what_objects_do_not(reason: str, message: str, expected: Reason | None) -> None:
    trouble = event_trouble("loader", reason=reason, message=message)
    assert (trouble and trouble.reason) is expected


def test_a_long_message_of_somebody_elses_is_cut() -> None:
    assert len(admission_trouble("worker", "x" * 100_000).message) < 1000


def event(cluster: FakeCluster, about: dict[str, Any], reason: str, message: str) -> None:
    """Somebody writes an Event about an object."""
    involved = {"uid": about["metadata"]["uid"], "kind": about["kind"]}
    cluster.events.append(
        {"involvedObject": involved, "reason": reason, "message": message, "lastTimestamp": format_time(cluster.now)}
    )


def started() -> FakeCluster:
    cluster = FakeCluster(job())
    cluster.settle()
    return cluster


def test_a_job_whose_pods_a_quota_forbids_says_so_within_15_seconds() -> None:
    cluster = started()
    event(cluster, cluster.only("Job"), "FailedCreate", 'pods "x" is forbidden: exceeded quota: compute')
    step = cluster.step()
    assert step.decision.requeue_after is not None
    assert step.decision.requeue_after.total_seconds() <= 10
    dask_builds(cluster)
    cluster.tick(10)
    cluster.settle()
    assert cluster.said == ("Starting", "QuotaExceeded")
    job_makes_pod(cluster)
    cluster.settle()
    assert cluster.said[1] != "QuotaExceeded"


def test_a_pod_that_cannot_mount_a_secret_says_so_within_15_seconds() -> None:
    cluster = started()
    job_makes_pod(cluster)
    dask_builds(cluster)
    loader_waits(cluster, "ContainerCreating")
    event(
        cluster, loader_pod(cluster), "FailedMount", 'MountVolume.SetUp failed for volume "odp-storage-0" : secret "s3" not found'
    )
    cluster.settle()
    assert cluster.said == ("Starting", "ClusterStarting"), "a pod may take a moment"
    cluster.tick(10)
    cluster.settle()
    assert cluster.said == ("Starting", "SecretNotFound")
    assert cluster.notices == ["Normal Accepted", "Warning SecretNotFound"]
    cluster.settle()
    assert cluster.notices.count("Warning SecretNotFound") == 1


def test_a_loader_that_has_ended_is_not_waited_for_while_its_end_gets_around() -> None:
    """A node tells of the container, then of the pod; then the Job counts it. A phase never goes back meanwhile."""
    cluster = started()
    everything_runs(cluster)
    status = loader_pod(cluster)["status"]
    status["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    status["phase"] = "Succeeded"
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    loader_ends(cluster, 0, LAST_WORD)
    cluster.settle()
    assert cluster.said == ("Succeeded", "LoadVerified")


def test_a_loader_that_has_said_so_has_succeeded_before_its_job_counts_it() -> None:
    """Kubelet needs a second for the pod, and the Job controller another for its verdict."""
    cluster = started()
    everything_runs(cluster)
    ended = {"exitCode": 0, "reason": "Completed", "message": json.dumps(LAST_WORD)}
    loader_pod(cluster)["status"]["containerStatuses"][0]["state"] = {"terminated": ended}
    cluster.settle()
    assert cluster.said == ("Succeeded", "LoadVerified")
    assert cluster.only("Job")["spec"], "it is still to count its pod, and keeps the log"
    loader_ends(cluster, 0, LAST_WORD)
    cluster.settle()
    assert cluster.said == ("Succeeded", "LoadVerified")
    assert cluster.only("Job")["status"]["succeeded"] == 1


def test_old_news_of_a_job_says_nothing_about_its_next_pod() -> None:
    cluster = started()
    dask_builds(cluster)
    cluster_is_ready(cluster)
    event(cluster, cluster.only("Job"), "FailedCreate", "exceeded quota")
    cluster.tick(5)
    pod = job_makes_pod(cluster)
    pod["status"] = {"phase": "Failed", "containerStatuses": []}
    cluster.only("Job")["status"] = {"failed": 1}
    cluster.tick(60)
    cluster.settle()
    assert cluster.said == ("Running", "Retrying")
    event(cluster, cluster.only("Job"), "FailedCreate", "exceeded quota")
    cluster.settle()
    assert cluster.said == ("Starting", "QuotaExceeded")


def test_workers_that_a_quota_forbids_are_told_by_their_deployment() -> None:
    cluster = started()
    job_makes_pod(cluster)
    loader_runs(cluster)
    dask_builds(cluster)
    worker = cluster.only("Deployment", **{"dask.org/component": "worker"})
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: compute"}
    worker["status"] = {"conditions": [failure]}
    cluster.settle()
    assert cluster.said == ("Starting", "QuotaExceeded")
    assert "for the worker" in cluster.status["message"]


def worker_pod(cluster: FakeCluster, index: int, pod_status: dict[str, Any]) -> None:
    deployment = cluster.only("Deployment", **{"dask.org/component": "worker"})
    meta = {"name": f"worker-{index}", "labels": deployment["metadata"]["labels"], "ownerReferences": owned(deployment)}
    cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": pod_status})


def unschedulable(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def test_what_most_workers_suffer_from_is_told_and_one_that_works_is_enough() -> None:
    cluster = FakeCluster(job(workers={"replicas": 3}))
    cluster.settle()
    job_makes_pod(cluster)
    loader_runs(cluster)
    dask_builds(cluster)
    cluster.only("Deployment", **{"dask.org/component": "scheduler"})["status"] = {"readyReplicas": 1}
    waiting = {"reason": "ErrImagePull", "message": "not found"}
    worker_pod(cluster, 0, {"phase": "Pending", "containerStatuses": [{"name": "worker", "state": {"waiting": waiting}}]})
    for index in (1, 2):
        worker_pod(cluster, index, unschedulable("0/1 nodes are available: 1 Insufficient cpu."))
    cluster.settle()
    assert cluster.said == ("Starting", "Unschedulable")
    cluster.only("Deployment", **{"dask.org/component": "worker"})["status"] = {"readyReplicas": 1}
    cluster.settle()
    assert cluster.said == ("Running", "Loading")
    assert cluster.status["message"].startswith("1 of 3 workers are ready; no node has room for the worker")


def test_events_and_progress_are_asked_for_only_when_there_is_something_to_learn() -> None:
    cluster = started()
    assert events_wanted(cluster.step().observed, now=cluster.now) == ()
    pod = job_makes_pod(cluster)
    cluster.tick(HUSH.total_seconds())
    step = cluster.step()
    assert events_wanted(step.observed, now=cluster.now) == (pod["metadata"]["uid"],)
    assert progress_url(step.observed) is None
    loader_runs(cluster)
    step = cluster.step()
    assert events_wanted(step.observed, now=cluster.now) == ()
    assert progress_url(step.observed) == "http://10.0.0.7:8080/progress"
    pod["status"]["podIP"] = "fd00::7"
    cluster.objects["Pod", pod["metadata"]["name"]]["status"]["podIP"] = "fd00::7"
    assert progress_url(cluster.step().observed) == "http://[fd00::7]:8080/progress"
