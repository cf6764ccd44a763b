"""The metadata that all children share."""

from collections.abc import Mapping
from typing import Any

from odp_dask_operator.core.names import RUN_LABEL, Child
from odp_dask_operator.core.plan import Plan


def metadata(
    plan: Plan, child: Child, *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Name, namespace, owner, and the labels by which a child is found again."""
    meta = {
        "name": plan.names.of(child, run=plan.run),
        "namespace": plan.names.namespace,
        "labels": {**plan.labels, **plan.names.labels, **(labels or {})},
        "ownerReferences": [plan.names.owner_reference],
    }
    notes = {**(annotations or {}), **plan.annotations}
    return {**meta, "annotations": notes} if notes else meta


def run_label(plan: Plan) -> dict[str, str]:
    """On what belongs to one run only."""
    return {RUN_LABEL: str(plan.run)}
