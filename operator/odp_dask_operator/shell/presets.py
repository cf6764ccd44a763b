"""Finds the presets that jobs can name: from the watch, and from a list where the operator's own namespace is not watched."""

import operator
import time
from collections.abc import Callable
from typing import Any

from odp_dask_operator.core.names import PRESET_RESOURCE
from odp_dask_operator.core.preset import Presets, presets_for
from odp_dask_operator.shell.api import Api
from odp_dask_operator.shell.world import World

FRESH_S = 20.0
"""So long a list is good."""


class PresetSource:
    """Presets by the namespace of the job."""

    def __init__(
        self, api: Api, world: World, *, operator_namespace: str, watched: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`watched`: the presets of the operator's namespace are in the world."""
        self._api, self._world, self._namespace, self._watched, self._clock = api, world, operator_namespace, watched, clock
        self._listed: list[dict[str, Any]] = []
        self._until = clock()
        self._found: dict[str, tuple[tuple[dict[str, Any], ...], Presets]] = {}

    async def find(self, job_namespace: str) -> Presets:
        """All presets that a job there can name."""
        if not self._watched and self._clock() >= self._until:
            self._listed = await self._api.list_all(PRESET_RESOURCE, namespace=self._namespace)
            self._until = self._clock() + FRESH_S
        raw = (*self._world.presets(), *self._listed)
        before, found = self._found.get(job_namespace, ((), {}))
        if len(before) != len(raw) or not all(map(operator.is_, before, raw)):
            found = presets_for(raw, job_namespace=job_namespace, operator_namespace=self._namespace)
            self._found[job_namespace] = raw, found
        return found
