"""Plays scheduler and kubelets: pods wait unscheduled, or run, become ready and, those that do the work, end after a while."""

import contextlib
import datetime
import heapq
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.operator.crowd import NAMESPACE
from odp_dask_operator.core.names import COMPONENT_LABEL, DASK_CLUSTER_LABEL, DASK_COMPONENT_LABEL, LOADER, PROGRESS_PORT
from tests.support.apiserver import ApiServer
from tests.support.fake_controllers import LAST_WORD

ADDRESS = "127.77.0.1"
"""Of every pod; the whole of 127/8 is this machine."""
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
LOOK_EVERY_S = 0.25
Raw = dict[str, Any]


class Nodes:
    """Level-based: looks at the pods that are pending, again and again."""

    def __init__(self, server: ApiServer, *, run_s: float | None, helpers: int) -> None:
        """`run_s`: how long a loader or runner works once it has `helpers`, its scheduler and workers; None: no pod finds room."""
        self._server, self._run_s, self._helpers = server, run_s, helpers
        self._seen: set[str] = set()
        self._there: Counter[str] = Counter()
        self._idle: dict[str, tuple[str, str]] = {}
        self._ends: list[tuple[float, str, str]] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Until told to stop."""
        while not self.stop.wait(LOOK_EVERY_S):
            for pod in self._new():
                self._meet(pod)
            for due in self._due():
                self._end(due)

    def _new(self) -> list[Raw]:
        pending = self._server.request("GET", PODS, fieldSelector="status.phase=Pending", resourceVersion=0).body["items"]
        new = [pod for pod in pending if pod["metadata"]["uid"] not in self._seen]
        self._seen.update(pod["metadata"]["uid"] for pod in new)
        return new

    def _due(self) -> Iterator[tuple[str, str]]:
        while self._ends and self._ends[0][0] <= time.monotonic():
            _, pod, container = heapq.heappop(self._ends)
            yield pod, container

    def _meet(self, pod: Raw) -> None:
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        if self._run_s is None:
            message = "0/3 nodes are available: 3 Insufficient cpu."
            unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            self._say(name, {"conditions": [{**unscheduled, "lastTransitionTime": _now()}]})
            return
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": _now()} for kind in ("PodScheduled", "Ready")]
        state = {**_container(container), "ready": True, "state": {"running": {"startedAt": _now()}}}
        self._say(
            name,
            {"phase": "Running", "podIP": ADDRESS, "startTime": _now(), "conditions": conditions, "containerStatuses": [state]},
        )
        self._count(pod["metadata"]["labels"], name, container)

    def _count(self, labels: dict[str, str], pod: str, container: str) -> None:
        """Lets a pod that works begin when all of its cluster run."""
        cluster = labels[DASK_CLUSTER_LABEL]
        if works(labels):
            self._idle[cluster] = pod, container
        else:
            self._there[cluster] += 1
        if cluster in self._idle and self._there[cluster] >= self._helpers:
            heapq.heappush(self._ends, (time.monotonic() + (self._run_s or 0.0), *self._idle.pop(cluster)))

    def _end(self, due: tuple[str, str]) -> None:
        name, container = due
        ended = {"exitCode": 0, "startedAt": _now(), "finishedAt": _now(), "reason": "Completed", "message": json.dumps(LAST_WORD)}
        state = {**_container(container), "ready": False, "state": {"terminated": ended}}
        ready = {"type": "Ready", "status": "False", "reason": "PodCompleted", "lastTransitionTime": _now()}
        self._say(name, {"phase": "Succeeded", "conditions": [ready], "containerStatuses": [state]})

    def _say(self, pod: str, status: Raw) -> None:
        """A pod that is gone meanwhile needs no word."""
        patch = "application/strategic-merge-patch+json"
        answer = self._server.request("PATCH", f"{PODS}/{pod}/status", {"status": status}, content_type=patch)
        if answer.status not in (200, 404):
            raise RuntimeError(f"pod {pod}: {answer.body}")


def works(labels: dict[str, str]) -> bool:
    """A loader of ours, or the runner of a DaskJob: it ends by itself."""
    return labels.get(COMPONENT_LABEL) == LOADER or labels.get(DASK_COMPONENT_LABEL) == "job-runner"


def _container(name: str) -> Raw:
    return {"name": name, "image": "example.org/odp-loader:1", "imageID": "example", "restartCount": 0}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Progress(BaseHTTPRequestHandler):
    """Says something else each time, as a loader at work does."""

    def do_GET(self) -> None:  # the library's name
        rows = int(time.time() * 1000) % 10**9
        body = json.dumps(
            {"percent": rows % 100, "partitions": {"done": rows % 100, "total": 100}, "rows": rows, "rowsPerSecond": 1000}
        ).encode()
        with contextlib.suppress(ConnectionError):  # an operator that has much to do asks no longer than two seconds
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        """Nobody reads it."""


@contextmanager
def nodes(server: ApiServer, *, run_s: float | None, helpers: int = 0) -> Iterator[None]:
    """They work until the end of the block, and their loaders tell their progress."""
    fleet = Nodes(server, run_s=run_s, helpers=helpers)
    progress = ThreadingHTTPServer((ADDRESS, PROGRESS_PORT), _Progress)
    progress.daemon_threads = True
    threads = [threading.Thread(target=work) for work in (fleet.run, progress.serve_forever)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        fleet.stop.set()
        progress.shutdown()
        for thread in threads:
            thread.join()
        progress.server_close()
