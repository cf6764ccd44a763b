"""What people do at the wrong moment: delete a job and make it again at once, use an output twice."""

from collections.abc import Callable

import pytest

from odp_dask_operator.core.names import UID_LABEL
from tests.support.apiserver import until
from tests.support.by_hand import CHILDREN, KEPT, PLACES, ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job

pytestmark = pytest.mark.usefixtures("alone")


def pending(hand: ByHand) -> None:
    hand.create(load_job("sst", scale="tiny"))
    hand.is_at("sst", "Pending", "PresetNotFound")


def starting(hand: ByHand) -> None:
    hand.create(load_job("sst"))
    until(lambda: hand.of_jobs() == CHILDREN, "all children are there")


def running(hand: ByHand) -> None:
    hand.starts("sst")


def suspending(hand: ByHand) -> None:
    hand.starts("sst")
    hand.patch("OdpDaskJob", "sst", {"spec": {"suspend": True}})
    hand.is_at("sst", "Suspended", "Suspending")


def suspended(hand: ByHand) -> None:
    suspending(hand)
    hand.is_at("sst", "Suspended", "Suspended", meanwhile=hand.collect)


def succeeded(hand: ByHand) -> None:
    hand.loader_ends(hand.starts("sst"), 0, LAST_WORD)
    hand.is_at("sst", "Succeeded")


def failed(hand: ByHand) -> None:
    hand.loader_ends(hand.starts("sst"), 2, {"reason": "InvalidLoad", "message": "no"})
    hand.is_at("sst", "Failed")


@pytest.mark.parametrize("phase", [pending, starting, running, suspending, suspended, succeeded, failed])
def test_a_job_that_is_made_again_at_once_meets_nothing_of_its_predecessor(hand: ByHand, phase: Callable[[ByHand], None]) -> None:
    phase(hand)
    first = hand.job("sst")["metadata"]["uid"]
    deleted = hand.server.request("DELETE", f"{hand.place('OdpDaskJob')}/sst", {"propagationPolicy": "Background"})
    assert deleted.status == 200
    second = hand.create(load_job("sst"))["metadata"]["uid"]

    def owners() -> set[str]:
        hand.collect()
        labels = [raw["metadata"].get("labels") or {} for kind in PLACES for raw in hand.all(kind)]
        return {found[UID_LABEL] for found in labels if UID_LABEL in found}

    until(
        lambda: owners() == {second} and hand.of_jobs() == CHILDREN,
        "all children are there, and they are the new job's",
        seconds=60,
    )
    assert first != second
    hand.dask_builds()
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    assert hand.status("sst")["runs"] == 1
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")
    until(lambda: hand.collect() or hand.of_jobs() == KEPT, "the cluster is given back")  # type: ignore[func-returns-value]


def test_a_load_into_an_output_that_is_in_use_fails_and_says_whose_it_is(hand: ByHand) -> None:
    """The operator need not know: the loader of the second job sees the plan of the first."""
    first = hand.starts("first")
    said = {"reason": "OutputExists", "message": "s3://bucket/sst is being written by another load"}
    jobs = {raw["metadata"]["name"] for raw in hand.all("Job")}
    hand.create(load_job("second"))
    until(lambda: len(hand.all("Job")) == 2, "the second job has begun")
    (other,) = (raw for raw in hand.all("Job") if raw["metadata"]["name"] not in jobs)
    policy = other["spec"]["podFailurePolicy"]["rules"]
    codes = next(rule["onExitCodes"]["values"] for rule in policy if rule["action"] == "FailJob")
    assert 5 in codes, "another try would find the same"
    pod = hand.loader_runs(job=other)
    hand.loader_ends(pod, 5, said, job=other["metadata"]["name"])
    hand.is_at("second", "Failed", "OutputExists")
    assert hand.status("second")["message"] == said["message"]
    hand.is_at("first", "Running", "Loading")
    hand.loader_ends(first, 0, LAST_WORD, job=jobs.pop())
    hand.is_at("first", "Succeeded", "LoadVerified")
