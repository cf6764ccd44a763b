"""Keeps an observer informed: counters in, snapshots of progress out, a few a second at most."""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from odp_loader.meter import Meter
from odp_loader.progress import Observer, Progress
from odp_loader.receipt import Receipt

_EVERY_S = 0.5


class Gauge:
    """The progress of one run."""

    def __init__(self, observer: Observer, *, started: float) -> None:
        self._observer = observer
        self.started = started
        """On the monotonic clock; time that is not the load's own is added to it."""
        self._shown = Progress()
        self._shown_at = started
        self._meter = Meter()

    @property
    def due(self) -> bool:
        """Whether it is time for another snapshot."""
        return time.monotonic() - self._shown_at >= _EVERY_S

    def count(self, receipts: Iterable[Receipt], *, rows_in_flight: int, bytes_in_flight: int, **changes: Any) -> None:
        """Show what is finished and what is in flight, with rates and the time that is left."""
        done = tuple(receipts)
        rows = rows_in_flight + sum(receipt.rows_read for receipt in done)
        size = bytes_in_flight + sum(receipt.bytes_read for receipt in done)
        self._meter.add(time.monotonic(), rows=rows, bytes=size)
        rates = self._meter.rates()
        expected = self._shown.rows_expected
        self.show(
            rows=rows,
            bytes=size,
            partitions_done=len(done),
            rows_per_second=rates.rows_per_second,
            bytes_per_second=rates.bytes_per_second,
            eta_seconds=None if expected is None else self._meter.eta(max(0, expected - rows)),
            **changes,
        )

    def show(self, **changes: Any) -> None:
        """Tell the observer what has changed."""
        self._shown_at = time.monotonic()
        self._shown = replace(self._shown, **changes, elapsed_seconds=self._shown_at - self.started, updated_at=time.time())
        self._observer.progress(self._shown)
