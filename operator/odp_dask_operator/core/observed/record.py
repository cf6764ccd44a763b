"""The facts that decisions are made from."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from odp_dask_operator.core.names import Child
from odp_dask_operator.core.observed.facts import Refusal
from odp_dask_operator.core.observed.words import LastWord, ProgressSeen
from odp_dask_operator.spec import Reason


class Whose(Enum):
    """To whom the object of a child's name belongs."""

    NOBODY = "nobody"
    """There is none."""
    OURS = "ours"
    """The job owns it."""
    PREDECESSOR = "predecessor"
    """A job of the same name owned it, and the garbage collector will take it."""
    FOREIGN = "foreign"
    """Somebody else made it; it is not touched."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A child, as far as it is there."""

    whose: Whose = Whose.NOBODY
    uid: str = ""
    run: int = 0
    """The run that it was made for; 0 when it does not say."""
    created: datetime.datetime | None = None
    deleting_since: datetime.datetime | None = None
    finalizers: tuple[str, ...] = ()
    current: bool = True
    """It says what the plan says. Always, for what is created once."""

    @property
    def absent(self) -> bool:
        """The name is free."""
        return self.whose is Whose.NOBODY

    @property
    def ours(self) -> bool:
        """It belongs to the job, going or not."""
        return self.whose is Whose.OURS

    @property
    def alive(self) -> bool:
        """It belongs to the job and is not being deleted."""
        return self.ours and self.deleting_since is None


@dataclass(frozen=True)
class Trouble:
    """Why something does not go on by itself, in a word and a sentence that says what to do."""

    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class PodEnd:
    """How a pod ended."""

    exit_code: int | None
    """None when its container never ran or nobody knows."""
    at: datetime.datetime | None = None
    word: str = ""
    """Kubernetes' reason, such as OOMKilled or Evicted."""
    last_word: LastWord | None = None


@dataclass(frozen=True, kw_only=True)
class PodSeen:
    """A pod."""

    uid: str
    created: datetime.datetime
    deleting: bool = False
    running_since: datetime.datetime | None = None
    """None unless its container runs."""
    address: str | None = None
    silent: bool = False
    """Neither runs nor says why; its Events may."""
    trouble: Trouble | None = None
    exit: PodEnd | None = None
    """How its container ended for good; the pod says so a second later, by `end`."""
    end: PodEnd | None = None


@dataclass(frozen=True, kw_only=True)
class LoaderSeen:
    """The batch/v1 Job and its pods."""

    attempts: int = 0
    """Pods that were started and not merely evicted."""
    failures: int = 0
    succeeded: bool | None = None
    """The Job's verdict; None while there is none. It is sure two seconds before the Job says so, when a loader had its last word
    and ended with status 0."""
    verdict: str = ""
    """What the Job says about it."""
    pod: PodSeen | None = None
    """The newest one."""
    last_end: PodEnd | None = None
    """Of the newest one that has ended."""
    living_pods: int = 0
    """Pods that have not ended; of an earlier Job, while there is none."""
    trouble: Trouble | None = None
    """Why its pod is not made or does not start."""

    @property
    def running_since(self) -> datetime.datetime | None:
        """None unless the loader runs."""
        return self.pod.running_since if self.pod and not self.pod.deleting else None

    @property
    def over(self) -> bool:
        """The newest loader has ended, and the Job may not have counted it yet."""
        return self.pod is not None and self.pod.exit is not None


@dataclass(frozen=True)
class Orphan:
    """A worker group whose cluster was gone before the Dask operator made it the owner: no garbage collector will ever take it."""

    name: str
    uid: str


@dataclass(frozen=True, kw_only=True)
class ClusterSeen:
    """What the Dask operator has made of the DaskCluster."""

    objects: int = 0
    """How many there are; none means that it has not begun."""
    remnants: tuple[str, ...] = ()
    """What is left of an earlier cluster of the same name, or of one that is going."""
    orphans: tuple[Orphan, ...] = ()
    """Those of the remnants that nobody else will delete."""
    scheduler_ready: bool = False
    workers: int = 0
    """Workers that were made."""
    workers_ready: int = 0
    trouble: Trouble | None = None
    """Why scheduler or workers do not start; the scheduler's first."""

    @property
    def ready(self) -> bool:
        """The scheduler and a worker answer."""
        return self.scheduler_ready and self.workers_ready > 0


@dataclass(frozen=True)
class Silent:
    """An object that does not get on and does not say why; its Events may."""

    uid: str
    since: datetime.datetime


_NOTHING: Mapping[Child, Seen] = {}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is there of a job's children."""

    children: Mapping[Child, Seen] = field(default_factory=lambda: _NOTHING)
    loader: LoaderSeen = field(default_factory=LoaderSeen)
    cluster: ClusterSeen = field(default_factory=ClusterSeen)
    silent: tuple[Silent, ...] = ()
    progress: ProgressSeen | None = None
    dashboard_url: str | None = None
    """Where the dashboard is, or will be."""
    dask_served: bool = True
    dask_seen_at: datetime.datetime | None = None
    refusal: Refusal | None = None

    def child(self, child: Child) -> Seen:
        """A child; absent when nothing was seen of it. ConfigMap and Secret never are."""
        return self.children.get(child, _ABSENT)

    @property
    def run(self) -> int:
        """The latest run that anything was made for."""
        return max((seen.run for seen in self.children.values() if seen.ours), default=0)


_ABSENT = Seen()
