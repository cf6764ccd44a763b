"""How kstatus reads an object, and with it Flux, `kubectl wait` wrappers and cli-utils.

From its documentation and rules: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus#readme. Deletion comes first,
then a generation that was not observed, then the conditions Reconciling and Stalled in the order in which they stand, then Ready;
an object that has none of them is Current.
"""

from collections.abc import Mapping
from typing import Any


def kstatus(raw: Mapping[str, Any]) -> str:
    """Terminating, InProgress, Failed or Current."""
    meta, status = raw.get("metadata") or {}, raw.get("status") or {}
    if meta.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and "generation" in meta and observed != meta["generation"]:
        return "InProgress"
    conditions = status.get("conditions") or ()
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = next((condition["status"] for condition in conditions if condition["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
