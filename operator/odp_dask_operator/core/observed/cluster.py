"""Reads what the Dask operator has made: never the phase of a DaskCluster, which says nothing, but Deployments and pods."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from odp_dask_operator.core.names import (
    DASK_CLUSTER_LABEL,
    DASK_COMPONENT_LABEL,
    DASK_SCHEDULER,
    DASK_WORKER,
    OWNED_BY_DASK,
    WORKER_GROUP_RESOURCE,
    Child,
    Names,
)
from odp_dask_operator.core.observed.pod import Raw, labels_of, pod_trouble, read_pod
from odp_dask_operator.core.observed.record import ClusterSeen, Orphan, PodSeen, Seen, Silent, Trouble
from odp_dask_operator.core.observed.trouble import admission_trouble


def read_cluster(names: Names, children: Mapping[Child, Seen], own: Sequence[Raw], events: Sequence[Raw]) -> ClusterSeen:
    """Which of its objects are there and ready, and which are in the way of a new cluster of the same name."""
    cluster, autoscaler = children.get(Child.CLUSTER), children.get(Child.AUTOSCALER)
    made = [raw for raw in own if raw["kind"] in OWNED_BY_DASK and labels_of(raw).get(DASK_CLUSTER_LABEL) == names.base]
    going = made if cluster is None or not cluster.alive else []
    remnants = [f"{raw['kind']} {raw['metadata']['name']}" for raw in going]
    if autoscaler is not None and not autoscaler.ours:
        remnants.append(f"{Child.AUTOSCALER.resource.kind} {names.of(Child.AUTOSCALER, run=0)}")
    orphans = _orphans(made) if cluster is None else ()
    schedulers, workers = (_deployments(made, role) for role in (DASK_SCHEDULER, DASK_WORKER))
    return ClusterSeen(
        objects=len(made),
        remnants=tuple(sorted(remnants)),
        orphans=orphans,
        scheduler_ready=any(map(_ready, schedulers)),
        workers=len(workers),
        workers_ready=sum(map(_ready, workers)),
        trouble=_trouble(DASK_SCHEDULER, schedulers, own, events) or _trouble(DASK_WORKER, workers, own, events),
    )


def silent_in_cluster(own: Sequence[Raw]) -> tuple[Silent, ...]:
    """One pod of each role that neither starts nor says why; the others wait for the same."""
    found = ((pod for pod in _pods(own, role) if pod.silent) for role in (DASK_SCHEDULER, DASK_WORKER))
    firsts = (min(pods, key=lambda pod: (pod.created, pod.uid), default=None) for pods in found)
    return tuple(Silent(pod.uid, pod.created) for pod in firsts if pod)


def _orphans(made: Iterable[Raw]) -> tuple[Orphan, ...]:
    groups = (raw["metadata"] for raw in made if raw["kind"] == WORKER_GROUP_RESOURCE.kind)
    return tuple(
        Orphan(meta["name"], meta["uid"])
        for meta in groups
        if not meta.get("ownerReferences") and not meta.get("deletionTimestamp")
    )


def _deployments(made: Iterable[Raw], role: str) -> list[Raw]:
    return [raw for raw in made if raw["kind"] == "Deployment" and labels_of(raw).get(DASK_COMPONENT_LABEL) == role]


def _ready(deployment: Raw) -> bool:
    return ((deployment.get("status") or {}).get("readyReplicas") or 0) > 0


def _pods(own: Iterable[Raw], role: str) -> list[PodSeen]:
    pods = [raw for raw in own if raw["kind"] == "Pod" and labels_of(raw).get(DASK_COMPONENT_LABEL) == role]
    return [pod for raw in pods if not (pod := read_pod(raw, role=role)).deleting]


def _trouble(role: str, deployments: Iterable[Raw], own: Iterable[Raw], events: Sequence[Raw]) -> Trouble | None:
    """The trouble that most pods of a role have, those among them that the API server did not let in."""
    found = [trouble for pod in _pods(own, role) if (trouble := pod_trouble(role, pod, events))]
    for deployment in deployments:
        for condition in (deployment.get("status") or {}).get("conditions") or ():
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                found.append(admission_trouble(role, condition.get("message") or ""))
    if not found:
        return None
    most, _ = Counter(trouble.reason for trouble in found).most_common(1)[0]
    return min((trouble for trouble in found if trouble.reason is most), key=lambda trouble: trouble.message)
