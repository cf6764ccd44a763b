"""The two custom resource definitions: names, columns, and the schema of each kind."""

from typing import Any

from odp_dask_operator.crd import rules
from odp_dask_operator.crd.schema import structural_schema
from odp_dask_operator.spec import JobSpec, JobStatus, OdpDaskJob, OdpDaskPreset, PresetSpec
from odp_loader.spec import Model

GROUP, VERSION = "odpdask.dev", "v1alpha1"

_META = {
    "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
    "kind": {"type": "string", "description": "The kind of this object."},
}


def job_definition() -> dict[str, Any]:
    """OdpDaskJob. It has no scale subresource: a job's workers are fixed when it begins, and adaptive jobs scale by themselves."""
    spec = structural_schema(JobSpec)
    spec["x-kubernetes-validations"] += rules.immutable(spec["properties"])
    status = structural_schema(JobStatus, only_shape=True)
    status["properties"]["conditions"] |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    schema = _object(OdpDaskJob, spec=spec, status=status)
    schema["x-kubernetes-validations"] = rules.JOB_NAME
    columns = [
        _column("Phase", "string", ".status.phase", "One word for what is going on."),
        _column("Progress", "integer", ".status.progress.percent", "Percent; 100 only when the load is verified."),
        _column("Rows", "integer", ".status.progress.rows", "Rows read."),
        _column("Workers", "integer", ".status.workers.ready", "Workers that answer."),
        _column("Age", "date", ".metadata.creationTimestamp", "Since the job was made."),
        _column("Dashboard", "string", ".status.dashboardURL", "Dask's dashboard.", wide=True),
        _column("Reason", "string", ".status.reason", "Why the job is in its state.", wide=True),
    ]
    return _definition("OdpDaskJob", "odj", schema, columns, subresources={"status": {}})


def preset_definition() -> dict[str, Any]:
    """OdpDaskPreset: it has no status, because nothing happens to it."""
    schema = _object(OdpDaskPreset, spec=structural_schema(PresetSpec))
    columns = [
        _column("Workers", "integer", ".spec.workers.replicas", "How many workers."),
        _column("Minimum", "integer", ".spec.workers.minimum", "Of adaptive workers.", wide=True),
        _column("Maximum", "integer", ".spec.workers.maximum", "Of adaptive workers.", wide=True),
        _column("CPU", "string", ".spec.worker.cpu", "Of each worker."),
        _column("Memory", "string", ".spec.worker.memory", "Of each worker."),
        _column("Threads", "integer", ".spec.worker.threads", "Partitions that a worker reads at once."),
        _column("Limit", "integer", ".spec.limits.maxWorkers", "The most workers that a job may ask for."),
        _column("Age", "date", ".metadata.creationTimestamp", "Since the preset was made."),
    ]
    return _definition("OdpDaskPreset", "odpp", schema, columns)


def _object(model: type[Model], **parts: dict[str, Any]) -> dict[str, Any]:
    assert model.__doc__
    name = {"type": "string", "maxLength": 253}
    described = {field: {**part, "description": model.model_fields[field].description} for field, part in parts.items()}
    properties = {**_META, "metadata": {"type": "object", "properties": {"name": name}}, **described}
    return {"type": "object", "description": model.__doc__, "properties": properties, "required": ["metadata", "spec"]}


def _column(name: str, kind: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    # The API server drops a priority of 0, which GitOps tools would report as a difference for ever.
    return {"name": name, "type": kind, "jsonPath": path, "description": description, **({"priority": 1} if wide else {})}


def _definition(kind: str, short: str, schema: dict[str, Any], columns: list[dict[str, Any]], **version: Any) -> dict[str, Any]:
    singular = kind.lower()
    names = {"kind": kind, "listKind": f"{kind}List", "plural": f"{singular}s", "singular": singular, "shortNames": [short]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names | {"categories": ["odp"]},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    **version,
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
