"""The tools of the chart: what is taken from the wheel's chart is what they expect, and values.yaml says what each value means."""

import tomllib
from pathlib import Path

import pytest
import yaml

from tools import chart_values, dask_chart

ROOT = Path(__file__).parents[2]
VALUES = (ROOT / "charts/odp-dask-operator/values.yaml").read_text()


def test_the_dask_operators_chart_is_complete_and_has_its_version() -> None:
    files = dask_chart.chart()
    about, values = (yaml.safe_load(files[name]) for name in ("Chart.yaml", "values.yaml"))
    assert about["version"] == about["appVersion"] == values["image"]["tag"] == dask_chart.version()
    assert {f"crds/{kind}.yaml" for kind in ("daskcluster", "daskworkergroup", "daskautoscaler", "daskjob")} <= files.keys()


def test_the_chart_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((ROOT / "charts/odp-dask-operator/Chart.yaml").read_text())
    assert about["version"] == about["appVersion"] == project


@pytest.mark.parametrize("times", [0, 2])
def test_a_wheel_with_other_lines_is_refused(times: int) -> None:
    with pytest.raises(SystemExit, match=f"has 'tag: \"set-by-chartpress\"' {times} times instead of once"):
        dask_chart.adapted("values.yaml", 'tag: "set-by-chartpress"\n' * times, version="1.2.3")


def test_what_is_packaged_already_is_left_alone(tmp_path: Path) -> None:
    dask_chart.package(tmp_path)
    file = tmp_path / dask_chart.NAME / "Chart.yaml"
    before = file.stat()
    dask_chart.package(tmp_path)
    assert file.stat().st_ino == before.st_ino
    (tmp_path / dask_chart.NAME / "left-over").touch()
    file.write_text("changed")
    dask_chart.package(tmp_path)
    assert file.read_text() == dask_chart.chart()["Chart.yaml"]
    assert not (tmp_path / dask_chart.NAME / "left-over").exists()


def test_every_value_says_what_it_means() -> None:
    values = chart_values.read(VALUES)
    silent = {".".join(value.path) for value in values if not value.comment and not value.is_section}
    assert {path for path in silent if path.split(".")[0] not in ("presets", "dask-operator", "resources")} == set()


def test_values_are_read_as_they_stand() -> None:
    text = "# Of all.\na:\n  # A list.\n  b: [1]\n\n  c: {d: 1}\n# One,\n# two.\ne: text\n"
    assert [(value.path, value.default, value.comment, value.is_section) for value in chart_values.read(text)] == [
        (("a",), {"b": [1], "c": {"d": 1}}, "Of all.", True),
        (("a", "b"), [1], "A list.", False),
        (("a", "c"), {"d": 1}, "", False),
        (("e",), "text", "One, two.", False),
    ]
