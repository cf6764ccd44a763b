"""OdpDaskJob: what a person asks for, and the status they get."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from odp_dask_operator.spec.meta import API_VERSION, Annotations, JobMeta, Labels, ObjectName
from odp_dask_operator.spec.pod import (
    Affinity,
    Env,
    EnvFroms,
    ImagePullSecrets,
    NodeSelector,
    Tolerations,
    VolumeMounts,
    Volumes,
)
from odp_dask_operator.spec.preset import Workers
from odp_dask_operator.spec.status import JobStatus
from odp_loader.spec import Load, Model, Script

Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
PRESET_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
PREFIX_PATTERN = r"^/.*$"
AUTO = "auto"
"""The `scale` that is chosen from the table's statistics."""


class Credentials(Model):
    """Where the key for the Ocean Data Platform is."""

    secret_name: ObjectName
    """Secret with the key ODP_API_KEY. It reaches the pods as an environment variable and nothing else."""


class ServiceType(StrEnum):
    """How the dashboard's Service is reached."""

    CLUSTER_IP = "ClusterIP"
    """From inside the cluster."""
    NODE_PORT = "NodePort"
    """On a port of every node."""
    LOAD_BALANCER = "LoadBalancer"
    """At an address of its own."""


class DashboardService(Model):
    """The Service in front of Dask's dashboard."""

    type: ServiceType = ServiceType.CLUSTER_IP
    """How it is reached."""
    annotations: Annotations = Field(default_factory=dict)
    """For load balancers."""


class DashboardIngress(Model):
    """An Ingress in front of Dask's dashboard."""

    host: str = Field(min_length=1, max_length=253)
    """Host name."""
    class_name: str | None = Field(default=None, max_length=253)
    """The IngressClass; the cluster's default if missing."""
    annotations: Annotations = Field(default_factory=dict)
    """For the Ingress controller; the place to ask for a login."""
    tls_secret_name: ObjectName | None = None
    """Secret with the certificate for `host`."""


class Dashboard(Model):
    """How Dask's dashboard is reached."""

    service: DashboardService = DashboardService()
    """The Service in front of it."""
    ingress: DashboardIngress | None = None
    """An Ingress in front of it; none by default."""
    jupyter_hub_prefix: str | None = Field(default=None, max_length=1024, pattern=PREFIX_PATTERN)
    """A JupyterHub user's prefix such as /user/ada/; status.dashboardURL then goes through that server's proxy."""


class KeepCluster(StrEnum):
    """Whether the cluster outlives the job."""

    NEVER = "Never"
    """It is deleted when the job ends."""
    ON_FAILURE = "OnFailure"
    """It is kept for `keepClusterSeconds` when the job fails, to look into it."""


class JobSpec(Model):
    """What to run and how big. Immutable, except for suspend, backoffLimit, the deadlines and the ttl."""

    scale: str = Field(min_length=1, max_length=253, pattern=PRESET_NAME_PATTERN)
    """Name of a preset: small, medium, large or one of your own; `auto` chooses by the table's statistics."""
    workers: Workers | None = None
    """How many workers, instead of the preset's number and within its limits."""
    load: Load | None = None
    """Read a table, transform it, write it. Exactly one of load, script."""
    script: Script | None = None
    """Run your own Dask program. Exactly one of load, script."""
    image: str | None = Field(default=None, max_length=1024)
    """Image of scheduler, workers and loader. Default: the operator's."""
    credentials: Credentials | None = None
    """Where the key for the Ocean Data Platform is."""
    env: Env = ()
    """Environment variables of all pods."""
    env_from: EnvFroms = ()
    """Secrets and ConfigMaps whose keys become environment variables of all pods."""
    volumes: Volumes = ()
    """Volumes of all pods."""
    volume_mounts: VolumeMounts = ()
    """Where all pods see the volumes."""
    node_selector: NodeSelector = Field(default_factory=dict)
    """Labels of the nodes that the pods may run on; added to the preset's."""
    tolerations: Tolerations = ()
    """Taints of nodes that the pods put up with; added to the preset's."""
    affinity: Affinity | None = None
    """Affinity of all pods, as in a pod."""
    image_pull_secrets: ImagePullSecrets = ()
    """Secrets to pull the image with."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of all pods; for storage that trusts a pod's identity."""
    pod_labels: Labels = Field(default_factory=dict)
    """Labels of all pods."""
    pod_annotations: Annotations = Field(default_factory=dict)
    """Annotations of all pods."""
    dashboard: Dashboard = Dashboard()
    """How Dask's dashboard is reached."""
    keep_cluster: KeepCluster = KeepCluster.NEVER
    """Whether the cluster outlives the job."""
    keep_cluster_seconds: Seconds = 3600
    """For how long it is kept after a failure."""
    suspend: bool = False
    """Stop, give the cluster back, and go on later where the load was."""
    backoff_limit: int = Field(default=3, ge=0, le=100)
    """How often a failed attempt is repeated."""
    active_deadline_seconds: Seconds | None = None
    """The job fails when it has run for longer."""
    startup_deadline_seconds: Seconds = 900
    """The job fails when its cluster is not ready by then."""
    progress_deadline_seconds: Seconds | None = None
    """The job fails when its load makes no progress for so long."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    """Delete the job so long after its end. Not for jobs that a GitOps controller owns: it would make them again."""

    @model_validator(mode="after")
    def _load_or_script(self) -> Self:
        if (self.load is None) == (self.script is None):
            raise ValueError(f"set exactly one of load, script; {'none is set' if self.load is None else 'both are set'}")
        return self

    @model_validator(mode="after")
    def _mounts_name_volumes(self) -> Self:
        names = {volume.name for volume in self.volumes}
        for mount in self.volume_mounts:
            if mount.name not in names:
                raise ValueError(f"volumeMounts names the volume {mount.name!r}, which is not in volumes")
        return self


class OdpDaskJob(Model):
    """Loads a table of the Ocean Data Platform into verified Parquet, or runs a Dask program, on a cluster of its own."""

    api_version: Literal["odpdask.dev/v1alpha1"] = API_VERSION
    kind: Literal["OdpDaskJob"] = "OdpDaskJob"
    metadata: JobMeta
    """Name, namespace, labels, annotations."""
    spec: JobSpec
    """What to run and how big."""
    status: JobStatus | None = None
    """What is known about the job; written by the operator."""
