"""The security model speaks of every right that the operator has, and of every port of a job's pods."""

import re

import yaml

from odp_dask_operator.core import names
from tests.support.documents import ROOT, Document

SECURITY = Document("docs/security.md")
RULES = [
    rule
    for file in sorted((ROOT / "charts/odp-dask-operator/files/rbac").glob("*.yaml"))
    for rule in yaml.safe_load(file.read_text())
]


def _first_cells(section: str) -> list[tuple[str, str]]:
    """The first two cells of each row of a section's table, without its head."""
    rows = [line.split("|")[1:3] for line in SECURITY.section(section).splitlines() if line.startswith("| ")]
    return [(first.strip(), second.strip()) for first, second in rows[1:]]


def test_every_right_of_the_operator_is_told() -> None:
    told = {resource for cell, _ in _first_cells("The operator's rights") for resource in re.findall(r"`([a-z/]+)`", cell)}
    assert told == {resource for rule in RULES for resource in rule["resources"]}


def test_what_is_told_of_a_right_is_what_the_rule_says() -> None:
    words = {"read": {"get", "list", "watch"}, "create": {"create"}, "delete": {"delete"}, "patch": {"patch"}, "update": {"update"}}
    words["list"] = {"list"}
    for resources, may in _first_cells("The operator's rights"):
        told = {verb for word in re.findall(r"\w+", may.partition(";")[0]) for verb in words[word]}
        for resource in re.findall(r"`([a-z/]+)`", resources):
            has = {verb for rule in RULES if resource in rule["resources"] for verb in rule["verbs"]}
            assert has <= told, f"{resource}: {has - told} is not told"
            assert told - has <= words["read"], f"{resource}: {told - has} is told"


def test_every_port_is_told() -> None:
    told = {int(port) for cell, _ in _first_cells("Who reaches what") for port in re.findall(r"\d+", cell)}
    assert told >= {names.SCHEDULER_PORT, names.DASHBOARD_PORT, names.WORKER_HTTP_PORT, names.PROGRESS_PORT}
