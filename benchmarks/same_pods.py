"""Makes the DaskJob of dask-kubernetes whose pods are those of an OdpDaskJob, but for the certificates."""

from typing import Any

from odp_dask_operator.core.desired import manifest
from odp_dask_operator.core.desired.environment import tls_arguments
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan

Raw = dict[str, Any]
_TLS = ("DASK_DISTRIBUTED__COMM__", "DASK_SCHEDULER_ADDRESS")
_TLS_ARGUMENTS = [*tls_arguments(), "--protocol", "tls"]
_TLS_VOLUME = "odp-tls"


def dask_job(plan: Plan, name: str) -> tuple[Raw, Raw]:
    """The DaskJob `name`, and the ConfigMap that its pods read.

    Probes, environment, security context, resources and volumes are those that the operator would give the pods of the plan.
    """
    cluster, config = manifest(Child.CLUSTER, plan), manifest(Child.CONFIG_MAP, plan)
    runner = manifest(Child.JOB, plan)["spec"]["template"]["spec"]
    for part in ("scheduler", "worker"):
        cluster["spec"][part] = {**cluster["spec"][part], "spec": _plain(cluster["spec"][part]["spec"])}
        cluster["spec"][part].pop("metadata", None)
    config["metadata"] = {"name": config["metadata"]["name"]}
    spec = {"job": {"spec": _plain(runner)}, "cluster": {"spec": cluster["spec"]}}
    service = spec["cluster"]["spec"]["scheduler"]["service"]
    service["selector"] = {"dask.org/cluster-name": name, "dask.org/component": "scheduler"}
    return {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskJob", "metadata": {"name": name}, "spec": spec}, config


def _plain(pod: Raw) -> Raw:
    """Without TLS."""
    (container,) = pod["containers"]
    kept = {
        **container,
        "args": [each for each in container["args"] if each not in _TLS_ARGUMENTS],
        "env": [each for each in container["env"] if not each["name"].startswith(_TLS)],
        "volumeMounts": [each for each in container["volumeMounts"] if each["name"] != _TLS_VOLUME],
    }
    return {**pod, "containers": [kept], "volumes": [each for each in pod["volumes"] if each["name"] != _TLS_VOLUME]}
