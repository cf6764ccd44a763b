"""Somebody is away: the operator while a namespace goes, the API server while the operator runs."""

import os
import time
from pathlib import Path

import pytest

from tests.support.apiserver import ApiServer, find_programs, kube_controller_manager, until
from tests.support.by_hand import KEPT, ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.operator_process import operator

pytestmark = pytest.mark.usefixtures("alone")


AWAY_S = float(os.environ.get("API_SERVER_AWAY_SECONDS", "5"))
"""So long at least the API server is away; with 60 it is a whole minute."""


def test_a_namespace_goes_though_the_operator_is_away(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    """Nothing that we make waits for us."""
    if "kube-controller-manager" not in find_programs():
        pytest.skip("there is no kube-controller-manager beside kube-apiserver")
    hand = ByHand(server, namespace)
    with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process:
        hand.starts("sst", workers={"minimum": 1, "maximum": 2}, dashboard={"ingress": {"host": "dask.example.org"}})
        process.process.kill()
        process.process.wait()
    with kube_controller_manager(server, tmp_path, ["garbage-collector-controller", "namespace-controller"]):
        assert server.request("DELETE", f"/api/v1/namespaces/{namespace}", {}).status == 200
        gone = f"/api/v1/namespaces/{namespace}"
        until(lambda: server.request("GET", gone).status == 404, "the namespace is gone", seconds=120)


def test_an_operator_outlives_its_api_server(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    """It stops leading, stays alive, and goes on with what happened meanwhile; nothing is made twice."""
    hand = ByHand(server, namespace)
    with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process:
        pod = hand.starts("sst")
        before = hand.only("Job")["metadata"]["uid"]
        with server.away():
            back = time.monotonic() + AWAY_S
            until(lambda: process.metric("odp_dask_leader") == 0, "it leads no more", seconds=120)
            until(lambda: process.probe("readyz") == 503, "it says that it is of no use", seconds=120)
            until(lambda: time.monotonic() > back, "it has been away for long enough", seconds=AWAY_S + 1)
            assert process.probe("healthz") == 200, "to begin it anew would help nobody"
        hand.loader_ends(pod, 0, LAST_WORD)
        until(lambda: process.probe("readyz") == 200, "it is ready again", seconds=120)
        until(lambda: hand.status("sst")["phase"] == "Succeeded", "it goes on", seconds=120)
        assert hand.only("Job")["metadata"]["uid"] == before
        until(lambda: hand.collect() or hand.of_jobs() == KEPT, "the cluster is given back", seconds=60)  # type: ignore[func-returns-value]
        assert process.process.poll() is None
        assert process.end() == 0
    assert "Traceback" not in process.log.read_text()
