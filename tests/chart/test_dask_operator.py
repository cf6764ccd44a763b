"""The Dask operator of a namespaced installation, as a process with the chart's Role and settings: it starts at once and builds."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.apiserver import ApiServer, api_server, until
from tests.support.by_hand import ByHand
from tests.support.chart_variants import NAMESPACED, TEAMS
from tests.support.helm import RELEASE, SYSTEM, Chart, applied, make_namespace, only
from tests.support.processes import Program, running

NAME = f"{RELEASE}-dask-kubernetes-operator"
CLUSTER = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskCluster",
    "metadata": {"name": "small"},
    "spec": {
        "scheduler": {
            "spec": {"containers": [{"name": "scheduler", "image": "example/loader:1", "args": ["dask", "scheduler"]}]},
            "service": {
                "selector": {"a": "b"},
                "ports": [{"name": "tcp-comm", "protocol": "TCP", "port": 8786, "targetPort": "tcp-comm"}],
            },
        },
        "worker": {
            "replicas": 1,
            "spec": {"containers": [{"name": "worker", "image": "example/loader:1", "args": ["dask", "worker"]}]},
        },
    },
}


def token(server: ApiServer) -> str:
    """Of the Dask operator's service account."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = server.request("POST", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{NAME}/token", body)
    assert answer.status == 201, answer.body
    given: str = answer.body["status"]["token"]
    return given


@pytest.fixture
def server(tmp_path: Path, chart: Chart) -> Iterator[ApiServer]:
    """With the Dask operator's rights, and no others of it."""
    things = chart.objects(*NAMESPACED)
    with api_server(tmp_path) as server:
        server.install_crds()
        for name in (SYSTEM, *TEAMS):
            make_namespace(server, name)
        for thing in things:
            if thing["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
                applied(server, thing)
        yield server


@pytest.fixture
def dask_operator(server: ApiServer, chart: Chart, tmp_path: Path) -> Iterator[Program]:
    """Started as its pod is, with the arguments and the settings file of the chart."""
    things = chart.objects(*NAMESPACED)
    kubeconfig = yaml.safe_load(server.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": token(server)}
    (tmp_path / "its-kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    folder = tmp_path / "kopf"
    folder.mkdir()
    for name, text in only(things, "ConfigMap", NAME)["data"].items():
        (folder / name).write_text(text)
    (container,) = only(things, "Deployment", NAME)["spec"]["template"]["spec"]["containers"]
    arguments = [word.replace("/etc/kopf", str(folder)) for word in container["args"] if not word.startswith("--liveness")]
    command = [sys.executable, "-m", "kopf", "run", "-m", "dask_kubernetes.operator.controller", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "its-kubeconfig")}
    with running(command, tmp_path / "dask-operator.log", environment=environment) as started:
        yield started


def test_with_roles_only_it_builds_in_each_namespace(server: ApiServer, dask_operator: Program) -> None:
    for team in TEAMS:
        hand = ByHand(server, team)
        hand.create(CLUSTER)
        until(lambda hand=hand: len(hand.all("Deployment")) == 2, f"scheduler and worker are made in {team}", seconds=240)
        assert hand.get("Service", "small-scheduler") is not None
    assert dask_operator.process.poll() is None
    assert "orbidden" not in dask_operator.log.read_text()
