"""Makes one pass over one job: read, decide, act, write the status once, tell."""

import datetime
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from odp_dask_operator.core import waiting
from odp_dask_operator.core.decision import AT_ONCE
from odp_dask_operator.core.names import FIELD_MANAGER, JOB_RESOURCE, Names
from odp_dask_operator.core.notices import Notice
from odp_dask_operator.core.observed import Facts, Refusal
from odp_dask_operator.core.preset import Presets
from odp_dask_operator.core.reconcile import Step, reconcile
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.core.status import to_json
from odp_dask_operator.shell.actions import Actions, unanswered
from odp_dask_operator.shell.api import Api
from odp_dask_operator.shell.errors import ApiError, Conflict, NotFound
from odp_dask_operator.shell.events import EVENT, EventReader
from odp_dask_operator.shell.line import Key
from odp_dask_operator.shell.merge import merge_patch
from odp_dask_operator.shell.metrics import Metrics
from odp_dask_operator.shell.world import World
from odp_dask_operator.spec import Phase, Reason
from odp_dask_operator.spec.meta import format_time

AFTER_WRITES = datetime.timedelta(seconds=1)
ASKED_S = 2.5
"""So long a loader is not asked again, however often its job is looked at."""
Raw = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass
class _Memory:
    """What one pass leaves to the next; losing it costs a request."""

    uid: str
    refusal: Refusal | None = None
    obstacles: tuple[Raw, ...] = ()
    asked_at: float = -ASKED_S
    """When its loader was asked how far it is."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the facts of a pass come from, beside the world."""

    presets: Callable[[str], Awaitable[Presets]]
    """The presets that a job of a namespace can name."""
    progress: Callable[[str], Awaitable[bytes | None]]
    dask_served: Callable[[], bool]
    dask_gone: Callable[[], None]
    """To be told when the API server does not know the kinds of the Dask operator."""
    today: Callable[[], datetime.datetime]


