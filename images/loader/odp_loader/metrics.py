"""Serves a load's progress over HTTP while it runs: /progress (JSON), /metrics (Prometheus) and /healthz."""

import datetime
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from odp_loader.progress import Progress, Stage

DEFAULT_PORT = 8080
_CONNECTIONS = 16
"""Requests answered at once; whoever comes on top is hung up on."""
_REQUEST_TIMEOUT_S = 5.0
_NAMED_WORKERS = 100
"""Failures are told for so many workers by name; a load that loses more has the rest under `other`."""


def progress_to_json(progress: Progress) -> dict[str, Any]:
    """`status.progress` of a job, and beside it what the status has no room for: stage, failures by worker and more.

    `table` is what `scale: auto` is decided by: rows and Arrow bytes that the load is going to read, null until it is planned.
    """
    eta = progress.eta_seconds
    updated_at = datetime.datetime.fromtimestamp(progress.updated_at, datetime.UTC)
    return {
        "percent": progress.percent,
        "partitions": {"done": progress.partitions_done, "total": progress.partitions_total},
        "rows": progress.rows,
        "bytes": progress.bytes,
        "rowsPerSecond": round(progress.rows_per_second),
        "etaSeconds": None if eta is None else round(eta),
        "updatedAt": updated_at.strftime("%Y-%m-%dT%H:%M:%SZ") if progress.updated_at else None,
        "stage": progress.stage.value,
        "table": None if progress.rows_expected is None else {"rows": progress.rows_expected, "bytes": progress.bytes_expected},
        "rowsExpected": progress.rows_expected,
        "bytesPerSecond": round(progress.bytes_per_second),
        "elapsedSeconds": round(progress.elapsed_seconds),
        "failures": _most_failures(progress),
        "throttled": progress.throttled,
        "workers": progress.workers,
    }


class ProgressServer:
    """An observer that answers HTTP from the latest snapshot, in threads of its own. Use it as a context manager.

    A load never depends on it: when the port cannot be had, `address` is None and `notice` says why. Port 0 takes a free
    one. It has no authentication, so it knows nothing but the snapshot.
    """

    def __init__(self, port: int = DEFAULT_PORT, host: str = "127.0.0.1") -> None:
        self._port = port
        self._host = host
        self._latest = Progress()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.address: str | None = None
        """`http://host:port` while it serves."""
        self.notice = "progress and metrics are not served yet"
        """One sentence for the person who watches: where progress and metrics are, or why they are not served."""

    def start(self) -> None:
        """Begin to listen; never raises for a port or host that cannot be had."""
        registry = CollectorRegistry()
        registry.register(_LoadCollector(self))
        try:
            self._server = _Server(self._host, self._port, source=self, registry=registry)
        except (OSError, OverflowError) as error:  # the latter for a port above 65535
            cause = getattr(error, "strerror", None) or error
            self.notice = (
                f"progress and metrics are not served: port {self._port} of {self._host}: {cause}; the load goes on without them"
            )
            return
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.address = f"http://{host}:{self._server.server_address[1]}"
        self.notice = f"progress is served at {self.address}/progress, metrics at {self.address}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="progress-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; may be called twice."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
        self._server, self._thread, self.address = None, None, None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def latest(self) -> Progress:
        """The snapshot that requests are answered from."""
        return self._latest

    def progress(self, progress: Progress) -> None:
        """Answer from this snapshot from now on."""
        self._latest = progress

    def note(self, message: str) -> None:
        """Ignored: notes are for the log."""


class _LoadCollector(Collector):
    """Reads the latest snapshot whenever it is scraped, so that no metric is older than another."""

    def __init__(self, server: ProgressServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        now = self._server.latest
        for name, meaning, value in (
            ("partitions", "Partitions of the plan", now.partitions_total),
            ("partitions_done", "Partitions finished", now.partitions_done),
            ("rows", "Rows read, those of unfinished partitions included", now.rows),
            ("rows_expected", "Rows that the source says the query has", now.rows_expected),
            ("bytes", "Arrow bytes read", now.bytes),
            ("rows_per_second", "Rows read per second over the last ten seconds", now.rows_per_second),
            ("bytes_per_second", "Arrow bytes read per second over the last ten seconds", now.bytes_per_second),
            ("eta_seconds", "Seconds until the last row is read", now.eta_seconds),
            ("workers", "Dask workers connected", now.workers),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"odp_load_{name}", meaning, value)
        stage = GaugeMetricFamily("odp_load_stage", "1 for what the load is doing", labels=["stage"])
        for each in Stage:
            stage.add_metric([each.value], float(each is now.stage))
        yield stage
        failures = CounterMetricFamily("odp_load_failures", "Failed attempts at partitions", labels=["worker"])
        for worker, count in _most_failures(now).items():
            failures.add_metric([worker], count)
        yield failures
        yield CounterMetricFamily("odp_load_throttled", "Answers 429 of the server", now.throttled)


class _Handler(BaseHTTPRequestHandler):
    """Three paths, GET only; the connection is closed after one answer."""

    server: "_Server"
    server_version = "odp-loader"
    sys_version = ""
    timeout = _REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/progress":
                document = progress_to_json(self.server.source.latest)
                self._answer(json.dumps(document, allow_nan=False).encode(), "application/json")
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(encode(self.server.registry), content_type)
            case "/healthz":
                self._answer(b"ok\n", "text/plain; charset=utf-8")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND, explain="There are /progress, /metrics and /healthz.")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        """Say nothing: probes and scrapes come every few seconds."""


class _Server(socketserver.ThreadingTCPServer):
    """A threading server with a bound. Not `HTTPServer`: that one asks DNS for its own name, which can take seconds in a pod."""

    allow_reuse_address = True
    request_queue_size = 2 * _CONNECTIONS
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, *, source: ProgressServer, registry: CollectorRegistry) -> None:
        self.source = source
        self.registry = registry
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is not the load's business."""


def _most_failures(progress: Progress) -> dict[str, int]:
    ordered = sorted(progress.failures.items(), key=lambda item: (-item[1], item[0]))
    named = dict(ordered[:_NAMED_WORKERS])
    rest = sum(count for _, count in ordered[_NAMED_WORKERS:])
    return {**named, "other": rest} if rest else named
