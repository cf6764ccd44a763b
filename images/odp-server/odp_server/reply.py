"""Writes the body of a reply to a socket: chunked or until the connection closes, at full speed or at a set bandwidth."""

import os
import socket
import time
from collections.abc import Callable

import pyarrow as pa

_MORE: int = getattr(socket, "MSG_MORE", 0)
"""Lets the head of a chunk share a packet with its data, where the system knows how."""
_SMALL_BYTES = 1 << 16
_PIECE_S = 0.0125
"""A paced stream is sent in pieces of so many seconds' worth."""
_BURST_S = 0.05
"""How far a paced stream that was held up may catch up; a link does not save what was not used."""


class Pacer:
    """Spaces the pieces of one stream so that its bytes flow evenly."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._due = time.monotonic()
        self.piece_bytes = min(max(int(bytes_per_s * _PIECE_S), 1), 1 << 20)

    def sent(self, count: int) -> None:
        """Wait for as long as `count` bytes take."""
        now = time.monotonic()
        self._due = max(self._due, now - _BURST_S) + count / self._bytes_per_s
        if self._due > now:
            time.sleep(self._due - now)


class Body:
    """The body of one reply. Every method raises OSError when the client has gone."""

    def __init__(self, connection: socket.socket, *, chunked: bool, bytes_per_s: float | None = None) -> None:
        self._connection = connection
        self._chunked = chunked
        self._pacer = Pacer(bytes_per_s) if bytes_per_s else None
        self._open_chunk = b""

    def send(self, data: pa.Buffer | bytes) -> None:
        """Send a message from memory."""
        view = memoryview(data)
        head = self._head(len(view))
        if self._pacer is None and len(view) <= _SMALL_BYTES:
            self._connection.sendall(head + bytes(view))
            return
        self._connection.sendall(head, _MORE)
        self._in_pieces(len(view), lambda start, size: self._connection.sendall(view[start : start + size]))

    def send_file(self, fd: int, offset: int, length: int) -> None:
        """Send a message from a file; the kernel copies it."""
        self._connection.sendall(self._head(length), _MORE)
        self._in_pieces(length, lambda start, size: self._copy(fd, offset + start, size))

    def end(self) -> None:
        """Say that the body is whole, where that can be said."""
        if self._chunked:
            self._connection.sendall(self._open_chunk + b"0\r\n\r\n")

    def _head(self, length: int) -> bytes:
        """What precedes a message: the end of the chunk before it and the length of its own."""
        if not self._chunked:
            return b""
        head = self._open_chunk + b"%x\r\n" % length
        self._open_chunk = b"\r\n"
        return head

    def _in_pieces(self, length: int, send: Callable[[int, int], None]) -> None:
        if self._pacer is None:
            send(0, length)
            return
        for start in range(0, length, self._pacer.piece_bytes):
            size = min(self._pacer.piece_bytes, length - start)
            send(start, size)
            self._pacer.sent(size)

    def _copy(self, fd: int, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            sent = os.sendfile(self._connection.fileno(), fd, offset, end - offset)
            if sent == 0:
                raise OSError("a table's temporary file became shorter")
            offset += sent
