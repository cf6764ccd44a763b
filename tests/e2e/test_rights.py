"""Least privilege, asked of the API server and shown by jobs: of the operator that serves some namespaces, and of people."""

import json

import pytest

from tests.e2e.bundle import Release
from tests.e2e.cluster import Cluster
from tests.e2e.workspace import Workspace

EDITOR = "odp-odp-dask-operator-editor"
_RBAC = "rbac.authorization.k8s.io"


def may(cluster: Cluster, who: str, verb: str, what: str, namespace: str) -> bool:
    """Whether a ServiceAccount (`namespace:name`) may do something, by the API server's word; `*` stands for all namespaces."""
    where = ("-A",) if namespace == "*" else ("-n", namespace)
    asked = cluster.try_kubectl("auth", "can-i", verb, what, f"--as=system:serviceaccount:{who}", *where)
    assert asked.stdout.strip() in ("yes", "no"), asked.stderr
    return asked.stdout.strip() == "yes"


@pytest.mark.alone
def test_an_operator_for_some_namespaces_has_no_right_in_any_other(place: Workspace, release: Release) -> None:
    who = f"{release.namespace}:odp-odp-dask-operator"
    with release.changed(f"global.namespaces={{{place.namespace}}}"):
        roles = [raw["metadata"]["name"] for raw in place.cluster.all("ClusterRole")]
        assert not [name for name in roles if name.startswith(f"{release.name}-")]
        assert may(place.cluster, who, "list", "odpdaskjobs", place.namespace)
        for verb, what, namespace in (
            ("list", "odpdaskjobs", "*"),
            ("list", "namespaces", "*"),
            ("list", "pods", "kube-system"),
            ("create", "secrets", "kube-system"),
            ("get", "secrets", place.namespace),
            ("list", "secrets", place.namespace),
            ("create", "pods", place.namespace),
        ):
            assert not may(place.cluster, who, verb, what, namespace), (verb, what, namespace)
        place.succeeds(place.submit("load"))
        place.gives_back()


@pytest.mark.usefixtures("release")
def test_who_may_edit_jobs_has_no_right_on_secrets_and_pods(place: Workspace) -> None:
    who = f"{place.namespace}:ada"
    place.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ada"}}, place.namespace)
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "ada"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": EDITOR},
        "subjects": [{"kind": "ServiceAccount", "name": "ada", "namespace": place.namespace}],
    }
    place.cluster.create(binding, place.namespace)
    for verb, what, namespace in (
        ("get", "secrets", place.namespace),
        ("create", "secrets", place.namespace),
        ("create", "pods", place.namespace),
        ("create", "pods/exec", place.namespace),
        ("update", "odpdaskpresets", place.namespace),
        ("create", "odpdaskjobs", "default"),
    ):
        assert not may(place.cluster, who, verb, what, namespace), (verb, what, namespace)
    job = {
        "apiVersion": "odpdask.dev/v1alpha1",
        "kind": "OdpDaskJob",
        "metadata": {"name": "hers"},
        "spec": {"scale": "small", "suspend": True, "load": place.load("hers")},
    }
    words = ("apply", "--server-side", f"--as=system:serviceaccount:{who}", "-f", "-")
    place.cluster.kubectl(*words, "-n", place.namespace, stdin=json.dumps(job))
    assert place.cluster.try_kubectl(*words, "-n", "default", stdin=json.dumps(job)).returncode != 0
    place.cluster.kubectl("delete", "odj", "hers", f"--as=system:serviceaccount:{who}", "-n", place.namespace)
