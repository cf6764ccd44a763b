"""Servers that are none: an address where nobody listens, and one that answers anything with the same words."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nobody() -> Iterator[str]:
    """`host:port` that refuses connections, and that no other program gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        yield _address(taken)


@contextmanager
def parrot(words: bytes) -> Iterator[str]:
    """`host:port` that answers its first connection with `words`, whatever it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield _address(server)
        finally:
            thread.join()


def _address(there: socket.socket) -> str:
    host, port = there.getsockname()
    return f"{host}:{port}"
