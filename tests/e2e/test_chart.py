"""The chart's own life: upgraded and rolled back under a running job, uninstalled without touching what people made."""

import pytest

from tests.e2e.bundle import OPERATOR, Release
from tests.e2e.eventually import eventually
from tests.e2e.workspace import Workspace

pytestmark = pytest.mark.alone


def test_a_job_in_flight_lives_through_upgrade_and_rollback(place: Workspace, release: Release) -> None:
    job = place.slow(bytes_per_s=40_000)
    before = set(release.pods(OPERATOR))
    with release.changed("podAnnotations.test=upgraded"):
        assert not before & set(release.pods(OPERATOR))
        assert job.reads()["phase"] == "Running"
    assert job.reads()["phase"] == "Running"
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 1
    place.gives_back()


def test_uninstalling_leaves_jobs_and_data(place: Workspace, release: Release) -> None:
    job = place.submit("load")
    place.succeeds(job)
    place.gives_back()
    with release.removed():
        assert job.status["phase"] == "Succeeded"
        assert "Job" in place.left()
        place.succeeds(job)
    assert job.status["phase"] == "Succeeded"
    job.delete()
    eventually(lambda: not place.left(), "nothing is left")
