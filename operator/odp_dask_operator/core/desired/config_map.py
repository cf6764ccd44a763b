"""The ConfigMap that the loader reads its work from."""

import json
from typing import Any

from odp_dask_operator.core.desired.environment import JOB_FILE
from odp_dask_operator.core.desired.metadata import metadata
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan
from odp_loader.spec import Load, Script


def config_map(plan: Plan) -> dict[str, Any]:
    """The load or script with all defaults filled in, and for the record the preset. Created once."""
    resource, work = Child.CONFIG_MAP.resource, plan.spec.load or plan.spec.script
    assert work is not None
    data = {JOB_FILE: json.dumps({"load" if plan.spec.load else "script": _resolved(work)}, indent=2, sort_keys=True)}
    if plan.preset is not None:
        data["preset.json"] = json.dumps(
            plan.preset.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2, sort_keys=True
        )
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.CONFIG_MAP),
        "immutable": True,
        "data": data,
    }


def _resolved(work: Load | Script) -> dict[str, Any]:
    return work.model_dump(mode="json", by_alias=True, exclude_none=True)
