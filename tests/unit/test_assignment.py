"""`--set path=value` writes one field, typed by the field."""

from typing import Any

import pytest

from odp_dask_operator.spec import OdpDaskJob
from odp_dask_operator.spec.assignment import assign
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import InvalidDocument, validate
from odp_dask_operator.spec.path import format_path, parse_path

JOB: dict[str, Any] = {
    "apiVersion": "odpdask.dev/v1alpha1",
    "kind": "OdpDaskJob",
    "metadata": {"name": "a"},
    "spec": {
        "scale": "small",
        "load": {
            "source": {"odp": {"dataset": "d", "streams": 4}},
            "sink": {"parquet": {"url": "out", "storage": {"secretName": "s3"}}},
        },
    },
}


def set_(*assignments: str) -> OdpDaskJob:
    document, flags = assign(OdpDaskJob, Document(JOB, source="job.yaml"), assignments)
    return validate(OdpDaskJob, document, flags=flags)


def refused(*assignments: str) -> str:
    with pytest.raises(InvalidDocument) as caught:
        set_(*assignments)
    return str(caught.value)


def test_text_stays_text_and_everything_else_is_read_as_yaml() -> None:
    spec = set_(
        "spec.scale=large",
        "spec.image=1.0",
        "spec.suspend=true",
        "spec.workers.replicas=3",
        "spec.load.source.odp.columns=[time, lat]",
        "spec.load.source.odp.filter=time >= $since",
        "spec.load.source.odp.vars.since=2024-01-01",
        "spec.load.source.odp.vars.n=5",
        "spec.load.sink.parquet.ifExists=Overwrite",
        "spec.load.partitions.targetBytes=64Mi",
        'spec.podLabels["example.com/team"]=sea',
        "spec.env[0].name=A",
        "spec.env[0].value=x=y",
    ).spec
    assert (spec.scale, spec.image, spec.suspend, spec.workers and spec.workers.replicas) == ("large", "1.0", True, 3)
    assert spec.load is not None
    odp = spec.load.source.odp
    assert odp is not None
    assert (odp.columns, odp.filter) == (("time", "lat"), "time >= $since")
    assert odp.vars == {"since": "2024-01-01", "n": 5}
    assert spec.load.sink.parquet is not None
    assert spec.load.sink.parquet.if_exists == "Overwrite"
    assert spec.load.partitions.target_bytes == 64 * 2**20
    assert spec.pod_labels == {"example.com/team": "sea"}
    assert (spec.env[0].name, spec.env[0].value) == ("A", "x=y")


def test_an_empty_value_removes_the_field() -> None:
    load = set_("spec.load.sink.parquet.storage=", "spec.load.source.odp.streams=").spec.load
    assert load is not None
    assert load.sink.parquet is not None
    assert load.sink.parquet.storage is None
    assert load.source.odp is not None
    assert load.source.odp.streams == 32


def test_the_document_itself_is_not_changed() -> None:
    set_("spec.scale=large")
    assert JOB["spec"]["scale"] == "small"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("scale=large", "--set: scale: unknown field; did you mean spec.scale?"),
        ("spec.sink.parquet.url=x", "--set: spec.sink: unknown field; did you mean spec.load.sink?"),
        ("spec.load.source.odp.colums=[a]", '--set: spec.load.source.odp.colums: unknown field; did you mean "columns"?'),
        ("spec.scale.x=1", "--set: spec.scale.x: unknown field; nothing can stand below this value"),
        ("spec.env[1].name=A", "--set: spec.env[1]: the list has 0 entries; the next one is [0]"),
        ("spec.workers.replicas=many", '--set: spec.workers.replicas: "many" is not a whole number'),
        (
            "spec.load.source.odp.columns=time",
            '--set: spec.load.source.odp.columns: "time" stands where a list is expected; write [time]',
        ),
        ("spec.scale", "--set: 'spec.scale' has no value; write --set spec.scale=small"),
        ("spec..scale=x", "--set: 'spec..scale' is not the path of a field; write it like spec.load.sink.parquet.url"),
        ("=x", "--set: '' is not the path of a field; write it like spec.load.sink.parquet.url"),
        (
            "spec.load.source.odp.columns=[a",
            "--set spec.load.source.odp.columns: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence)",
        ),
    ],
)
def test_a_wrong_path_or_value_is_told_with_what_was_meant(assignment: str, message: str) -> None:
    assert refused(assignment) == message


@pytest.mark.parametrize("path", [("spec",), ("spec", "env", 0, "name"), ("a", "b.c/d", 1), ("a", "1b")])
def test_a_path_is_written_as_it_is_read(path: tuple[str | int, ...]) -> None:
    assert parse_path(format_path(path)) == path
