"""The rights of a namespaced operator, as Roles: the rules of the chart and nothing else."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.apiserver import ApiServer

RULES = Path(__file__).parents[2] / "charts/odp-dask-operator/files/rbac"
SERVED: list[dict[str, Any]] = yaml.safe_load((RULES / "served.yaml").read_text())
"""In each namespace whose jobs are served; each rule is commented by the call that needs it."""
OWN: list[dict[str, Any]] = yaml.safe_load((RULES / "own.yaml").read_text())
"""In the operator's own namespace."""
RBAC = "rbac.authorization.k8s.io"


def account(server: ApiServer, folder: Path, *, namespace: str, served: list[str]) -> Path:
    """A service account with these rights; returns a kubeconfig with its token."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    _post(server, accounts, {"metadata": {"name": "operator"}})
    _grant(server, namespace, "own", OWN, subject=namespace)
    for place in served:
        _grant(server, place, "served", SERVED, subject=namespace)
    token = _post(
        server, f"{accounts}/operator/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    content = yaml.safe_load(server.kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token["status"]["token"]}
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content))
    return file


def _grant(server: ApiServer, namespace: str, name: str, rules: list[dict[str, Any]], *, subject: str) -> None:
    place = f"/apis/{RBAC}/v1/namespaces/{namespace}"
    _post(server, f"{place}/roles", {"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": subject}],
    }
    _post(server, f"{place}/rolebindings", binding)


def _post(server: ApiServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.request("POST", path, body)
    assert answer.status == 201, answer.body
    return answer.body
