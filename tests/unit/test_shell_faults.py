"""What happens to a job when this program, or the API server, fails in the middle of a pass over it."""

import asyncio
import datetime
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from odp_dask_operator.core.decision import AT_ONCE
from odp_dask_operator.core.preset import Presets, presets_for
from odp_dask_operator.shell.actions import Actions
from odp_dask_operator.shell.api import Answer, Api, Request
from odp_dask_operator.shell.errors import Unavailable
from odp_dask_operator.shell.line import Key, Lane
from odp_dask_operator.shell.logs import set_up_logs
from odp_dask_operator.shell.metrics import Metrics
from odp_dask_operator.shell.options import LogFormat
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.reconciler import AFTER_WRITES, ASKED_S, Reconciler, Surroundings
from odp_dask_operator.shell.retry import RetryPolicy
from odp_dask_operator.shell.workers import FAULTS_UNTIL_SAID, Workers
from odp_dask_operator.shell.world import World
from tests.support.memory_transport import answer, refusal
from tests.support.operator_jobs import SETTINGS, START, built_in_presets, job

KEY = Key("ocean", "sst")


class Server:
    """Takes every write, unless a refusal is told for its path; keeps the job's status."""

    def __init__(self, world: World) -> None:
        self.world, self.requests, self.refusals = world, list[Request](), dict[str, Answer]()
        self._version = 1

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        self.requests.append(request)
        for part, refused in self.refusals.items():
            if part in request.path:
                return refused
        if request.method == "GET":
            return answer(200, self.world.job(KEY))
        self._version += 1
        body = json.loads(json.dumps(request.body or {}))
        if "/status" in request.path:
            before = self.world.job(KEY)
            assert before is not None
            body = {**before, "status": {**(before.get("status") or {}), **body["status"]}}
        meta = {**body.get("metadata", {}), "uid": body.get("metadata", {}).get("uid", f"uid-{self._version}")}
        return answer(200, {**body, "metadata": {**meta, "namespace": "ocean", "resourceVersion": str(self._version)}})

    def written(self) -> list[str]:
        return [f"{request.method} {request.path.partition('?')[0].rpartition('/ocean/')[2]}" for request in self.requests]


def operator(
    server: Server, metrics: Metrics, *, asked: list[str] | None = None, clock: Callable[[], float] = lambda: 0.0
) -> Reconciler:
    async def presets(_namespace: str) -> Presets:
        return presets_for(built_in_presets(), job_namespace="ocean", operator_namespace=SETTINGS.namespace)

    async def progress(url: str) -> bytes | None:
        if asked is not None:
            asked.append(url)
        return None

    around = Surroundings(presets=presets, progress=progress, dask_served=lambda: True, dask_gone=lambda: None, today=lambda: START)
    api = Api(server, policy=RetryPolicy(attempts=1))
    return Reconciler(
        api,
        server.world,
        actions=Actions(api, server.world, clock=clock),
        surroundings=around,
        settings=SETTINGS,
        metrics=metrics,
    )


@pytest.fixture
def server() -> Server:
    world = World()
    raw = job()
    world.put({**raw, "metadata": {**raw["metadata"], "resourceVersion": "1"}})
    return Server(world)


def status(server: Server) -> dict[str, Any]:
    raw = server.world.job(KEY)
    assert raw is not None
    found: dict[str, Any] = raw.get("status") or {}
    return found


def passes(server: Server, reconciler: Reconciler, count: int) -> datetime.timedelta | None:
    again: datetime.timedelta | None = None
    for _ in range(count):
        again = asyncio.run(reconciler.run_pass(KEY))
    return again


def test_a_run_is_recorded_before_anything_is_made_and_everything_is_made_in_one_pass(server: Server) -> None:
    reconciler = operator(server, Metrics())
    assert passes(server, reconciler, 1) == AT_ONCE
    assert [call.split("/")[0] for call in server.written()] == ["PATCH odpdaskjobs", "POST events"]
    server.requests.clear()
    assert passes(server, reconciler, 1) == AFTER_WRITES
    made = ["services", "networkpolicies", "configmaps", "secrets", "jobs", "daskclusters"]
    assert server.written() == [*(f"POST {kind}" for kind in made), "PATCH odpdaskjobs/sst/status"]
    server.requests.clear()
    passes(server, reconciler, 2)
    assert server.written() == []


def test_a_loader_is_not_asked_each_time_its_job_is_looked_at(server: Server) -> None:
    asked, now = list[str](), 0.0
    reconciler = operator(server, Metrics(), asked=asked, clock=lambda: now)
    passes(server, reconciler, 2)
    raw = server.world.job(KEY)
    assert raw is not None
    uid, base = raw["metadata"]["uid"], f"sst-{raw['metadata']['uid'][:5]}"
    labels = {"odpdask.dev/job": "sst", "odpdask.dev/job-uid": uid, "odpdask.dev/component": "loader"}
    meta = {"name": f"{base}-a", "namespace": "ocean", "uid": "pod", "resourceVersion": "99", "labels": labels}
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    status = {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [{"name": "loader", "state": state}]}
    meta["creationTimestamp"] = "2026-01-01T00:00:00Z"
    server.world.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status})
    passes(server, reconciler, 3)
    assert asked == ["http://10.0.0.7:8080/progress"]
    now = ASKED_S
    passes(server, reconciler, 2)
    assert len(asked) == 2


