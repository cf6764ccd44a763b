"""The status of a job: what people, kubectl and GitOps tools read about it."""

from typing import Annotated

from pydantic import Field

from odp_dask_operator.spec.meta import Time
from odp_dask_operator.spec.preset import PresetSpec
from odp_dask_operator.spec.state import ConditionStatus, ConditionType, Phase
from odp_loader.spec import Model

Message = Annotated[str, Field(max_length=4096)]
ReasonText = Annotated[str, Field(max_length=128, pattern=r"^([A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?)?$")]


class Condition(Model):
    """One observation, as Kubernetes shapes it."""

    type: ConditionType
    """What it is about."""
    status: ConditionStatus
    """Whether it holds."""
    reason: ReasonText
    """Why, in one CamelCase word."""
    message: Message = ""
    """Why, in a sentence."""
    last_transition_time: Time
    """When `status` changed last."""
    observed_generation: int | None = None
    """The generation of the spec that this is about."""


class PresetSnapshot(Model):
    """The preset that the job was started with."""

    name: Annotated[str, Field(max_length=253)]
    """Its name."""
    namespace: Annotated[str, Field(max_length=63)] | None = None
    """Where it was found: beside the job, else beside the operator."""
    generation: int | None = None
    """Its generation; editing a preset never changes a running job."""
    spec: PresetSpec | None = None
    """What it said then."""
    why: Annotated[str, Field(max_length=512)] | None = None
    """Why `scale: auto` means this one."""


class WorkerCounts(Model):
    """The cluster's workers."""

    desired: int = 0
    """How many there should be."""
    ready: int = 0
    """How many answer."""


class PartitionCounts(Model):
    """The load's partitions."""

    done: int = 0
    """How many are finished."""
    total: int = 0
    """How many there are."""


class LoadProgress(Model):
    """How far the load has come."""

    percent: int = Field(default=0, ge=0, le=100)
    """100 only when the load is verified."""
    partitions: PartitionCounts = PartitionCounts()
    """Finished and planned."""
    rows: int = 0
    """Rows read."""
    bytes: int = 0
    """Bytes of Arrow data read."""
    rows_per_second: int = 0
    """Over about the last ten seconds."""
    eta_seconds: int | None = None
    """Missing while it cannot be told."""
    updated_at: Time | None = None
    """When these numbers were true."""
    advanced_at: Time | None = None
    """When rows, bytes or partitions grew last; what `progressDeadlineSeconds` counts from."""


class LoadResult(Model):
    """What a finished load left behind."""

    rows: int
    """Rows written."""
    bytes: int
    """Size of the files."""
    files: int
    """Number of files."""
    data_url: str = Field(alias="dataURL", max_length=4096)
    """The folder to read: `dd.read_parquet(dataURL)`."""
    manifest_url: str = Field(alias="manifestURL", max_length=4096)
    """The document that lists and proves the files."""
    manifest_sha256: str = Field(alias="manifestSHA256", max_length=64)
    """Its SHA-256."""
    seconds: float
    """From the first request for the table to the manifest, without the start of the cluster."""


class JobStatus(Model):
    """What is known about the job. `phase` is for display; wait for conditions."""

    observed_generation: int | None = None
    """The generation of the spec that this status is about."""
    phase: Phase | None = None
    """One word for display."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Ready, Reconciling, Stalled, ClusterReady, Suspended, Complete, Failed."""
    reason: ReasonText | None = None
    """Why the job is in this state, in one CamelCase word."""
    message: Message | None = None
    """Why the job is in this state, and what to do, in sentences."""
    start_time: Time | None = None
    """When the job began; set anew when it is resumed."""
    completion_time: Time | None = None
    """When it ended with success."""
    preset: PresetSnapshot | None = None
    """The preset that it was started with."""
    workers: WorkerCounts | None = None
    """The cluster's workers."""
    dashboard_url: str | None = Field(default=None, alias="dashboardURL", max_length=4096)
    """Dask's dashboard."""
    service_name: str | None = Field(default=None, max_length=63)
    """The Service of the dashboard."""
    progress: LoadProgress | None = None
    """How far the load has come."""
    result: LoadResult | None = None
    """What the load left behind."""
    attempts: int | None = Field(default=None, ge=0)
    """How often the loader was started since the job began or was resumed."""
    runs: int | None = Field(default=None, ge=0)
    """1 when the job has begun, and one more with each resume."""
