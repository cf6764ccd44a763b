"""Which children a plan wants, and the manifest of each."""

from typing import Any

from odp_dask_operator.core.desired.batch_job import backoff_limit, batch_job
from odp_dask_operator.core.desired.cluster import dask_autoscaler, dask_cluster
from odp_dask_operator.core.desired.config_map import config_map
from odp_dask_operator.core.desired.dashboard import dashboard_service, ingress
from odp_dask_operator.core.desired.network_policy import network_policy
from odp_dask_operator.core.desired.secret import Certificate, tls_secret
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan


def wanted(plan: Plan) -> tuple[Child, ...]:
    """The children that an active job has, in the order in which they are made."""
    not_wanted = set()
    if plan.spec.dashboard.ingress is None:
        not_wanted.add(Child.INGRESS)
    if plan.workers is None:
        not_wanted.add(Child.CLUSTER)
    if not plan.adaptive:
        not_wanted.add(Child.AUTOSCALER)
    return tuple(child for child in Child if child not in not_wanted)


def manifest(child: Child, plan: Plan, *, certificate: Certificate | None = None, cluster_uid: str | None = None) -> dict[str, Any]:
    """A child as it should be. The Secret needs a `certificate`, the DaskAutoscaler the `cluster_uid`."""
    match child:
        case Child.SERVICE:
            return dashboard_service(plan)
        case Child.INGRESS:
            return ingress(plan)
        case Child.NETWORK_POLICY:
            return network_policy(plan)
        case Child.CONFIG_MAP:
            return config_map(plan)
        case Child.SECRET:
            assert certificate is not None
            return tls_secret(plan, certificate)
        case Child.JOB:
            return batch_job(plan)
        case Child.CLUSTER:
            return dask_cluster(plan)
        case Child.AUTOSCALER:
            assert cluster_uid is not None
            return dask_autoscaler(plan, cluster_uid=cluster_uid)


def applied(child: Child, plan: Plan, *, uid: str, cluster_uid: str | None = None) -> dict[str, Any]:
    """What server-side apply is to be given for a child that is there as `uid`: no other object is then made or changed.

    Of a Job it is `backoffLimit`, all of it that may be changed.
    """
    if child is Child.JOB:
        return backoff_limit(plan, uid=uid)
    whole = manifest(child, plan, cluster_uid=cluster_uid)
    return {**whole, "metadata": {**whole["metadata"], "uid": uid}}