GUARDS = ["POST services", "POST networkpolicies", "POST configmaps", "POST secrets"]


def test_what_guards_pods_is_made_at_once_and_is_there_before_any_pod_is_made(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = operator(server, Metrics())
    passes(server, reconciler, 1)
    server.requests.clear()
    all_asked, answered, send = asyncio.Event(), list[str](), server.send

    async def slow(request: Request, *, timeout_s: float) -> Answer:
        end = await send(request, timeout_s=timeout_s)
        asked = server.written()
        if len(asked) <= len(GUARDS):
            if len(asked) == len(GUARDS):
                all_asked.set()
            await asyncio.wait_for(all_asked.wait(), 20)
        else:
            assert len(answered) == len(asked) - 1, "one after the other"
        answered.append(request.path)
        return end

    monkeypatch.setattr(server, "send", slow)
    passes(server, reconciler, 1)
    assert server.written()[:6] == [*GUARDS, "POST jobs", "POST daskclusters"]


def test_a_quota_is_a_condition_and_no_pod_is_made(server: Server) -> None:
    reconciler = operator(server, Metrics())
    server.refusals["/networkpolicies"] = refusal(403, "Forbidden", "exceeded quota: q, requested: count/networkpolicies=1")
    assert passes(server, reconciler, 2) == AT_ONCE
    assert [call for call in server.written() if call.startswith("POST")] == ["POST events", *GUARDS]
    again = passes(server, reconciler, 1)
    assert (status(server)["reason"], again) == ("QuotaExceeded", datetime.timedelta(seconds=5))
    server.refusals.clear()
    passes(server, reconciler, 2)
    assert "POST jobs" in server.written()
    assert status(server)["reason"] == "ClusterStarting"


def test_what_the_server_cannot_do_now_is_told_and_one_that_does_nothing_is_waited_for(server: Server) -> None:
    reconciler = operator(server, Metrics())
    server.refusals["/services"] = refusal(500, "InternalError", "failed to allocate a serviceIP: range is full")
    passes(server, reconciler, 3)
    assert status(server)["reason"] == "Refused"
    assert "refuses to create the Service: failed to allocate a serviceIP: range is full" in status(server)["message"]
    server.refusals["/services"] = refusal(503, "ServiceUnavailable", "shutting down")
    with pytest.raises(Unavailable):
        passes(server, reconciler, 1)
    server.refusals.clear()
    passes(server, reconciler, 2)
    assert status(server)["reason"] == "ClusterStarting"


def test_a_status_by_old_news_is_not_written_and_the_job_is_read_again(server: Server) -> None:
    reconciler = operator(server, Metrics())
    server.refusals["/status"] = refusal(409, "Conflict")
    assert passes(server, reconciler, 1) == AT_ONCE
    assert server.written() == ["PATCH odpdaskjobs/sst/status", "GET odpdaskjobs/sst"]


def test_a_job_that_is_gone_is_left_alone(server: Server) -> None:
    reconciler = operator(server, Metrics())
    server.refusals["/status"] = refusal(404, "NotFound")
    assert passes(server, reconciler, 1) is None
    assert server.world.job(KEY) is None
    assert passes(server, reconciler, 1) is None


class Failing(Reconciler):
    """Has a fault in it."""

    async def run_pass(self, key: Key) -> datetime.timedelta | None:
        raise ZeroDivisionError


def test_a_fault_of_this_program_is_said_once_and_does_not_end_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("odp_dask_operator.shell.workers.FIRST_PAUSE_S", 0.001)
    metrics, queue = Metrics(), Queue()
    reconciler = operator(server, metrics)
    monkeypatch.setattr(reconciler, "run_pass", Failing.run_pass.__get__(reconciler))

    async def scene() -> None:
        may_write = asyncio.Event()
        may_write.set()
        workers = Workers(queue, reconciler, lane=lambda _: Lane.NEW, metrics=metrics, may_write=may_write)
        queue.add(KEY, Lane.NEW)
        task = asyncio.create_task(workers.run(2))
        async with asyncio.timeout(20):
            while metrics.errors.labels("ZeroDivisionError")._value.get() < FAULTS_UNTIL_SAID + 2:
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scene())
    assert server.written() == ["PATCH odpdaskjobs/sst/status", "POST events"]
    said = status(server)
    assert (said["reason"], said["conditions"][0]["type"], said["conditions"][0]["status"]) == ("InternalError", "Ready", "False")
    assert "ZeroDivisionError" in said["message"]
    assert server.requests[1].body is not None
    assert server.requests[1].body["involvedObject"]["name"] == "sst"
    assert "the pass failed" in caplog.text


def test_log_lines_are_json_with_the_job_or_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log, about = logging.getLogger("odp_dask_operator.test"), {"job": "sst", "namespace": "ocean", "uid": "u"}
    try:
        for form in LogFormat:
            set_up_logs(form, verbose=False)
            log.info("Running, %s", "Loading", extra=about)
    finally:
        logging.getLogger().handlers.clear()
    as_json, as_text = capsys.readouterr().err.splitlines()
    line = json.loads(as_json)
    assert {name: line[name] for name in (*about, "level", "message")} == {**about, "level": "info", "message": "Running, Loading"}
    assert as_text.endswith("info    ocean/sst: Running, Loading")
