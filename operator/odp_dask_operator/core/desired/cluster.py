"""The DaskCluster, in the form that dask-kubernetes 2026.3 makes a scheduler, its Service and the workers of."""

from typing import Any

from odp_dask_operator.core.desired.environment import Role, tls_arguments
from odp_dask_operator.core.desired.metadata import metadata, run_label
from odp_dask_operator.core.desired.pod import http_get, pod_metadata, pod_spec, resources
from odp_dask_operator.core.names import (
    DASHBOARD_PORT,
    DASHBOARD_PORT_NAME,
    SCHEDULER_PORT,
    WORKER_HTTP_PORT,
    Child,
    owner_reference,
)
from odp_dask_operator.core.plan import Plan

_WORKER_PORT_NAME = "http"
_WORKER_GRACE_S = 5
"""Of a load. What a worker has not stored yet is read again in any case, and its threads, which wait for the network, cannot be
interrupted: it would hold its share of a quota for all the time it is given."""
_DASK = ["python", "-m", "dask"]


def dask_cluster(plan: Plan) -> dict[str, Any]:
    """Created once. No `idleTimeout`: a load may leave its workers alone for a while, and our deadlines are better judges."""
    assert plan.workers is not None
    resource = Child.CLUSTER.resource
    own = metadata(plan, Child.CLUSTER, labels=run_label(plan))
    pods = pod_metadata(plan)
    # The Dask operator gives all that it makes the labels of the DaskCluster, too.
    pods["labels"] = {name: value for name, value in pods["labels"].items() if name not in own["labels"]}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": own,
        "spec": {
            "scheduler": {"metadata": pods, "spec": _scheduler_pod(plan), "service": _scheduler_service(plan)},
            "worker": {"metadata": pods, "replicas": plan.workers.least, "spec": _worker_pod(plan)},
        },
    }


def _scheduler_pod(plan: Plan) -> dict[str, Any]:
    health = http_get("/health", DASHBOARD_PORT_NAME)
    container = {
        "command": [*_DASK, "scheduler"],
        "args": [
            "--protocol",
            "tls",
            "--port",
            str(SCHEDULER_PORT),
            "--dashboard-address",
            f":{DASHBOARD_PORT}",
            *tls_arguments(),
        ],
        "ports": [
            {"name": "tcp-comm", "containerPort": SCHEDULER_PORT},
            {"name": DASHBOARD_PORT_NAME, "containerPort": DASHBOARD_PORT},
        ],
        "resources": resources(plan.cluster_preset.scheduler),
        "startupProbe": {**health, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 300},
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        # A restart loses the graph and costs the load an attempt: only for a scheduler that is surely gone.
        "livenessProbe": {**health, "periodSeconds": 20, "timeoutSeconds": 15, "failureThreshold": 9},
    }
    return pod_spec(plan, Role.SCHEDULER, preset=plan.cluster_preset, container=container)


def _scheduler_service(plan: Plan) -> dict[str, Any]:
    """The Dask operator looks its ports up by these names."""
    return {
        "type": "ClusterIP",
        "selector": plan.names.scheduler_pod,
        "ports": [
            {"name": "tcp-comm", "protocol": "TCP", "port": SCHEDULER_PORT, "targetPort": "tcp-comm"},
            {"name": DASHBOARD_PORT_NAME, "protocol": "TCP", "port": DASHBOARD_PORT, "targetPort": DASHBOARD_PORT_NAME},
        ],
    }


def _worker_pod(plan: Plan) -> dict[str, Any]:
    """A worker is named as its Deployment, or scaling down would delete the wrong one. Its nanny sees to its life: no liveness.

    It answers for its health and metrics, and has no pages of its own: nothing links to them, and they cost 20 MB and a third of
    the CPU time of its start.
    """
    worker = plan.cluster_preset.worker
    preload = ["--preload", "odp_loader.preload"] if plan.spec.load else []
    health = http_get("/health", _WORKER_PORT_NAME)
    container = {
        "command": [*_DASK, "worker"],
        "args": [
            "--name",
            "$(DASK_WORKER_NAME)",
            "--nthreads",
            str(worker.threads),
            "--memory-limit",
            str(worker.memory),
            "--dashboard-address",
            f":{WORKER_HTTP_PORT}",
            "--no-dashboard",
            *tls_arguments(),
            *preload,
        ],
        "ports": [{"name": _WORKER_PORT_NAME, "containerPort": WORKER_HTTP_PORT}],
        "resources": resources(worker),
        # A worker takes tasks as soon as it runs; the job of a script says until the next probe that it still starts.
        "readinessProbe": {**health, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 15},
    }
    pod = pod_spec(plan, Role.WORKER, preset=plan.cluster_preset, container=container)
    return {**pod, "terminationGracePeriodSeconds": _WORKER_GRACE_S} if plan.spec.load else pod


def dask_autoscaler(plan: Plan, *, cluster_uid: str) -> dict[str, Any]:
    """Lets the Dask operator ask the scheduler how many workers it needs.

    It belongs to the DaskCluster from the start, because the Dask operator writes that owner over any other.
    """
    assert plan.workers is not None
    resource = Child.AUTOSCALER.resource
    cluster = plan.names.of(Child.CLUSTER, run=plan.run)
    owner = owner_reference(Child.CLUSTER.resource, name=cluster, uid=cluster_uid)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**metadata(plan, Child.AUTOSCALER), "ownerReferences": [owner]},
        "spec": {"cluster": cluster, "minimum": plan.workers.least, "maximum": plan.workers.most},
    }
