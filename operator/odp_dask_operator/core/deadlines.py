"""The moments at which patience ends: deadlines of a job, the time its cluster is kept, and its own time to live."""

import datetime
from dataclasses import dataclass

from odp_dask_operator.core.names import Child
from odp_dask_operator.core.observed import LoaderSeen, Observed
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.record import JobRecord
from odp_dask_operator.spec import ConditionStatus, ConditionType, LoadProgress, Reason
from odp_dask_operator.spec.job import KeepCluster

Moment = datetime.datetime
_LONGEST_BACKOFF = datetime.timedelta(minutes=10)
"""The Job controller waits at most so long before it makes the next pod (MaxJobPodFailureBackOff)."""
_UNMOVING_STAGES = ("Verifying", "Finished")
"""Stages of a load in which no row is read; its progress then proves nothing."""


@dataclass(frozen=True)
class Deadline:
    """A moment after which a job has failed."""

    at: Moment
    reason: Reason
    message: str


def deadlines(job: JobRecord, plan: Plan, observed: Observed, *, now: Moment) -> list[Deadline]:
    """The deadlines that count for an active job now, the next one first. The operator keeps them itself: they may be changed."""
    spec, start = plan.spec, job.status.start_time or now
    found = []
    if (seconds := spec.active_deadline_seconds) is not None:
        message = f"the job took longer than activeDeadlineSeconds ({seconds}); made again, it goes on from what is finished"
        found.append(Deadline(start + _seconds(seconds), Reason.DEADLINE_EXCEEDED, message))
    if since := _starting_since(job, observed, start=start, now=now):
        message = f"cluster and loader were not running within startupDeadlineSeconds ({spec.startup_deadline_seconds})"
        found.append(Deadline(since + _seconds(spec.startup_deadline_seconds), Reason.STARTUP_DEADLINE_EXCEEDED, message))
    seconds = spec.progress_deadline_seconds
    if seconds is not None and (since := _unmoved_since(job, observed, start=start)):
        message = f"the load read nothing for progressDeadlineSeconds ({seconds}); made again, it goes on from what is finished"
        found.append(Deadline(since + _seconds(seconds), Reason.PROGRESS_DEADLINE_EXCEEDED, message))
    return sorted(found, key=lambda deadline: deadline.at)


def _starting_since(job: JobRecord, observed: Observed, *, start: Moment, now: Moment) -> Moment | None:
    """Since when something has been missing without which no work is done; the start, or the loss of the cluster in mid-run."""
    waits = [_loader_missing_since(observed.loader, observed, start=start)]
    if not observed.cluster.ready:
        ready = job.condition(ConditionType.CLUSTER_READY)
        lost = now if ready and ready.status is ConditionStatus.TRUE else ready.last_transition_time if ready else start
        waits.append(max(start, lost))
    return min((since for since in waits if since), default=None)


def _loader_missing_since(loader: LoaderSeen, observed: Observed, *, start: Moment) -> Moment | None:
    if loader.running_since:
        return None
    if loader.pod is None:
        made = observed.child(Child.JOB).created
        return max(start, made or start) if loader.failures == 0 else None
    if loader.pod.end is None:
        return max(start, loader.pod.created)
    return max(start, loader.pod.end.at + _LONGEST_BACKOFF) if loader.pod.end.at else None


def _unmoved_since(job: JobRecord, observed: Observed, *, start: Moment) -> Moment | None:
    """Since when a load that says how far it is has not come further. None when it says nothing: that fails no load."""
    seen, loader = observed.progress, observed.loader.running_since
    if seen is None or loader is None or seen.stage in _UNMOVING_STAGES or not observed.cluster.ready:
        return None
    recorded, ready = job.status.progress, job.condition(ConditionType.CLUSTER_READY)
    if recorded is None or recorded.advanced_at is None or ready is None or advanced(recorded, seen.progress):
        return None
    return max(start, loader, recorded.advanced_at, ready.last_transition_time)


def advanced(before: LoadProgress, after: LoadProgress) -> bool:
    """Whether a load has come further."""
    return (before.rows, before.bytes, before.partitions) != (after.rows, after.bytes, after.partitions)


def kept_until(job: JobRecord, *, failed_at: Moment) -> Moment | None:
    """Until when the cluster of a job that failed then is kept; None when it is not."""
    if job.spec is None or job.spec.keep_cluster is not KeepCluster.ON_FAILURE:
        return None
    return failed_at + _seconds(job.spec.keep_cluster_seconds)


def deleted_at(job: JobRecord, *, ended_at: Moment) -> Moment | None:
    """When a job that ended then deletes itself; None when it does not."""
    if job.spec is None or job.spec.ttl_seconds_after_finished is None:
        return None
    return ended_at + _seconds(job.spec.ttl_seconds_after_finished)


def _seconds(seconds: int) -> datetime.timedelta:
    return datetime.timedelta(seconds=seconds)
