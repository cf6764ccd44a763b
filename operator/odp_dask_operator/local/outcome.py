"""How a run ended, and the status that a cluster would show for it."""

import datetime
from dataclasses import dataclass

from odp_dask_operator.local.interrupt import Interrupted
from odp_dask_operator.spec import (
    Condition,
    ConditionStatus,
    ConditionType,
    JobStatus,
    LoadProgress,
    LoadResult,
    PartitionCounts,
    Phase,
    PresetSnapshot,
    Reason,
    WorkerCounts,
)
from odp_loader.errors import LoadError
from odp_loader.progress import Progress, Result


class ScriptFailed(LoadError):
    """The job's own program ended with a status that is not 0; it is this process's, too."""

    reason = Reason.SCRIPT_FAILED.value

    def __init__(self, status: int) -> None:
        super().__init__(f"the script ended with exit status {status}; its own output above says why")
        self.status = status


class Unexpected(LoadError):
    """A fault of this program."""

    reason = Reason.INTERNAL_ERROR.value

    def __init__(self, cause: str) -> None:
        super().__init__(f"unexpected {cause}; this is a fault of odp-dask: run with --verbose and report the stack trace")


@dataclass(frozen=True)
class Outcome:
    """Everything that is known at the end of a run."""

    started: datetime.datetime
    ended: datetime.datetime
    stop: LoadError | Interrupted | None = None
    """What ended the run before its time; None for a success."""
    result: Result | None = None
    """What a load that succeeded left behind."""
    progress: Progress | None = None
    """The last that was heard of the load."""
    preset: str | None = None
    workers: int = 0
    """How many the cluster was made with, or had."""
    dashboard_url: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit status of the process."""
        return self.stop.status if isinstance(self.stop, ScriptFailed) else self.stop.exit_code if self.stop else 0


@dataclass(frozen=True)
class _Verdict:
    """The words and conditions for one way to end."""

    phase: Phase
    reason: str
    message: str
    true: frozenset[ConditionType]


def status_of(outcome: Outcome) -> JobStatus:
    """The `status` of the job, as `kubectl get odj -o json` would have it."""
    verdict = _verdict(outcome)
    conditions = tuple(
        Condition(
            type=kind,
            status=ConditionStatus.TRUE if kind in verdict.true else ConditionStatus.FALSE,
            reason=verdict.reason,
            message=verdict.message if kind in verdict.true else "",
            last_transition_time=outcome.ended,
        )
        for kind in ConditionType
    )
    return JobStatus(
        phase=verdict.phase,
        conditions=conditions,
        reason=verdict.reason,
        message=verdict.message,
        start_time=outcome.started,
        completion_time=outcome.ended if verdict.phase is Phase.SUCCEEDED else None,
        preset=PresetSnapshot(name=outcome.preset) if outcome.preset else None,
        workers=WorkerCounts(desired=outcome.workers, ready=0) if outcome.workers else None,
        dashboard_url=outcome.dashboard_url,
        progress=_progress(outcome),
        result=_result(outcome.result) if outcome.result else None,
        attempts=1,
    )


def _verdict(outcome: Outcome) -> _Verdict:
    stop, result = outcome.stop, outcome.result
    if isinstance(stop, Interrupted):
        message = "stopped by a signal; run the same command again to go on"
        return _Verdict(
            Phase.SUSPENDED, Reason.INTERRUPTED.value, message, frozenset({ConditionType.READY, ConditionType.SUSPENDED})
        )
    if stop is not None:
        return _Verdict(Phase.FAILED, stop.reason, str(stop)[:4096], frozenset({ConditionType.STALLED, ConditionType.FAILED}))
    done = frozenset({ConditionType.READY, ConditionType.COMPLETE})
    if result is None:
        return _Verdict(Phase.SUCCEEDED, Reason.SCRIPT_FINISHED.value, "the script ended with exit status 0", done)
    reason = Reason.LOAD_VERIFIED if result.rows_read == result.rows_expected else Reason.LOAD_DIFFERS
    message = f"{result.rows_read} rows read of {result.rows_expected} expected, {result.rows_written} written to {result.data_url}"
    return _Verdict(Phase.SUCCEEDED, reason.value, message, done)


def _progress(outcome: Outcome) -> LoadProgress | None:
    progress, result = outcome.progress, outcome.result
    if progress is None:
        # a load that was complete already has nothing to report on the way
        count = result.partitions if result else 0
        whole = PartitionCounts(done=count, total=count)
        return LoadProgress(percent=100, partitions=whole, rows=result.rows_read) if result else None
    return LoadProgress(
        percent=progress.percent,
        partitions=PartitionCounts(done=progress.partitions_done, total=progress.partitions_total),
        rows=progress.rows,
        bytes=progress.bytes,
        rows_per_second=round(progress.rows_per_second),
        eta_seconds=None if progress.eta_seconds is None else round(progress.eta_seconds),
        updated_at=datetime.datetime.fromtimestamp(progress.updated_at, datetime.UTC) if progress.updated_at else None,
    )


def _result(result: Result) -> LoadResult:
    return LoadResult(
        rows=result.rows_written,
        bytes=result.bytes,
        files=result.files,
        data_url=result.data_url,
        manifest_url=result.manifest_url,
        manifest_sha256=result.manifest_sha256,
        seconds=round(result.seconds, 3),
    )
