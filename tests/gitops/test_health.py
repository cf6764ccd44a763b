"""What Argo CD and Flux make of a job in every state, asked of the interpreters that they use."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from odp_dask_operator.spec import Phase
from tests.support.go_tools import ROOT, ask, go_tool
from tests.support.kstatus import kstatus
from tests.support.recorded_jobs import Recording, record

JOBS = Path(__file__).parent / "jobs"
HEALTH = ROOT / "manifests/gitops/argocd/health.lua"


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return record()


def test_the_recordings_are_what_the_operator_writes(recordings: dict[str, Recording], request: pytest.FixtureRequest) -> None:
    """As files, for people who write checks of their own."""
    texts = {f"{name}.yaml": yaml.safe_dump(each.job, sort_keys=False, width=132) for name, each in recordings.items()}
    if request.config.getoption("--update-golden"):
        JOBS.mkdir(exist_ok=True)
        for file in JOBS.iterdir():
            file.unlink()
        for name, text in texts.items():
            (JOBS / name).write_text(text)
    assert {file.name: file.read_text() for file in JOBS.iterdir()} == texts, (
        "run pytest with --update-golden and read what it writes"
    )


def test_every_phase_is_recorded(recordings: dict[str, Recording]) -> None:
    assert {each.job["status"]["phase"] for each in recordings.values() if "status" in each.job} == set(Phase)


def test_argo_cd_reads_every_state_rightly(recordings: dict[str, Recording]) -> None:
    answers = ask(go_tool("lua-health"), [each.job for each in recordings.values()], HEALTH)
    found = {name: answer["status"] for name, answer in zip(recordings, answers, strict=True)}
    assert found == {name: each.argo_cd for name, each in recordings.items()}
    said = {name: answer["message"] for name, answer in zip(recordings, answers, strict=True)}
    assert said["new"] == "waiting for the operator"
    assert said["changed"] == "waiting for the operator to see the change"
    others = said.keys() - {"new", "changed"}
    assert {name: said[name] for name in others} == {name: recordings[name].job["status"].get("message", "") for name in others}


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({}, "Progressing"),
        ({"conditions": []}, "Progressing"),
        ({"phase": "Succeeded", "conditions": [{"type": "Complete", "status": "Unknown"}]}, "Progressing"),
        ({"conditions": [{"type": "Complete", "status": "True"}, {"type": "Reconciling", "status": "True"}]}, "Healthy"),
        ({"observedGeneration": 1, "conditions": [{"type": "Suspended", "status": "True"}]}, "Progressing"),
    ],
)
def test_argo_cd_reads_less_than_a_whole_status(status: dict[str, Any], health: str) -> None:
    job = {"metadata": {"name": "a", "generation": 1}, "status": status}
    assert ask(go_tool("lua-health"), [job], HEALTH)[0]["status"] == health


def test_a_check_that_argo_cd_would_not_take_is_an_error(tmp_path: Path) -> None:
    for text, words in (
        ("return {status = 'Fine'}", "does not know"),
        ("return 1", "instead of a table"),
        ("return {status = string.upper('healthy')}", "index a non-table object"),
        ("while true do end", "context deadline exceeded"),
    ):
        (tmp_path / "check.lua").write_text(text)
        with pytest.raises(AssertionError, match=words):
            ask(go_tool("lua-health"), [{}], tmp_path / "check.lua")


def test_kstatus_reads_every_state_rightly(recordings: dict[str, Recording]) -> None:
    answers = ask(go_tool("kstatus"), [each.job for each in recordings.values()])
    found = {name: answer["status"] for name, answer in zip(recordings, answers, strict=True)}
    assert found == {name: each.kstatus for name, each in recordings.items()}
    assert found == {name: kstatus(each.job) for name, each in recordings.items()}, "the tests of the operator read as it does"


def test_the_config_map_of_argo_cd_has_the_check_as_it_was_tested() -> None:
    found = yaml.safe_load((HEALTH.parent / "argocd-cm.yaml").read_text())
    assert found["data"] == {"resource.customizations.health.odpdask.dev_OdpDaskJob": HEALTH.read_text()}
