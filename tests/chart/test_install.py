"""Helm installs the chart on a real API server, changes it, takes a change back and goes, and leaves what people made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.apiserver import ROOT, ApiServer, api_server
from tests.support.chart_variants import NAMESPACED, TEAMS
from tests.support.helm import RELEASE, SYSTEM, Chart, applied, make_namespace, path_in_api
from tests.support.jobs import API, load_job


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    """One that knows nothing of ours, with namespaces for the teams."""
    with api_server(tmp_path) as running:
        for name in TEAMS:
            make_namespace(running, name)
        yield running


def helm(chart: Chart, server: ApiServer, *words: str | Path) -> str:
    done = chart.run(*words, f"--namespace={SYSTEM}", kubeconfig=server.kubeconfig)
    assert done.returncode == 0, done.stderr
    return done.stdout


def presets(server: ApiServer) -> dict[str, int]:
    """The most workers of each preset beside the operator."""
    found = server.request("GET", f"{API}/namespaces/{SYSTEM}/odpdaskpresets").body["items"]
    return {each["metadata"]["name"]: each["spec"]["limits"]["maxWorkers"] for each in found}


@pytest.mark.parametrize("values", [(), NAMESPACED], ids=["clusterwide", "namespaced"])
def test_helm_installs_upgrades_rolls_back_and_leaves_peoples_jobs(
    server: ApiServer, chart: Chart, values: tuple[str, ...]
) -> None:
    said = helm(chart, server, "install", RELEASE, chart.folder, "--create-namespace", *values)
    assert "kind: OdpDaskJob" in said
    (example,) = (part for part in said.split("END") if "kind: OdpDaskJob" in part)
    first = yaml.safe_load(example[example.index("apiVersion") :])
    jobs = f"{API}/namespaces/{TEAMS[0]}/odpdaskjobs"
    assert server.request("POST", jobs, first, fieldValidation="Strict").status == 201
    assert server.request("POST", jobs, load_job("mine")).status == 201
    assert presets(server) == {"small": 4, "medium": 20, "large": 50}
    more = "--set=presets.large.limits.maxWorkers=99,presets.medium=null"
    huge = {"workers": {"replicas": 60}, "worker": {"cpu": 1, "memory": "1Gi", "threads": 1}, "limits": {"maxWorkers": 60}}
    helm(chart, server, "upgrade", RELEASE, chart.folder, more, f"--set-json=presets.huge={json.dumps(huge)}", *values)
    assert presets(server) == {"small": 4, "medium": 20, "large": 99, "huge": 60}, "one that is left out is not deleted"
    helm(chart, server, "rollback", RELEASE, "1")
    assert presets(server) == {"small": 4, "medium": 20, "large": 50, "huge": 60}
    said = helm(chart, server, "uninstall", RELEASE)
    assert "odpdaskjobs.odpdask.dev" in said
    assert sorted(job["metadata"]["name"] for job in server.request("GET", jobs).body["items"]) == ["first", "mine"]
    assert server.request("GET", f"/apis/apps/v1/namespaces/{SYSTEM}/deployments").body["items"] == []


def test_the_rendered_manifests_install_the_same(server: ApiServer, chart: Chart) -> None:
    things = [
        thing for name in ("install", "presets") for thing in yaml.safe_load_all((ROOT / f"manifests/{name}.yaml").read_text())
    ]
    assert [thing["kind"] for thing in things].index("CustomResourceDefinition") == 1
    for thing in things:
        applied(server, thing)
    rendered = {path_in_api(thing) for thing in chart.objects("--include-crds")} | {f"/api/v1/namespaces/{SYSTEM}"}
    assert {path_in_api(thing) for thing in things} == rendered
