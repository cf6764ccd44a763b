"""Reads the warnings of a namespace, for all jobs together that wait there and do not know why."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from odp_dask_operator.core.names import Resource
from odp_dask_operator.shell.api import Api

EVENT = Resource("v1", "Event", "events")
FRESH_S = 5.0
"""So long what was read is good."""
_READ = ("reason", "message", "involvedObject", "lastTimestamp", "eventTime", "series")
Raw = dict[str, Any]


class EventReader:
    """Warnings by the UID of what they are about.

    The API server keeps no cache of Events: it reads all of a namespace from etcd, whichever are asked for. A thousand jobs that
    wait, each asking for its own, would keep it from everything else.
    """

    def __init__(self, api: Api, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._known: dict[str, tuple[float, dict[str, list[Raw]]]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def about(self, uids: Sequence[str], *, namespace: str) -> list[Raw]:
        """All warnings about these objects. Raises ApiError."""
        if not uids:
            return []
        async with self._turns[namespace]:
            if namespace not in self._fresh():
                read = await self._read(namespace)
                self._known[namespace] = self._clock(), read
            _, found = self._known[namespace]
        return [event for uid in uids for event in found.get(uid, ())]

    def _fresh(self) -> dict[str, tuple[float, dict[str, list[Raw]]]]:
        self._known = {where: known for where, known in self._known.items() if self._clock() - known[0] < FRESH_S}
        return self._known

    async def _read(self, namespace: str) -> dict[str, list[Raw]]:
        found = defaultdict(list)
        for event in await self._api.list_all(EVENT, namespace=namespace, fields="type=Warning"):
            found[event["involvedObject"].get("uid", "")].append({name: event[name] for name in _READ if name in event})
        return found
