"""An API server in memory that answers what the test tells it to, or keeps one Lease as the real one would."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from odp_dask_operator.shell.api import Answer, Request


def answer(code: int, body: Any = None, **headers: str) -> Answer:
    """An answer with a JSON body."""
    return Answer(code, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body or {}).encode())


def refusal(code: int, reason: str = "", message: str = "") -> Answer:
    """What the API server says when it says no."""
    return answer(code, {"kind": "Status", "reason": reason, "message": message})


class Told:
    """Answers in this order; an exception is raised. Keeps the requests."""

    def __init__(self, answers: Sequence[Answer | OSError]) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        assert timeout_s > 0
        self.requests.append(request)
        found = self._answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return found


class OneLease:
    """Keeps one object, with versions; `fail` breaks the connection."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.fail = False
        self.between: Callable[[], None] = lambda: None
        """Called before each write: what another does meanwhile."""
        self._version = 0

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        if self.fail:
            raise ConnectionError
        if request.method == "GET":
            return answer(200, self.lease) if self.lease else refusal(404, "NotFound")
        self.between()
        body = request.body or {}
        if request.method == "POST":
            return refusal(409, "AlreadyExists") if self.lease else answer(201, self.put(body["spec"]))
        assert self.lease is not None
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            return refusal(409, "Conflict")
        merged = {**self.lease["spec"], **body["spec"]}
        return answer(200, self.put({name: value for name, value in merged.items() if value is not None}))

    def put(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Somebody writes the Lease."""
        self._version += 1
        self.lease = {"metadata": {"resourceVersion": str(self._version)}, "spec": spec}
        return self.lease
