"""Answers the kubelet: alive while the resync comes round, ready when the watches have told of everything."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Health:
    """What the probes are answered from; `clock` in seconds."""

    clock: Callable[[], float]
    overdue_after_s: float
    """A resync or a watch that has not come round for so long never will."""
    synced: bool = False
    """The watches have told of all that is there."""
    reachable: bool = False
    """The API server answered the last resync."""
    _round_at: float = field(init=False)
    _deaf_since: float = field(init=False)

    def __post_init__(self) -> None:
        self._round_at = self._deaf_since = self.clock()

    def begun(self) -> None:
        """The watches begin, once more."""
        self.synced, self._deaf_since = False, self.clock()

    def resynced(self, *, reachable: bool) -> None:
        """A resync has ended. A server that does not answer is no reason to begin this process anew."""
        self._round_at = self.clock()
        if not (reachable and self.reachable):
            self._deaf_since = self._round_at
        self.reachable = reachable

    def ill(self) -> str | None:
        """Why this process should be ended."""
        late, deaf = self.clock() - self._round_at, self.clock() - self._deaf_since
        if late > self.overdue_after_s:
            return f"the resync is overdue: the last one was {late:.0f} s ago"
        if not self.synced and deaf > self.overdue_after_s:
            return f"the watches have not told of everything for {deaf:.0f} s, though the API server answers"
        return None

    def unready(self) -> str | None:
        """Why this process is of no use yet."""
        if not self.reachable:
            return "the API server does not answer"
        return None if self.synced else "the watches have not told of everything yet"


async def serve_probes(health: Health, *, port: int) -> web.AppRunner:
    """/healthz and /readyz; to be cleaned up."""

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(health.ill())

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(health.unready())

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _answer(fault: str | None) -> web.Response:
    return web.Response(text=fault or "ok", status=503 if fault else 200)
