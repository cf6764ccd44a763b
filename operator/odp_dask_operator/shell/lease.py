"""Holds or waits for the Lease, and says who leads."""

import asyncio
import contextlib
import datetime
import logging
import time
from collections.abc import Callable
from typing import Any

from odp_dask_operator.core.names import Resource
from odp_dask_operator.shell import election
from odp_dask_operator.shell.api import Api
from odp_dask_operator.shell.election import Move, Sighting
from odp_dask_operator.shell.errors import ApiError, Conflict, NotFound

LEASE = Resource("coordination.k8s.io/v1", "Lease", "leases")
TIMEOUT_S = 4.0
"""Of a call; with one attempt each, a leader notices in time that it cannot renew."""
log = logging.getLogger(__name__)


class Leadership:
    """One process's part in the election."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str,
        name: str,
        me: str,
        changed: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._api, self._namespace, self._name, self._me = api, namespace, name, me
        self._changed, self._clock, self._today = changed, clock, today
        self._seen: Sighting | None = None
        self._renewed_at: float | None = None

    @property
    def leads(self) -> bool:
        """Whether this process may write."""
        return self._renewed_at is not None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then another may take over at once."""
        try:
            while not stop.is_set():
                pause = await self.round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await stop.wait()
        finally:
            await self.release()

    async def round(self) -> float:
        """One look at the Lease and one move; returns after how many seconds the next one is due."""
        begun = self._clock()
        try:
            leads = await self._move(begun)
        except ApiError as error:
            log.warning("the Lease %s/%s cannot be read or renewed: %s", self._namespace, self._name, error)
            if self._renewed_at is not None and self._clock() - self._renewed_at >= election.GIVE_UP_AFTER_S:
                self._set(None)
            return election.RETRY_EVERY_S
        self._set(begun if leads else None)
        return election.RENEW_EVERY_S if leads else election.WATCH_EVERY_S

    async def release(self) -> None:
        """Gives the Lease back, if this process has it."""
        if not self.leads:
            return
        self._set(None)
        try:
            lease = await self._api.get(LEASE, namespace=self._namespace, name=self._name)
            if lease["spec"].get("holderIdentity") == self._me:
                await self._write(lease, election.released_spec())
        except ApiError as error:
            log.warning("the Lease %s/%s cannot be released and runs out: %s", self._namespace, self._name, error)

    async def _move(self, now: float) -> bool:
        try:
            lease: dict[str, Any] | None = await self._api.get(LEASE, namespace=self._namespace, name=self._name)
        except NotFound:
            lease = None
        self._seen = election.look(lease, self._seen, now=now)
        if election.move(self._seen, me=self._me, now=now) is Move.WAIT:
            return False
        try:
            written = await self._write(lease, election.lease_spec(lease, me=self._me, now=self._today()))
        except Conflict:
            return False  # another was quicker
        self._seen = election.look(written, self._seen, now=now)
        return True

    async def _write(self, lease: dict[str, Any] | None, spec: dict[str, Any]) -> dict[str, Any]:
        if lease is None:
            meta = {"name": self._name, "namespace": self._namespace}
            return await self._api.create(
                LEASE, {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}
            )
        body = {"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": spec}
        return await self._api.patch(LEASE, body, namespace=self._namespace, name=self._name)

    def _set(self, renewed_at: float | None) -> None:
        before, self._renewed_at = self.leads, renewed_at
        if before != self.leads:
            log.info("%s the Lease %s/%s", "holds" if self.leads else "does not hold", self._namespace, self._name)
            self._changed(self.leads)
