"""How fast a load is going: rates over the last ten seconds and the time that is left, from samples of its counters."""

from collections import deque
from dataclasses import dataclass

_WINDOW_S = 10.0
_RESOLUTION_S = 0.1
"""Samples closer together than this replace each other, so that a meter never holds more than about a hundred."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Means over the window; 0.0 while nothing can be told, and when a repeated partition took the counters back."""

    rows_per_second: float = 0.0
    bytes_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    rows: int
    bytes: int


class Meter:
    """Takes the load's counters at moments of a monotonic clock.

    The first sample is the start of measuring: what an earlier run had read by then counts towards no rate.
    """

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()

    def add(self, now: float, *, rows: int, bytes: int) -> None:  # noqa: A002 # the word of Progress
        """Note that `rows` and `bytes` have been read in all at `now` (seconds)."""
        samples = self._samples
        if len(samples) > 1 and samples[-1].at - samples[-2].at < _RESOLUTION_S:
            samples.pop()
        samples.append(_Sample(now, rows, bytes))
        # The newest sample outside the window stays: without it, slow samples would leave nothing to measure from.
        while len(samples) > 2 and samples[1].at <= now - _WINDOW_S:
            samples.popleft()

    def rates(self) -> Rates:
        """Between the oldest sample in the window and the newest."""
        if not self._samples:
            return Rates()
        first, last = self._samples[0], self._samples[-1]
        seconds = last.at - first.at
        if seconds <= 0:
            return Rates()
        return Rates(max(0, last.rows - first.rows) / seconds, max(0, last.bytes - first.bytes) / seconds)

    def eta(self, remaining_rows: int) -> float | None:
        """Seconds until `remaining_rows` more are read; None while nothing moves."""
        if remaining_rows <= 0:
            return 0.0
        rate = self.rates().rows_per_second
        return remaining_rows / rate if rate > 0 else None
