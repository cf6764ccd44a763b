"""Made-up jobs, most of them wrong somewhere, through the real API server and the operator: each is refused or is told why."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from odp_dask_operator.presets import BUILT_IN
from odp_dask_operator.spec import ConditionType
from tests.support.apiserver import ApiServer, until
from tests.support.by_hand import PLACES, ByHand
from tests.support.operator_process import OperatorProcess, operator
from tests.support.specs import made_up, spec_schema

pytestmark = pytest.mark.usefixtures("alone")

COUNT = int(os.environ.get("FUZZED_SPECS", "400"))
BATCH = 1000
"""At once in the API server; then they make room for the next ones. To come to rest takes as long for many as for few, until there
are so many that one's deadline falls into the other's rest."""
AT_ONCE = 8
"""Requests, as of so many people."""
MOST_WRITES = 40
"""Of a job, one that goes on from one trouble to the next included."""


@pytest.fixture
def system(server: ApiServer) -> Iterator[str]:
    with server.namespace() as name:
        raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
        ByHand(server, name).create({**raw, "metadata": {"name": "small"}})
        yield name


def create(hand: ByHand, numbers: range) -> set[str]:
    """Makes a job of each number; returns the names of those that the API server takes. The others it refuses."""
    schema = spec_schema("OdpDaskJob")

    def made(seed: int) -> str | None:
        thing = made_up("OdpDaskJob", schema, seed, name=f"job-{seed}")
        if seed % 4 and isinstance(thing["spec"], dict):
            thing["spec"]["scale"] = "small"  # the only preset that is there: these go on to children
        answer = hand.server.request("POST", hand.place("OdpDaskJob"), thing, fieldValidation="Ignore")
        assert answer.status in (201, 400, 409, 422), (seed, answer.body)
        return answer.body["metadata"]["name"] if answer.status == 201 else None

    with ThreadPoolExecutor(AT_ONCE) as people:
        return {name for name in people.map(made, numbers) if name}


def is_told(job: dict[str, Any]) -> bool:
    """The status says what there is to say about this version of the job, or the job has reached its own time to live."""
    if "deletionTimestamp" in job["metadata"]:
        return True
    status = job.get("status") or {}
    kinds = {condition["type"] for condition in status.get("conditions") or ()}
    current = status.get("observedGeneration") == job["metadata"]["generation"]
    return current and bool(status["phase"] and status["reason"]) and kinds == set(ConditionType)


def clear(hand: ByHand) -> None:
    """Everything goes, as with a namespace; to be asked for again by who is not done with it in the minute that a server takes."""
    for kind in ("OdpDaskJob", *(kind for kind in PLACES if kind not in ("OdpDaskJob", "OdpDaskPreset", "Lease"))):
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            hand.server.request("DELETE", hand.place(kind), {"propagationPolicy": "Background"})


def is_at_rest(process: OperatorProcess, *, jobs: int) -> bool:
    """A resync, after which each job is looked at, changes nothing."""
    assert process.process.poll() is None, process.log.read_text()[-3000:]
    passes, before = "odp_dask_reconcile_seconds_count", process.written()
    target = process.metric(passes) + jobs
    until(lambda: process.metric(passes) >= target, "a resync comes round", seconds=300, pause_s=0.5)
    return process.written() == before


@pytest.mark.timeout(600 + COUNT // 2)
def test_each_job_is_refused_or_told_and_the_operator_comes_to_rest(
    server: ApiServer, system: str, namespace: str, tmp_path: Path
) -> None:
    hand, phases, jobs = ByHand(server, namespace), Counter[str](), 0
    with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process:
        for first in range(0, COUNT, BATCH):
            before = process.written()
            taken = create(hand, range(first, min(first + BATCH, COUNT)))

            until(lambda taken=taken: is_at_rest(process, jobs=len(taken)), "the operator comes to rest", seconds=600)  # type: ignore[misc]
            there = hand.all("OdpDaskJob")
            assert [job["metadata"]["name"] for job in there if not is_told(job)] == []
            assert process.written() - before <= MOST_WRITES * len(taken)
            phases.update(job["status"]["phase"] for job in there)
            jobs += len(taken)
            until(lambda: clear(hand) or hand.collect() or not hand.all("OdpDaskJob"), "the jobs are gone", seconds=300, pause_s=2)  # type: ignore[func-returns-value]
        assert process.probe("healthz") == 200
        assert "odp_dask_reconcile_errors_total{" not in process.metrics(), process.log.read_text()[-3000:]
        assert process.end() == 0
    assert "Traceback" not in process.log.read_text()
    assert COUNT // 5 < jobs < COUNT - COUNT // 5, "some of both: taken and refused"
    assert {"Pending", "Starting", "Failed", "Suspended"} <= set(phases), phases
