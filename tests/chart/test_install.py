"""Helm installs the chart on a real API server, changes it, takes a change back and goes, and leaves what people made."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.apiserver import CRDS, ROOT, ApiServer, api_server, until
from tests.support.chart_variants import NAMESPACED, TEAMS
from tests.support.helm import RELEASE, SYSTEM, Chart, Thing, applied, make_namespace, path_in_api
from tests.support.jobs import API, load_job
from tests.support.yaml_documents import parsed


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


def install(chart: Chart, server: ApiServer, *words: str, name: str = RELEASE) -> str:
    """As a person does without `--wait`, for which nodes are missing here: again, when Helm was quicker than the API server.

    It may ask for the kind of the presets before it is served.
    """
    for _ in range(5):
        done = chart.run(
            "install", name, chart.folder, f"--namespace={SYSTEM}", "--create-namespace", *words, kubeconfig=server.kubeconfig
        )
        if done.returncode == 0 or 'no matches for kind "OdpDaskPreset"' not in done.stderr:
            break
        helm(chart, server, "uninstall", name)
        until(lambda: kind_of_presets_is_served(server), "the kind is served")
    assert done.returncode == 0, done.stderr
    return done.stdout


def kind_of_presets_is_served(server: ApiServer) -> bool:
    return server.request("GET", f"{API}/odpdaskpresets").status == 200


def presets(server: ApiServer) -> dict[str, int]:
    """The most workers of each preset beside the operator."""
    found = server.request("GET", f"{API}/namespaces/{SYSTEM}/odpdaskpresets").body["items"]
    return {each["metadata"]["name"]: each["spec"]["limits"]["maxWorkers"] for each in found}


@pytest.mark.parametrize("values", [(), NAMESPACED], ids=["clusterwide", "namespaced"])
def test_helm_installs_upgrades_rolls_back_and_leaves_peoples_jobs(
    server: ApiServer, chart: Chart, values: tuple[str, ...]
) -> None:
    said = install(chart, server, *values)
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
    things = [thing for name in ("install", "presets") for thing in parsed((ROOT / f"manifests/{name}.yaml").read_text())]
    assert [thing["kind"] for thing in things].index("CustomResourceDefinition") == 1
    for thing in things:
        if thing["kind"] == "OdpDaskPreset":
            until(lambda: kind_of_presets_is_served(server), "the kind is served")
        applied(server, thing)
    rendered = {path_in_api(thing) for thing in chart.objects("--include-crds")} | {f"/api/v1/namespaces/{SYSTEM}"}
    assert {path_in_api(thing) for thing in things} == rendered


def test_an_upgrade_brings_the_kinds_of_the_new_version(server: ApiServer, chart: Chart, tmp_path: Path) -> None:
    older = Chart(Path(shutil.copytree(chart.folder, tmp_path / "older" / chart.folder.name)), chart.helm)
    file = older.folder / "files/crds/odpdaskpresets.yaml"
    file.write_text(re.sub(r"(?m)^( +)- odpp$", r"\1- older", file.read_text()))

    def short_names() -> list[str]:
        definition = server.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/odpdaskpresets.odpdask.dev")
        found: list[str] = definition.body["spec"]["names"]["shortNames"]
        return found

    install(older, server)
    assert short_names() == ["older"]
    helm(chart, server, "upgrade", RELEASE, chart.folder)
    assert short_names() == ["odpp"]
    helm(chart, server, "rollback", RELEASE, "1")
    assert short_names() == ["older"]


def test_kinds_that_are_there_already_can_be_taken_over(server: ApiServer, chart: Chart) -> None:
    server.install_crds(CRDS)
    refused = chart.run(
        "install", RELEASE, chart.folder, f"--namespace={SYSTEM}", "--create-namespace", kubeconfig=server.kubeconfig
    )
    assert "exists and cannot be imported into the current release" in refused.stderr
    install(chart, server, "--take-ownership")
    helm(chart, server, "uninstall", RELEASE)
    install(chart, server, "--take-ownership", name="other")


def test_a_person_without_rights_on_the_cluster_installs_for_their_teams(server: ApiServer, chart: Chart, tmp_path: Path) -> None:
    server.install_crds()
    make_namespace(server, SYSTEM)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "person", "namespace": SYSTEM}}
    applied(server, account)
    for name in (SYSTEM, *TEAMS):
        applied(server, everything_in(name, who=account["metadata"]))
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    given = server.request("POST", f"{path_in_api(account)}/token", request)
    kubeconfig = yaml.safe_load(server.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": given.body["status"]["token"]}
    (tmp_path / "theirs").write_text(yaml.safe_dump(kubeconfig))
    words = [*NAMESPACED, "--set=crds.enabled=false", "--skip-crds", f"--namespace={SYSTEM}"]
    for verb in ("install", "upgrade"):
        done = chart.run(verb, RELEASE, chart.folder, *words, kubeconfig=tmp_path / "theirs")
        assert done.returncode == 0, done.stderr
    assert presets(server) == {"small": 4, "medium": 20, "large": 50}
    done = chart.run("uninstall", RELEASE, f"--namespace={SYSTEM}", kubeconfig=tmp_path / "theirs")
    assert done.returncode == 0, done.stderr


def everything_in(namespace: str, *, who: Thing) -> Thing:
    """All rights in one namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "person", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", **who}],
    }
