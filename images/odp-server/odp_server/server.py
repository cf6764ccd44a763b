"""Speaks HTTP/1.1 on a socket: reads requests, hands them to the service, writes its replies."""

import contextlib
import json
import select
import socket
import socketserver
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from odp_server.control import Control
from odp_server.counters import Outcome
from odp_server.disturb import HangUp, Pause
from odp_server.messages import END_OF_STREAM, schema_message
from odp_server.protocol import Refusal
from odp_server.reply import Body
from odp_server.service import ArrowStream, Json, Reply, Service
from odp_server.tables import Batch

_CATALOG = "/api/catalog/v2/datasets"
_TABLE = "/api/table/v2/"
_CONTROL = "/control/"
_WRITES = frozenset({"begin", "commit", "drop", "truncate", "sdk/alter", "sdk/create", "sdk/insert", "sdk/replace"})
"""What odp-sdk 0.28.10 asks for to change a table; files beside tables are below raw/."""
_LARGEST_BODY = 1 << 28
_STREAM_TYPE = "application/vnd.apache.arrow.stream"


class Server(socketserver.ThreadingTCPServer):
    """Listens on an address; one thread per connection."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], service: Service, control: Control | None) -> None:
        """Bind the address; port 0 takes a free one. `control` is None when there is no control endpoint."""
        self.service = service
        self.control = control
        super().__init__(address, Handler)

    @property
    def on_all_addresses(self) -> bool:
        """Whether other machines reach it by whatever address this one has for them."""
        return self.server_address[0] == "0.0.0.0"  # noqa: S104 # compared, not bound

    @property
    def url(self) -> str:
        """Where clients on this machine reach it."""
        host, port = self.server_address[:2]
        return f"http://{'127.0.0.1' if self.on_all_addresses else host!s}:{port}"


class Handler(BaseHTTPRequestHandler):
    """One connection and the requests it brings."""

    protocol_version = "HTTP/1.1"
    server: Server
    connection: socket.socket

    def setup(self) -> None:
        """Send every piece at once: replies are written in pieces that are meant."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        """Answer requests until the client leaves, as it may at any moment."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer("GET")

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the name it is called with
        """Keep quiet: the counters say what was asked."""

    def _answer(self, method: str) -> None:
        try:
            self._send(self._reply(method))
        except Refusal as refusal:
            self._refuse(refusal)

    def _reply(self, method: str) -> Reply:
        body = self._body()
        url = urlsplit(self.path)
        parameters = {name: values[-1] for name, values in parse_qs(url.query).items()}
        service = self.server.service
        service.check_key(self.headers.get("Authorization", ""))
        table = parameters.get("table_id", "")
        match method, url.path.removeprefix(_TABLE):
            case "GET", path if path == _CATALOG:
                return service.datasets()
            case "GET", path if path.startswith(f"{_CATALOG}/"):
                return service.dataset(path.removeprefix(f"{_CATALOG}/"))
            case "POST", "stats":
                return service.statistics(table)
            case "POST", "sdk/select":
                return service.select(table, body)
            case "POST", "sdk/aggregate":
                return service.aggregate(table, body)
            case "POST", path if path in _WRITES or path.startswith("raw/") or path == _CATALOG:
                raise Refusal(HTTPStatus.FORBIDDEN, "this server only reads tables; it writes nothing and holds no raw files")
            case "POST", "analyze":
                raise Refusal(HTTPStatus.NOT_IMPLEMENTED, "this server does not analyze tables; `stats` has rows, bounds and nulls")
            case _, path if path.startswith(_CONTROL) and self.server.control is not None:
                return self.server.control.reply(method, path.removeprefix(_CONTROL), parameters, body)
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {method} {url.path} here")

    def _body(self) -> bytes:
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if "Transfer-Encoding" in self.headers or not 0 <= length <= _LARGEST_BODY:
            self.close_connection = True
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send a body with a Content-Length of at most {_LARGEST_BODY}")
        return self.rfile.read(length)

    def _refuse(self, refusal: Refusal) -> None:
        text = b"" if refusal.status == HTTPStatus.NO_CONTENT else refusal.text.encode()
        self._send_head(refusal.status, {"Content-Type": "text/plain; charset=utf-8", **refusal.headers}, length=len(text))
        self.connection.sendall(text)

    def _send(self, reply: Reply) -> None:
        match reply:
            case Json():
                text = json.dumps(reply.document, allow_nan=False).encode()
                self._send_head(HTTPStatus.OK, {"Content-Type": "application/json"}, length=len(text))
                self.connection.sendall(text)
            case ArrowStream():
                self._send_stream(reply)

    def _send_head(self, status: int, headers: Mapping[str, str], *, length: int | None) -> None:
        """Send status and headers; without a length the body is chunked, or closes the connection."""
        if not self.path.startswith(_CONTROL):
            self.server.service.counters.answered(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None and status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        elif length is None:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_stream(self, reply: ArrowStream) -> None:
        settings = self.server.service.settings
        chunked = not settings.close_delimited and self.request_version != "HTTP/1.0"
        self.close_connection = self.close_connection or not chunked
        whole = False
        try:
            self._send_head(HTTPStatus.OK, {"Content-Type": _STREAM_TYPE}, length=None)
            body = Body(self.connection, chunked=chunked, bytes_per_s=settings.bytes_per_s)
            whole = self._send_steps(reply, body)
        except ConnectionError:
            self._end(reply, "left")
            raise
        finally:
            self._end(reply, "finished" if whole else "cut")
        if not whole:
            self.close_connection = True
            return
        if settings.end_of_stream:
            body.send(END_OF_STREAM)
        body.end()

    def _send_steps(self, reply: ArrowStream, body: Body) -> bool:
        """Send the schema and all messages; whether none was cut off."""
        body.send(schema_message(reply.schema))
        for step in reply.steps:
            match step:
                case Pause():
                    self._pause(step.seconds)
                    continue
                case HangUp():
                    return False
            if step.outcome is not None:
                self._end(reply, step.outcome)
            if isinstance(step.data, Batch):
                body.send_file(reply.fd, step.data.offset, step.data.length)
            else:
                body.send(step.data)
            if reply.record is not None:
                reply.record.rows += step.rows
                reply.record.bytes += step.size
        return True

    def _end(self, reply: ArrowStream, outcome: Outcome) -> None:
        """End a select before its last bytes: who has read them may ask again at once, and is not to find it still running."""
        if reply.record is not None:
            self.server.service.counters.end(reply.record, outcome)

    def _pause(self, seconds: float) -> None:
        """Wait, for as long as the client does."""
        waiting = select.poll()
        waiting.register(self.connection, select.POLLIN)
        if waiting.poll(seconds * 1000) and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError("the client left")
