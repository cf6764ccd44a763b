"""Counts what was asked and what was sent, so that a test can prove which rows were read, and how often."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["running", "finished", "paged", "error", "cut", "left"]
_REMEMBERED = 100_000
"""Selects; older ones are forgotten."""


@dataclass(slots=True)
class SelectRecord:
    """One select request that was answered with a stream; a query of several pages has several."""

    table: str
    query: str
    vars: Any
    """As the client sent them."""
    cols: tuple[str, ...] | None
    page: bool
    """Whether the client brought a cursor."""
    rows: int = 0
    bytes: int = 0
    """Of Arrow messages handed to the network."""
    outcome: Outcome = "running"
    """`paged`: a cursor came last; `error`: told in the stream; `cut`: by a fault; `left`: the client went away."""


class Counters:
    """All counts since the start or the last reset; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._running: set[int] = set()
        self._requests: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._selects: deque[SelectRecord] = deque(maxlen=_REMEMBERED)
        self._started = self._peak = 0

    def reset(self) -> None:
        """Begin again from zero; selects that are running are forgotten, also by the limit."""
        with self._lock:
            self._clear()

    def requested(self, kind: str) -> None:
        """Count a request."""
        with self._lock:
            self._requests[kind] += 1

    def answered(self, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self._statuses[status] += 1

    def begin(self, record: SelectRecord, limit: int | None) -> bool:
        """Begin a select unless `limit` are running; whether it was begun."""
        with self._lock:
            if limit is not None and len(self._running) >= limit:
                return False
            self._running.add(id(record))
            self._selects.append(record)
            self._started += 1
            self._peak = max(self._peak, len(self._running))
            return True

    def end(self, record: SelectRecord, outcome: Outcome) -> None:
        """End a select that was begun, unless it has ended."""
        with self._lock:
            if record.outcome == "running":
                record.outcome = outcome
                self._running.discard(id(record))

    def report(self, faults: Mapping[str, int]) -> dict[str, Any]:
        """Everything, as JSON can carry it."""
        with self._lock:
            selects = [asdict(record) for record in self._selects]
            return {
                "requests": dict(self._requests),
                "statuses": {str(status): count for status, count in self._statuses.items()},
                "selects": {
                    "started": self._started,
                    "finished": sum(select["outcome"] in ("finished", "paged") for select in selects),
                    "running": len(self._running),
                    "peak": self._peak,
                    "rows": sum(select["rows"] for select in selects),
                    "bytes": sum(select["bytes"] for select in selects),
                    "each": selects,
                },
                "faults": dict(faults),
            }
