"""Stands between the operator and the API server, and lets it see what a test wants it to see. A thread with a loop of its own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from tests.support.apiserver import ApiServer

SESSION = web.AppKey("session", aiohttp.ClientSession)
WRITES = ("POST", "PATCH", "PUT", "DELETE")
Fault = Callable[[int, str, str], web.Response | str | None]
"""Is told number, method and path of a request: an answer instead of the server's, `lost` (done, and not answered), `cut` (not even
done), or None."""


class ApiProxy:
    """Passes requests on, unless `fault` says otherwise; counts the operator's writes beside those of its Lease."""

    def __init__(self, target: str, headers: dict[str, str]) -> None:
        self._target, self._headers = target, headers
        self.fault: Fault = lambda number, method, path: None
        self.writes: list[str] = []
        self._watches: set[asyncio.Task[object]] = set()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_write = request.method in WRITES and "/leases" not in request.path
        number = len(self.writes)
        what = None if "/leases" in request.path else self.fault(number, request.method, request.path)
        if what == "cut":
            return _broken(request)
        if is_write:
            self.writes.append(f"{request.method} {request.path}")
        if isinstance(what, web.Response):
            return what
        headers = {name: request.headers[name] for name in ("Content-Type", "Accept") if name in request.headers} | self._headers
        session = request.app[SESSION]
        url = f"{self._target}{request.raw_path}"
        async with session.request(request.method, url, headers=headers, data=await request.read() or None) as answer:
            if what == "lost":
                await answer.read()
                return _broken(request)
            said = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
            await said.prepare(request)
            task = asyncio.current_task()
            if "watch=true" in request.query_string and task is not None:
                self._watches.add(task)
                task.add_done_callback(self._watches.discard)
            async for part in answer.content.iter_any():
                await said.write(part)
            return said

    def drop_watches(self) -> None:
        """Ends every stream."""
        for task in list(self._watches):
            task.get_loop().call_soon_threadsafe(task.cancel)


def _broken(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@contextmanager
def api_proxy(server: ApiServer, folder: Path) -> Iterator[tuple[ApiProxy, Path]]:
    """The proxy, and a kubeconfig that leads to it."""
    told = {setting["key"]: setting["value"] for setting in server.api.configuration.auth_settings().values()}
    proxy, loop, ready = ApiProxy(server.url, told), asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        trust = ssl.create_default_context(cafile=server.api.configuration.ssl_ca_cert)
        trust.check_hostname = False
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), timeout=aiohttp.ClientTimeout()
        ) as session:
            application = web.Application()
            application[SESSION] = session
            application.router.add_route("*", "/{path:.*}", proxy.handle)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            ready.set()
            await stop.wait()
            await runner.cleanup()
            left = asyncio.all_tasks() - {asyncio.current_task()}  # streams that nobody ended
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        config = yaml.safe_load(server.kubeconfig.read_text())
        for cluster in config["clusters"]:
            cluster["cluster"] = {"server": proxy.url}
        for user in config["users"]:
            user["user"] = {"token": "the proxy has one"}
        file = folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config))
        yield proxy, file
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
