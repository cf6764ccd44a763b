"""The types of the API: what they accept, what they say about the rest, and that nothing is lost on the way through."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from odp_dask_operator.spec import OdpDaskJob, OdpDaskPreset
from odp_dask_operator.spec.document import Document, UnreadableDocument
from odp_dask_operator.spec.faults import InvalidDocument, validate
from odp_dask_operator.spec.files import read_job

GOLDEN = Path(__file__).parent / "golden"

EVERYTHING: dict[str, Any] = {
    "apiVersion": "odpdask.dev/v1alpha1",
    "kind": "OdpDaskJob",
    "metadata": {"name": "sst-2024", "namespace": "ocean", "labels": {"team": "sea"}, "uid": "1-2", "generation": 3},
    "spec": {
        "scale": "medium",
        "workers": {"minimum": 2, "maximum": 20},
        "load": {
            "source": {
                "odp": {
                    "dataset": "1d801817",
                    "filter": "time >= $since",
                    "vars": {"since": "2024-01-01T00:00:00Z", "flag": True, "n": 3, "x": 0.5},
                    "columns": ["time", "lat"],
                    "splitBy": "time",
                    "streams": 8,
                    "baseURL": "https://api.hubocean.earth/",
                }
            },
            "transform": {
                "filter": "temperature > -2",
                "derive": {"year": "year(time)"},
                "map": "package.module:function",
                "aggregate": {"by": ["station_id"], "columns": {"temperature": ["mean", "min"]}},
            },
            "sink": {
                "parquet": {
                    "url": "s3://bucket/sst",
                    "ifExists": "Overwrite",
                    "compression": "snappy",
                    "partitionOn": ["year"],
                    "storage": {"endpoint": "https://minio:9000", "region": "eu", "roleARN": "arn:x", "secretName": "s3"},
                }
            },
            "partitions": {"targetBytes": 134217728, "maximum": 100},
            "verify": "Warn",
        },
        "image": "ghcr.io/x/y:1",
        "credentials": {"secretName": "odp-api-key"},
        "env": [
            {"name": "A", "value": "b"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"prefix": "X_", "secretRef": {"name": "s", "optional": False}}],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {"name": "code", "configMap": {"name": "code", "items": [{"key": "a", "path": "a.py"}], "optional": False}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "x", "readOnly": True}],
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"anything": [1, {"x": None}]}},
        "imagePullSecrets": [{"name": "pull"}],
        "serviceAccountName": "loader",
        "podLabels": {"a": "b"},
        "podAnnotations": {"example.com/a": "b c"},
        "dashboard": {
            "service": {"type": "NodePort", "annotations": {"a": "b"}},
            "ingress": {"host": "x.example", "className": "nginx", "annotations": {}, "tlsSecretName": "tls"},
            "jupyterHubPrefix": "/user/ada/",
        },
        "keepCluster": "OnFailure",
        "keepClusterSeconds": 60,
        "suspend": True,
        "backoffLimit": 0,
        "activeDeadlineSeconds": 100,
        "startupDeadlineSeconds": 100,
        "progressDeadlineSeconds": 100,
        "ttlSecondsAfterFinished": 0,
    },
}

SMALLEST: dict[str, Any] = {
    "apiVersion": "odpdask.dev/v1alpha1",
    "kind": "OdpDaskJob",
    "metadata": {"name": "a"},
    "spec": {"scale": "small", "load": {"source": {"synthetic": {"rows": 1}}, "sink": {"parquet": {"url": "out"}}}},
}


def faults(document: dict[str, Any], model: type[Any] = OdpDaskJob) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        validate(model, Document(document))
    return str(caught.value).splitlines()


def changed(path: str, value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(SMALLEST))
    *around, last = path.split(".")
    place = document
    for part in around:
        place = place[part]
    place[last] = value
    return document


def within(whole: Any, part: Any) -> bool:
    """Whether everything in `part` is in `whole`, which may have more fields."""
    if isinstance(part, dict):
        return all(key in whole and within(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(within(a, b) for a, b in zip(whole, part, strict=True))
    return bool(whole == part)


def test_every_field_comes_back_as_it_was() -> None:
    job = validate(OdpDaskJob, Document(EVERYTHING))
    dumped = json.loads(job.model_dump_json(by_alias=True))
    assert within(dumped, EVERYTHING)
    assert validate(OdpDaskJob, Document(dumped)) == job


def test_the_sample_has_every_field_of_the_spec() -> None:
    job = validate(OdpDaskJob, Document(EVERYTHING))
    assert set(type(job.spec).model_fields) - job.spec.model_fields_set == {"script"}


def test_the_defaults_are_those_of_the_design() -> None:
    spec = validate(OdpDaskJob, Document(SMALLEST)).spec
    assert (spec.keep_cluster_seconds, spec.startup_deadline_seconds, spec.backoff_limit) == (3600, 900, 3)
    assert (spec.keep_cluster, spec.suspend, spec.ttl_seconds_after_finished) == ("Never", False, None)


def test_every_fault_is_told_at_once_with_line_path_and_cure() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job((GOLDEN / "invalid_job.yaml").read_bytes(), source="job.yaml")
    golden = GOLDEN / "invalid_job.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(f"{caught.value}\n")
    assert f"{caught.value}\n" == golden.read_text()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.script", {"module": "a.b"}, "spec: set exactly one of load, script; both are set"),
        ("spec.load", None, "spec: set exactly one of load, script; none is set"),
        ("spec.workers", {"replicas": 2, "minimum": 1}, "spec.workers: set replicas, or minimum and maximum, not both"),
        ("spec.workers", {"minimum": 1}, "spec.workers: set replicas, or both minimum and maximum"),
        ("spec.workers", {}, "spec.workers: set replicas, or both minimum and maximum"),
        ("spec.workers", {"replicas": 0}, "spec.workers.replicas: 0 is too small; the least is 1"),
        ("metadata.name", "a" * 41, "metadata.name: has 41 characters; at most 40 are allowed"),
        (
            "metadata.name",
            "1a",
            "metadata.name: \"1a\" is not allowed; use lower-case letters, digits and '-', a letter first, no '-' last",
        ),
        (
            "spec.volumeMounts",
            [{"name": "x", "mountPath": "/x"}],
            "spec: volumeMounts names the volume 'x', which is not in volumes",
        ),
        ("spec.load.source.synthetic.rows", True, "spec.load.source.synthetic.rows: true is not a whole number"),
        ("spec.load.source.synthetic.rows", "5", 'spec.load.source.synthetic.rows: "5" is text; write the number without quotes'),
        (
            "apiVersion",
            "odpdask.dev/v1",
            'apiVersion: "odpdask.dev/v1" is not one of odpdask.dev/v1alpha1; did you mean "odpdask.dev/v1alpha1"?',
        ),
    ],
)
def test_a_wrong_value_is_answered_in_a_sentence(path: str, value: Any, message: str) -> None:
    assert faults(changed(path, value)) == [message]


def test_quantities_of_a_preset_are_read_and_written_as_kubernetes_does() -> None:
    preset = {
        "metadata": {"name": "huge"},
        "spec": {
            "workers": {"replicas": 20},
            "worker": {"cpu": "1.5", "memory": "16Gi", "threads": 32},
            "loader": {"cpu": "0.25", "memory": "1000M"},
        },
    }
    spec = validate(OdpDaskPreset, Document(preset)).spec
    assert (spec.worker.cpu, spec.worker.memory, spec.loader.cpu, spec.loader.memory) == (1500, 16 * 2**30, 250, 10**9)
    dumped = json.loads(spec.model_dump_json(by_alias=True))
    assert (dumped["worker"]["cpu"], dumped["worker"]["memory"], dumped["loader"]) == (
        "1500m",
        "16Gi",
        {"cpu": "250m", "memory": "1000000000"},
    )
    assert faults({**preset, "spec": {**preset["spec"], "workers": {"replicas": 21}}}, OdpDaskPreset) == [  # type: ignore[dict-item]
        "spec: workers asks for 21, more than limits.maxWorkers (20)"
    ]
    worker = {"cpu": "two", "memory": "lots", "threads": 1}
    assert faults({"metadata": {"name": "x"}, "spec": {"workers": {"replicas": 1}, "worker": worker}}, OdpDaskPreset) == [
        'spec.worker.cpu: "two" is not an amount of processor time; write 2, 500m or "0.5" in quotes',
        'spec.worker.memory: "lots" is not a quantity of bytes; write 2Gi, 512Mi or a whole number of bytes',
    ]


def test_every_field_is_documented_for_kubectl_explain() -> None:
    missing: list[str] = []

    def visit(model: type[BaseModel], seen: set[type[BaseModel]]) -> None:
        for name, field in model.model_fields.items():
            if not field.description and name not in ("api_version", "kind"):
                missing.append(f"{model.__name__}.{name}")
            for kind in _models(field.annotation):
                if kind not in seen:
                    seen.add(kind)
                    visit(kind, seen)

    visit(OdpDaskJob, set())
    visit(OdpDaskPreset, set())
    # a choice's arms document themselves: `load.source`, `transform` and so on are one type each
    assert missing == []


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "job.yaml: the file is empty; a job begins with apiVersion: odpdask.dev/v1alpha1"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}", "job.yaml: there is no OdpDaskJob in the file, only Secret"),
        ("apiVersion: odpdask.dev/v1alpha1", "job.yaml:1: kind: is required; a job has kind: OdpDaskJob"),
        (
            "apiVersion: odpdask.dev/v1alpha1\nkind: odpdaskjob",
            'job.yaml:2: kind: "odpdaskjob" is not one of OdpDaskJob, OdpDaskPreset; did you mean "OdpDaskJob"?',
        ),
        (
            "kind: OdpDaskJob\nmetadata: {name: a}\n---\nkind: OdpDaskJob\nmetadata: {name: b}",
            "job.yaml: the file holds 2 jobs (a, b); put each into a file of its own to run it",
        ),
    ],
)
def test_a_file_without_exactly_one_job_is_refused(text: str, message: str) -> None:
    with pytest.raises((UnreadableDocument, InvalidDocument)) as caught:
        read_job(text.encode(), source="job.yaml")
    assert str(caught.value) == message


def test_what_stands_beside_the_job_is_found() -> None:
    file = read_job(
        b"kind: ConfigMap\nmetadata: {name: code}\ndata: {main.py: 'print(1)'}\n---\n"
        b"apiVersion: odpdask.dev/v1alpha1\nkind: OdpDaskJob\nmetadata: {name: a}\nspec: {scale: tiny, script: {module: x}}\n---\n"
        b"apiVersion: odpdask.dev/v1alpha1\nkind: OdpDaskPreset\nmetadata: {name: tiny}\n"
        b"spec: {workers: {replicas: 1}, worker: {cpu: 1, memory: 1Gi, threads: 1}}\n---\n"
        b"kind: Secret\nmetadata: {name: odp-api-key}\n",
        source="job.yaml",
    )
    assert file.job.spec.scale == "tiny"
    assert file.presets["tiny"].spec.worker.memory == 2**30
    assert file.config_maps["code"].value["data"] == {"main.py": "print(1)"}
    assert file.others == ("Secret/odp-api-key",)
