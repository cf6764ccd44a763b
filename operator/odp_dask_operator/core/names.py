"""Every name, label and annotation that the operator gives or reads is composed here, the Dask operator's among them.

Facts about dask-kubernetes are of 2026.3: `dask_kubernetes/operator/controller/controller.py` names the scheduler's Deployment and
Service `<cluster>-scheduler`, the worker group `<cluster>-default`, and each worker's Deployment
`<cluster>-default-worker-<10 hexadecimal digits>`. It copies the labels of a DaskCluster to all of them and to their pods.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from odp_dask_operator.spec import API_VERSION

FIELD_MANAGER = "odp-dask-operator"
"""In server-side apply, and the reporting component of Events."""

JOB_LABEL = "odpdask.dev/job"
"""Name of the job; on every child and on all that the Dask operator makes of it. What watches select by."""
UID_LABEL = "odpdask.dev/job-uid"
"""UID of the job; tells a job's objects from those of a predecessor of the same name."""
RUN_LABEL = "odpdask.dev/run"
"""Number of the run; on what is made anew when a job is resumed."""
COMPONENT_LABEL = "odpdask.dev/component"
LOADER = "loader"
"""Value of COMPONENT_LABEL on the loader's pods."""

DASK_CLUSTER_LABEL = "dask.org/cluster-name"
"""Set by the Dask operator on its objects and pods; set by us on the loader's pods, so that one policy covers all."""
DASK_COMPONENT_LABEL = "dask.org/component"
"""`scheduler` or `worker`; set by the Dask operator."""
DASK_SCHEDULER = "scheduler"
DASK_WORKER = "worker"

SCHEDULER_PORT = 8786
DASHBOARD_PORT = 8787
DASHBOARD_PORT_NAME = "http-dashboard"
"""The Dask operator looks this name up when it asks a scheduler over HTTP."""
WORKER_HTTP_PORT = 8788
PROGRESS_PORT = 8080

MESH_LABELS: Mapping[str, str] = {"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}
"""Keeps service meshes out of the pods: their proxies start before the loader, outlive it, and know no Dask. The Dask operator sets
Istio's on its pods."""
MESH_ANNOTATIONS: Mapping[str, str] = {"linkerd.io/inject": "disabled"}

_RESERVED_DOMAINS = ("dask.org", "odpdask.dev")
"""Labels by which pods and objects are found."""
_NEVER_COPIED_DOMAINS = (
    "argoproj.io",
    "fluxcd.io",
    "helm.sh",
    "kueue.x-k8s.io",
    "kubectl.kubernetes.io",
    *_RESERVED_DOMAINS,
)
_NEVER_COPIED = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by")
"""Argo CD tracks by the first unless told otherwise; a child that carries it looks like a part of the application, to be pruned."""


@dataclass(frozen=True)
class Resource:
    """Where a kind lives in the API."""

    api_version: str
    kind: str
    plural: str


class Child(Enum):
    """The objects that are made for a job, in the order in which they are made.

    The policy comes before any pod, as does all that pods need; the loader before the workers, so that a tight quota starves
    those rather than it.
    """

    SERVICE = Resource("v1", "Service", "services")
    INGRESS = Resource("networking.k8s.io/v1", "Ingress", "ingresses")
    NETWORK_POLICY = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
    CONFIG_MAP = Resource("v1", "ConfigMap", "configmaps")
    SECRET = Resource("v1", "Secret", "secrets")
    JOB = Resource("batch/v1", "Job", "jobs")
    CLUSTER = Resource("kubernetes.dask.org/v1", "DaskCluster", "daskclusters")
    AUTOSCALER = Resource("kubernetes.dask.org/v1", "DaskAutoscaler", "daskautoscalers")

    @property
    def resource(self) -> Resource:
        """Where the kind lives in the API."""
        return self.value

    def __repr__(self) -> str:
        return f"Child.{self.name}"


JOB_RESOURCE = Resource(API_VERSION, "OdpDaskJob", "odpdaskjobs")
PRESET_RESOURCE = Resource(API_VERSION, "OdpDaskPreset", "odpdaskpresets")
WORKER_GROUP_RESOURCE = Resource(Child.CLUSTER.resource.api_version, "DaskWorkerGroup", "daskworkergroups")
OWNED_BY_DASK = ("Deployment", "Service", WORKER_GROUP_RESOURCE.kind, "DaskAutoscaler")
"""Kinds of a cluster's objects that must be gone before a cluster of the same name is made."""


@dataclass(frozen=True)
class Names:
    """The names of one job's objects."""

    job: str
    namespace: str
    uid: str

    @property
    def base(self) -> str:
        """`x-u`: job and the first five characters of its UID, so that no object of a predecessor has the name."""
        return f"{self.job}-{self.uid[:5]}"

    def of(self, child: Child, *, run: int) -> str:
        """The name of a child."""
        if child in (Child.SERVICE, Child.INGRESS):
            return self.dashboard
        return f"{self.base}-{run}" if child is Child.SECRET else self.base

    @property
    def dashboard(self) -> str:
        """Service and Ingress; without the UID, because people type it."""
        return f"{self.job}-dashboard"

    @property
    def scheduler(self) -> str:
        """The scheduler's Deployment and Service, as the Dask operator names them."""
        return f"{self.base}-scheduler"

    @property
    def scheduler_address(self) -> str:
        """Where workers and loader find the scheduler. Without the cluster's domain, which may have another name."""
        return f"tls://{self.scheduler}.{self.namespace}.svc:{SCHEDULER_PORT}"

    @property
    def labels(self) -> dict[str, str]:
        """On everything that is made for the job."""
        return {"app.kubernetes.io/managed-by": FIELD_MANAGER, JOB_LABEL: self.job, UID_LABEL: self.uid}

    @property
    def pods(self) -> dict[str, str]:
        """Selects the pods of scheduler, workers and loader."""
        return {DASK_CLUSTER_LABEL: self.base}

    @property
    def scheduler_pod(self) -> dict[str, str]:
        """Selects the scheduler's pod."""
        return {**self.pods, DASK_COMPONENT_LABEL: DASK_SCHEDULER}

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Makes the garbage collector delete a child after its job. On OpenShift it needs `update` on odpdaskjobs/finalizers."""
        return owner_reference(JOB_RESOURCE, name=self.job, uid=self.uid)


def owner_reference(resource: Resource, *, name: str, uid: str) -> dict[str, Any]:
    """The owner that controls an object."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def label_selector(labels: Mapping[str, str]) -> str:
    """Labels as a query of the API takes them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def copied(given: Mapping[str, str], *, allowed: Iterable[str]) -> dict[str, str]:
    """The labels or annotations of a job that its children take over.

    Keys by which GitOps tools, Helm and queues know their objects never go along, whatever is allowed.
    """
    return {key: value for key, value in given.items() if any(_matches(key, entry) for entry in allowed) and not _never_copied(key)}


def without_reserved(labels: Mapping[str, str]) -> dict[str, str]:
    """A job's own labels for its pods, without those that would make a pod pass for another."""
    return {key: value for key, value in labels.items() if not _in_domains(key, _RESERVED_DOMAINS)}


def _matches(key: str, entry: str) -> bool:
    return key.startswith(entry) if entry.endswith("/") else key == entry


def _never_copied(key: str) -> bool:
    return key in _NEVER_COPIED or _in_domains(key, _NEVER_COPIED_DOMAINS)


def _in_domains(key: str, domains: Iterable[str]) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    return any(domain == known or domain.endswith(f".{known}") for known in domains)
