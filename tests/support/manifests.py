"""Manifests as the API server takes them: where each object goes, and what a GitOps tool would call a difference."""

import copy
from collections.abc import Iterable
from typing import Any

from tests.support.apiserver import ApiServer

Raw = dict[str, Any]


def path_of(server: ApiServer, thing: Raw, namespace: str) -> str:
    """The address of an object; one that lives in a namespace goes to this one."""
    version, kind = thing["apiVersion"], thing["kind"]
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    resources = server.request("GET", root).body.get("resources", [])
    found = next((each for each in resources if each["kind"] == kind and "/" not in each["name"]), None)
    assert found, f"the API server does not know {kind} of {version}"
    inside = f"/namespaces/{namespace}" if found["namespaced"] else ""
    return f"{root}{inside}/{found['name']}/{thing['metadata']['name']}"


def moved(thing: Raw, namespace: str) -> Raw:
    """The object in another namespace, if it lives in one."""
    thing = copy.deepcopy(thing)
    if "namespace" in thing["metadata"]:
        thing["metadata"]["namespace"] = namespace
    return thing


def differences(wanted: Any, live: Any, path: str = "") -> Iterable[str]:
    """Where the live object is not what was applied, by the rules of a JSON merge patch: Argo CD compares custom resources by one.

    Fields that only the live object has are no difference; a list is one value.
    """
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from differences(value, live.get(key), f"{path}.{key}")
    elif type(wanted) is not type(live) or wanted != live:
        yield f"{path}: {wanted!r} became {live!r}"
