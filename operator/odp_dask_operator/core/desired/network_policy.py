"""The NetworkPolicy: who may talk to a job's pods."""

from typing import Any

from odp_dask_operator.core.desired.metadata import metadata
from odp_dask_operator.core.names import DASHBOARD_PORT, PROGRESS_PORT, WORKER_HTTP_PORT, Child
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.spec.job import ServiceType


def network_policy(plan: Plan) -> dict[str, Any]:
    """A job's pods talk to each other; others see dashboard, metrics and progress only, and only from where they are let in."""
    resource, settings = Child.NETWORK_POLICY.resource, plan.settings
    watchers = dict.fromkeys((settings.namespace, *settings.allowed_namespaces))
    rules: list[dict[str, Any]] = [
        {"from": [{"podSelector": {"matchLabels": plan.names.pods}}]},
        {
            "from": [_namespace(name) for name in watchers],
            "ports": [_port(port) for port in (DASHBOARD_PORT, WORKER_HTTP_PORT, PROGRESS_PORT)],
        },
    ]
    if plan.adaptive:
        rules.append({"from": [_namespace(settings.dask_namespace)], "ports": [_port(DASHBOARD_PORT)]})
    if plan.spec.dashboard.service.type is not ServiceType.CLUSTER_IP:
        rules.append({"ports": [_port(DASHBOARD_PORT)]})  # published on purpose: clients come from anywhere
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.NETWORK_POLICY),
        "spec": {"podSelector": {"matchLabels": plan.names.pods}, "policyTypes": ["Ingress"], "ingress": rules},
    }


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _port(number: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": number}
