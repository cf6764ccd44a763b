"""What is to be done about a job now, and what is to be said about it."""

import datetime
from dataclasses import dataclass

from odp_dask_operator.core.names import Child, Resource
from odp_dask_operator.core.observed.words import Finished
from odp_dask_operator.spec import Phase, PresetSnapshot


@dataclass(frozen=True)
class Begin:
    """A run that begins. It is recorded before anything is made for it."""

    run: int
    preset: PresetSnapshot | None
    """The snapshot that the job keeps; None while `auto` has not decided."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The state of a job, as its status will say it."""

    phase: Phase
    reason: str
    message: str
    begin: Begin | None = None
    preset: PresetSnapshot | None = None
    """What `auto` chose just now."""
    finished: Finished | None = None
    """What a load that succeeded left behind."""


@dataclass(frozen=True)
class Application:
    """A child to be applied (server-side); `uid` is that of the object that is there, so that no other is changed or made."""

    child: Child
    uid: str


@dataclass(frozen=True)
class Removal:
    """An object to be deleted, in the foreground: it is gone when all that depends on it is gone."""

    resource: Resource
    name: str
    uid: str | None
    """The precondition; None for the Secret, which cannot be looked at."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do, in this order: create, apply, delete; then write the status.

    An object that exists already (409 on create, 404 on delete) is as good as done. After another refusal nothing more is begun,
    and it is a fact of the next pass. What is deleted was recorded as decided by an earlier pass, because status is written last.
    """

    verdict: Verdict | None
    """None when what is recorded stays as it is."""
    create: tuple[Child, ...] = ()
    apply: tuple[Application, ...] = ()
    delete: tuple[Removal, ...] = ()
    requeue_after: datetime.timedelta | None = None
    """When to look again though nothing has been heard; None when only a change of the job can bring news."""

    @property
    def writes(self) -> int:
        """How many objects are touched."""
        return len(self.create) + len(self.apply) + len(self.delete)


AT_ONCE = datetime.timedelta(0)
SOON = datetime.timedelta(seconds=5)
"""While something is going on that no watch tells of, the progress of a load among it."""
SELDOM = datetime.timedelta(seconds=30)
"""While somebody else must act first."""
