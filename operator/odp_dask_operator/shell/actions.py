"""Carries a decision out on the API server, in its order, up to the first refusal."""

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from odp_dask_operator.core.decision import Application, Removal
from odp_dask_operator.core.desired import applied, manifest
from odp_dask_operator.core.names import JOB_RESOURCE, Child, Names
from odp_dask_operator.core.observed import Refusal
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.reconcile import Step
from odp_dask_operator.shell.api import Api
from odp_dask_operator.shell.certificates import new_certificate
from odp_dask_operator.shell.errors import AlreadyExists, ApiError, Conflict, NotFound, Refused, Unavailable
from odp_dask_operator.shell.line import Key
from odp_dask_operator.shell.world import World, job_of
from odp_dask_operator.spec.meta import format_time

_UNSEEN = (Child.CONFIG_MAP, Child.SECRET)
INTERNAL = 500
"""Of a server that cannot do this one thing now, such as find an address for a Service; others are of one that can do nothing."""
_OF_DASK = (Child.CLUSTER, Child.AUTOSCALER)
_MAKERS = (Child.JOB, *_OF_DASK)
"""Children of which others make pods."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How far a decision was carried out."""

    refusal: Refusal | None = None
    obstacles: tuple[dict[str, Any], ...] = ()
    """What has the names of objects that were to be made, and no label of the job."""
    dask_gone: bool = False
    """The API server does not know the kinds of the Dask operator."""


@dataclass
class _Tally:
    obstacles: list[dict[str, Any]] = field(default_factory=list)
    dask_gone: bool = False


class Actions:
    """Writes children."""

    def __init__(self, api: Api, world: World, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._world, self.clock = api, world, clock

    async def carry_out(self, step: Step, *, now: datetime.datetime) -> Outcome:
        """Create, apply, delete. Raises ApiError when the server does not answer; what is done by then is seen in the next pass."""
        decision, tally, names = step.decision, _Tally(), step.job.names
        refusal = None
        for children in _together(decision.create):
            refusal = refusal or await self._create_all(step, children, tally, now=now)
        for application in decision.apply:
            refusal = refusal or await self._apply(step, application)
        for removal in decision.delete:
            refusal = refusal or await self._delete(names, removal, now=now)
        return Outcome(refusal, tuple(tally.obstacles), tally.dask_gone)

    async def _create_all(self, step: Step, children: Sequence[Child], tally: _Tally, *, now: datetime.datetime) -> Refusal | None:
        """All of them, whatever becomes of one; returns the first that is refused."""
        creates = (self._create(step, child, tally, now=now) for child in children)
        ends = dict(zip(children, await asyncio.gather(*creates, return_exceptions=True), strict=True))
        refusals = [_refusal(child, "create", error) for child, error in ends.items() if error is not None]
        return refusals[0] if refusals else None

    async def _create(self, step: Step, child: Child, tally: _Tally, *, now: datetime.datetime) -> None:
        assert isinstance(step.plan, Plan)
        names = step.job.names
        certificate = new_certificate(names.scheduler, now=now) if child is Child.SECRET else None
        body = manifest(child, step.plan, certificate=certificate, cluster_uid=_cluster_uid(step))
        try:
            made = await self._api.create(child.resource, body)
        except AlreadyExists:
            if child not in _UNSEEN:
                await self._meet(names, child, body["metadata"]["name"], tally)
        except (Conflict, NotFound) as error:
            tally.dask_gone = tally.dask_gone or (child in _OF_DASK and isinstance(error, NotFound))
        else:
            if child not in _UNSEEN:
                self._world.put_own({**_kind(child), **made}, now=self.clock())
            log.debug("made %s %s", child.resource.kind, body["metadata"]["name"], extra=_said(names))

    async def _meet(self, names: Names, child: Child, name: str, tally: _Tally) -> None:
        """What has the name: ours when the watch is late, and if not, something for the next pass to judge."""
        try:
            there = {**_kind(child), **await self._api.get(child.resource, namespace=names.namespace, name=name)}
        except NotFound:
            return
        self._world.put(there)
        if job_of(there) != Key(names.namespace, names.job):
            tally.obstacles.append(there)

    async def _apply(self, step: Step, application: Application) -> Refusal | None:
        assert isinstance(step.plan, Plan)
        child = application.child
        body = applied(child, step.plan, uid=application.uid, cluster_uid=_cluster_uid(step))
        try:
            there = await self._api.apply(child.resource, body)
        except (Conflict, NotFound):
            return None
        except ApiError as error:
            return _refusal(child, "apply", error)
        self._world.put({**_kind(child), **there})
        return None

    async def _delete(self, names: Names, removal: Removal, *, now: datetime.datetime) -> Refusal | None:
        key = Key(names.namespace, names.job)
        try:
            await self._api.delete(removal.resource, namespace=names.namespace, name=removal.name, uid=removal.uid)
        except (Conflict, NotFound) as error:
            if isinstance(error, NotFound) and removal.uid and removal.resource != JOB_RESOURCE:
                self._world.remove_child(key, removal.uid)
            return None
        except Refused as error:
            child = next((child for child in Child if child.resource == removal.resource), Child.JOB)
            return Refusal(child, "delete", error.code, str(error))
        if removal.uid:
            self._world.mark_deleted(key, removal.uid, at=format_time(now))
        log.debug("deleted %s %s", removal.resource.kind, removal.name, extra=_said(names))
        return None


def _together(children: Sequence[Child]) -> Iterator[Sequence[Child]]:
    """First what pods need and what guards them, all at once; then one after the other what makes pods."""
    yield [child for child in children if child not in _MAKERS]
    for child in children:
        if child in _MAKERS:
            yield [child]


def _refusal(child: Child, verb: str, error: BaseException) -> Refusal:
    """The server's no to this one thing. Raises every other error."""
    if isinstance(error, Refused) or (isinstance(error, Unavailable) and error.code == INTERNAL):
        return Refusal(child, verb, error.code, str(error))
    raise error


def _cluster_uid(step: Step) -> str | None:
    return step.observed.child(Child.CLUSTER).uid or None


def _kind(child: Child) -> dict[str, Any]:
    return {"apiVersion": child.resource.api_version, "kind": child.resource.kind}


def _said(names: Names) -> dict[str, str]:
    return {"job": names.job, "namespace": names.namespace, "uid": names.uid}


def unanswered(error: ApiError) -> str:
    """What an error says, for a log line: its class and the server's words."""
    return f"{type(error).__name__} ({error.code or 'no answer'}): {error}"
