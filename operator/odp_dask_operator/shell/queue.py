"""Lets workers wait for the next job in the line."""

import asyncio
import contextlib
import datetime
import time
from collections.abc import Callable

from odp_dask_operator.shell.line import Key, Lane, Line


class Queue:
    """The line, with a clock and a bell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._line, self._clock, self._bell = Line(), clock, asyncio.Event()
        self._turn = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, key: Key, lane: Lane, *, first: bool = False) -> None:
        """To be looked at now."""
        self._line.add(key, lane, first=first)
        self._bell.set()

    def hear(self, key: Key, lane: Lane) -> None:
        """There is news of it."""
        self._line.hear(key, lane, now=self._clock())
        self._bell.set()

    def add_after(self, key: Key, lane: Lane, pause: datetime.timedelta) -> None:
        """To be looked at then, if it is not before."""
        self._line.add_at(key, lane, self._clock() + pause.total_seconds())
        self._bell.set()

    def rest(self, key: Key, lane: Lane, pause: datetime.timedelta) -> None:
        """To be looked at after a pause and not before."""
        self._line.rest(key, lane, self._clock() + pause.total_seconds())
        self._bell.set()

    async def take(self) -> Key:
        """The next key; `done` gives it back."""
        async with self._turn:  # one listens to the bell; it would wake all of them for each job
            while (key := self._line.take(now=self._clock())) is None:
                self._bell.clear()
                moment = self._line.next_moment()
                pause = None if moment is None else max(0.0, moment - self._clock())
                # Not wait_for: in Python 3.11 it may pass over that it is cancelled.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._bell.wait()
            return key

    def done(self, key: Key) -> None:
        """The key may be taken again."""
        self._line.done(key)
        self._bell.set()

    def forget(self, key: Key) -> None:
        """The job is gone."""
        self._line.forget(key)

    def clear(self) -> None:
        """Forgets all that waits."""
        self._line.clear()
