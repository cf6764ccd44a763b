"""What the pods of scheduler, workers and loader have in common: volumes, placement, and the restricted Pod Security standard."""

from collections.abc import Mapping
from typing import Any

from odp_dask_operator.core.desired.environment import (
    CONFIG_MAPS_FOLDER,
    JOB_FOLDER,
    SECRETS_FOLDER,
    TLS_FOLDER,
    Role,
    environment,
    tls_secret,
)
from odp_dask_operator.core.desired.metadata import run_label
from odp_dask_operator.core.names import MESH_ANNOTATIONS, MESH_LABELS, Child, without_reserved
from odp_dask_operator.core.plan import OWN_VOLUMES, TMP, Plan
from odp_dask_operator.spec import PresetSpec
from odp_dask_operator.spec.preset import Resources
from odp_loader.spec import Model

_READABLE_BY_GROUP = 0o440
"""The files belong to root and to the pod's group, which is how its user reads them."""


def pod_spec(plan: Plan, role: Role, *, preset: PresetSpec, container: dict[str, Any]) -> dict[str, Any]:
    """A pod with one container, to which environment, mounts and security are added."""
    volumes, mounts = _own_volumes(plan, role)
    job = plan.spec
    whole = {
        **container,
        "name": role.value,
        "image": plan.image,
        "env": environment(plan, role),
        "envFrom": _dump(job.env_from),
        "volumeMounts": [*mounts, *_dump(job.volume_mounts)],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    user = plan.settings.user
    numbers = {} if user is None else {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
    return without_empty(
        {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "serviceAccountName": job.service_account_name,
            "imagePullSecrets": _dump(job.image_pull_secrets),
            "priorityClassName": preset.priority_class_name,
            "nodeSelector": {**job.node_selector, **preset.node_selector},
            "tolerations": [*_dump(preset.tolerations), *_dump(job.tolerations)],
            "affinity": job.affinity,
            "securityContext": {"runAsNonRoot": True, **numbers, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [without_empty(whole)],
            "volumes": [*volumes, *_dump(job.volumes)],
        }
    )


def pod_metadata(plan: Plan, *, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Labels and annotations of a pod. The job may add to them and change none by which pods are found."""
    own = without_reserved(plan.spec.pod_labels)
    return {
        "labels": {**own, **plan.labels, **plan.names.labels, **run_label(plan), **MESH_LABELS, **(labels or {})},
        "annotations": {**plan.spec.pod_annotations, **plan.annotations, **MESH_ANNOTATIONS},
    }


def resources(given: Resources) -> dict[str, Any]:
    """Requests equal to limits: a pod that gets less than it was promised is no measure of anything."""
    amounts = given.model_dump(mode="json", include={"cpu", "memory"})
    return {"requests": amounts, "limits": dict(amounts)}


def http_get(path: str, port: str) -> dict[str, Any]:
    """What a probe asks, of a port by its name: the schema of DaskCluster takes no number here."""
    return {"httpGet": {"path": path, "port": port}}


def _own_volumes(plan: Plan, role: Role) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []

    def add(name: str, folder: str, source: dict[str, Any], *, read_only: bool = True) -> None:
        volumes.append({"name": f"{OWN_VOLUMES}{name}", **source})
        mounts.append({"name": f"{OWN_VOLUMES}{name}", "mountPath": folder, **({"readOnly": True} if read_only else {})})

    add("tmp", TMP, {"emptyDir": {}}, read_only=False)
    add("tls", TLS_FOLDER, {"secret": {"secretName": tls_secret(plan), "defaultMode": _READABLE_BY_GROUP}})
    if role.computes:
        for index, name in enumerate(storage_secrets(plan)):
            secret = {"secretName": name, "defaultMode": _READABLE_BY_GROUP}
            add(f"storage-{index}", f"{SECRETS_FOLDER}/{name}", {"secret": secret})
    if role is Role.LOADER:
        add("job", JOB_FOLDER, {"configMap": {"name": plan.names.of(Child.CONFIG_MAP, run=plan.run)}})
        if plan.spec.script and plan.spec.script.config_map:
            script = plan.spec.script.config_map.name
            add("script", f"{CONFIG_MAPS_FOLDER}/{script}", {"configMap": {"name": script}})
    return volumes, mounts


def storage_secrets(plan: Plan) -> list[str]:
    """The Secrets by which a load reaches its object stores, each once."""
    load = plan.spec.load
    if load is None:
        return []
    ends = (load.source.files, load.sink.parquet)
    storages = (end.storage for end in ends if end is not None and end.storage is not None)
    return sorted({storage.secret_name for storage in storages if storage.secret_name})


def _dump(models: tuple[Model, ...]) -> list[dict[str, Any]]:
    return [model.model_dump(mode="json", by_alias=True, exclude_defaults=True) for model in models]


def without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something: the API server would not store the others."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}
