"""The runbook has an entry for each alert of the chart and each reason of a job, and for nothing else."""

import inspect
from pathlib import PurePosixPath

import pytest
import yaml

from odp_dask_operator.core.notices import notices
from odp_dask_operator.spec import JobStatus, Phase, Reason
from odp_dask_operator.spec.document import UnreadableDocument
from odp_loader import errors
from tests.support.documents import ROOT, Document

RUNBOOK = Document("docs/runbook.md")
ALERTS = {
    rule["alert"]: rule["annotations"]
    for group in yaml.safe_load((ROOT / "charts/odp-dask-operator/files/monitoring/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
OF_LOADS = {kind.reason for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LoadError)}
REASONS = {*map(str, Reason), *OF_LOADS, UnreadableDocument.reason}


def _hinders(reason: Reason) -> bool:
    """Whether a person is warned of it."""
    return any(notice.warning for notice in notices(JobStatus(), JobStatus(phase=Phase.STARTING, reason=reason)))


def _entries(part: str) -> list[str]:
    """The headings of the third level below one of the second."""
    names, at = [], ""
    for level, text in RUNBOOK.headings:
        at = text if level == 2 else at
        if level == 3 and at == part:
            names.append(text)
    return names


def test_each_alert_has_an_entry_and_no_entry_is_stale() -> None:
    assert sorted(_entries("Alerts")) == sorted(ALERTS)


def test_each_reason_has_an_entry_and_no_entry_is_stale() -> None:
    assert sorted(_entries("Reasons")) == sorted(REASONS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_its_entry(alert: str) -> None:
    name, _, anchor = ALERTS[alert]["runbook_url"].partition("#")
    assert PurePosixPath(name) == PurePosixPath(RUNBOOK.name)
    assert anchor == alert.lower()
    assert anchor in RUNBOOK.anchors


@pytest.mark.parametrize("alert", ALERTS)
def test_an_entry_for_an_alert_says_what_to_do(alert: str) -> None:
    assert "**Next:**" in RUNBOOK.section(alert)


@pytest.mark.parametrize("reason", sorted({*OF_LOADS, *filter(_hinders, Reason)}))
def test_an_entry_for_a_reason_that_hinders_says_what_to_do(reason: str) -> None:
    assert "**Next:**" in RUNBOOK.section(reason)
