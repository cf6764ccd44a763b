"""Jobs, presets and settings for tests of the operator's core."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from odp_dask_operator.core.preset import Presets, presets_for
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.presets import BUILT_IN

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
UID = "3f2a1b9c-5d1e-4c77-9a10-000000000000"
SETTINGS = Settings(
    image="ghcr.io/example/odp-loader:1.2.3",
    namespace="odp-dask-system",
    dask_namespace="dask-operator",
    allowed_namespaces=("ingress-nginx", "monitoring"),
    copied_annotations=("example.org/",),
)
LOAD = {"source": {"synthetic": {"rows": 10}}, "sink": {"parquet": {"url": "s3://bucket/x"}}}


def built_in_presets() -> list[dict[str, Any]]:
    """small, medium and large as objects beside the operator."""
    found = []
    for preset in BUILT_IN.values():
        raw = preset.model_dump(mode="json", by_alias=True, exclude_none=True)
        raw["metadata"] = {"name": raw["metadata"]["name"], "namespace": SETTINGS.namespace, "generation": 1}
        found.append(raw)
    return found


def presets(*more: Mapping[str, Any]) -> Presets:
    """The presets that a job in the namespace `ocean` can name."""
    return presets_for([*built_in_presets(), *more], job_namespace="ocean", operator_namespace=SETTINGS.namespace)


def job(name: str = "sst", **spec: Any) -> dict[str, Any]:
    """A job as the API server has it; `load` and `scale` are filled in."""
    work = {} if "script" in spec else {"load": LOAD}
    return {
        "apiVersion": "odpdask.dev/v1alpha1",
        "kind": "OdpDaskJob",
        "metadata": {"name": name, "namespace": "ocean", "uid": UID, "generation": 1},
        "spec": {"scale": "small", **work, **spec},
    }


def read_documents(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The job of a file, and its presets."""
    documents = list(yaml.safe_load_all(path.read_text()))
    return documents[0], documents[1:]
