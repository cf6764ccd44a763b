"""The operator killed between any two of its writes, and anything happening in any order: it always comes to a clean end."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odp_dask_operator.spec import ConditionType
from odp_dask_operator.spec.meta import format_time
from tests.support import fake_controllers as others
from tests.support.fake_cluster import FakeCluster, Killed
from tests.support.operator_jobs import UID, job

LEFT = {"ConfigMap", "Job", "Pod"}
Act = Callable[[FakeCluster], object]


def suspend(cluster: FakeCluster, value: bool = True) -> None:
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = value


STORY: tuple[Act, ...] = (
    others.job_makes_pod,
    others.dask_builds,
    others.cluster_is_ready,
    others.loader_runs,
    lambda cluster: suspend(cluster),
    FakeCluster.collect,
    FakeCluster.collect,
    lambda cluster: suspend(cluster, False),
    others.job_makes_pod,
    others.dask_builds,
    others.cluster_is_ready,
    others.loader_runs,
    lambda cluster: others.loader_ends(cluster, 0, others.LAST_WORD),
    FakeCluster.collect,
    FakeCluster.collect,
)
"""A job that is suspended and resumed; the operator is at rest before and after each of these."""


def told(lives: int, spec: dict[str, Any]) -> FakeCluster:
    """The story with an operator that is killed once, after so many writes, and started again."""
    cluster = FakeCluster(job(**spec))
    cluster.lives = lives
    for act in (lambda _: None, *STORY):
        act(cluster)
        try:
            cluster.settle()
        except Killed:
            cluster.restart()
            cluster.settle()
    return cluster


def end_of(cluster: FakeCluster) -> object:
    return (cluster.status, sorted(cluster.objects))


@pytest.mark.parametrize("spec", [{}, {"workers": {"minimum": 1, "maximum": 2}, "dashboard": {"ingress": {"host": "a.example"}}}])
def test_killed_between_any_two_writes_it_ends_the_same(spec: dict[str, Any]) -> None:
    whole = told(10**9, spec)
    assert whole.kinds() == LEFT
    assert whole.said == ("Succeeded", "LoadVerified")
    assert len(whole.writes) > 25
    for lives in range(len(whole.writes)):
        assert end_of(told(lives, spec)) == end_of(whole), f"killed after {whole.writes[lives - 1 : lives]}"


def a_job(cluster: FakeCluster) -> bool:
    return ("Job", "sst-3f2a1") in cluster.objects and "deletionTimestamp" not in cluster.only("Job")["metadata"]


def a_cluster(cluster: FakeCluster) -> bool:
    return ("DaskCluster", "sst-3f2a1") in cluster.objects and "deletionTimestamp" not in cluster.only("DaskCluster")["metadata"]


def a_pod(cluster: FakeCluster) -> bool:
    return a_job(cluster) and any(kind == "Pod" for kind, _ in cluster.objects) and not finished(cluster)


def finished(cluster: FakeCluster) -> bool:
    return bool((cluster.only("Job").get("status") or {}).get("conditions"))


def runs(cluster: FakeCluster) -> bool:
    return a_pod(cluster) and others.loader_pod(cluster)["status"]["phase"] == "Running"


def pod_is_over(cluster: FakeCluster) -> bool:
    """Whether the Job wants a new pod: its last one has failed, or somebody deleted it."""
    if not a_job(cluster) or finished(cluster):
        return False
    return not (cluster.only("Job").get("status") or {}).get("active") or not any(kind == "Pod" for kind, _ in cluster.objects)


def delete_something(cluster: FakeCluster, kind: str) -> None:
    for (found, _), raw in cluster.objects.items():
        if found == kind:
            raw["metadata"].setdefault("deletionTimestamp", format_time(cluster.now))


def toggle_preset(cluster: FakeCluster) -> None:
    from tests.support.operator_jobs import built_in_presets

    cluster.presets = [] if cluster.presets else built_in_presets()


def toggle_dask(cluster: FakeCluster) -> None:
    cluster.dask_served = not cluster.dask_served


def toggle_finalizer(cluster: FakeCluster) -> None:
    meta = cluster.only("DaskCluster")["metadata"]
    meta["finalizers"] = [] if meta.get("finalizers") else ["kopf.zalando.org/KopfFinalizerMarker"]


def say_progress(cluster: FakeCluster, rows: int) -> None:
    cluster.progress = {"rows": rows, "stage": "Loading", "table": {"rows": rows * 1000, "bytes": None}}


Guard = Callable[[FakeCluster], bool]
ALWAYS: Guard = lambda _: True  # noqa: E731 # reads better in the table
MOVES: dict[str, tuple[Guard, Act]] = {
    "pass": (ALWAYS, lambda cluster: checked(cluster)),
    "killed": (ALWAYS, lambda cluster: killed(cluster)),
    "second": (ALWAYS, lambda cluster: cluster.tick(1)),
    "minute": (ALWAYS, lambda cluster: cluster.tick(61)),
    "hour": (ALWAYS, lambda cluster: cluster.tick(3601)),
    "suspend": (ALWAYS, lambda cluster: suspend(cluster)),
    "resume": (ALWAYS, lambda cluster: suspend(cluster, False)),
    "preset": (ALWAYS, toggle_preset),
    "dask": (ALWAYS, toggle_dask),
    "collect": (ALWAYS, FakeCluster.collect),
    "progress": (ALWAYS, lambda cluster: say_progress(cluster, 1)),
    "further": (ALWAYS, lambda cluster: say_progress(cluster, 2)),
    "makes pod": (pod_is_over, others.job_makes_pod),
    "pod waits": (a_pod, lambda cluster: others.loader_waits(cluster, "ErrImagePull", "no")),
    "pod runs": (a_pod, others.loader_runs),
    "pod fails": (runs, lambda cluster: others.loader_ends(cluster, 1, last=False)),
    "load fails": (runs, lambda cluster: others.loader_ends(cluster, 4)),
    "load is done": (runs, lambda cluster: others.loader_ends(cluster, 0, others.LAST_WORD)),
    "builds": (a_cluster, others.dask_builds),
    "ready": (a_cluster, others.cluster_is_ready),
    "not ready": (a_cluster, lambda cluster: others.cluster_is_ready(cluster, False)),
    "finalizer": (a_cluster, toggle_finalizer),
    **{
        f"delete {kind}": (ALWAYS, lambda cluster, kind=kind: delete_something(cluster, kind))
        for kind in ("Job", "DaskCluster", "Pod")
    },
}
SPECS = (
    {},
    {"scale": "auto"},
    {"workers": {"minimum": 1, "maximum": 2}},
    {"keepCluster": "OnFailure", "activeDeadlineSeconds": 4000, "progressDeadlineSeconds": 30},
    {"script": {"module": "a.b"}, "backoffLimit": 0},
)


def checked(cluster: FakeCluster) -> None:
    """One pass, and what holds for every one."""
    theirs = json.dumps(cluster.objects.get(("Service", "other")))
    step = cluster.step()
    record, decision = step.job, step.decision
    assert not decision.delete or record.end or record.stopped
    assert not decision.create or record.active
    if record.end is not None:
        now = next(condition for condition in step.status.conditions if condition.type is record.end.type)
        assert (now.status, now.last_transition_time) == (record.end.status, record.end.last_transition_time)
    else:
        quiet = step.status.reason == "Suspended" and not {"DaskCluster", "Job", "Secret", "NetworkPolicy"} & cluster.kinds()
        assert decision.requeue_after is not None or quiet
    assert json.dumps(cluster.objects.get(("Service", "other"))) == theirs
    assert len(json.dumps(cluster.status)) < 10_000
    assert [condition.type for condition in step.status.conditions] == list(ConditionType)


def killed(cluster: FakeCluster) -> None:
    """A pass that does not get far."""
    cluster.lives = 2
    try:
        cluster.step()
    except Killed:
        pass
    finally:
        cluster.restart()


def helped_to_an_end(cluster: FakeCluster) -> None:
    """From here on everybody does their part."""
    from tests.support.operator_jobs import built_in_presets

    suspend(cluster, False)
    cluster.presets, cluster.dask_served = built_in_presets(), True
    for _ in range(40):
        for raw in cluster.objects.values():
            raw["metadata"].pop("finalizers", None)
        for name in (
            "collect",
            "makes pod",
            "builds",
            "ready",
            "pod runs",
            "progress",
            "pass",
            "load is done",
            "pass",
            "collect",
            "pass",
        ):
            guard, act = MOVES[name]
            if guard(cluster):
                act(cluster)
        cluster.tick(6)
        if cluster.status["phase"] in ("Succeeded", "Failed"):
            break
    assert cluster.status["phase"] in ("Succeeded", "Failed"), cluster.said
    cluster.tick(4000)
    cluster.wind_down()
    assert cluster.kinds() <= LEFT | {"Service"}
    assert [name for kind, name in cluster.objects if kind == "Service"] == ["other"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SPECS), st.lists(st.sampled_from(sorted(MOVES)), max_size=45))
def test_whatever_happens_there_is_a_next_step_and_a_clean_end(spec: dict[str, Any], names: list[str]) -> None:
    cluster = FakeCluster(job(**spec))
    cluster.put(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "labels": {"odpdask.dev/job": "sst"}}, "spec": {}}
    )
    for name in names:
        guard, act = MOVES[name]
        if guard(cluster):
            act(cluster)
            if name not in ("pass", "killed"):
                checked(cluster)
    helped_to_an_end(cluster)
    assert cluster.job is not None
    assert cluster.job["metadata"]["uid"] == UID
