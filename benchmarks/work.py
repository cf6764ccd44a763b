"""What a contestant is asked to do, and what it tells of having done it: both cross a process boundary as JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Work:
    """Load one table of a server into a folder of Parquet files, compressed with snappy."""

    base_url: str
    table: str
    output: str
    """A folder that does not exist yet."""
    server_pid: int
    workers: int = 2
    """Dask worker processes, for those who use Dask."""
    threads: int = 1
    """Of each worker."""
    ranges: int = 16
    """How many ranges of time the table is cut into by hand, for those who do."""
    target_bytes: int | None = None
    """`partitions.targetBytes` of ours; None for its default."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """How it went. Times and CPU are of the load alone; imports and the start of a cluster are not in them."""

    seconds: float
    rows: int
    """In the files, counted afterwards."""
    file_bytes: int
    client_cpu_s: float
    """Of the driver and its workers."""
    server_cpu_s: float
    foreign_cores: float
    """How many cores the rest of the machine kept busy meanwhile."""
    driver_base: int
    """Bytes resident before the load, after imports and the start of the cluster."""
    driver_peak: int
    worker_base: int = 0
    """Of the largest worker."""
    worker_peak: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    """What only this contestant has to tell."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Account":
        """The inverse of `to_json`."""
        return cls(**json.loads(line))


@dataclass
class Ready:
    """A contestant at the starting line."""

    load: Callable[[], None]
    worker_pids: tuple[int, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    """Filled by `load`."""


Contestant = Callable[[Work], AbstractContextManager[Ready]]
Prepared = Iterator[Ready]
