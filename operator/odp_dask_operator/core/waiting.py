"""Says what an active job is waiting for: the one thing that somebody could do something about, or what comes next."""

import datetime

from odp_dask_operator.core.decision import SELDOM, SOON, Verdict
from odp_dask_operator.core.ending import failure
from odp_dask_operator.core.names import DASK_SCHEDULER, PROGRESS_PORT, Child
from odp_dask_operator.core.observed import ClusterSeen, LoaderSeen, Observed, Refusal, Seen, Trouble, Whose
from odp_dask_operator.core.observed.words import text_of
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.record import JobRecord
from odp_dask_operator.spec import Phase, Reason
from odp_dask_operator.spec.meta import format_time
from odp_loader.progress import Stage

SILENCE = datetime.timedelta(seconds=10)
"""The Dask operator makes a scheduler within half a second when it is idle."""
HUSH = datetime.timedelta(seconds=10)
"""After so long without a word, Events are read."""
STUCK = datetime.timedelta(minutes=2)
"""Longer than any pod of ours takes to go."""
_STAGES_WITH_WORKERS = (Stage.LOADING, Stage.VERIFYING, Stage.FINISHED)
"""Stages that a load enters when a worker has answered."""


def standing(job: JobRecord, plan: Plan, observed: Observed, *, now: datetime.datetime) -> Verdict:
    """Phase, reason and message of an active job."""
    loader, cluster = observed.loader, observed.cluster
    if loader.running_since and (cluster.ready or _loads(job, plan, observed)):
        return _running(plan, observed)
    trouble = hindrance(plan, observed, now=now)
    if trouble:
        return Verdict(phase=Phase.STARTING, reason=trouble.reason.value, message=trouble.message)
    if cluster.ready and loader.failures:
        return _retrying(plan, loader)
    if cluster.ready and loader.over:
        return _running(plan, observed)  # kubelet, Job controller and this operator tell of an end one after the other
    if plan.preset is None and loader.running_since:
        message = "the loader asks how large the table is; workers are made by the answer"
        return Verdict(phase=Phase.STARTING, reason=Reason.CHOOSING_PRESET.value, message=message)
    if plan.preset is None or cluster.ready:
        return Verdict(phase=Phase.STARTING, reason=Reason.LOADER_STARTING.value, message="waits for the loader's pod")
    return Verdict(phase=Phase.STARTING, reason=Reason.CLUSTER_STARTING.value, message=awaited(cluster))


def _loads(job: JobRecord, plan: Plan, observed: Observed) -> bool:
    """A load reads before any probe can say that its workers are ready. Once they were, a load without them has lost them."""
    stage = observed.progress.stage if observed.progress else ""
    return plan.preset is not None and stage in _STAGES_WITH_WORKERS and not job.had_cluster


def awaited(cluster: ClusterSeen) -> str:
    """What a cluster lacks that is not ready."""
    return f"waits for {'a worker' if cluster.scheduler_ready else f'the {DASK_SCHEDULER}'}"


def hindrance(plan: Plan, observed: Observed, *, now: datetime.datetime) -> Trouble | None:
    """What keeps a job from starting, the nearest cause first."""
    if not observed.dask_served and observed.child(Child.CLUSTER).absent:
        return dask_missing()
    if observed.refusal:
        return refusal_trouble(observed.refusal)
    return (
        going_trouble(plan.names.job, observed, now=now)
        or observed.loader.trouble
        or _silence(observed, now=now)
        or (None if observed.cluster.ready else observed.cluster.trouble)
    )


def dask_missing() -> Trouble:
    """The CRDs of the Dask operator are not there."""
    message = "this cluster does not know the kind DaskCluster; install dask-kubernetes-operator 2026.3, and the job goes on"
    return Trouble(Reason.DASK_OPERATOR_MISSING, message)


def refusal_trouble(refusal: Refusal) -> Trouble:
    """The API server's no, which may become a yes."""
    said = f"the API server refuses to {refusal.verb} the {refusal.child.resource.kind}: {text_of(refusal.message)}"
    return Trouble(Reason.QUOTA_EXCEEDED if "exceeded quota" in refusal.message else Reason.REFUSED, said)


