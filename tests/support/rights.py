"""The rights of a namespaced operator, as Roles: what each call of the operator needs and nothing else."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.apiserver import ApiServer

READ, MAKE = ["list", "watch"], ["get", "list", "watch", "create", "delete"]
SERVED = [
    (["odpdask.dev"], ["odpdaskjobs"], ["get", "list", "watch", "delete"]),
    (["odpdask.dev"], ["odpdaskjobs/status"], ["patch"]),
    (["odpdask.dev"], ["odpdaskjobs/finalizers"], ["update"]),
    (["odpdask.dev"], ["odpdaskpresets"], READ),
    (["batch"], ["jobs"], [*MAKE, "patch"]),
    ([""], ["services"], [*MAKE, "patch"]),
    (["networking.k8s.io"], ["networkpolicies", "ingresses"], [*MAKE, "patch"]),
    (["kubernetes.dask.org"], ["daskclusters"], MAKE),
    (["kubernetes.dask.org"], ["daskautoscalers"], [*MAKE, "patch"]),
    (["kubernetes.dask.org"], ["daskworkergroups"], READ),
    ([""], ["pods"], READ),
    (["apps"], ["deployments"], READ),
    ([""], ["configmaps"], ["create"]),
    ([""], ["secrets"], ["create", "delete"]),
    ([""], ["events"], ["create", "list"]),
]
"""In each namespace whose jobs are served."""
OWN = [
    (["coordination.k8s.io"], ["leases"], ["get", "create", "patch"]),
    (["odpdask.dev"], ["odpdaskpresets"], ["list"]),
]
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


def _grant(
    server: ApiServer, namespace: str, name: str, rules: list[tuple[list[str], list[str], list[str]]], *, subject: str
) -> None:
    place = f"/apis/{RBAC}/v1/namespaces/{namespace}"
    role = [{"apiGroups": groups, "resources": resources, "verbs": verbs} for groups, resources, verbs in rules]
    _post(server, f"{place}/roles", {"metadata": {"name": name}, "rules": role})
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
