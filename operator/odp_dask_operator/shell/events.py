"""Reads the Events about objects that do not say why they wait, and not more often than that can have changed."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from odp_dask_operator.core.names import Resource
from odp_dask_operator.shell.api import Api

EVENT = Resource("v1", "Event", "events")
FRESH_S = 20.0
"""So long what was read is good. A job is looked at whenever something of it changes; its Events need not be read each time."""
Raw = dict[str, Any]


class EventReader:
    """Events by the UID of what they are about."""

    def __init__(self, api: Api, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock = api, clock
        self._known: OrderedDict[str, tuple[float, list[Raw]]] = OrderedDict()

    async def about(self, uids: Sequence[str], *, namespace: str) -> list[Raw]:
        """All Events about these objects. Raises ApiError."""
        self._forget()
        found: list[Raw] = []
        for uid in uids:
            known = self._known.get(uid)
            if known is None:
                read = await self._api.list_all(EVENT, namespace=namespace, fields=f"involvedObject.uid={uid}")
                known = self._known[uid] = (self._clock(), read)
                self._known.move_to_end(uid)
            found.extend(known[1])
        return found

    def _forget(self) -> None:
        """What is no longer fresh; the oldest comes first."""
        while self._known and self._clock() - next(iter(self._known.values()))[0] >= FRESH_S:
            self._known.popitem(last=False)
