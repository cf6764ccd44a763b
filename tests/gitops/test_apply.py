"""Every manifest on a real API server: taken without a warning, the same when applied again, and kept as it was written."""

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.apiserver import Answer, ApiServer, until
from tests.support.go_tools import ROOT, go_tool
from tests.support.manifests import differences, moved, path_of
from tests.support.yaml_documents import parsed

MANIFESTS = ROOT / "manifests"
OVERLAYS = sorted((MANIFESTS / "gitops/kustomize/overlays").iterdir())
OURS = sorted([*MANIFESTS.glob("*.yaml"), *MANIFESTS.glob("examples/*.yaml")])
TOOLS = sorted([*MANIFESTS.glob("gitops/argocd/*.yaml"), *MANIFESTS.glob("gitops/flux/*.yaml")])
MANAGER = "gitops"
DEFAULTED = ("v1", "apps", "policy", "networking.k8s.io", "rbac.authorization.k8s.io")
"""Groups of Kubernetes itself, whose defaults Argo CD knows."""


def kustomized(folder: Path) -> list[dict[str, Any]]:
    """By kubectl's kustomize, else by the one of tools/."""
    command = ["kubectl", "kustomize"] if shutil.which("kubectl") else [str(go_tool("kustomize", package=KUSTOMIZE)), "build"]
    return parsed(subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True, timeout=60).stdout)


KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5"


def stays_as_it_is(server: ApiServer, namespace: str, things: list[dict[str, Any]]) -> None:
    """Applied twice as Flux and Argo CD do it, the second time changes nothing; what was made outside the namespace goes again."""
    with ExitStack() as stack:
        for thing in things:
            thing = moved(thing, namespace)
            path = path_of(server, thing, namespace)
            first, second, third = (_apply(server, thing, path) for _ in range(3))
            if first.status == 201 and "/namespaces/" not in path:
                stack.callback(server.request, "DELETE", path, {})
            assert what_is_wanted(second.body) == what_is_wanted(first.body), path
            # The second write may settle what is not the manifest's: a status of its own, whose a bare object is.
            assert what_is_kept(third.body) == what_is_kept(second.body), path
            if thing["apiVersion"].partition("/")[0] not in DEFAULTED:
                assert list(differences(thing, third.body)) == [], path


def _apply(server: ApiServer, thing: dict[str, Any], path: str) -> Answer:
    answer = server.apply(thing, path, fieldManager=MANAGER, force=True, fieldValidation="Strict")
    assert (answer.status in (200, 201), answer.warnings) == (True, ()), answer.causes
    if thing["kind"] == "CustomResourceDefinition":  # it is there for the objects that follow
        spec = thing["spec"]
        served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        until(lambda: server.request("GET", served).status == 200, f"{served} is served")
    return answer


def what_is_wanted(body: dict[str, Any]) -> dict[str, Any]:
    """All but status and bookkeeping."""
    meta = {key: value for key, value in body["metadata"].items() if key not in ("resourceVersion", "managedFields")}
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": meta}


def what_is_kept(body: dict[str, Any]) -> dict[str, Any]:
    """The whole object; the API server itself goes on writing the status of a kind."""
    return what_is_wanted(body) if body["kind"] == "CustomResourceDefinition" else body


def name_of(file: Path) -> str:
    return str(file.relative_to(MANIFESTS))


@pytest.mark.parametrize("file", OURS, ids=name_of)
def test_ours_stays_as_it_is(server: ApiServer, namespace: str, file: Path) -> None:
    stays_as_it_is(server, namespace, parsed(file.read_text()))


@pytest.mark.parametrize("file", TOOLS, ids=name_of)
def test_what_argo_cd_and_flux_are_given_stays_as_it_is(server: ApiServer, tools_kinds: None, namespace: str, file: Path) -> None:
    stays_as_it_is(server, namespace, parsed(file.read_text()))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=name_of)
def test_an_overlay_stays_as_it_is(server: ApiServer, namespace: str, overlay: Path) -> None:
    stays_as_it_is(server, namespace, kustomized(overlay))


@pytest.fixture(scope="module")
def overlays() -> dict[str, dict[str, dict[str, Any]]]:
    found = {folder.name: kustomized(folder) for folder in OVERLAYS}
    return {name: {f"{thing['kind']}/{thing['metadata']['name']}": thing for thing in things} for name, things in found.items()}


def test_a_program_reaches_its_job_under_the_name_that_kustomize_gives_it(overlays: dict[str, dict[str, dict[str, Any]]]) -> None:
    for name, suffix in (("test", "-test"), ("production", "")):
        (generated,) = (thing["metadata"]["name"] for thing in overlays[name].values() if thing["kind"] == "ConfigMap")
        assert generated.startswith(f"monthly{suffix}-")
        assert overlays[name][f"OdpDaskJob/monthly{suffix}"]["spec"]["script"]["configMap"]["name"] == generated


def test_an_overlay_changes_sizes_places_and_images(overlays: dict[str, dict[str, dict[str, Any]]]) -> None:
    test, production = overlays["test"]["OdpDaskJob/sst-test"]["spec"], overlays["production"]["OdpDaskJob/sst"]["spec"]
    assert (test["scale"], test["load"]["sink"]["parquet"]["url"]) == ("small", "s3://my-test-bucket/sst")
    assert (production["scale"], production["load"]["sink"]["parquet"]["url"]) == ("medium", "s3://my-bucket/sst")
    image = overlays["production"]["OdpDaskJob/monthly"]["spec"]["image"]
    assert image == "registry.example.org/odp-loader:0.1.0"


def test_what_the_tools_are_told_to_look_at_is_there(overlays: dict[str, dict[str, dict[str, Any]]]) -> None:
    flux = {thing["kind"]: thing for thing in parsed((MANIFESTS / "gitops/flux/jobs.yaml").read_text())}
    watched = flux["Kustomization"]["spec"]
    assert (ROOT / watched["path"]) in OVERLAYS
    for check in watched["healthChecks"]:
        thing = overlays[Path(watched["path"]).name][f"{check['kind']}/{check['name']}"]
        assert (thing["apiVersion"], thing["metadata"]["namespace"]) == (check["apiVersion"], check["namespace"])
    jobs = yaml.safe_load((MANIFESTS / "gitops/argocd/jobs.yaml").read_text())["spec"]
    assert (ROOT / jobs["source"]["path"]) in OVERLAYS
    operator = yaml.safe_load((MANIFESTS / "gitops/argocd/operator.yaml").read_text())["spec"]["source"]
    included = operator["directory"]["include"].strip("{}").split(",")
    assert all((ROOT / operator["path"] / name).is_file() for name in included)
    assert not any("ignoreDifferences" in file.read_text() for file in TOOLS)