class Reconciler:
    """Passes over jobs; the caller sees to it that there is never more than one over the same job."""

    def __init__(
        self, api: Api, world: World, *, actions: Actions, surroundings: Surroundings, settings: Settings, metrics: Metrics
    ) -> None:
        self._api, self._world, self._actions = api, world, actions
        self._around, self._settings, self._metrics = surroundings, settings, metrics
        self._memories: dict[Key, _Memory] = {}
        self._events = EventReader(api, clock=actions.clock)

    async def run_pass(self, key: Key) -> datetime.timedelta | None:
        """One pass; returns when the next one is due though nothing is heard. Raises ApiError."""
        raw = self._world.job(key)
        if raw is None:
            self._memories.pop(key, None)
            return None
        memory = self._memory(key, raw["metadata"]["uid"])
        refused = memory.refusal
        step, now = await self._step(key, raw, memory)
        outcome = await self._actions.carry_out(step, now=now)
        if outcome.dask_gone:
            self._around.dask_gone()
        memory.refusal, memory.obstacles = outcome.refusal, outcome.obstacles
        try:
            await self._write_status(raw, step, now=now)
        except Conflict:
            return await self._read_again(key, step.job.names)
        except NotFound:
            self._world.remove_job(key, uid=step.job.names.uid)
            return None
        if outcome.obstacles or (outcome.refusal is not None and outcome.refusal != refused):
            return AT_ONCE
        again = step.decision.requeue_after
        if outcome.refusal is not None or not step.decision.writes:
            return again
        # It was decided by what was there before; what there is to wait for shows once it is done.
        return AFTER_WRITES if again is None else min(again, AFTER_WRITES)

    async def report_fault(self, key: Key, error: Exception) -> None:
        """Says in the status and an Event that this program failed on the job. The next pass that works says otherwise."""
        raw = self._world.job(key)
        if raw is None:
            return
        now = self._around.today()
        message = f"the operator cannot go on with this job: {type(error).__name__}; it keeps trying, and its log says more"
        words = {"reason": Reason.INTERNAL_ERROR.value, "message": message}
        before: Raw = raw.get("status") or {}
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": format_time(now), **words}
        others = [condition for condition in before.get("conditions") or () if condition["type"] != "Ready"]
        after = {**before, **words, "conditions": [ready, *others]}
        if (before.get("reason"), before.get("message")) == (words["reason"], words["message"]):
            return
        await self._patch_status(raw, after)
        await self._tell(_reference(raw), Notice(True, words["reason"], message), now=now)

    def _memory(self, key: Key, uid: str) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = _Memory(uid)
        return memory

    async def _step(self, key: Key, raw: Raw, memory: _Memory) -> tuple[Step, datetime.datetime]:
        """The step by what is known, and again when Events or the loader's progress are worth a question."""
        presets = await self._around.presets(key.namespace)
        now = self._around.today()
        facts = Facts(
            objects=(*self._world.children(key, now=self._actions.clock()), *memory.obstacles),
            dask_served=self._around.dask_served(),
            dask_seen_at=self._world.dask_seen_at,
            refusal=memory.refusal,
        )
        step = reconcile(raw, facts, presets=presets, settings=self._settings, now=now)
        if step.job.end is not None or step.job.deleting:
            return step, now
        uids, url = waiting.events_wanted(step.observed, now=now), waiting.progress_url(step.observed)
        if self._actions.clock() - memory.asked_at < ASKED_S:
            url = None
        if not uids and url is None:
            return step, now
        events = await self._events.about(uids, namespace=key.namespace)
        progress = None
        if url is not None:
            memory.asked_at, progress = self._actions.clock(), await self._around.progress(url)
        if not events and progress is None:
            return step, now
        asked = replace(facts, events=events, progress=progress)
        now = self._around.today()
        return reconcile(raw, asked, presets=presets, settings=self._settings, now=now), now

    async def _write_status(self, raw: Raw, step: Step, *, now: datetime.datetime) -> None:
        """Once, when it differs; then the Events about the difference."""
        if step.status == step.job.status:
            return
        await self._patch_status(raw, to_json(step.status))
        self._say(step)
        for notice in step.notices:
            await self._tell(_reference(raw), notice, now=now)

    async def _patch_status(self, raw: Raw, after: Raw) -> None:
        meta = raw["metadata"]
        changes = merge_patch(raw.get("status") or {}, after)
        # The version keeps a status that was decided by old news from being written over a newer one.
        body = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}, "status": changes}
        written = await self._api.patch(JOB_RESOURCE, body, namespace=meta["namespace"], name=meta["name"], subresource="status")
        self._world.put(written)

    async def _read_again(self, key: Key, names: Names) -> datetime.timedelta | None:
        try:
            self._world.put(await self._api.get(JOB_RESOURCE, namespace=key.namespace, name=key.name))
        except NotFound:
            self._world.remove_job(key, uid=names.uid)
            return None
        return AT_ONCE

    async def _tell(self, about: Raw, notice: Notice, *, now: datetime.datetime) -> None:
        """An Event; its name makes a second one about the same impossible. Losing it fails nothing."""
        said = f"{about['uid']}/{notice.reason}/{notice.message}"
        digest = hashlib.sha256(said.encode()).hexdigest()[:16]
        time = format_time(now)
        body = {
            "apiVersion": "v1",
            "kind": EVENT.kind,
            "metadata": {"name": f"{about['name']}.{digest}", "namespace": about["namespace"]},
            "involvedObject": about,
            "reason": notice.reason,
            "message": notice.message,
            "type": "Warning" if notice.warning else "Normal",
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        try:
            await self._api.create(EVENT, body)
        except Conflict:
            return
        except ApiError as error:
            log.warning("an Event about %s/%s is lost: %s", about["namespace"], about["name"], unanswered(error))

    def _say(self, step: Step) -> None:
        before, after, names = step.job.status, step.status, step.job.names
        if (before.phase, before.reason) == (after.phase, after.reason):
            return
        if after.phase is Phase.FAILED and before.phase is not Phase.FAILED:
            self._metrics.failures.labels(after.reason or "").inc()
        level = logging.WARNING if any(notice.warning for notice in step.notices) else logging.INFO
        said = {"job": names.job, "namespace": names.namespace, "uid": names.uid}
        log.log(level, "%s, %s: %s", after.phase, after.reason, after.message, extra=said)


def _reference(raw: Raw) -> Raw:
    meta = raw["metadata"]
    found = {name: meta[name] for name in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": JOB_RESOURCE.api_version, "kind": JOB_RESOURCE.kind, **found}
