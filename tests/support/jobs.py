"""Jobs and presets as a person writes them, and a way to change one field."""

import copy
from collections.abc import Mapping
from typing import Any

from odp_dask_operator.spec.path import parse_path

API = "/apis/odpdask.dev/v1alpha1"


def load_job(name: str = "a", **spec: Any) -> dict[str, Any]:
    """The smallest job that loads."""
    load = {"source": {"synthetic": {"rows": 1}}, "sink": {"parquet": {"url": "out"}}}
    return _thing("OdpDaskJob", name, {"scale": "small", "load": load} | spec)


def odp_job(name: str = "a") -> dict[str, Any]:
    """A job that reads a table of the Ocean Data Platform."""
    job = load_job(name)
    job["spec"]["load"]["source"] = {"odp": {"dataset": "1d801817"}}
    return job


def script_job(name: str = "a") -> dict[str, Any]:
    """A job that runs a program."""
    return _thing("OdpDaskJob", name, {"scale": "small", "script": {"module": "package.module"}})


def preset(name: str = "a", **spec: Any) -> dict[str, Any]:
    """The smallest preset."""
    worker = {"cpu": 1, "memory": "1Gi", "threads": 1}
    return _thing("OdpDaskPreset", name, {"workers": {"replicas": 1}, "worker": worker} | spec)


def changed(thing: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the fields at these paths set; None removes one."""
    thing = copy.deepcopy(thing)
    for path, value in changes.items():
        *around, last = parse_path(path)
        place: Any = thing
        for part in around:
            place = place.setdefault(part, {}) if isinstance(part, str) else place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return thing


def _thing(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "odpdask.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
