"""A real API server accepts all that the chart renders, and two checkers find nothing in it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apiserver import ApiServer, api_server
from tests.support.chart_variants import TEAMS, VARIANTS
from tests.support.helm import SYSTEM, Chart, applied, make_namespace, program
from tests.support.kube_schemas import LOCATION, write_schemas

ELSEWHERE = "monitoring.coreos.com/v1"
"""Kinds of the Prometheus operator, which the API server of the tests does not know."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With all kinds, and namespaces for the operator and the teams."""
    with api_server(tmp_path_factory.mktemp("apiserver")) as running:
        running.install_crds()
        for name in (SYSTEM, *TEAMS):
            make_namespace(running, name)
        yield running


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_accepted_and_a_second_apply_changes_nothing(server: ApiServer, chart: Chart, variant: str) -> None:
    things = [thing for thing in chart.objects(*VARIANTS[variant]) if thing["apiVersion"] != ELSEWHERE]
    first = [applied(server, thing) for thing in things]
    assert [applied(server, thing) for thing in things] == first


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_pod_is_admitted_where_the_restricted_standard_is_enforced(server: ApiServer, chart: Chart, variant: str) -> None:
    for thing in chart.objects(*VARIANTS[variant]):
        if thing["kind"] == "Deployment":
            pod = {"apiVersion": "v1", "kind": "Pod", **thing["spec"]["template"]}
            pod["metadata"] = {**pod["metadata"], "generateName": "pod-"}
            answer = server.request("POST", f"/api/v1/namespaces/{SYSTEM}/pods", pod, dryRun="All", fieldValidation="Strict")
            assert (answer.status, answer.warnings) == (201, ()), answer.body


MEANT = {
    ("container-image-pull-policy", "ours"),  # tags are exact, and an air-gapped node has no registry to ask
    ("container-image-pull-policy", "dask"),
    ("deployment-has-poddisruptionbudget", "dask"),  # one replica, replaced as a whole: a budget would only hold up drains
    ("deployment-has-host-podantiaffinity", "dask"),
}
OPENED = {("pod-networkpolicy", "ours")}
ALONE = {("deployment-replicas", "ours")}
NUMBERLESS = {("container-security-context-user-group-id", "ours"), ("container-security-context-user-group-id", "dask")}
ASKED_FOR = {
    "least": OPENED,
    "one-replica": ALONE,
    "openshift": NUMBERLESS,
    "most": {("deployment-has-host-podantiaffinity", "ours")},
}
"""What the values of a variant ask for, beyond what is meant always."""


@pytest.mark.parametrize("variant", VARIANTS)
def test_kube_score_finds_what_is_meant_and_nothing_else(chart: Chart, variant: str) -> None:
    command = [program("kube-score"), "score", "--output-format=json", "--ignore-container-cpu-limit", "-"]
    done = subprocess.run(command, input=chart.template(*VARIANTS[variant]), capture_output=True, text=True)
    found = {
        (check["check"]["id"], "dask" if "dask-kubernetes" in thing["object_meta"]["name"] else "ours")
        for thing in json.loads(done.stdout)
        for check in thing["checks"]
        if not check["skipped"] and check["grade"] < 10
    }
    assert found - MEANT == ASKED_FOR.get(variant, set()) - MEANT


@pytest.fixture(scope="module")
def schemas(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(server, folder)
    return folder


def kubeconform(schemas: Path, text: str) -> subprocess.CompletedProcess[str]:
    command = [program("kubeconform"), "-strict", "-schema-location", f"{schemas}/{LOCATION}", "-summary"]
    return subprocess.run([*command, "-skip=ServiceMonitor,PrometheusRule"], input=text, capture_output=True, text=True)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "openshift"])  # null, by which Helm takes a value back
def test_kubeconform_agrees(chart: Chart, schemas: Path, variant: str) -> None:
    done = kubeconform(schemas, chart.template(*VARIANTS[variant]))
    assert done.returncode == 0, done.stdout


def test_kubeconform_would_find_a_wrong_field(chart: Chart, schemas: Path) -> None:
    done = kubeconform(schemas, chart.template().replace("automountServiceAccountToken", "automountToken"))
    assert done.returncode == 1
    assert "additional properties 'automountToken' not allowed" in done.stdout
