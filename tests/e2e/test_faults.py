"""What is killed under a running load: no row is lost or doubled, attempts and reasons are told rightly, nothing is left."""

import pytest

from odp_dask_operator.core.names import LOADER
from tests.e2e.bundle import DASK_OPERATOR, OPERATOR, Release
from tests.e2e.eventually import eventually
from tests.e2e.job import Job
from tests.e2e.workspace import Workspace


def kill(place: Workspace, job: Job, component: str) -> str:
    """Kills a pod at once and returns its name."""
    name = job.pod(component)
    place.cluster.delete("Pod", name, job.namespace, now=True)
    return name


def test_a_killed_worker_costs_no_attempt(place: Workspace) -> None:
    job = place.slow()
    gone = kill(place, job, "worker")
    eventually(lambda: job.pods("worker") and job.pod("worker") != gone, "another worker is there")
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 1
    place.gives_back()


def test_a_killed_scheduler_costs_one_attempt_and_the_next_goes_on_where_it_was(place: Workspace) -> None:
    job = place.slow()
    eventually(lambda: job.status["progress"]["partitions"]["done"] > 0, "a partition is finished")
    kill(place, job, "scheduler")
    status = job.says("Retrying")
    assert status["phase"] == "Running"
    assert status["message"].startswith("attempt 2 of 4")
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 2
    assert place.odp.counters()["selects"]["rows"] < 194_400
    place.gives_back()


def test_a_killed_loader_costs_one_attempt(place: Workspace) -> None:
    job = place.slow()
    kill(place, job, LOADER)
    job.says("Retrying")
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 2
    place.gives_back()


@pytest.mark.parametrize("labels", [OPERATOR, DASK_OPERATOR], ids=["operator", "dask-operator"])
def test_an_operator_that_is_killed_costs_nothing(place: Workspace, release: Release, labels: str) -> None:
    job = place.slow()
    gone = release.pods(labels)
    for name in gone:
        place.cluster.delete("Pod", name, release.namespace, now=True)
    eventually(lambda: release.is_ready() and not set(gone) & set(release.pods(labels)), "other pods of the operator answer")
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 1
    place.gives_back()
