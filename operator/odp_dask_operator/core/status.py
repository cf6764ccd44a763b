"""Writes the next status of a job: conditions as the API conventions and kstatus want them, and no write that says nothing new."""

import datetime
from dataclasses import dataclass
from typing import Any

from odp_dask_operator.core.deadlines import advanced, kept_until
from odp_dask_operator.core.decision import Decision, Verdict
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.observed import Observed
from odp_dask_operator.core.observed.words import Finished, text_of
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.preset import Problem
from odp_dask_operator.core.record import JobRecord
from odp_dask_operator.core.waiting import awaited, going_trouble
from odp_dask_operator.spec import (
    Condition,
    ConditionStatus,
    ConditionType,
    JobStatus,
    LoadProgress,
    PartitionCounts,
    Phase,
    Reason,
    WorkerCounts,
)
from odp_dask_operator.spec.meta import format_time

Moment = datetime.datetime
WRITE_INTERVAL = datetime.timedelta(seconds=5)
"""While a loader runs, be its cluster ready or not, and nothing but numbers change, the status is written no more often."""
_LONGEST = 2000
"""Of a message, in characters; a status is kept small however much went wrong."""
_UNDER_WAY = (Phase.PENDING, Phase.STARTING, Phase.RUNNING)
_ENDED = (Phase.SUCCEEDED, Phase.FAILED)


def next_status(job: JobRecord, plan: Plan | Problem, observed: Observed, decision: Decision, *, now: Moment) -> JobStatus:
    """What the status should say once the decision is carried out; the recorded one itself when there is nothing to write."""
    now, before = now.replace(microsecond=0), job.status
    if job.deleting:
        return before
    verdict = decision.verdict or _recorded(job)
    cluster = _cluster(job, verdict, observed, now=now)
    uses_cluster = verdict.phase in (Phase.STARTING, Phase.RUNNING) or cluster.reason == Reason.CLUSTER_KEPT
    after = before.model_copy(
        update={
            "observed_generation": job.generation,
            "phase": verdict.phase,
            "conditions": _conditions(job, verdict, cluster, now=now),
            "reason": verdict.reason,
            "message": text_of(verdict.message, longest=_LONGEST),
            **_times(before, verdict, now=now),
            **_run(before, verdict),
            "attempts": _attempts(before, verdict, observed),
            "workers": _workers(plan, observed) if uses_cluster else None,
            "dashboard_url": observed.dashboard_url if uses_cluster else None,
            "service_name": job.names.dashboard if uses_cluster else None,
            "progress": _progress(before.progress, verdict, observed, now=now),
            "result": verdict.finished.result if verdict.finished else before.result,
        }
    )
    return before if _not_worth_a_write(before, after, now=now) else after


def to_json(status: JobStatus) -> dict[str, Any]:
    """The status as the API takes it, without what a preset leaves empty."""
    said = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    if spec := said.get("preset", {}).get("spec"):
        said["preset"]["spec"] = {name: value for name, value in spec.items() if value not in ({}, [])}
    return said


def _recorded(job: JobRecord) -> Verdict:
    """How a job ended, by the condition that says so: the rest may have been written by another version."""
    assert job.end is not None
    phase = Phase.SUCCEEDED if job.end.type is ConditionType.COMPLETE else Phase.FAILED
    return Verdict(phase=phase, reason=job.status.reason or job.end.reason, message=job.status.message or job.end.message)


def _conditions(job: JobRecord, verdict: Verdict, cluster: "_Cluster", *, now: Moment) -> tuple[Condition, ...]:
    true = _holding(verdict)
    message = text_of(verdict.message, longest=_LONGEST)
    conditions = []
    for kind in ConditionType:
        before = job.condition(kind)
        if kind is ConditionType.CLUSTER_READY:
            holds, reason, said = cluster.ready, cluster.reason, text_of(cluster.message, longest=_LONGEST)
        else:
            holds, reason = kind in true, verdict.reason
            said = message if holds or kind is ConditionType.READY else ""
        status = ConditionStatus.TRUE if holds else ConditionStatus.FALSE
        conditions.append(
            Condition(
                type=kind,
                status=status,
                reason=reason,
                message=said,
                last_transition_time=before.last_transition_time if before and before.status is status else now,
                observed_generation=job.generation,
            )
        )
    return tuple(conditions)


def _holding(verdict: Verdict) -> frozenset[ConditionType]:
    """The conditions that are true, ClusterReady apart. kstatus reads Reconciling as InProgress and Stalled as Failed."""
    match verdict.phase:
        case Phase.PENDING | Phase.STARTING | Phase.RUNNING:
            return frozenset({ConditionType.RECONCILING})
        case Phase.SUSPENDED if verdict.reason == Reason.SUSPENDED:
            return frozenset({ConditionType.SUSPENDED, ConditionType.READY})
        case Phase.SUSPENDED:
            return frozenset({ConditionType.SUSPENDED, ConditionType.RECONCILING})
        case Phase.SUCCEEDED:
            return frozenset({ConditionType.READY, ConditionType.COMPLETE})
        case Phase.FAILED:
            return frozenset({ConditionType.STALLED, ConditionType.FAILED})


