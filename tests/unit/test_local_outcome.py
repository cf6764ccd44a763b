"""How a run ended, as the status of the job and in words."""

import datetime
import json
import signal
from dataclasses import replace
from typing import Any

import pytest

from odp_dask_operator.cli.summary import summarise
from odp_dask_operator.local.interrupt import Interrupted
from odp_dask_operator.local.outcome import Outcome, ScriptFailed, Unexpected, status_of
from odp_loader.errors import CredentialsRefused, LoadError
from odp_loader.progress import Progress, Result, Stage

START = datetime.datetime(2024, 5, 1, 12, 0, 0, 500_000, tzinfo=datetime.UTC)
END = START + datetime.timedelta(seconds=65)
PROGRESS = Progress(
    stage=Stage.LOADING, partitions_done=3, partitions_total=12, rows=300, rows_expected=1000, bytes=4096,
    rows_per_second=50.4, eta_seconds=13.6, updated_at=START.timestamp(),
)  # fmt: skip
RESULT = Result(
    rows_read=1000, rows_expected=1000, rows_dropped=10, rows_written=990, files=4, bytes=2_100_000, data_url="/out/data",
    manifest_url="/out/manifest.json", manifest_sha256="ab" * 32, seconds=1.9, partitions=12, resumed_partitions=0,
)  # fmt: skip
OUTCOME = Outcome(
    started=START, ended=END, progress=PROGRESS, preset="medium", workers=2, dashboard_url="http://127.0.0.1:8787/status"
)
DONE = replace(OUTCOME, result=RESULT, progress=replace(PROGRESS, stage=Stage.FINISHED))


def as_json(outcome: Outcome) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(status_of(outcome).model_dump_json(by_alias=True, exclude_none=True))
    return status


def holding(status: dict[str, Any]) -> set[str]:
    return {condition["type"] for condition in status["conditions"] if condition["status"] == "True"}


def test_a_finished_load_has_the_status_that_a_cluster_would_show() -> None:
    status = as_json(DONE)
    conditions = status.pop("conditions")
    assert status == {
        "phase": "Succeeded",
        "reason": "LoadVerified",
        "message": "1000 rows read of 1000 expected, 990 written to /out/data",
        "startTime": "2024-05-01T12:00:00Z",
        "completionTime": "2024-05-01T12:01:05Z",
        "preset": {"name": "medium"},
        "workers": {"desired": 2, "ready": 0},
        "dashboardURL": "http://127.0.0.1:8787/status",
        "progress": {
            "percent": 100,
            "partitions": {"done": 3, "total": 12},
            "rows": 300,
            "bytes": 4096,
            "rowsPerSecond": 50,
            "etaSeconds": 14,
            "updatedAt": "2024-05-01T12:00:00Z",
        },
        "result": {
            "rows": 990,
            "bytes": 2_100_000,
            "files": 4,
            "dataURL": "/out/data",
            "manifestURL": "/out/manifest.json",
            "manifestSHA256": "ab" * 32,
            "seconds": 1.9,
        },
        "attempts": 1,
    }
    assert [condition["type"] for condition in conditions] == [
        "Ready", "Reconciling", "Stalled", "ClusterReady", "Suspended", "Complete", "Failed",
    ]  # fmt: skip
    assert {condition["message"] for condition in conditions if condition["status"] == "False"} == {""}
    assert conditions[0] == {
        "type": "Ready",
        "status": "True",
        "reason": "LoadVerified",
        "message": status["message"],
        "lastTransitionTime": "2024-05-01T12:01:05Z",
    }


def test_a_load_that_was_complete_already_has_all_its_progress() -> None:
    assert as_json(replace(DONE, progress=None))["progress"] == {
        "percent": 100,
        "partitions": {"done": 12, "total": 12},
        "rows": 1000,
        "bytes": 0,
        "rowsPerSecond": 0,
    }


