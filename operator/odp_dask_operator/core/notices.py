"""The Events of a job: one when something begins to hinder it, one at each end of a run. Nothing else is news."""

from dataclasses import dataclass

from odp_dask_operator.spec import JobStatus, Phase, Reason

_HINDRANCES = frozenset(
    {
        Reason.PRESET_NOT_FOUND,
        Reason.PRESET_INVALID,
        Reason.DASK_OPERATOR_MISSING,
        Reason.DASK_OPERATOR_SILENT,
        Reason.DELETION_STUCK,
        Reason.RETRYING,
        Reason.IMAGE_PULL_FAILED,
        Reason.SECRET_NOT_FOUND,
        Reason.CONFIG_MAP_NOT_FOUND,
        Reason.POD_NOT_STARTING,
        Reason.POD_CRASHING,
        Reason.UNSCHEDULABLE,
        Reason.QUOTA_EXCEEDED,
        Reason.POD_REFUSED,
        Reason.REFUSED,
    }
)
_LONGEST = 1000
"""Of an Event's message; the API server takes 1024 characters."""


@dataclass(frozen=True)
class Notice:
    """An Event to be written."""

    warning: bool
    reason: str
    message: str


def notices(before: JobStatus, after: JobStatus) -> tuple[Notice, ...]:
    """The Events for what a status says that the one before did not."""
    if after.reason is None or (before.phase, before.reason) == (after.phase, after.reason):
        return ()
    warning = after.phase is Phase.FAILED or after.reason in _HINDRANCES
    milestone = after.phase is Phase.SUCCEEDED or after.reason in (Reason.ACCEPTED, Reason.SUSPENDED)
    if not (warning or milestone):
        return ()
    return (Notice(warning, after.reason, (after.message or "")[:_LONGEST]),)
