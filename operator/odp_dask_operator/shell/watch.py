"""Watches jobs, presets and the objects of jobs through Kopf, which only listens here: no finalizer, no annotation, no retry."""

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import aiohttp
import kopf

from odp_dask_operator.core.names import JOB_LABEL, JOB_RESOURCE, PRESET_RESOURCE, WORKER_GROUP_RESOURCE, Child, Resource
from odp_dask_operator.shell.api import accepted, path_of
from odp_dask_operator.shell.stateless import NoDiffs, NoProgress
from odp_dask_operator.shell.world import shed

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
METADATA_ONLY = (Child.CLUSTER.resource, WORKER_GROUP_RESOURCE)
"""Kinds of which nothing else is read. The Dask operator changes each object some ten times while it makes a cluster, and every
change would bring two whole pods along."""
PAGE_OF_CHILDREN = 100
"""Objects of jobs in one answer of a list: a Deployment is 11 kB as JSON and five times that as objects of Python."""
OWN_FINALIZER = f"{JOB_RESOURCE.api_version.partition('/')[0]}/never-set"
"""Kopf takes its finalizer off objects that have no handler which needs it. Its default one is that of the Dask operator, which
puts it on again, and so on for ever."""
INACTIVITY_S = 70.0
"""The API server sends a bookmark every minute, but not of a kind of which nothing has changed since it began; a stream without one
is opened again."""
Raw = dict[str, Any]
log = logging.getLogger(__name__)


class Patience:
    """Pauses between the attempts of a request, without an end: no watch gives up, and the probes say that it waits in vain."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1.0, 2.0, 3.0), itertools.repeat(5.0))


class AllTasks(frozenset[asyncio.Task[Any]]):
    """Kopf takes each task that began after it for its own and cancels it in the end: passes, Lease and resync among them."""

    def __contains__(self, _task: object) -> bool:
        return True


class Told(Enum):
    """What the answer to a request of Kopf's says of all watches together."""

    ALL_STAND = "all stand"
    """For the first time."""
    MISSED = "missed"
    """One has lost its thread (410) and is listed again: Kopf does not say what went in between."""


class Roll:
    """Which watches stand. Each begins when all that was there is listed, and is opened again whenever it was quiet for long."""

    def __init__(self, places: Iterable[str]) -> None:
        self._places = frozenset(places)
        self._unlisted, self._unopened = set(self._places), set(self._places)

    def answered(self, path: str, query: Mapping[str, str]) -> tuple[str, Told] | None:
        """Of the answer to a list or a watch that succeeded: the path without what a proxy puts before it, and what it tells."""
        place = next((place for place in self._places if path.endswith(place)), None)
        if place is None or "continue" in query:
            return None
        if "watch" not in query:
            first = place in self._unlisted
            self._unlisted.discard(place)
            return None if first else (place, Told.MISSED)
        last = self._unopened == {place}
        self._unopened.discard(place)
        return (place, Told.ALL_STAND) if last else None