@pytest.mark.parametrize(
    ("outcome", "phase", "reason", "true", "code"),
    [
        (DONE, "Succeeded", "LoadVerified", {"Ready", "Complete"}, 0),
        (replace(DONE, result=replace(RESULT, rows_read=999)), "Succeeded", "LoadDiffers", {"Ready", "Complete"}, 0),
        (OUTCOME, "Succeeded", "ScriptFinished", {"Ready", "Complete"}, 0),
        (replace(OUTCOME, stop=CredentialsRefused("no key")), "Failed", "CredentialsRefused", {"Stalled", "Failed"}, 3),
        (replace(OUTCOME, stop=ScriptFailed(7)), "Failed", "ScriptFailed", {"Stalled", "Failed"}, 7),
        (replace(OUTCOME, stop=Unexpected("KeyError: 'x'")), "Failed", "InternalError", {"Stalled", "Failed"}, 1),
        (replace(OUTCOME, stop=Interrupted(signal.SIGINT)), "Suspended", "Interrupted", {"Ready", "Suspended"}, 130),
        (replace(OUTCOME, stop=Interrupted(signal.SIGTERM)), "Suspended", "Interrupted", {"Ready", "Suspended"}, 143),
    ],
)
def test_every_way_to_end_has_its_phase_reason_conditions_and_exit_code(
    outcome: Outcome, phase: str, reason: str, true: set[str], code: int
) -> None:
    status = as_json(outcome)
    assert (status["phase"], status["reason"], holding(status), outcome.exit_code) == (phase, reason, true, code)
    assert ("completionTime" in status) == (phase == "Succeeded")


def test_the_summary_of_a_load_says_what_can_be_trusted() -> None:
    assert summarise(DONE).splitlines() == [
        "Complete and verified",
        "  rows      1,000 read = 1,000 expected, 10 dropped; 990 rows written",
        "  files     4 files, 2.10 MB, in 1.9 s",
        "  manifest  /out/manifest.json",
        '  read it   dd.read_parquet("/out/data")',
    ]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rows_read": 998}, "  rows      998 read of 1,000 expected, 10 dropped; 990 rows written after aggregating"),
        ({"rows_dropped": 0, "rows_written": 1000}, "  rows      1,000 read = 1,000 expected; 1,000 rows written"),
        ({"rows_dropped": -5, "rows_written": 1005}, "  rows      1,000 read = 1,000 expected, 5 added by map; 1,005 rows written"),
        ({"rows_dropped": 0, "rows_written": 50}, "  rows      1,000 read = 1,000 expected; 50 rows written after aggregating"),
        ({"notes": ("the table grew by 2 rows",)}, "  note      the table grew by 2 rows"),
        ({"resumed_partitions": 5}, "Complete and verified; an earlier run had done 5 of 12 partitions"),
        ({"resumed_partitions": 12}, "Complete and verified; an earlier run had done all of it"),
        ({"rows_read": 998, "rows_written": 988}, "Complete, with a difference"),
    ],
)
def test_the_summary_says_what_is_different(changes: dict[str, Any], line: str) -> None:
    assert line in summarise(replace(DONE, result=replace(RESULT, **changes))).splitlines()


KEPT = "3 of 12 partitions are finished and kept; run the same command again to go on from there."


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (replace(OUTCOME, stop=Interrupted(signal.SIGINT)), f"Stopped. {KEPT}"),
        (
            replace(OUTCOME, stop=Interrupted(signal.SIGINT), progress=None),
            "Stopped. Nothing was finished; run the same command again to start over.",
        ),
        (replace(OUTCOME, stop=LoadError("the scheduler is gone.")), f"Error: the scheduler is gone. {KEPT}"),
        (replace(OUTCOME, stop=CredentialsRefused("no key")), "Error: no key"),
        (OUTCOME, "Done: the script ended with exit status 0 after 1:05"),
    ],
)
def test_whoever_is_stopped_hears_what_is_kept_and_how_to_go_on(outcome: Outcome, text: str) -> None:
    assert summarise(outcome) == text
