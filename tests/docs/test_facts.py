"""Numbers, names and lists that the documents repeat are those of the code."""

import re

from odp_dask_operator.core.names import Child, Names
from odp_dask_operator.crd.rules import MUTABLE
from odp_dask_operator.presets import BUILT_IN, choose_preset
from odp_dask_operator.spec import Phase
from odp_dask_operator.spec.quantity import format_cpu
from tests.support.documents import Document

README, CONCEPTS = Document("README.md"), Document("docs/concepts.md")


def _rows(section: str) -> list[list[str]]:
    """The cells of each row of a section's tables."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]


def test_the_sizes_are_the_presets() -> None:
    told = {row[0]: row[1:3] for row in _rows(README.section("Sizes"))}
    for name, preset in BUILT_IN.items():
        worker, memory = preset.spec.worker, round(preset.spec.worker.memory / 2**30)
        each = f"{format_cpu(worker.cpu)} CPU, {memory} GiB, {worker.threads} threads"
        assert told[f"`{name}`"] == [str(preset.spec.workers.most), each]


def test_the_phases_are_all_there() -> None:
    told = [row[0] for row in _rows(README.section("On Kubernetes"))]
    assert told[1:] == [f"`{phase}`" for phase in Phase]


def test_the_objects_of_a_job_have_the_names_that_they_get() -> None:
    names = Names("sst", "ocean", "1d801817-742b-4867-82cf-5597673524eb")
    told = {row[0].removesuffix(" (batch/v1)"): row[1].strip("`") for row in _rows(CONCEPTS.section("Job"))[1:]}
    assert told == {child.resource.kind: names.of(child, run=1) for child in Child}


def test_the_fields_that_may_change_are_told() -> None:
    (told,) = re.findall(r"refuses a change to anything but (.*?)\. What", CONCEPTS.section("Job"), re.DOTALL)
    deadlines = {name for name in MUTABLE if name.endswith("DeadlineSeconds")}
    assert {*re.findall(r"`(\w+)`", told)} == MUTABLE - deadlines
    assert "the three deadlines" in told
    assert len(deadlines) == 3


def test_auto_changes_where_it_is_told() -> None:
    numbers = r"Up to (\d+) thousand rows and (\d+) MiB.*?`small`, up to (\d+)\s+million rows and (\d+) MiB `medium`"
    (told,) = re.findall(numbers, CONCEPTS.section("Preset"), re.DOTALL)
    small_rows, small_bytes = int(told[0]) * 1000, int(told[1]) * 2**20
    medium_rows, medium_bytes = int(told[2]) * 1_000_000, int(told[3]) * 2**20
    for rows, size_bytes, below, above in (
        (small_rows, small_bytes, "small", "medium"),
        (medium_rows, medium_bytes, "medium", "large"),
    ):
        assert choose_preset(rows=rows, size_bytes=size_bytes) == below
        assert choose_preset(rows=rows + 1, size_bytes=size_bytes) == above
        assert choose_preset(rows=rows, size_bytes=size_bytes + 1) == above
