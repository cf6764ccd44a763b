"""Runs the operator: watches, resync, Lease and workers, until it is told to stop."""

import asyncio
import contextlib
import datetime
import logging
import time
from collections.abc import Iterator, Sequence

from prometheus_client import start_http_server

from odp_dask_operator.core.names import JOB_RESOURCE, Resource
from odp_dask_operator.shell.actions import Actions, unanswered
from odp_dask_operator.shell.api import PAGE, Api
from odp_dask_operator.shell.connection import Connection, connect
from odp_dask_operator.shell.errors import ApiError, NotFound
from odp_dask_operator.shell.lease import TIMEOUT_S, Leadership
from odp_dask_operator.shell.metrics import Metrics
from odp_dask_operator.shell.news import News
from odp_dask_operator.shell.options import Options
from odp_dask_operator.shell.presets import PresetSource
from odp_dask_operator.shell.probes import Health, serve_probes
from odp_dask_operator.shell.progress import ProgressReader
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.reconciler import Reconciler, Surroundings
from odp_dask_operator.shell.retry import RetryPolicy
from odp_dask_operator.shell.watch import DASK_CHILDREN, DASK_VERSION, METADATA_ONLY, PAGE_OF_CHILDREN, Watch, labels_of
from odp_dask_operator.shell.workers import Workers
from odp_dask_operator.shell.world import World

LAST_PASSES_S = 1.0
"""So long the passes under way may take when the process is to end; what they leave undone the next leader does."""
UNSERVED_S = 15.0
"""How often is looked for the Dask operator's kinds while they are not there, and for an API server that does not answer."""
UNKNOWN_S = 2.0
"""How often is looked for the kinds without which nothing works."""
log = logging.getLogger(__name__)


