"""The batch/v1 Job that runs the loader. It counts the attempts; the cluster stays for all of them."""

from typing import Any

from odp_dask_operator.core.desired.environment import CONFIG_MAPS_FOLDER, JOB_FILE, JOB_FOLDER, Role
from odp_dask_operator.core.desired.metadata import metadata, run_label
from odp_dask_operator.core.desired.pod import pod_metadata, pod_spec, resources
from odp_dask_operator.core.names import COMPONENT_LABEL, LOADER, PROGRESS_PORT, Child
from odp_dask_operator.core.plan import Plan
from odp_loader import errors

PERMANENT_EXIT_CODES = tuple(
    sorted(
        kind.exit_code
        for kind in (
            errors.InvalidLoad,
            errors.CredentialsRefused,
            errors.VerificationFailed,
            errors.OutputExists,
            errors.UserCodeFailed,
        )
    )
)
"""Exit codes of loads that no other attempt can change."""


def batch_job(plan: Plan) -> dict[str, Any]:
    """Created once; nothing but `backoffLimit` is ever changed. Deadlines are the operator's: they live through a suspension."""
    resource = Child.JOB.resource
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.JOB, labels=run_label(plan)),
        "spec": {
            "backoffLimit": plan.spec.backoff_limit,
            "podReplacementPolicy": "Failed",  # never two loaders at once
            "podFailurePolicy": {"rules": _failure_rules(plan)},
            "template": {
                "metadata": pod_metadata(plan, labels={**plan.names.pods, COMPONENT_LABEL: LOADER}),
                "spec": {"restartPolicy": "Never", **_pod(plan)},
            },
        },
    }


def _failure_rules(plan: Plan) -> list[dict[str, Any]]:
    """An eviction is nobody's failure. A load's documented exit codes are for good; a script's exit code is its own."""
    evicted = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    permanent = {
        "action": "FailJob",
        "onExitCodes": {"containerName": Role.LOADER.value, "operator": "In", "values": list(PERMANENT_EXIT_CODES)},
    }
    return [evicted, permanent] if plan.spec.load else [evicted]


def _pod(plan: Plan) -> dict[str, Any]:
    """No probe: a loader that hangs is found by its progress, and a probe that kills it would count as a failure."""
    container = {
        "command": ["python", "-m", "odp_loader"],
        "args": [f"{JOB_FOLDER}/{JOB_FILE}", "--port", str(PROGRESS_PORT), "--config-maps", CONFIG_MAPS_FOLDER],
        "ports": [{"name": "progress", "containerPort": PROGRESS_PORT}],
        "resources": resources(plan.loader_preset.loader),
    }
    return pod_spec(plan, Role.LOADER, preset=plan.loader_preset, container=container)


def backoff_limit(plan: Plan, *, uid: str) -> dict[str, Any]:
    """The one change to a Job that exists, for server-side apply; `uid` keeps it from making or meeting another Job."""
    resource = Child.JOB.resource
    meta = {"name": plan.names.of(Child.JOB, run=plan.run), "namespace": plan.names.namespace, "uid": uid}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": meta,
        "spec": {"backoffLimit": plan.spec.backoff_limit},
    }