def going_trouble(job: str, observed: Observed, *, now: datetime.datetime) -> Trouble | None:
    """Objects in the way that are being deleted, or are going to be."""
    going = {child: seen for child, seen in observed.children.items() if seen.deleting_since or seen.whose is Whose.PREDECESSOR}
    for child, seen in going.items():
        if seen.deleting_since and now - seen.deleting_since > STUCK:
            return _stuck(child, seen)
    if going or observed.cluster.remnants:
        kinds = ", ".join(child.resource.kind for child in going) or ", ".join(observed.cluster.remnants)
        message = f"waits until what an earlier run of {job} has left is deleted: {text_of(kinds)}"
        return Trouble(Reason.WAITING_FOR_DELETION, message)
    return None


def _stuck(child: Child, seen: Seen) -> Trouble:
    since = format_time(seen.deleting_since) if seen.deleting_since else ""
    holds = f"finalizer {', '.join(seen.finalizers)}" if seen.finalizers else "objects that depend on it"
    message = f"the {child.resource.kind} has been going since {since}, held by {text_of(holds)}"
    if child in (Child.CLUSTER, Child.AUTOSCALER):
        message += "; does the Dask operator run? It goes when that runs again, or when somebody removes the finalizer"
    return Trouble(Reason.DELETION_STUCK, message)


def _silence(observed: Observed, *, now: datetime.datetime) -> Trouble | None:
    cluster = observed.child(Child.CLUSTER)
    if not cluster.alive or observed.cluster.objects or cluster.created is None or now - cluster.created < SILENCE:
        return None
    if observed.dask_seen_at is not None and now - observed.dask_seen_at < SILENCE:
        return None  # it works for other jobs, and this one has its turn
    since = format_time(cluster.created)
    message = f"the Dask operator has made nothing of the DaskCluster since {since}; it does not run, or is stuck"
    return Trouble(Reason.DASK_OPERATOR_SILENT, f"{message}: look at its pod and log")


def _running(plan: Plan, observed: Observed) -> Verdict:
    loader, cluster = observed.loader, observed.cluster
    assert plan.workers is not None
    if loader.failures:
        return _retrying(plan, loader)
    message = f"{cluster.workers_ready} of {max(plan.workers.least, cluster.workers)} workers are ready"
    if cluster.trouble and cluster.workers_ready < plan.workers.least:
        message += f"; {cluster.trouble.message}"
    reason = Reason.LOADING if plan.spec.load else Reason.SCRIPT_RUNNING
    return Verdict(phase=Phase.RUNNING, reason=reason.value, message=message)


def _retrying(plan: Plan, loader: LoaderSeen) -> Verdict:
    now = f"attempt {loader.failures + 1} of {plan.spec.backoff_limit + 1} {'runs' if loader.running_since else 'comes next'}"
    end = loader.last_end
    reason, message = failure(plan, end) if end else ("", "nobody says why")
    said = f"{now}; the one before failed: {f'{reason}: ' if reason else ''}{message}"
    return Verdict(phase=Phase.RUNNING, reason=Reason.RETRYING.value, message=said)


def events_wanted(observed: Observed, *, now: datetime.datetime) -> tuple[str, ...]:
    """UIDs of the objects whose Events may say why nothing goes on; none while there is no reason to ask."""
    return tuple(silent.uid for silent in observed.silent if now - silent.since >= HUSH)


def progress_url(observed: Observed) -> str | None:
    """Where a loader that runs tells its progress."""
    pod = observed.loader.pod
    if pod is None or pod.address is None or not observed.loader.running_since:
        return None
    host = f"[{pod.address}]" if ":" in pod.address else pod.address
    return f"http://{host}:{PROGRESS_PORT}/progress"


def look_again(plan: Plan, observed: Observed, *, now: datetime.datetime) -> datetime.timedelta:
    """How long the watches can be relied on to bring the news of an active job."""
    if observed.refusal or (progress_url(observed) and plan.spec.load):
        return SOON
    cluster = observed.child(Child.CLUSTER).created
    moments = [silent.since + HUSH for silent in observed.silent] + ([cluster + SILENCE] if cluster else [])
    return min((moment - now for moment in moments if moment > now), default=SELDOM)
