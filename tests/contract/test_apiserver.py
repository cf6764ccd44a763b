"""The API server of the tests itself: what it enforces, that controllers can run beside it, and that nothing of it stays."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

from tests.support.apiserver import ApiServer, api_server, find_programs, until


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def test_a_token_may_do_what_its_roles_allow(server: ApiServer, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    path = f"/api/v1/namespaces/{namespace}"
    assert server.request("POST", f"{path}/serviceaccounts", account).status == 201
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    token = server.request("POST", f"{path}/serviceaccounts/a/token", request).body["status"]["token"]
    # Without the client certificate that a kubeconfig may hold: it would count before the token.
    stranger = urllib3.PoolManager(ca_certs=server.api.configuration.ssl_ca_cert)
    answer = stranger.request("GET", f"{server.url}{path}/secrets", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 403
    assert f"system:serviceaccount:{namespace}:a" in answer.json()["message"]


def test_controllers_run_beside_it_and_all_of_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG_CONTRACT", raising=False)
    if "kube-controller-manager" not in find_programs():
        pytest.skip("there is no kube-controller-manager beside kube-apiserver")
    with api_server(tmp_path, controllers=("garbage-collector-controller", "namespace-controller")) as server:
        with server.namespace() as name:
            maps = f"/api/v1/namespaces/{name}/configmaps"
            uid = server.request("POST", maps, config_map("owner")).body["metadata"]["uid"]
            owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
            server.request("POST", maps, config_map("owned", ownerReferences=[owner]))
            server.request("DELETE", f"{maps}/owner", {})
            until(lambda: server.request("GET", f"{maps}/owned").status == 404, "the owned object is gone")
        until(lambda: server.request("GET", f"/api/v1/namespaces/{name}").status == 404, "the namespace is gone")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=5)


def test_without_programs_a_test_is_skipped_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="no kube-apiserver and no etcd: set KUBEBUILDER_ASSETS to a folder"):
        find_programs()
    monkeypatch.delenv("KUBEBUILDER_ASSETS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"there is no kube-apiserver: .* install Go 1.26, which builds them once"):
        find_programs()
