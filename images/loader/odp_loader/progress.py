"""How far a load has come, as one immutable record that every display reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Stage(StrEnum):
    """What a load is doing."""

    PLANNING = "Planning"
    LOADING = "Loading"
    VERIFYING = "Verifying"
    FINISHED = "Finished"


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot; counts include what an earlier run of the same load had finished already."""

    stage: Stage = Stage.PLANNING
    partitions_done: int = 0
    partitions_total: int = 0
    rows: int = 0
    """Rows read, those of unfinished partitions included."""
    rows_expected: int | None = None
    """None until there is a plan."""
    bytes: int = 0
    """Arrow bytes read."""
    bytes_expected: int | None = None
    """Of Arrow data, by the plan's estimate; None until there is a plan."""
    rows_per_second: float = 0.0
    """Over about the last ten seconds."""
    bytes_per_second: float = 0.0
    eta_seconds: float | None = None
    """None while it cannot be told."""
    elapsed_seconds: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failed attempts at partitions, by worker."""
    throttled: int = 0
    """How often the server answered 429."""
    workers: int = 0
    updated_at: float = 0.0
    """Seconds since the epoch."""

    @property
    def percent(self) -> int:
        """Share of the rows read, or of the partitions done while no count is known; 100 only when the load is finished."""
        if self.stage is Stage.FINISHED:
            return 100
        if self.rows_expected:
            return min(99, 100 * self.rows // self.rows_expected)
        return min(99, 100 * self.partitions_done // self.partitions_total) if self.partitions_total else 0


class Observer(Protocol):
    """Whoever watches a load. Called a few times a second at most; must return at once."""

    def progress(self, progress: Progress) -> None:
        """The load has come this far. Called from the driver's thread."""
        ...

    def note(self, message: str) -> None:
        """Something a person should know, in one sentence: what was planned and why, what is tried again. Any thread may call."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished load left behind."""

    rows_read: int
    rows_expected: int
    rows_dropped: int
    rows_written: int
    files: int
    bytes: int
    """Size of the files."""
    data_url: str
    manifest_url: str
    manifest_sha256: str
    seconds: float
    """From this run's first request for the table to the manifest; starting a cluster is not in it."""
    partitions: int
    resumed_partitions: int
    """How many of them an earlier run had finished."""
    notes: tuple[str, ...] = ()
    """What verification wants a person to know; empty when all is well."""
