"""A browser without a window, over Chromium's DevTools protocol: what a Dask dashboard draws, in words and as a picture."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.e2e.eventually import eventually

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_TITLES = """(() => {
  if (!window.Bokeh || !Bokeh.documents.length) return [];
  const models = Bokeh.documents.flatMap(document => [...document._all_models.values()]);
  return models.filter(model => model.type === "Title").map(model => model.text);
})()"""
"""Bokeh draws on a canvas: what it draws is asked of its models, which it has once the server has answered by WebSocket."""


@dataclass
class Browser:
    """One tab."""

    socket: websocket.WebSocket
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def plots(self, url: str, file: Path, *, shows: str) -> None:
        """Opens a page of Dask's dashboard, waits until a plot of this title is drawn, and keeps a picture."""
        self.call("Page.navigate", url=url)
        eventually(lambda: any(shows in title for title in self.evaluate(_TITLES)), f"{url} shows {shows!r}")
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value") or []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command; events that come in between are passed over."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message}"
                return message["result"]  # type: ignore[no-any-return]


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium that ends with the block. Skips the test where there is none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no Chromium: `apt-get install chromium` brings it")
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1600,1000"]
        flags += ["--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield Browser(_tab(process))
            finally:
                process.kill()


def _tab(process: subprocess.Popen[str]) -> websocket.WebSocket:
    """Chromium says where it listens, and lists its tabs there."""
    assert process.stderr is not None
    line = next(line for line in process.stderr if line.startswith("DevTools listening on"))
    threading.Thread(target=process.stderr.read, daemon=True).start()  # so that it never waits for a reader
    address = line.split("ws://")[1].split("/")[0]
    tabs = requests.get(f"http://{address}/json/list", timeout=30).json()
    url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return websocket.create_connection(url, timeout=300, suppress_origin=True)
