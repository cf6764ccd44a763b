"""What the Job controller, the Dask operator and the nodes do to the objects of a FakeCluster, one act at a time."""

import json
from typing import Any

from odp_dask_operator.spec.meta import format_time
from tests.support.fake_cluster import FakeCluster

Raw = dict[str, Any]


def owned(raw: Raw) -> list[Raw]:
    meta = raw["metadata"]
    return [{"apiVersion": raw["apiVersion"], "kind": raw["kind"], "name": meta["name"], "uid": meta["uid"], "controller": True}]


def job_makes_pod(cluster: FakeCluster) -> Raw:
    """The Job controller makes the next pod of the loader."""
    job = cluster.only("Job")
    template = job["spec"]["template"]
    number = sum(kind == "Pod" and "loader" in name for kind, name in cluster.objects)
    meta = {"name": f"{job['metadata']['name']}-loader-{number}", "labels": template["metadata"]["labels"]}
    meta["ownerReferences"] = owned(job)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": "Pending"}}
    job.setdefault("status", {})["active"] = 1
    return cluster.put(pod)


def dask_builds(cluster: FakeCluster, *, workers: int | None = None) -> None:
    """The Dask operator makes Deployments, Service and worker group, labelled as its controller does it."""
    there = cluster.only("DaskCluster")
    name, spec = there["metadata"]["name"], there["spec"]
    labels = {**there["metadata"]["labels"], "dask.org/cluster-name": name}
    scheduler = {**labels, "dask.org/component": "scheduler"}
    worker = {**labels, "dask.org/component": "worker", "dask.org/workergroup-name": f"{name}-default"}
    own = owned(there)
    if ("Deployment", f"{name}-scheduler") not in cluster.objects:
        for kind, api in (("Deployment", "apps/v1"), ("Service", "v1")):
            meta = {"name": f"{name}-scheduler", "labels": scheduler, "ownerReferences": own}
            cluster.put({"apiVersion": api, "kind": kind, "metadata": meta})
        meta = {"name": f"{name}-default", "labels": labels, "ownerReferences": own}
        cluster.put({"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskWorkerGroup", "metadata": meta})
    for index in range(spec["worker"]["replicas"] if workers is None else workers):
        meta = {"name": f"{name}-default-worker-{index:010x}", "labels": worker, "ownerReferences": own}
        if ("Deployment", meta["name"]) not in cluster.objects:
            cluster.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta})


def cluster_is_ready(cluster: FakeCluster, ready: bool = True) -> None:
    """Scheduler and workers pass their probes, or do not any more."""
    for (kind, _), raw in cluster.objects.items():
        if kind == "Deployment":
            raw["status"] = {"readyReplicas": int(ready)}


def loader_pod(cluster: FakeCluster) -> Raw:
    return cluster.only("Pod", **{"odpdask.dev/component": "loader"})


def loader_runs(cluster: FakeCluster) -> None:
    """The newest pod of the loader starts."""
    state = {"running": {"startedAt": format_time(cluster.now)}}
    statuses = [{"name": "loader", "state": state}]
    loader_pod(cluster)["status"] = {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": statuses}


def loader_waits(cluster: FakeCluster, reason: str, message: str = "", **more: Any) -> None:
    """The newest pod of the loader does not start."""
    state = {"waiting": {"reason": reason, "message": message}}
    statuses = [{"name": "loader", "image": "image", "state": state, **more}]
    loader_pod(cluster)["status"] = {"phase": "Pending", "containerStatuses": statuses}


def loader_ends(cluster: FakeCluster, code: int, message: object = "", *, last: bool = True, word: str = "") -> None:
    """The newest pod of the loader ends; `last` when the Job controller makes no other."""
    text = message if isinstance(message, str) else json.dumps(message)
    reason = word or ("Completed" if code == 0 else "Error")
    state = {"terminated": {"exitCode": code, "reason": reason, "message": text, "finishedAt": format_time(cluster.now)}}
    pod, job = loader_pod(cluster), cluster.only("Job")
    statuses = [{"name": "loader", "state": state}]
    pod["status"] = {"phase": "Failed" if code else "Succeeded", "containerStatuses": statuses}
    status = job.setdefault("status", {})
    status.pop("active", None)
    status["failed" if code else "succeeded"] = status.get("failed" if code else "succeeded", 0) + 1
    if last:
        kind = "Failed" if code else "Complete"
        status["conditions"] = [{"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "the Job says so"}]


def everything_runs(cluster: FakeCluster) -> None:
    """From a new job to a loader at work."""
    cluster.settle()
    job_makes_pod(cluster)
    dask_builds(cluster)
    cluster_is_ready(cluster)
    loader_runs(cluster)
    cluster.settle()


RESULT = {
    "rows_read": 1000,
    "rows_expected": 1000,
    "rows_dropped": 10,
    "rows_written": 990,
    "files": 4,
    "bytes": 2_100_000,
    "data_url": "s3://bucket/x/data",
    "manifest_url": "s3://bucket/x/manifest.json",
    "manifest_sha256": "ab" * 32,
    "seconds": 1.9,
    "partitions": 12,
    "resumed_partitions": 0,
    "notes": [],
}
LAST_WORD = {"reason": "LoadVerified", "message": "", "result": RESULT}
