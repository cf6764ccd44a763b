"""Lets a bounded number of workers make passes while this process leads, and slows down where passes fail."""

import asyncio
import datetime
import logging
from collections.abc import Callable

from odp_dask_operator.core.decision import AT_ONCE
from odp_dask_operator.shell.actions import unanswered
from odp_dask_operator.shell.errors import ApiError
from odp_dask_operator.shell.line import Key, Lane
from odp_dask_operator.shell.metrics import Metrics
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.reconciler import Reconciler

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
FAULTS_UNTIL_SAID = 3
"""So many passes over a job may end in an error of this program before its status says so."""
log = logging.getLogger(__name__)


def pause_after(failures: int, *, asked_s: float | None = None) -> datetime.timedelta:
    """How long a job rests after so many failures in a row; as long as the server asked for, if that is longer."""
    pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 30))
    return datetime.timedelta(seconds=max(pause, min(asked_s or 0.0, LONGEST_PAUSE_S)))


class Workers:
    """Takes keys from the queue and has passes made."""

    def __init__(
        self,
        queue: Queue,
        reconciler: Reconciler,
        *,
        lane: Callable[[Key], Lane | None],
        metrics: Metrics,
        may_write: asyncio.Event,
    ) -> None:
        """`lane` says how far a job is, None when it is gone; nothing is taken while `may_write` is not set."""
        self._queue, self._reconciler, self._lane, self._metrics = queue, reconciler, lane, metrics
        self._may_write = may_write
        self._failures: dict[Key, int] = {}
        self.busy = 0
        """Passes that are being made."""

    async def run(self, count: int) -> None:
        """Until cancelled; a pass that is cancelled is finished by the next process or leader."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._may_write.wait()
            key = await self._queue.take()
            try:
                self.busy += 1
                if self._may_write.is_set():
                    await self._pass(key)
            finally:
                self.busy -= 1
                self._queue.done(key)

    async def _pass(self, key: Key) -> None:
        asked_s = None
        try:
            with self._metrics.reconcile_seconds.time():
                again = await self._reconciler.run_pass(key)
        except ApiError as error:
            where = {"job": key.name, "namespace": key.namespace}
            log.warning("the pass is put off: %s", unanswered(error), extra=where)
            asked_s = error.retry_after_s
            again = self._after_failure(key, error, asked_s=asked_s)
        except Exception as error:
            log.exception("the pass failed", extra={"job": key.name, "namespace": key.namespace})
            again = self._after_failure(key, error)
            await self._say(key, error)
        else:
            self._failures.pop(key, None)
        lane = self._lane(key)
        if lane is None:
            self._failures.pop(key, None)
            self._queue.forget(key)
        elif again is not None and asked_s is not None:
            self._queue.rest(key, lane, again)  # what the server asks for, news do not cut short; our own caution they do
        elif again == AT_ONCE:
            self._queue.add(key, lane, first=True)
        elif again is not None:
            self._queue.add_after(key, lane, again)

    def _after_failure(self, key: Key, error: Exception, *, asked_s: float | None = None) -> datetime.timedelta:
        self._failures[key] = failures = self._failures.get(key, 0) + 1
        self._metrics.errors.labels(type(error).__name__).inc()
        return pause_after(failures, asked_s=asked_s)

    async def _say(self, key: Key, error: Exception) -> None:
        if self._failures[key] < FAULTS_UNTIL_SAID:
            return
        try:
            await self._reconciler.report_fault(key, error)
        except ApiError as refused:
            log.warning("the fault cannot be told: %s", unanswered(refused), extra={"job": key.name, "namespace": key.namespace})
