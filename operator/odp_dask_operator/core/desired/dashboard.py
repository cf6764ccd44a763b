"""Service and Ingress of Dask's dashboard, and the address that people are told."""

from collections.abc import Mapping
from typing import Any

from odp_dask_operator.core.desired.metadata import metadata
from odp_dask_operator.core.desired.pod import without_empty
from odp_dask_operator.core.names import DASHBOARD_PORT, DASHBOARD_PORT_NAME, Child
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.spec.job import ServiceType

_PAGES = (
    "/status",
    "/workers",
    "/tasks",
    "/system",
    "/profile",
    "/graph",
    "/groups",
    "/info",
    "/hardware",
    "/shuffle",
    "/stealing",
    "/exceptions",
    "/events",
    "/static",
    "/statics",
)
"""The dashboard's pages (`distributed.dashboard.scheduler`) and what they load. Not `/`, below which are also `/api/v1`, which
retires workers without a login, and `/proxy`."""


def dashboard_service(plan: Plan) -> dict[str, Any]:
    """The dashboard, under a name that people can type."""
    resource, asked = Child.SERVICE.resource, plan.spec.dashboard.service
    port = {"name": DASHBOARD_PORT_NAME, "protocol": "TCP", "port": DASHBOARD_PORT, "targetPort": DASHBOARD_PORT_NAME}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.SERVICE, annotations=asked.annotations),
        "spec": {"type": asked.type.value, "selector": plan.names.scheduler_pod, "ports": [port]},
    }


def ingress(plan: Plan) -> dict[str, Any]:
    """The dashboard's pages under a host name."""
    resource, asked = Child.INGRESS.resource, plan.spec.dashboard.ingress
    assert asked is not None
    backend = {"service": {"name": plan.names.dashboard, "port": {"name": DASHBOARD_PORT_NAME}}}
    paths = [{"path": page, "pathType": "Prefix", "backend": backend} for page in _PAGES]
    tls = [{"hosts": [asked.host], "secretName": asked.tls_secret_name}] if asked.tls_secret_name else []
    spec = {"ingressClassName": asked.class_name, "rules": [{"host": asked.host, "http": {"paths": paths}}], "tls": tls}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.INGRESS, annotations=asked.annotations),
        "spec": without_empty(spec),
    }


def dashboard_url(plan: Plan, *, service: Mapping[str, Any]) -> str | None:
    """Where a browser finds the dashboard: through a JupyterHub, an Ingress, a load balancer, else from inside the cluster.

    `service` is the Service as the API server has it. None while its load balancer has no address.
    """
    asked, names = plan.spec.dashboard, plan.names
    host = f"{names.dashboard}.{names.namespace}.svc:{DASHBOARD_PORT}"
    if asked.jupyter_hub_prefix:
        return f"{asked.jupyter_hub_prefix.rstrip('/')}/proxy/{host}/status"
    if asked.ingress:
        return f"{'https' if asked.ingress.tls_secret_name else 'http'}://{asked.ingress.host}/status"
    if asked.service.type is ServiceType.LOAD_BALANCER:
        found = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        address = next((entry.get("hostname") or entry.get("ip") for entry in found), None)
        return f"http://{address}:{DASHBOARD_PORT}/status" if address else None
    return f"http://{host}/status"
