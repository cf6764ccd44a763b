"""A job's size is what Dask itself reports: workers, threads, memory; between two numbers; or chosen from the table."""

import pytest

from odp_dask_operator.presets import BUILT_IN
from odp_dask_operator.spec.quantity import parse_memory
from tests.e2e.cluster import Raw
from tests.e2e.eventually import eventually
from tests.e2e.sharing import share_of
from tests.e2e.workspace import Workspace

TASKS = """
import time
from distributed import Client
client = Client()
client.gather(client.map(time.sleep, [4] * 24, pure=False))
time.sleep(60)
"""
"""Six times four threads' work for about four seconds each, then nothing."""


def little_cpu(name: str) -> Raw:
    """A preset as it is shipped, but for the processors, of which a test's cluster has few."""
    raw = BUILT_IN[name].model_dump(mode="json", by_alias=True, exclude_none=True)
    for who in ("worker", "scheduler", "loader"):
        raw["spec"][who] |= {"cpu": share_of(220)}
    return {**raw, "metadata": {"name": name}}


@pytest.mark.parametrize("name", ["small", "medium", pytest.param("large", marks=pytest.mark.two_nodes)])
def test_a_preset_is_what_dask_reports(place: Workspace, name: str) -> None:
    place.cluster.create(little_cpu(name), place.namespace)
    spec = BUILT_IN[name].spec
    place.odp.settings(bytes_per_s=5_000)
    job = place.submit("load", scale=name)
    count = spec.workers.replicas
    eventually(lambda: job.status.get("workers") == {"desired": count, "ready": count}, f"{count} workers are ready")
    workers = job.dask_workers()
    assert len(workers) == count
    assert {worker["nthreads"] for worker in workers} == {spec.worker.threads}
    assert {worker["memory_limit"] for worker in workers} == {parse_memory(spec.worker.memory)}
    assert job.status["preset"]["namespace"] == place.namespace


def test_the_number_of_workers_follows_the_work(place: Workspace) -> None:
    place.cluster.create(little_cpu("small"), place.namespace)
    code = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"main.py": TASKS}}
    place.cluster.create(code, place.namespace)
    job = place.submit("adaptive", workers={"minimum": 1, "maximum": 3}, script={"configMap": {"name": "code", "key": "main.py"}})
    eventually(lambda: job.status.get("workers", {}).get("ready", 0) > 1, "there are more workers")
    eventually(lambda: job.status["workers"] == {"desired": 1, "ready": 1}, "there is one worker again")
    job.delete()


def test_auto_is_chosen_from_the_tables_own_statistics(place: Workspace) -> None:
    job = place.submit("load", scale="auto")
    status = place.succeeds(job)
    assert status["preset"]["name"] == "small"
    assert "194" in status["preset"]["why"]
    assert status["attempts"] == 1
    place.gives_back()