class Process:
    """One replica."""

    def __init__(self, options: Options, connection: Connection, stop: asyncio.Event) -> None:
        self._options, self._metrics, self._world, self._queue = options, Metrics(), World(), Queue()
        self._stop, self._may_write, self._look, self._resign = stop, asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._dask_served = self._watching = False
        self._times_begun = 0
        self._metrics.queue_depth.set_function(lambda: len(self._queue))
        self._health = Health(time.monotonic, overdue_after_s=3.0 * options.resync_seconds + 60)
        self._api = Api(connection, counted=self._metrics.count_call)
        brief = Api(connection, timeout_s=TIMEOUT_S, counted=self._metrics.count_call, policy=RetryPolicy(attempts=1))
        self._leadership = Leadership(
            brief, namespace=options.settings.namespace, name=options.lease_name, me=options.identity, changed=self._lead
        )
        self._news = News(self._world, self._queue, wanted=lambda: self._leadership.leads and self._health.synced)
        self._watch = Watch(
            namespaces=options.namespaces,
            heard=self._news.heard,
            begun=self._begun,
            open_=self._all_open,
        )
        self._progress = ProgressReader()
        self._workers = Workers(
            self._queue, self._reconciler(), lane=self._news.lane, metrics=self._metrics, may_write=self._may_write
        )

    async def run(self) -> None:
        """Until it is told to stop. Raises what ends it before."""
        options = self._options
        probes = await serve_probes(self._health, port=options.health_port)
        metrics, _thread = start_http_server(options.metrics_port, registry=self._metrics.registry)
        try:
            await self._discover()
            tasks = {
                asyncio.create_task(self._watch.run(self._served, self._stop), name="watches"),
                asyncio.create_task(self._resyncs(), name="resync"),
                asyncio.create_task(self._leadership.run(self._resign), name="lease"),
                asyncio.create_task(self._workers.run(options.workers), name="workers"),
            }
            stopped = asyncio.create_task(self._stop.wait(), name="stop")
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                log.log(
                    logging.ERROR if task.exception() else logging.INFO, "stops: %s", task.get_name(), exc_info=task.exception()
                )
            await self._end(tasks)
            for task in done:
                task.result()
        finally:
            metrics.shutdown()
            await asyncio.gather(probes.cleanup(), self._progress.close())

    async def _end(self, tasks: set[asyncio.Task[None]]) -> None:
        """The passes first, then the Lease, so that another replica may begin; the watches last."""
        self._may_write.clear()
        by_name = {task.get_name(): task for task in tasks}
        deadline = time.monotonic() + LAST_PASSES_S
        while self._workers.busy and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        by_name["workers"].cancel()
        self._stop.set()
        self._resign.set()
        await asyncio.wait({by_name["lease"]}, timeout=2 * TIMEOUT_S)
        self._watch.again()
        by_name["resync"].cancel()
        await asyncio.wait(tasks, timeout=5.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reconciler(self) -> Reconciler:
        options = self._options
        presets = PresetSource(
            self._api, self._world, operator_namespace=options.settings.namespace, watched=options.watches_presets
        )
        around = Surroundings(
            presets=presets.find,
            progress=self._progress.read,
            dask_served=lambda: self._dask_served,
            dask_gone=self._dask_gone,
            today=lambda: datetime.datetime.now(datetime.UTC),
        )
        actions = Actions(self._api, self._world)
        return Reconciler(
            self._api, self._world, actions=actions, surroundings=around, settings=options.settings, metrics=self._metrics
        )

    # What is known

    def _begun(self) -> None:
        self._world.clear_children()
        self._watching = False
        self._times_begun += 1
        self._health.begun()
        self._open()

    def _all_open(self) -> None:
        self._watching = True
        self._look.set()

    # Who leads

    def _lead(self, leads: bool) -> None:
        self._metrics.leader.set(int(leads))
        self._open()
        if leads:
            self._look.set()
        else:
            self._queue.clear()

    def _open(self) -> None:
        """Passes are made by a leader that knows of everything."""
        if self._leadership.leads and self._health.synced and not self._stop.is_set():
            self._may_write.set()
        else:
            self._may_write.clear()

    # The resync

    async def _resyncs(self) -> None:
        while True:
            pause: float = self._options.resync_seconds
            self._look.clear()
            try:
                await self._resync()
                self._health.resynced(reachable=True)
            except ApiError as error:
                log.warning("the resync is put off: %s", unanswered(error))
                self._health.resynced(reachable=False)
                pause = min(pause, UNSERVED_S)
            if not self._dask_served:
                pause = min(pause, UNSERVED_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)

    async def _resync(self) -> None:
        """Reads all jobs, whatever the watches told of them, and has each looked at.

        The first time after all watches stand it reads their objects, too: what changes from then on they tell, so all is known.
        """
        before = {key: raw["metadata"]["uid"] for key in self._world.jobs() if (raw := self._world.job(key))}
        if await self._discover():
            self._watch.again()
        learns, times_begun = self._watching and not self._health.synced, self._times_begun
        self._world.begin_listing()
        there = {uid for resource in (self._watch.resources if learns else (JOB_RESOURCE,)) for uid in await self._list(resource)}
        for key, uid in before.items():
            if uid not in there:
                self._world.remove_job(key, uid=uid)
        if learns and times_begun == self._times_begun:
            self._health.synced = True
            self._open()
        self._metrics.set_jobs(self._phases())
        self._news.look_at_all()

    async def _list(self, resource: Resource) -> set[str]:
        """Puts all objects of a kind into the world; returns their UIDs."""
        there: set[str] = set()
        limit = PAGE if resource == JOB_RESOURCE else PAGE_OF_CHILDREN
        for namespace in self._options.namespaces or (None,):
            brief = resource in METADATA_ONLY
            async for page in self._api.pages(resource, namespace, labels=labels_of(resource), limit=limit, metadata_only=brief):
                there.update(raw["metadata"]["uid"] for raw in page)
                for raw in page:
                    self._world.put(raw)
        return there

    def _phases(self) -> Iterator[str]:
        for key in self._world.jobs():
            yield ((self._world.job(key) or {}).get("status") or {}).get("phase") or ""

    async def _served(self, always: Sequence[Resource]) -> Sequence[Resource]:
        while unknown := await self._unknown(always):
            log.warning("waits until the API server knows %s", ", ".join(sorted(unknown)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), UNKNOWN_S)
                break
        return DASK_CHILDREN if self._dask_served else ()

    async def _unknown(self, resources: Sequence[Resource]) -> set[str]:
        """Those of the kinds that the API server does not know, or cannot say that it knows."""
        unknown = {resource.kind for resource in resources}
        for version in {resource.api_version for resource in resources}:
            with contextlib.suppress(ApiError):
                unknown -= await self._api.kinds(version)
        return unknown

    async def _discover(self) -> bool:
        """Whether the kinds of the Dask operator have come or gone since the last look."""
        try:
            served = {resource.kind for resource in DASK_CHILDREN} <= await self._api.kinds(DASK_VERSION)
        except NotFound:
            served = False
        changed, self._dask_served = served != self._dask_served, served
        return changed

    def _dask_gone(self) -> None:
        self._look.set()


async def run(options: Options, stop: asyncio.Event) -> None:
    """The whole life of the process, until `stop`."""
    connection = await connect()
    try:
        await Process(options, connection, stop).run()
    finally:
        await connection.close()
