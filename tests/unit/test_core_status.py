"""The status as others read it: kstatus, `kubectl wait`, the API conventions; and how often it is written."""

import datetime
import inspect
import json
from typing import Any

import pytest

from odp_dask_operator.core.record import read_job, read_status
from odp_dask_operator.core.status import to_json
from odp_dask_operator.spec import Condition, ConditionStatus, ConditionType, JobStatus, LoadProgress, PartitionCounts, Reason
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_controllers import LAST_WORD, everything_runs, job_makes_pod, loader_ends, loader_runs
from tests.support.kstatus import kstatus
from tests.support.operator_jobs import START, job, presets


def reads(cluster: FakeCluster) -> str:
    assert cluster.job is not None
    return kstatus(cluster.job)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"metadata": {"deletionTimestamp": "x"}}, "Terminating"),
        ({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}, "InProgress"),
        ({"metadata": {"generation": 2}}, "Current"),
        (
            {"status": {"conditions": [{"type": "Reconciling", "status": "True"}, {"type": "Stalled", "status": "True"}]}},
            "InProgress",
        ),
        ({"status": {"conditions": [{"type": "Stalled", "status": "True"}, {"type": "Ready", "status": "True"}]}}, "Failed"),
        ({"status": {"conditions": [{"type": "Stalled", "status": "False"}, {"type": "Ready", "status": "False"}]}}, "InProgress"),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, "InProgress"),
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "Current"),
    ],
)
def test_kstatus_is_as_documented(raw: dict[str, Any], expected: str) -> None:
    assert kstatus(raw) == expected


def test_kstatus_reads_every_phase_rightly() -> None:
    cluster = FakeCluster(job())
    assert reads(cluster) == "Current", "an object without a status, which is why the first write comes at once"
    cluster.step()
    assert reads(cluster) == "InProgress"
    everything_runs(cluster)
    assert (cluster.said[0], reads(cluster)) == ("Running", "InProgress")
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = True
    cluster.job["metadata"]["generation"] = 2
    assert reads(cluster) == "InProgress", "a change that the operator has not seen"
    cluster.step()
    assert (cluster.said, reads(cluster)) == (("Suspended", "Suspending"), "InProgress")
    cluster.wind_down()
    assert (cluster.said, reads(cluster)) == (("Suspended", "Suspended"), "Current")
    cluster.job["spec"]["suspend"] = False
    everything_runs(cluster)
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert (cluster.said[0], reads(cluster)) == ("Succeeded", "Current")


def test_kstatus_reads_a_failure() -> None:
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, 2)
    cluster.settle()
    assert reads(cluster) == "Failed"


def test_the_first_write_says_that_work_goes_on() -> None:
    cluster = FakeCluster(job(scale="not-there"))
    cluster.step()
    assert cluster.status["observedGeneration"] == 1
    assert [(c["type"], c["status"]) for c in cluster.status["conditions"]] == [
        ("Ready", "False"),
        ("Reconciling", "True"),
        ("Stalled", "False"),
        ("ClusterReady", "False"),
        ("Suspended", "False"),
        ("Complete", "False"),
        ("Failed", "False"),
    ]


def test_a_transition_is_a_change_of_status_and_of_nothing_else() -> None:
    cluster = FakeCluster(job())
    cluster.step()
    before = cluster.status["conditions"]
    cluster.tick(100)
    everything_runs(cluster)
    for old, new in zip(before, cluster.status["conditions"], strict=True):
        moved = old["lastTransitionTime"] != new["lastTransitionTime"]
        assert moved == (old["status"] != new["status"])
    assert cluster.condition("Reconciling")["reason"] != before[1]["reason"]


def progress(rows: int, *, stage: str = "Loading") -> dict[str, Any]:
    return {"rows": rows, "percent": 1, "partitions": {"done": 0, "total": 9}, "stage": stage}


def test_progress_is_written_every_five_seconds_at_most_and_only_when_it_says_something() -> None:
    cluster = FakeCluster(job())
    cluster.progress = progress(1)
    everything_runs(cluster)
    count = len(cluster.writes)
    for rows in range(2, 6):
        cluster.progress = progress(rows)
        cluster.tick(1)
        assert cluster.step().decision.requeue_after is not None
    assert len(cluster.writes) == count
    cluster.tick(1)
    cluster.step()
    assert (len(cluster.writes), cluster.status["progress"]["rows"]) == (count + 1, 5)
    cluster.tick(100)
    cluster.step()
    assert len(cluster.writes) == count + 1, "nothing new to say"


