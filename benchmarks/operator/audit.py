"""Reads the audit log of the API server: who asked for what, when, and what came of it."""

import datetime
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        # Their bodies tell a write of progress from one of a decision.
        {"level": "Request", "verbs": ["patch"], "resources": [{"group": "odpdask.dev", "resources": ["odpdaskjobs/status"]}]},
        {"level": "Metadata"},
    ],
}
STATUS = "odpdaskjobs/status"
LEASES = "leases"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; times in seconds since 1970."""

    user: str
    verb: str
    what: str
    """Plural and subresource, or the path of what is no resource."""
    name: str
    code: int
    received: float
    done: float
    """Of a watch: when it began to answer."""
    progress_only: bool = False
    """A patch of a status that changes nothing but the progress."""

    @property
    def made(self) -> bool:
        """Something is there that was not there before."""
        return self.verb == "create" and self.code == 201


def read(file: Path) -> list[Request]:
    """Everything that was asked so far; a line that is being written is left for the next time."""
    with file.open() as lines:
        return [request for line in lines if line.endswith("\n") and (request := parse(line)) is not None]


def parse(line: str) -> Request | None:
    """One event; None for the end of a watch, whose beginning counts."""
    event = json.loads(line)
    if (event["verb"] == "watch") is not (event["stage"] == "ResponseStarted"):
        return None
    about = event.get("objectRef") or {}
    what = "/".join(part for part in (about.get("resource"), about.get("subresource")) if part) or event["requestURI"]
    return Request(
        user=event["user"]["username"].rpartition(":")[2],
        verb=event["verb"],
        what=what,
        name=about.get("name", ""),
        code=(event.get("responseStatus") or {}).get("code", 0),
        received=_seconds(event["requestReceivedTimestamp"]),
        done=_seconds(event["stageTimestamp"]),
        progress_only=(event.get("requestObject") or {}).get("status", {}).keys() == {"progress"},
    )


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def of(requests: Iterable[Request], user: str, *, since: float = 0.0, until: float = float("inf")) -> list[Request]:
    """What a user asked for within a time, beside its Lease."""
    return [r for r in requests if r.user == user and r.what != LEASES and since <= r.received < until]


def job_of(name: str) -> str:
    """The job that an object belongs to; no job's name has a hyphen, and those of its children one behind it."""
    return name.partition("-")[0]


def seconds_to_last(requests: Iterable[Request], *, kind: str, children: Callable[[Request], bool], each: int) -> dict[str, float]:
    """By job, from the arrival of its own create until the last of its children was made; only jobs that have `each` of them."""
    begun: dict[str, float] = {}
    made: dict[str, list[float]] = {}
    for request in requests:
        if request.made and request.what == kind:
            begun[request.name] = request.received
        elif request.made and children(request):
            made.setdefault(job_of(request.name), []).append(request.done)
    return {job: max(made[job]) - at for job, at in begun.items() if len(made.get(job, ())) >= each}


def first_create(requests: Iterable[Request], kind: str) -> float:
    """When the first object of a kind was asked for."""
    return min(request.received for request in requests if request.made and request.what == kind)


def last_create(requests: Iterable[Request], children: Callable[[Request], bool]) -> float:
    """When the last of these was made."""
    return max(request.done for request in requests if request.made and children(request))


def shares(requests: Iterable[Request], jobs: int) -> Iterator[tuple[str, float]]:
    """Each verb and resource with its requests per job, the most frequent first."""
    counts = Counter(f"{r.verb} {_group(r.what)}{' (progress)' if r.progress_only else ''}" for r in requests)
    for what, count in counts.most_common():
        yield what, count / jobs


def _group(what: str) -> str:
    """Discovery has many paths, and is all the same."""
    return what if not what.startswith("/") or what == "/version" else "discovery"
