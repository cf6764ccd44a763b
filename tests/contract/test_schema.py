"""The custom resource definitions on a real API server: applied, defaulted, pruned, explained, and guarded against change."""

import json
from pathlib import Path
from typing import Any

import pytest

from odp_dask_operator.crd.rules import MUTABLE
from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import CRDS, ApiServer, until
from tests.support.jobs import API, changed, load_job, odp_job, preset, script_job
from tests.support.yaml_documents import parsed

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "manifests/examples").glob("*.yaml"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def path_of(namespace: str, thing: dict[str, Any], *more: str) -> str:
    return "/".join([f"{API}/namespaces/{namespace}/{thing['kind'].lower()}s", *more])


@pytest.mark.parametrize("file", sorted(CRDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_applying_a_definition_again_changes_nothing(server: ApiServer, file: Path) -> None:
    (definition,) = parsed(file.read_text())
    path = f"{DEFINITIONS}/{definition['metadata']['name']}"
    before = server.request("GET", path).body
    again = server.apply(definition, path, fieldManager="test").body
    assert again["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert {each["type"]: each["status"] for each in again["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }


def test_the_kinds_have_short_names_a_category_and_no_scale(server: ApiServer) -> None:
    found = {
        each["name"]: (each.get("shortNames"), each.get("categories")) for each in server.request("GET", API).body["resources"]
    }
    assert found == {
        "odpdaskjobs": (["odj"], ["odp"]),
        "odpdaskjobs/status": (None, None),
        "odpdaskpresets": (["odpp"], ["odp"]),
    }


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_accepted(server: ApiServer, namespace: str, file: Path) -> None:
    ours = [thing for thing in parsed(file.read_text()) if thing["apiVersion"].startswith("odpdask.dev/")]
    assert ours
    for thing in ours:
        thing = changed(thing, {"metadata.namespace": namespace})
        answer = server.request("POST", path_of(namespace, thing), thing, dryRun="All", fieldValidation="Strict")
        assert (answer.status, answer.warnings) == (201, ()), answer.causes


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_presets_of_every_installation_are_accepted(server: ApiServer, namespace: str, name: str) -> None:
    thing = json.loads(BUILT_IN[name].model_dump_json(by_alias=True, exclude_none=True))
    thing["metadata"] = {"name": name}
    assert server.request("POST", path_of(namespace, thing), thing, fieldValidation="Strict").status == 201


def test_defaults_appear(server: ApiServer, namespace: str) -> None:
    made = server.request("POST", path_of(namespace, load_job()), load_job()).body
    assert made["spec"] == {
        "scale": "small",
        "load": {
            "source": {"synthetic": {"rows": 1, "seed": 42}},
            "sink": {"parquet": {"url": "out", "ifExists": "Resume", "compression": "zstd"}},
            "partitions": {"targetBytes": "128Mi", "maximum": 10000},
            "verify": "Strict",
        },
        "dashboard": {"service": {"type": "ClusterIP"}},
        "keepCluster": "Never",
        "keepClusterSeconds": 3600,
        "suspend": False,
        "backoffLimit": 3,
        "startupDeadlineSeconds": 900,
    }
    odp = server.request("POST", path_of(namespace, odp_job("b")), odp_job("b")).body
    assert odp["spec"]["load"]["source"] == {
        "odp": {"dataset": "1d801817", "streams": 32, "baseURL": "https://api.hubocean.earth/"}
    }
    sized = server.request("POST", path_of(namespace, preset()), preset()).body
    assert sized["spec"] == {
        "workers": {"replicas": 1},
        "worker": {"cpu": 1, "memory": "1Gi", "threads": 1},
        "scheduler": {"cpu": "500m", "memory": "1Gi"},
        "loader": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"maxWorkers": 20},
    }


def test_unknown_fields_are_refused_warned_of_or_pruned(server: ApiServer, namespace: str) -> None:
    job = changed(load_job(), {"spec.sink": {}, "spec.load.Verify": "Warn"})
    path, fields = path_of(namespace, job), ('unknown field "spec.load.Verify"', 'unknown field "spec.sink"')
    strict = server.request("POST", path, job, fieldValidation="Strict")
    assert (strict.status, all(field in strict.body["message"] for field in fields)) == (400, True)
    warned = server.request("POST", path, job, dryRun="All")
    assert (warned.status, warned.warnings) == (201, tuple(f"299 - {json.dumps(field)}" for field in fields))
    pruned = server.request("POST", path, job, fieldValidation="Ignore")
    assert (pruned.status, pruned.warnings) == (201, ())
    assert "sink" not in pruned.body["spec"]
    assert "Verify" not in pruned.body["spec"]["load"]


def test_values_of_vars_and_affinity_are_kept_as_they_are(server: ApiServer, namespace: str) -> None:
    given = {"since": "2024-01-01T00:00:00Z", "flag": True, "n": 3, "x": 0.5}
    affinity = {"nodeAffinity": {"anything": [1, {"x": "y"}]}}
    job = changed(odp_job(), {"spec.load.source.odp.vars": given, "spec.affinity": affinity})
    made = server.request("POST", path_of(namespace, job), job, fieldValidation="Strict").body
    assert made["spec"]["load"]["source"]["odp"]["vars"] == given
    assert made["spec"]["affinity"] == affinity


BEGUN = changed(
    odp_job(),
    {
        "spec.load.source.odp.vars": {"since": 1},
        "spec.load.partitions": {"targetBytes": "64Mi"},
        "spec.workers": {"replicas": 2},
        "spec.affinity": {"nodeAffinity": {"a": 1}},
        "spec.activeDeadlineSeconds": 100,
    },
)
CHANGES: dict[str, Any] = {
    "scale": "large",
    "workers": {"replicas": 3},
    "load": load_job()["spec"]["load"],
    "image": "example.com/loader:2",
    "credentials": {"secretName": "other"},
    "env": [{"name": "A", "value": "b"}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "volumes": [{"name": "data", "emptyDir": {}}],
    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a"}],
    "affinity": {"nodeAffinity": {"a": 2}},
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccountName": "loader",
    "podLabels": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "dashboard": {"service": {"type": "NodePort"}},
    "keepCluster": "OnFailure",
    "keepClusterSeconds": 60,
    "suspend": True,
    "backoffLimit": 7,
    "activeDeadlineSeconds": 200,
    "startupDeadlineSeconds": 200,
    "progressDeadlineSeconds": 200,
    "ttlSecondsAfterFinished": 0,
}


def test_a_job_that_exists_changes_only_where_it_may(server: ApiServer, namespace: str) -> None:
    job = server.request("POST", path_of(namespace, BEGUN), BEGUN).body
    place = path_of(namespace, job, "a")
    (definition,) = parsed((CRDS / "odpdaskjobs.yaml").read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert set(CHANGES) | {"script"} == set(spec)
    for name, value in CHANGES.items():
        changes = {f"spec.{name}": value}
        if name == "volumeMounts":  # only valid with a volume, which is another change
            changes["spec.volumes"] = CHANGES["volumes"]
        answer = server.request("PUT", place, changed(job, changes), dryRun="All")
        if name in MUTABLE:
            assert (answer.status, answer.body["spec"][name]) == (200, value)
        else:
            sentence = f"Invalid value: {name} cannot change once the job exists; make a new job with another name"
            assert (f"spec.{name}", sentence) in answer.causes
            assert answer.status == 422


def test_to_remove_or_to_alter_a_part_is_a_change_too(server: ApiServer, namespace: str) -> None:
    job = server.request("POST", path_of(namespace, BEGUN), BEGUN).body
    for path, value in (
        ("spec.workers", None),
        ("spec.affinity", None),
        ("spec.affinity.podAffinity", {}),
        ("spec.load.source.odp.vars.since", 2),
        ("spec.load.source.odp.vars.until", 2),
        ("spec.load.partitions.targetBytes", "65Mi"),
        ("spec.load.verify", "Warn"),
    ):
        answer = server.request("PUT", path_of(namespace, job, "a"), changed(job, {path: value}), dryRun="All")
        field = ".".join(path.split(".")[:2])
        assert [place for place, _ in answer.causes] == [field], path
    from_load_to_script = changed(job, {"spec.load": None, "spec.script": script_job()["spec"]["script"]})
    answer = server.request("PUT", path_of(namespace, job, "a"), from_load_to_script, dryRun="All")
    assert [place for place, _ in answer.causes] == ["spec.load", "spec.script"]
    without_deadline = changed(job, {"spec.activeDeadlineSeconds": None})
    assert server.request("PUT", path_of(namespace, job, "a"), without_deadline).status == 200


def test_a_preset_may_change(server: ApiServer, namespace: str) -> None:
    made = server.request("POST", path_of(namespace, preset()), preset()).body
    answer = server.request("PUT", path_of(namespace, made, "a"), changed(made, {"spec.workers.replicas": 5}))
    assert (answer.status, answer.body["metadata"]["generation"]) == (200, 2)


def condition(kind: str, status: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": "Accepted", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"}


def test_status_is_written_apart_and_conditions_have_owners(server: ApiServer, namespace: str) -> None:
    job = server.request("POST", path_of(namespace, load_job()), load_job() | {"status": {"phase": "Failed"}}).body
    assert "status" not in job
    for manager, kind in (("one", "Ready"), ("other", "Complete")):
        thing = {key: job[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "a"}}
        status = {"conditions": [condition(kind, "False")]}
        applied = server.apply(thing | {"status": status}, path_of(namespace, job, "a", "status"), fieldManager=manager)
        assert applied.status == 200, applied.body
    assert [each["type"] for each in applied.body["status"]["conditions"]] == ["Ready", "Complete"]
    assert applied.body["metadata"]["generation"] == 1


def test_the_columns_tell_how_far_a_job_is(server: ApiServer, namespace: str) -> None:
    job = server.request("POST", path_of(namespace, load_job()), load_job()).body
    progress = {"percent": 40, "rows": 1234, "partitions": {"done": 4, "total": 10}}
    job["status"] = {
        "phase": "Running",
        "reason": "Loading",
        "dashboardURL": "http://d",
        "progress": progress,
        "workers": {"ready": 2},
    }
    assert server.request("PUT", path_of(namespace, job, "a", "status"), job).status == 200
    table = server.request("GET", path_of(namespace, job), accept=TABLE).body
    columns = [(each["name"], each["priority"]) for each in table["columnDefinitions"]]
    narrow = [(name, 0) for name in ("Name", "Phase", "Progress", "Rows", "Workers", "Age")]
    assert columns == [*narrow, ("Dashboard", 1), ("Reason", 1)]
    cells = table["rows"][0]["cells"]
    assert [*cells[:5], *cells[6:]] == ["a", "Running", 40, 1234, 2, "http://d", "Loading"]


def test_kubectl_explain_has_a_sentence_for_every_field(server: ApiServer) -> None:
    path = "/openapi/v3/apis/odpdask.dev/v1alpha1"
    until(lambda: {"OdpDaskJob", "OdpDaskPreset"} <= {kind_of(name) for name in schemas(server, path)}, "our kinds are explained")
    for name, schema in schemas(server, path).items():
        if kind_of(name) in ("OdpDaskJob", "OdpDaskPreset"):
            assert [where for where in undescribed(schema, "") if not where.startswith((".apiVersion", ".kind", ".metadata"))] == []


def schemas(server: ApiServer, path: str) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", path).body.get("components", {}).get("schemas", {})
    return found


def kind_of(name: str) -> str:
    return name.rpartition(".")[2]


def undescribed(schema: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, field in schema.get("properties", {}).items():
        found += [] if field.get("description") else [f"{path}.{name}"]
        found += undescribed(field, f"{path}.{name}") + undescribed(field.get("items", {}), f"{path}.{name}[]")
    return found
