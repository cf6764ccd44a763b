"""Parses the objects of a job into facts, and says whether they are the job's own."""

from collections.abc import Iterable, Mapping
from typing import Any

from odp_dask_operator.core.desired import manifest
from odp_dask_operator.core.desired.dashboard import dashboard_url
from odp_dask_operator.core.names import (
    DASHBOARD_PORT_NAME,
    JOB_RESOURCE,
    RUN_LABEL,
    UID_LABEL,
    Child,
    Names,
)
from odp_dask_operator.core.observed.cluster import read_cluster, silent_in_cluster
from odp_dask_operator.core.observed.facts import Facts
from odp_dask_operator.core.observed.loader import read_loader, silent_loader
from odp_dask_operator.core.observed.pod import Raw, labels_of, time_of
from odp_dask_operator.core.observed.record import Observed, Seen, Whose
from odp_dask_operator.core.observed.words import read_progress
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.preset import Problem

_UNSEEN = (Child.CONFIG_MAP, Child.SECRET)
_COMPARED = (Child.SERVICE, Child.INGRESS, Child.NETWORK_POLICY)
"""Children that are applied again when they do not say what the plan says."""
ATOMIC = ("selector", "podSelector", "namespaceSelector")
"""Fields that the API server takes as a whole: one label more selects something else."""


def observe(names: Names, plan: Plan | Problem, facts: Facts) -> Observed:
    """The facts about a job's children."""
    found = {child: raw for child in Child if child not in _UNSEEN and (raw := _find(facts.objects, names, child)) is not None}
    cluster_uid = found.get(Child.CLUSTER, {}).get("metadata", {}).get("uid", "")
    children = {child: _seen(child, raw, names, plan, cluster_uid=cluster_uid) for child, raw in found.items()}
    own = [raw for raw in facts.objects if labels_of(raw).get(UID_LABEL) == names.uid]
    service = found.get(Child.SERVICE, {})
    cluster = read_cluster(names, children, own, facts.events)
    loader = read_loader(found.get(Child.JOB), own, facts.events)
    return Observed(
        children=children,
        loader=loader,
        cluster=cluster,
        silent=(*silent_loader(children.get(Child.JOB), loader), *(() if cluster.ready else silent_in_cluster(own))),
        progress=read_progress(facts.progress),
        dashboard_url=dashboard_url(plan, service=service) if isinstance(plan, Plan) else None,
        dask_served=facts.dask_served,
        dask_seen_at=facts.dask_seen_at,
        refusal=facts.refusal,
    )


def _find(objects: Iterable[Raw], names: Names, child: Child) -> Raw | None:
    kind, name = child.resource.kind, names.of(child, run=0)
    return next((raw for raw in objects if raw["kind"] == kind and raw["metadata"]["name"] == name), None)


def _seen(child: Child, raw: Raw, names: Names, plan: Plan | Problem, *, cluster_uid: str) -> Seen:
    meta = raw["metadata"]
    run = labels_of(raw).get(RUN_LABEL, "")
    return Seen(
        whose=_whose(child, meta, names, cluster_uid=cluster_uid),
        uid=meta["uid"],
        run=int(run) if run.isdigit() else 0,
        created=time_of(meta.get("creationTimestamp")),
        deleting_since=time_of(meta.get("deletionTimestamp")),
        finalizers=tuple(meta.get("finalizers") or ()),
        current=_current(child, raw, plan, cluster_uid=cluster_uid) if isinstance(plan, Plan) else True,
    )


def _whose(child: Child, meta: Raw, names: Names, *, cluster_uid: str) -> Whose:
    owners = meta.get("ownerReferences") or ()
    if child is Child.AUTOSCALER:
        return Whose.OURS if cluster_uid and any(owner["uid"] == cluster_uid for owner in owners) else Whose.PREDECESSOR
    if any(owner["uid"] == names.uid for owner in owners):
        return Whose.OURS
    earlier = any(owner["kind"] == JOB_RESOURCE.kind and owner["name"] == names.job for owner in owners)
    return Whose.PREDECESSOR if earlier else Whose.FOREIGN


def _current(child: Child, raw: Raw, plan: Plan, *, cluster_uid: str) -> bool:
    if child is Child.JOB:
        return bool(raw["spec"].get("backoffLimit") == plan.spec.backoff_limit)
    if child in _COMPARED and not (child is Child.INGRESS and plan.spec.dashboard.ingress is None):
        wanted = manifest(child, plan)
        spec = _without_others_ports(raw["spec"]) if child is Child.SERVICE else raw["spec"]
        return covers(raw["metadata"], {**wanted["metadata"], "ownerReferences": None}) and covers(spec, wanted["spec"])
    if child is Child.AUTOSCALER and plan.adaptive:
        return covers(raw["spec"], manifest(child, plan, cluster_uid=cluster_uid)["spec"])
    return True


def _without_others_ports(spec: Raw) -> Raw:
    """A Service's list of ports is a map: others may have put theirs beside ours. What we apply elsewhere replaces whole lists."""
    return {**spec, "ports": [port for port in spec.get("ports") or () if port.get("name") == DASHBOARD_PORT_NAME]}


def covers(there: Any, wanted: Any) -> bool:
    """Whether an object says all that is wanted of it; defaults and other writers may have added to it. None wants nothing."""
    match wanted:
        case None:
            return True
        case Mapping():
            return isinstance(there, Mapping) and all(
                there.get(key) == value if key in ATOMIC else covers(there.get(key), value) for key, value in wanted.items()
            )
        case list():
            return isinstance(there, list) and len(there) == len(wanted) and all(map(covers, there, wanted))
        case _:
            return bool(there == wanted)
