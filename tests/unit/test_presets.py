"""The built-in sizes, and which of them a table gets."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from odp_dask_operator.cli import app as cli
from odp_dask_operator.presets import BUILT_IN, choose_preset
from odp_dask_operator.spec import OdpDaskPreset
from odp_dask_operator.spec.document import read_documents
from odp_dask_operator.spec.faults import validate


def test_the_built_in_sizes_are_those_of_the_design() -> None:
    sizes = {
        name: (spec.workers.most, spec.worker.cpu, spec.worker.memory // 2**30, spec.worker.threads)
        for name, spec in ((name, preset.spec) for name, preset in BUILT_IN.items())
    }
    assert sizes == {"small": (1, 1000, 2, 4), "medium": (2, 2000, 4, 8), "large": (4, 4000, 8, 16)}


@pytest.mark.parametrize(
    ("rows", "size_bytes", "name"),
    [
        (0, 0, "small"),
        (100_000, 5_000_000, "small"),
        (194_000, None, "small"),
        (1_000_000, 50_000_000, "medium"),
        (10_000_000, 500_000_000, "large"),
        (100_000, 10**9, "large"),
        (100_000, 10**8, "medium"),
        (10**9, None, "large"),
        (None, 10**6, "small"),
        (None, None, "medium"),
    ],
)
def test_the_larger_of_rows_and_bytes_chooses(rows: int | None, size_bytes: int | None, name: str) -> None:
    assert choose_preset(rows=rows, size_bytes=size_bytes) == name


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["presets", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_printed_yaml_is_the_presets_themselves() -> None:
    documents = read_documents(printed("--output", "yaml").encode(), source="presets.yaml")
    assert {"small", "medium", "large"} == {document.value["metadata"]["name"] for document in documents}
    for document in documents:
        assert validate(OdpDaskPreset, document) == BUILT_IN[document.value["metadata"]["name"]]


def test_json_is_one_line_and_the_same() -> None:
    text = printed("-o", "json")
    assert text.count("\n") == 1
    assert json.loads(text) == list(yaml.safe_load_all(printed("-o", "yaml")))


def test_the_table_is_for_people() -> None:
    assert printed().splitlines() == [
        "NAME       WORKERS   CPU  MEMORY  THREADS  MAX WORKERS",
        "small            1     1     2Gi        4            4",
        "medium           2     2     4Gi        8           20",
        "large            4     4     8Gi       16           50",
    ]
