"""The phases in which an operator may leave a job to another, each with the way there and the way on from there."""

from collections.abc import Callable
from dataclasses import dataclass

from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import until
from tests.support.by_hand import CHILDREN, ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job

NAME = "sst"
SLOW_S = 180
"""The Dask operator serves all phases at once."""


@dataclass(frozen=True)
class Phase:
    """`ends` begins with what `reach` left. Both are controllers and nodes; the Dask operator is a real one."""

    reach: Callable[[ByHand], None]
    ends: Callable[[ByHand], None]
    makes: frozenset[str] = frozenset()
    """Kinds of which the operator that ends it makes one object, and of others none."""
    deletes: bool = True
    """False when nothing of it may be deleted yet: what is decided is recorded first, and the one operator stops just then."""


def cluster_runs(hand: ByHand, *, workers: int = 1) -> None:
    """Scheduler and workers, which the Dask operator has made, pass their probes."""
    until(lambda: len(hand.all("Deployment")) == workers + 1, "all Deployments are there", seconds=SLOW_S)
    for raw in hand.all("Deployment"):
        hand.patch("Deployment", raw["metadata"]["name"], {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, status=True)


def _waits(hand: ByHand) -> None:
    hand.create(load_job(NAME, scale="tiny"))
    hand.is_at(NAME, "Pending", "PresetNotFound")


def _preset_appears(hand: ByHand) -> None:
    raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
    hand.create({**raw, "metadata": {"name": "tiny"}})
    _begins(hand)


def _chooses(hand: ByHand) -> None:
    hand.create(load_job(NAME, scale="auto"))
    hand.loader_runs()
    hand.is_at(NAME, "Starting", "ChoosingPreset")


def _starts(hand: ByHand) -> None:
    hand.create(load_job(NAME))
    until(lambda: len(hand.all("Deployment")) == 2, "the Dask operator has made a cluster", seconds=SLOW_S)
    hand.is_at(NAME, "Starting", "ClusterStarting")


def _runs(hand: ByHand) -> None:
    hand.create(load_job(NAME))
    cluster_runs(hand)
    hand.loader_runs()
    hand.is_at(NAME, "Running", "Loading")


def _runs_adaptively(hand: ByHand) -> None:
    hand.create(load_job(NAME, workers={"minimum": 1, "maximum": 3}))
    cluster_runs(hand)
    hand.loader_runs()
    hand.is_at(NAME, "Running", "Loading")
    until(lambda: bool(hand.all("DaskAutoscaler")), "there is an autoscaler")


def _retries(hand: ByHand) -> None:
    _runs(hand)
    (first,) = hand.all("Pod")
    hand.loader_ends(first["metadata"]["name"], 1, {"reason": "Unavailable", "message": "the scheduler is gone"}, for_good=False)
    hand.loader_runs()
    hand.is_at(NAME, "Running", "Retrying")


def _is_being_suspended(hand: ByHand) -> None:
    _runs(hand)
    hand.patch("OdpDaskJob", NAME, {"spec": {"suspend": True}})
    hand.is_at(NAME, "Suspended", "Suspending")


def _is_suspended(hand: ByHand) -> None:
    _is_being_suspended(hand)
    until(lambda: hand.collect() or hand.status(NAME)["reason"] == "Suspended", "all is given back", seconds=SLOW_S)  # type: ignore[func-returns-value]


def _succeeds(hand: ByHand) -> None:
    _runs(hand)
    _loader_succeeds(hand)


def _fails_and_keeps(hand: ByHand) -> None:
    hand.create(load_job(NAME, keepCluster="OnFailure", keepClusterSeconds=20))
    cluster_runs(hand)
    hand.loader_ends(hand.loader_runs(), 6, {"reason": "UserCodeFailed", "message": "map raised"})
    hand.is_at(NAME, "Failed", "UserCodeFailed")


def _is_kept_for_a_while(hand: ByHand) -> None:
    hand.create(load_job(NAME, ttlSecondsAfterFinished=20))
    cluster_runs(hand)
    hand.loader_runs()
    _loader_succeeds(hand)


def _begins(hand: ByHand) -> None:
    cluster_runs(hand)
    hand.loader_runs()
    hand.is_at(NAME, "Running", "Loading")
    _loader_succeeds(hand)


def _chooses_and_runs(hand: ByHand) -> None:
    until(lambda: "preset" in hand.status(NAME), "the loader's silence is taken for an answer", seconds=SLOW_S)
    assert "did not say" in hand.status(NAME)["preset"]["why"]
    cluster_runs(hand, workers=2)
    _loader_succeeds(hand)


def _loader_succeeds(hand: ByHand) -> None:
    (pod,) = (raw for raw in hand.all("Pod") if raw["status"]["phase"] == "Running")
    hand.loader_ends(pod["metadata"]["name"], 0, LAST_WORD)
    hand.is_at(NAME, "Succeeded", "LoadVerified")


def _is_resumed(hand: ByHand) -> None:
    until(lambda: hand.collect() or hand.status(NAME)["reason"] == "Suspended", "all is given back", seconds=SLOW_S)  # type: ignore[func-returns-value]
    assert hand.of_jobs() == {"ConfigMap"}
    hand.patch("OdpDaskJob", NAME, {"spec": {"suspend": False}})
    _begins(hand)
    assert hand.status(NAME)["runs"] == 2


def _has_succeeded(hand: ByHand) -> None:
    hand.is_at(NAME, "Succeeded", "LoadVerified")


def _has_failed(hand: ByHand) -> None:
    hand.is_at(NAME, "Failed", "UserCodeFailed")


def _is_deleted(hand: ByHand) -> None:
    until(lambda: hand.get("OdpDaskJob", NAME) is None or hand.collect(), "its time to live is over", seconds=SLOW_S)  # type: ignore[func-returns-value]


_ANEW = frozenset(CHILDREN)
PHASES = {
    "waiting": Phase(_waits, _preset_appears, _ANEW),
    "starting": Phase(_starts, _begins),
    "running": Phase(_runs, _loader_succeeds),
    "adaptive": Phase(_runs_adaptively, _loader_succeeds),
    "retrying": Phase(_retries, _loader_succeeds),
    "suspending": Phase(_is_being_suspended, _is_resumed, _ANEW, deletes=False),
    "suspended": Phase(_is_suspended, _is_resumed, _ANEW),
    "succeeded": Phase(_succeeds, _has_succeeded, deletes=False),
    "failed-and-kept": Phase(_fails_and_keeps, _has_failed, deletes=False),
    "kept-for-a-while": Phase(_is_kept_for_a_while, _is_deleted, deletes=False),
    "choosing": Phase(_chooses, _chooses_and_runs, frozenset({"DaskCluster"})),
}
"""In the order in which they are reached; the last does not last."""
