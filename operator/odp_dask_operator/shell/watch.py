"""Watches jobs, presets and the objects of jobs: lists each kind once, follows it, and begins anew when something was missed.

How to list and to follow is of the Kubernetes API concepts, "Efficient detection of changes".
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from odp_dask_operator.core.names import JOB_LABEL, JOB_RESOURCE, PRESET_RESOURCE, WORKER_GROUP_RESOURCE, Child, Resource
from odp_dask_operator.shell.actions import unanswered
from odp_dask_operator.shell.api import Api, Request, path_of
from odp_dask_operator.shell.errors import ApiError, Gone, error_of

JOB_CHILDREN = (
    Child.JOB.resource,
    Child.SERVICE.resource,
    Child.INGRESS.resource,
    Child.NETWORK_POLICY.resource,
    Resource("v1", "Pod", "pods"),
    Resource("apps/v1", "Deployment", "deployments"),
)
DASK_VERSION = Child.CLUSTER.resource.api_version
ALWAYS = (JOB_RESOURCE, PRESET_RESOURCE, *JOB_CHILDREN)
DASK_CHILDREN = (
    Child.CLUSTER.resource,
    Child.AUTOSCALER.resource,
    WORKER_GROUP_RESOURCE,
)
SILENCE_S = 70.0
"""The API server sends a bookmark every minute; a stream without one is dead."""
PAUSES_S = (0.5, 1.0, 2.0, 3.0, 5.0)
"""After failures in a row, the last one for all that follow: no watch gives up, and the probes say that it waits in vain."""
Raw = dict[str, Any]
log = logging.getLogger(__name__)


class Streams(Protocol):
    """Carries answers that go on."""

    def lines(self, request: Request, *, silence_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of an answer, until the server ends it.

        Raises ApiError when it is refused, OSError when it breaks off or nothing comes for so long.
        """
        ...


class Watch:
    """All watches of a process. They begin anew when the kinds that are served change."""

    def __init__(
        self,
        api: Api,
        streams: Streams,
        *,
        namespaces: Sequence[str],
        begun: Callable[[], None],
        heard: Callable[[Raw, bool], None],
        known: Callable[[], None],
    ) -> None:
        """`begun` is called when the watches begin anew, and `known` when all that was there then has been told.

        `heard` is told of every object that is there, that changes, or that is gone (True).
        """
        self._api, self._streams, self._namespaces = api, streams, namespaces
        self._begun, self._heard, self._known = begun, heard, known
        self._flag, self._turn = asyncio.Event(), asyncio.Lock()
        self._unlisted = 0

    async def run(self, served: Callable[[Sequence[Resource]], Awaitable[Sequence[Resource]]], stop: asyncio.Event) -> None:
        """Until `stop`. `served` waits until the API server knows the kinds without which nothing works, and returns the rest."""
        while not stop.is_set():
            self._flag.clear()
            resources = (*ALWAYS, *await served(ALWAYS))
            places = [(resource, namespace) for resource in resources for namespace in self._namespaces or (None,)]
            self._unlisted = len(places)
            self._begun()
            flag = asyncio.create_task(self._flag.wait())
            tasks = {flag, *(asyncio.create_task(self._follow(*place)) for place in places)}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def again(self) -> None:
        """Ends the watches; `run` begins them anew unless it was told to stop."""
        self._flag.set()

    async def _follow(self, resource: Resource, namespace: str | None) -> None:
        """One kind, until something was missed. What went meanwhile nobody tells; then all begin anew."""
        version = await self._list(resource, namespace)
        if version is not None:
            self._unlisted -= 1
            if not self._unlisted:
                self._known()
            await self._stream(resource, namespace, version)
        log.info("the watch of %s has missed something; all begin anew", resource.plural)

    async def _stream(self, resource: Resource, namespace: str | None, version: str) -> None:
        """Tells of what changes, one stream after the other, until the server no longer knows the version to go on from."""
        failures = 0
        while True:
            query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "labelSelector": _labels(resource)}
            request = Request(method="GET", path=path_of(resource, namespace, query=query))
            try:
                async with contextlib.aclosing(self._streams.lines(request, silence_s=SILENCE_S)) as lines:
                    async for line in lines:
                        version, failures = self._take(json.loads(line)), 0
            except Gone:
                return
            except ApiError as error:
                log.warning("the watch of %s is put off: %s", resource.plural, unanswered(error))
            except (OSError, ValueError) as error:  # cut off, or something else than the API server has answered
                log.debug("the watch of %s breaks off: %s", resource.plural, type(error).__name__)
            failures += 1
            await asyncio.sleep(_pause_s(failures))

    def _take(self, event: Raw) -> str:
        """One event; returns the version to go on from. Raises ApiError for one that says that the watch has failed."""
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            raise error_of(raw.get("code") or 500, json.dumps(raw).encode())
        if kind != "BOOKMARK":
            self._heard(raw, kind == "DELETED")
        version: str = raw["metadata"]["resourceVersion"]
        return version

    async def _list(self, resource: Resource, namespace: str | None) -> str | None:
        """Tells of all that is there; one kind after the other, and page by page, which bounds the memory that it takes.

        Returns the version that the list is of; None when it broke off, and what was told of may be gone.
        """
        failures, version = 0, ""
        while True:
            try:
                async with self._turn:
                    async for page, read in self._api.pages(resource, namespace=namespace, labels=_labels(resource)):
                        version = read
                        for raw in page:
                            self._heard(raw, False)
                return version
            except ApiError as error:
                if version:
                    return None
                log.warning("the list of %s is put off: %s", resource.plural, unanswered(error))
            failures += 1
            await asyncio.sleep(_pause_s(failures))


def _labels(resource: Resource) -> str | None:
    return None if resource in (JOB_RESOURCE, PRESET_RESOURCE) else JOB_LABEL


def _pause_s(failures: int) -> float:
    return PAUSES_S[min(failures, len(PAUSES_S)) - 1]