class Watch:
    """All watches of a process. They begin anew when the kinds that are served change."""

    def __init__(
        self,
        *,
        namespaces: Sequence[str],
        heard: Callable[[Raw, bool], None],
        begun: Callable[[], None],
        open_: Callable[[], None],
    ) -> None:
        """`heard` is told of every object that is there (False) or is gone (True).

        `begun` is called when the watches begin anew, before anything is heard; `open_` when all of them stand: what changes from
        then on is told, what was there may not have been told yet.
        """
        self._namespaces, self._heard, self._begun, self._open = namespaces, heard, begun, open_
        self.resources: tuple[Resource, ...] = ()
        self._flag = asyncio.Event()
        self._roll = Roll(())

    async def run(self, served: Callable[[Sequence[Resource]], Awaitable[Sequence[Resource]]], stop: asyncio.Event) -> None:
        """Until `stop`. `served` waits until the API server knows the kinds without which nothing works, and returns the rest.

        Kopf would not watch a kind that is unknown when it begins, as all are for some seconds of an API server's start.
        """
        while not stop.is_set():
            self._flag.clear()
            self.resources = resources = (*ALWAYS, *await served(ALWAYS))
            where: dict[str, Any] = {"namespaces": list(self._namespaces)} if self._namespaces else {"clusterwide": True}
            self._roll = Roll(path_of(resource, place) for resource in resources for place in self._namespaces or (None,))
            tasks = await kopf.spawn_tasks(
                registry=self._registry(resources), settings=_settings(resources), stop_flag=self._flag, standalone=True, **where
            )
            await kopf.run_tasks(tasks, ignored=AllTasks())

    def again(self) -> None:
        """Ends the watches; `run` begins them anew unless it was told to stop."""
        self._flag.set()

    def _registry(self, resources: Sequence[Resource]) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        kopf.on.startup(registry=registry)(self._on_startup)
        for resource in resources:
            group, _, version = resource.api_version.rpartition("/")
            # No index, though it would say when all is heard of: Kopf wakes all that wait for that each time one went through.
            hears = functools.partial(self._on_event, of=resource)
            kopf.on.event(group, version, resource.plural, registry=registry, id="heard")(hears)
        return registry

    async def _login(self, **context: Any) -> kopf.AiohttpSession | None:
        """The session that Kopf would make, with an ear for the watches that are opened."""
        found = kopf.login_with_kubeconfig(**context) or kopf.login_with_service_account(**context)
        if found is None:
            return None
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._on_request)
        trace.on_request_end.append(self._on_answer)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
            headers=found.as_http_headers(),
            proxy=found.proxy_url,
            trust_env=found.trust_env,
            trace_configs=[trace],
        )
        return kopf.AiohttpSession(
            server=found.server,
            aiohttp_session=session,
            default_namespace=found.default_namespace,
            priority=found.priority,
            expiration=found.expiration,
        )

    async def _on_request(self, _session: aiohttp.ClientSession, _context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        # Of the lists Kopf gets whole objects: it cannot read the `items: null` by which an empty one is told in this form.
        if "watch" in params.url.query and any(params.url.path.endswith(f"/{resource.plural}") for resource in METADATA_ONLY):
            params.headers["Accept"] = accepted(metadata_only=True, many=False)

    async def _on_answer(self, _session: aiohttp.ClientSession, _context: Any, params: aiohttp.TraceRequestEndParams) -> None:
        told = self._roll.answered(params.url.path, params.url.query) if params.response.status == 200 else None
        match told:
            case _, Told.ALL_STAND:
                self._open()
            case place, Told.MISSED:
                log.info("the watch of %s has missed something; all begin anew, and what is not told of again is gone", place)
                self.again()

    async def _on_startup(self, **_: Any) -> None:
        self._begun()

    async def _on_event(self, event: kopf.RawEvent, *, of: Resource, **_: Any) -> None:
        # Metadata alone come as an object of a kind of their own.
        raw = {**event["object"], "apiVersion": of.api_version, "kind": of.kind}
        self._heard(raw, event["type"] == "DELETED")
        shed(raw)  # Kopf holds it for a second or more


def _settings(resources: Sequence[Resource]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.persistence.finalizer = OWN_FINALIZER
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    settings.peering.standalone = True
    settings.scanning.disabled = True  # needs no right to list namespaces and CRDs
    settings.process.ultimate_exiting_timeout = None  # the process sees to its own end
    settings.networking.error_backoffs = Patience()
    settings.queueing.idle_timeout = 1.0
    settings.watching.inactivity_timeout = INACTIVITY_S
    settings.watching.chunk_size = PAGE_OF_CHILDREN
    for resource in resources:
        if labels := labels_of(resource):
            group, _, version = resource.api_version.rpartition("/")
            settings.watching.label_selectors[group, version, resource.plural] = labels
    return settings


def labels_of(resource: Resource) -> str | None:
    """By which objects of a kind are chosen that are watched."""
    return None if resource in (JOB_RESOURCE, PRESET_RESOURCE) else JOB_LABEL