@pytest.mark.parametrize(("stage", "phase"), [("Planning", "Starting"), ("Loading", "Running")])
def test_progress_is_written_no_more_often_while_the_cluster_is_not_ready(stage: str, phase: str) -> None:
    cluster = FakeCluster(job())
    cluster.settle()
    job_makes_pod(cluster)
    loader_runs(cluster)
    cluster.progress = progress(1, stage=stage)
    cluster.settle()
    assert (cluster.said[0], cluster.status["progress"]["rows"]) == (phase, 1)
    count = len(cluster.writes)
    for rows in range(2, 7):
        cluster.progress = progress(rows, stage=stage)
        cluster.tick(1)
        cluster.step()
    assert (len(cluster.writes), cluster.status["progress"]["rows"]) == (count + 1, 6)


def test_what_somebody_waits_for_is_written_at_once() -> None:
    cluster = FakeCluster(job())
    cluster.progress = progress(1)
    everything_runs(cluster)
    cluster.progress = None
    loader_ends(cluster, 0, LAST_WORD)
    cluster.step()
    assert cluster.said == ("Succeeded", "LoadVerified")


def test_the_result_and_the_last_progress_outlive_the_cluster() -> None:
    cluster = FakeCluster(job())
    cluster.progress = progress(700)
    everything_runs(cluster)
    loader_ends(cluster, 4)
    cluster.progress = None
    cluster.wind_down()
    assert cluster.status["progress"]["rows"] == 700


def test_a_cluster_that_is_not_there_yet_waits_for_what_the_job_waits_for() -> None:
    cluster = FakeCluster(job(scale="tiny"))
    cluster.settle()
    ready, waiting = cluster.condition("ClusterReady"), cluster.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PresetNotFound")
    assert ready["message"] == waiting["message"] != ""


def test_the_snapshot_of_a_preset_says_nothing_of_what_the_preset_leaves_empty() -> None:
    cluster = FakeCluster(job())
    cluster.settle()
    assert cluster.status["preset"]["spec"].keys() == {"workers", "worker", "scheduler", "loader", "limits"}
    assert read_status(cluster.status).preset == presets()["small"]


def test_a_status_comes_back_as_it_was_written() -> None:
    cluster = FakeCluster(job())
    cluster.progress = progress(1)
    everything_runs(cluster)
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    status = read_status(cluster.status)
    assert to_json(status) == cluster.status
    assert read_status(json.loads(json.dumps(to_json(status)))) == status


def test_what_another_version_wrote_hides_no_end() -> None:
    raw = {
        "phase": "Dancing",
        "runs": "many",
        "message": None,
        "later": {"field": 1},
        "conditions": [
            {
                "type": "Complete",
                "status": "True",
                "reason": "LoadVerified",
                "lastTransitionTime": "2026-01-01T12:00:00Z",
                "new": 1,
            },
            {"type": "Glad", "status": "True", "reason": "Why", "lastTransitionTime": "2026-01-01T12:00:00Z"},
            {"type": "Failed", "status": "Maybe"},
            "nonsense",
        ],
        "attempts": 3,
    }
    status = read_status(raw)
    assert (status.phase, status.runs, status.attempts) == (None, None, 3)
    assert [condition.type for condition in status.conditions] == [ConditionType.COMPLETE]
    assert read_job({**job(), "status": raw}).end is not None


def test_an_ended_job_of_another_version_is_left_alone() -> None:
    cluster = FakeCluster(job())
    ended = {"type": "Failed", "status": "True", "reason": "Gone", "lastTransitionTime": "2026-01-01T12:00:00Z"}
    assert cluster.job is not None
    cluster.job["status"] = {"phase": "Dancing", "conditions": [ended]}
    cluster.settle()
    assert cluster.objects == {}
    assert (cluster.said[0], cluster.condition("Failed")["status"]) == ("Failed", "True")


def test_a_status_stays_small_whatever_went_wrong() -> None:
    cluster = FakeCluster(job(volumes=[{"name": f"v{i}", "x": 1} for i in range(32)], workers={"replicas": 0}))
    cluster.settle()
    assert cluster.said == ("Failed", "InvalidSpec")
    assert len(json.dumps(cluster.status)) < 10_000
    cluster = FakeCluster(job())
    everything_runs(cluster)
    loader_ends(cluster, 2, {"reason": "InvalidLoad", "message": "x" * 4000})
    cluster.settle()
    assert len(json.dumps(cluster.status)) < 10_000


def test_reasons_are_documented_words_that_fit_their_field() -> None:
    source = inspect.getsource(Reason)
    for reason in Reason:
        Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason=reason, last_transition_time=START)
        line = source.split(f'"{reason.value}"')[1].splitlines()[1]
        assert line.strip().startswith('"""'), f"{reason} has no docstring"


def test_numbers_without_a_clock() -> None:
    status = JobStatus(progress=LoadProgress(rows=1, partitions=PartitionCounts(done=1, total=2), updated_at=START))
    moved = START + datetime.timedelta(seconds=1.5)
    assert to_json(status)["progress"]["updatedAt"] == "2026-01-01T12:00:00Z"
    assert to_json(JobStatus(start_time=moved))["startTime"] == "2026-01-01T12:00:01Z"
