"""The chart renders with the flags and values that the documents give it."""

import shlex
from pathlib import Path

import pytest

from tests.support.documents import Block, commands, documents
from tests.support.helm import Chart

BLOCKS = [block for document in documents() for block in document.blocks]
HELM = [
    pytest.param(command, id=str(block))
    for block in BLOCKS
    if block.language == "sh"
    for command in commands(block)
    if command.startswith(("helm install", "helm upgrade"))
]
_BUILD_SECONDS = 1800
"""Helm is built from its source when nobody brings it."""

pytestmark = pytest.mark.timeout(_BUILD_SECONDS)


@pytest.mark.parametrize("command", HELM)
def test_the_chart_installs_with_these_flags(chart: Chart, command: str) -> None:
    _, _, release, _, *flags = shlex.split(command)
    of_rendering = [word for word in flags if word not in ("--create-namespace", "--wait", "--reset-then-reuse-values")]
    rendered = chart.objects(*of_rendering)
    (operator,) = (thing for thing in rendered if (thing["kind"], thing["metadata"]["name"]) == ("Deployment", release))
    assert operator["metadata"]["namespace"] == "odp-dask-system"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.use == "values"], ids=str)
def test_the_chart_takes_these_values(chart: Chart, tmp_path: Path, block: Block) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(block.text)
    assert "kind: Deployment" in chart.template(f"--values={values}")
