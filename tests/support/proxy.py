"""Stands between a client and a server, and cuts the connection where a test wants it cut.

It is a process of its own: a client that holds Python's lock while it waits for an answer would wait for a thread for ever.
"""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"(?:GET|HEAD|PUT|POST|DELETE) \S+")


class CuttingProxy:
    """Passes HTTP through; a connection on which a request line matches `cut` ends there, its request unanswered."""

    def __init__(self, folder: Path) -> None:
        self._cut = folder / "cut"
        self._requests = folder / "requests"
        self.endpoint = ""
        self.cut = None

    @property
    def cut(self) -> str | None:
        """A regular expression over `METHOD /path?query`."""
        return self._cut.read_text() or None

    @cut.setter
    def cut(self, pattern: str | None) -> None:
        self._cut.write_text(pattern or "")

    @property
    def requests(self) -> list[str]:
        """All requests that came by, cut ones included."""
        return self._requests.read_text().splitlines() if self._requests.exists() else []


@contextmanager
def cutting_proxy(target: str, folder: Path) -> Iterator[CuttingProxy]:
    """A proxy in front of the server at the url `target`; what it is told and what it sees are files in `folder`."""
    folder.mkdir()
    proxy = CuttingProxy(folder)
    process = subprocess.Popen([sys.executable, __file__, target, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        proxy.endpoint = process.stdout.readline().strip()
        yield proxy
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def _serve(target: str, folder: Path) -> None:
    parts = urlsplit(target)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 # to the test
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((parts.hostname, parts.port))
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=_pass_on, args=(source, sink, folder if source is client else None), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, folder: Path | None) -> None:
    try:
        while data := source.recv(65536):
            if folder is not None and (found := _REQUEST.match(data)):
                request = found[0].decode()
                with (folder / "requests").open("a") as log:
                    log.write(f"{request}\n")
                if (cut := (folder / "cut").read_text()) and re.search(cut, request):
                    break
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                end.close()


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