@dataclass(frozen=True)
class _Cluster:
    """What is said about the cluster."""

    ready: bool
    reason: str
    message: str


def _cluster(job: JobRecord, verdict: Verdict, observed: Observed, *, now: Moment) -> _Cluster:
    ready = observed.cluster.ready
    if verdict.phase in _UNDER_WAY:
        if ready:
            return _Cluster(True, Reason.CLUSTER_READY, "scheduler and workers answer")
        if verdict.phase is Phase.RUNNING:
            return _Cluster(False, Reason.CLUSTER_STARTING, awaited(observed.cluster))
        return _Cluster(False, verdict.reason, verdict.message)  # what the job waits for, its cluster does
    if verdict.phase is Phase.FAILED:
        failed_at = job.end.last_transition_time if job.end else now
        kept = kept_until(job, failed_at=failed_at)
        if kept is not None and now < kept and not observed.child(Child.CLUSTER).absent:
            return _Cluster(ready, Reason.CLUSTER_KEPT, f"kept until {format_time(kept)} to look into the failure")
    trouble = going_trouble(job.names.job, observed, now=now)
    if trouble and trouble.reason is Reason.DELETION_STUCK:
        return _Cluster(False, trouble.reason, trouble.message)
    return _Cluster(False, Reason.CLUSTER_DELETED, "")


def _times(before: JobStatus, verdict: Verdict, *, now: Moment) -> dict[str, Moment | None]:
    """As batch/v1 has it: a suspended job has not started, a resumed one starts anew, and only success completes."""
    start = None if verdict.phase is Phase.SUSPENDED else now if verdict.begin else before.start_time
    completed = before.completion_time or now if verdict.phase is Phase.SUCCEEDED else None
    return {"start_time": start, "completion_time": completed}


def _run(before: JobStatus, verdict: Verdict) -> dict[str, Any]:
    if verdict.begin:
        return {"runs": verdict.begin.run, "preset": verdict.begin.preset or before.preset}
    return {"preset": verdict.preset or before.preset}


def _attempts(before: JobStatus, verdict: Verdict, observed: Observed) -> int | None:
    if verdict.begin:
        return 0
    seen = observed.child(Child.JOB).ours and (verdict.phase in _UNDER_WAY or before.phase not in _ENDED)
    return observed.loader.attempts if seen else before.attempts


def _workers(plan: Plan | Problem, observed: Observed) -> WorkerCounts | None:
    if isinstance(plan, Problem) or plan.workers is None:
        return None
    desired = max(plan.workers.least, observed.cluster.workers) if plan.adaptive else plan.workers.least
    return WorkerCounts(desired=desired, ready=observed.cluster.workers_ready)


def _progress(before: LoadProgress | None, verdict: Verdict, observed: Observed, *, now: Moment) -> LoadProgress | None:
    if verdict.finished:
        return _whole(before, verdict.finished, now=now)
    if observed.progress is None or verdict.phase not in _UNDER_WAY:
        return before
    seen = observed.progress.progress
    further = before is None or before.advanced_at is None or advanced(before, seen)
    return seen.model_copy(update={"updated_at": now, "advanced_at": now if further else before and before.advanced_at})


def _whole(before: LoadProgress | None, finished: Finished, *, now: Moment) -> LoadProgress:
    """The loader is gone before anybody could ask it for the last number."""
    return LoadProgress(
        percent=100,
        partitions=PartitionCounts(done=finished.partitions, total=finished.partitions),
        rows=finished.rows_read,
        bytes=before.bytes if before else 0,
        updated_at=now,
        advanced_at=now,
    )


def _not_worth_a_write(before: JobStatus, after: JobStatus, *, now: Moment) -> bool:
    if _but_for_the_clock(before) == _but_for_the_clock(after):
        return True
    written = before.progress.updated_at if before.progress else None
    recent = written is not None and abs(now - written) < WRITE_INTERVAL
    return recent and _outline(before) == _outline(after)


def _but_for_the_clock(status: JobStatus) -> JobStatus:
    if status.progress is None:
        return status
    return status.model_copy(update={"progress": status.progress.model_copy(update={"updated_at": None})})


def _outline(status: JobStatus) -> tuple[object, ...]:
    """What somebody may be waiting for; the rest is numbers and words about them."""
    conditions = tuple((condition.type, condition.status, condition.reason) for condition in status.conditions)
    words = (status.observed_generation, status.phase, status.reason, status.runs, status.attempts, status.preset)
    return (*words, conditions, status.dashboard_url, status.result)
