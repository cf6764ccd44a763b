"""Makes jobs, ours and DaskJobs of the same size, all at once or at a rate."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks import same_pods
from benchmarks.operator.programs import SYSTEM
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.preset import presets_for
from odp_dask_operator.core.record import read_job
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer

NAMESPACE = "bench"
WORKERS = 2
OUR_JOBS = f"/apis/odpdask.dev/v1alpha1/namespaces/{NAMESPACE}/odpdaskjobs"
DASK_JOBS = f"/apis/kubernetes.dask.org/v1/namespaces/{NAMESPACE}/daskjobs"
OUR_CHILDREN = ("jobs", "configmaps", "secrets", "daskclusters", "services", "networkpolicies")
"""What our operator makes of a job."""
DEPLOYMENTS = 1 + WORKERS
"""What the Dask operator makes of a DaskCluster: the scheduler's, and one for each worker."""
PATIENT_S = 86_400
"""No pod runs here: a job that gave up while the Dask operator is not through would have its work done twice."""
AT_ONCE = 8
"""Creates under way when there is no rate."""
Raw = dict[str, Any]


def name(number: int) -> str:
    """Without a hyphen, see `audit.job_of`."""
    return f"j{number:05}"


def our_job(number: int) -> Raw:
    """A load from the Ocean Data Platform, as the README has it."""
    source = {
        "odp": {"dataset": "1d801817-0000-0000-0000-000000000000", "filter": "time >= $since", "vars": {"since": "2024-01-01"}}
    }
    load = {"source": source, "sink": {"parquet": {"url": f"s3://bucket/{name(number)}"}}}
    spec = {"scale": "medium", "workers": {"replicas": WORKERS}, "load": load, "credentials": {"secretName": "odp-api-key"}}
    spec["startupDeadlineSeconds"] = PATIENT_S
    return {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskJob", "metadata": {"name": name(number)}, "spec": spec}


def dask_job(number: int) -> Raw:
    """As the documentation of dask-kubernetes has it."""

    def pod(component: str, *command: str, **more: Any) -> Raw:
        resources = {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
        container = {"name": component, "image": "example.org/odp-loader:1", "args": list(command), "resources": resources, **more}
        return {"containers": [container]}

    ports = [{"name": "tcp-comm", "containerPort": 8786}, {"name": "http-dashboard", "containerPort": 8787}]
    probe = {"httpGet": {"port": "http-dashboard", "path": "/health"}, "periodSeconds": 5}
    served = [
        {"name": port["name"], "protocol": "TCP", "port": port["containerPort"], "targetPort": port["name"]} for port in ports
    ]
    selector = {"dask.org/cluster-name": name(number), "dask.org/component": "scheduler"}
    cluster = {
        "worker": {"replicas": WORKERS, "spec": pod("worker", "dask-worker", "--name", "$(DASK_WORKER_NAME)")},
        "scheduler": {
            "spec": pod("scheduler", "dask-scheduler", ports=ports, readinessProbe=probe),
            "service": {"type": "ClusterIP", "selector": selector, "ports": served},
        },
    }
    spec = {"job": {"spec": {**pod("job", "python", "main.py"), "restartPolicy": "Never"}}, "cluster": {"spec": cluster}}
    return {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskJob", "metadata": {"name": name(number)}, "spec": spec}


def plan_of(number: int) -> Plan:
    """What our operator makes of `our_job`."""
    raw = our_job(number)
    raw["metadata"] |= {"namespace": NAMESPACE, "uid": str(uuid.uuid4()), "generation": 1}
    presets = [preset.model_dump(mode="json", by_alias=True, exclude_none=True) for preset in BUILT_IN.values()]
    for preset in presets:
        preset["metadata"]["namespace"] = SYSTEM
    plan = make_plan(
        read_job(raw),
        presets=presets_for(presets, job_namespace=NAMESPACE, operator_namespace=SYSTEM),
        settings=Settings(image="example.org/odp-loader:1", namespace=SYSTEM, dask_namespace=SYSTEM),
    )
    assert isinstance(plan, Plan), plan
    return plan


def dask_job_of_our_pods(number: int) -> Raw:
    """With the pods of `our_job`, without certificates."""
    document, _config = same_pods.dask_job(plan_of(number), name(number))
    return document


def create(server: ApiServer, place: str, make: Callable[[int], Raw], count: int, *, per_second: float | None = None) -> None:
    """Creates `count` of them. Raises RuntimeError when one is refused."""

    def post(number: int) -> None:
        answer = server.request("POST", place, make(number))
        if answer.status != 201:
            raise RuntimeError(f"{place} {number}: {answer.body}")

    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        posts = []
        for number in range(count):
            if per_second:
                time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            posts.append(pool.submit(post, number))
        for done in posts:
            done.result()
