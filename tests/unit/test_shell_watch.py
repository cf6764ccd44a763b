"""What the watches tell, in which order, and when they begin anew."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from odp_dask_operator.core.names import JOB_LABEL, Resource
from odp_dask_operator.shell import watch
from odp_dask_operator.shell.api import Answer, Api, Request
from odp_dask_operator.shell.errors import Gone
from odp_dask_operator.shell.retry import RetryPolicy
from odp_dask_operator.shell.watch import ALWAYS, DASK_CHILDREN, SILENCE_S, Watch
from tests.support.memory_transport import answer, refusal

Raw = dict[str, Any]
Script = list[Raw | Exception]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSES_S", (0.0,))


def thing(kind: str, name: str, version: int) -> Raw:
    return {"kind": kind, "metadata": {"name": name, "resourceVersion": str(version)}}


def event(what: str, name: str, version: int) -> Raw:
    return {"type": what, "object": thing("Pod", name, version)}


def plural_of(request: Request) -> str:
    return urlsplit(request.path).path.rpartition("/")[2]


class Server:
    """Answers lists and streams in their order; without one, nothing is there and nothing happens."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Answer]] = {}
        self.streams: dict[str, list[Script]] = {}
        self.followed: list[tuple[str, dict[str, str]]] = []
        self.told: list[str] = []
        self.listing: set[str] = set()

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        plural = plural_of(request)
        self.listing.add(plural)
        assert len(self.listing) == 1, "one kind after the other"
        await asyncio.sleep(0)
        self.listing.discard(plural)
        waiting = self.lists.get(plural)
        return waiting.pop(0) if waiting else answer(200, {"metadata": {"resourceVersion": "7"}, "items": []})

    async def lines(self, request: Request, *, silence_s: float) -> AsyncGenerator[bytes, None]:
        assert silence_s == SILENCE_S
        plural = plural_of(request)
        query = {name: value for name, (value,) in parse_qs(urlsplit(request.path).query).items()}
        self.followed.append((plural, query))
        waiting = self.streams.get(plural)
        if not waiting:
            await asyncio.Event().wait()
            yield b""
            return
        for line in waiting.pop(0):
            if isinstance(line, Exception):
                raise line
            yield json.dumps(line).encode()

    def watches(self, *, until: Callable[[], bool], served: Sequence[Resource] = ()) -> list[str]:
        """What is told until something holds."""

        async def scene() -> None:
            stop = asyncio.Event()

            def heard(raw: Raw, gone: bool) -> None:
                self.told.append(f"{'-' if gone else '+'}{raw['metadata']['name']}")

            async def kinds(_always: Sequence[Resource]) -> Sequence[Resource]:
                return served

            made = Watch(
                Api(self, policy=RetryPolicy(attempts=1)),
                self,
                namespaces=(),
                begun=lambda: self.told.append("begun"),
                heard=heard,
                known=lambda: self.told.append("known"),
            )
            running = asyncio.create_task(made.run(kinds, stop))
            async with asyncio.timeout(60):
                while not until():
                    assert not running.done(), running.result()
                    await asyncio.sleep(0)
            stop.set()
            made.again()
            await running

        asyncio.run(scene())
        return self.told


def page(*names: str, more: str = "") -> Answer:
    items = [{"metadata": {"name": name, "resourceVersion": "5"}} for name in names]
    return answer(200, {"metadata": {"resourceVersion": "7", "continue": more}, "items": items})


def test_all_that_is_there_is_told_before_it_is_said_to_be_known_and_changes_after_that() -> None:
    server = Server()
    server.lists["pods"] = [page("a", "b", more="x"), page("c")]
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "20"}}}
    server.streams["pods"] = [[event("MODIFIED", "a", 8), event("DELETED", "b", 9), bookmark], [event("ADDED", "d", 21)]]
    told = server.watches(until=lambda: "+d" in server.told)
    assert (told[0], sorted(told[1:4])) == ("begun", ["+a", "+b", "+c"])
    assert [word for word in told[4:] if word != "known"] == ["+a", "-b", "+d"]
    assert told.count("known") == 1
    versions = [query["resourceVersion"] for plural, query in server.followed if plural == "pods"]
    assert versions[:3] == ["7", "20", "21"]


def test_objects_of_jobs_are_known_by_their_label_and_every_kind_is_followed() -> None:
    server = Server()
    kinds = {resource.plural for resource in (*ALWAYS, *DASK_CHILDREN)}
    server.watches(until=lambda: len(server.followed) == len(kinds), served=DASK_CHILDREN)
    assert {plural for plural, _ in server.followed} == kinds
    unlabelled = {plural for plural, query in server.followed if query.get("labelSelector") != JOB_LABEL}
    assert unlabelled == {"odpdaskjobs", "odpdaskpresets"}
    assert all(query["allowWatchBookmarks"] == "true" for _, query in server.followed)


@pytest.mark.parametrize(
    "end", [Gone("too old", code=410), {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}]
)
def test_what_a_watch_has_missed_makes_all_begin_anew(end: Any) -> None:
    server = Server()
    server.streams["pods"] = [[event("ADDED", "a", 8), end]]
    told = server.watches(until=lambda: server.told.count("known") == 2)
    assert told == ["begun", "known", "+a", "begun", "known"] or told == ["begun", "+a", "known", "begun", "known"]


def test_a_stream_that_breaks_off_goes_on_where_it_was() -> None:
    server = Server()
    failed = {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}}
    server.streams["pods"] = [[event("ADDED", "a", 8), ConnectionError()], [failed], [event("ADDED", "b", 9)]]
    told = server.watches(until=lambda: "+b" in server.told)
    assert told.count("begun") == 1
    versions = [query["resourceVersion"] for plural, query in server.followed if plural == "pods"]
    assert versions[:3] == ["7", "8", "8"]


def test_a_list_that_is_refused_is_tried_again_and_one_that_breaks_off_begins_anew() -> None:
    server = Server()
    server.lists["pods"] = [refusal(503), page("a"), page("b", more="x"), refusal(410, "Expired")]
    server.streams["pods"] = [[Gone("too old", code=410)]]
    told = server.watches(until=lambda: server.told.count("known") == 2)
    assert told == ["begun", "+a", "known", "begun", "+b", "begun", "known"]
