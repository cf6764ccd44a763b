"""Hears what the watches tell, and puts the jobs in line that it concerns."""

from collections.abc import Callable
from typing import Any

from odp_dask_operator.core.names import JOB_RESOURCE, PRESET_RESOURCE
from odp_dask_operator.shell.line import Key, Lane
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.world import World, job_of

Raw = dict[str, Any]


class News:
    """Between the watches, the world and the queue."""

    def __init__(self, world: World, queue: Queue, *, wanted: Callable[[], bool]) -> None:
        """`wanted`: this process leads and knows of everything; before that nothing is put in line."""
        self._world, self._queue, self._wanted = world, queue, wanted

    def heard(self, raw: Raw, gone: bool) -> None:
        """An object is there, has changed or is gone. The echo of what we wrote ourselves is no reason to look at a job."""
        if gone:
            self._world.remove(raw)
        elif not self._world.put(raw):
            return
        if not self._wanted():
            return
        key = job_of(raw)
        if key is not None:
            lane = self.lane(key)
            if lane is not None:
                self._queue.hear(key, lane)
            elif raw["kind"] == JOB_RESOURCE.kind:  # it is gone: a last look forgets what was remembered
                self._queue.hear(key, Lane.NEW)
        elif raw["kind"] == PRESET_RESOURCE.kind:
            for job in self._world.jobs():
                if self.lane(job) is Lane.NEW:
                    self._queue.hear(job, Lane.NEW)

    def look_at_all(self) -> None:
        """Every job is to be looked at, whatever is known of it."""
        for key in self._world.jobs() if self._wanted() else ():
            lane = self.lane(key)
            if lane is not None:
                self._queue.add(key, lane)

    def lane(self, key: Key) -> Lane | None:
        """How far a job is; None when there is none."""
        raw = self._world.job(key)
        if raw is None:
            return None
        return Lane.BEGUN if (raw.get("status") or {}).get("runs") else Lane.NEW
