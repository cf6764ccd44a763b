"""The status of a job: what people, kubectl and GitOps tools read about it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from odp_dask_operator.spec.meta import Time
from odp_dask_operator.spec.preset import PresetSpec
from odp_loader.spec import Model

Message = Annotated[str, Field(max_length=4096)]
ReasonText = Annotated[str, Field(max_length=128, pattern=r"^([A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?)?$")]


class Phase(StrEnum):
    """The one word for display; derived from the conditions."""

    PENDING = "Pending"
    """Accepted; nothing has been made yet."""
    STARTING = "Starting"
    """The cluster is being made."""
    RUNNING = "Running"
    """The load or the script runs."""
    SUSPENDED = "Suspended"
    """Stopped on request; goes on where it was."""
    SUCCEEDED = "Succeeded"
    """Done: the load is verified, the script ended with 0."""
    FAILED = "Failed"
    """Ended without success and is not tried again."""


class ConditionType(StrEnum):
    """What a condition is about."""

    READY = "Ready"
    """The job is as its spec asks: done, or suspended. What kstatus and Flux wait for."""
    RECONCILING = "Reconciling"
    """Work is going on."""
    STALLED = "Stalled"
    """Nothing will happen until somebody changes something."""
    CLUSTER_READY = "ClusterReady"
    """The scheduler and at least one worker answer."""
    SUSPENDED = "Suspended"
    """The job was stopped on request."""
    COMPLETE = "Complete"
    """The job ended with success. What `kubectl wait --for=condition=Complete` waits for."""
    FAILED = "Failed"
    """The job ended without success."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why a job is in its state, where the loader's own errors do not say so."""

    ACCEPTED = "Accepted"
    """The job is valid and begins."""
    PRESET_NOT_FOUND = "PresetNotFound"
    """No preset has the name that `scale` says; goes on when one appears."""
    PRESET_INVALID = "PresetInvalid"
    """The preset cannot be read; goes on when it is corrected."""
    DASK_OPERATOR_MISSING = "DaskOperatorMissing"
    """The cluster does not know the kind DaskCluster."""
    DASK_OPERATOR_SILENT = "DaskOperatorSilent"
    """The Dask operator has not begun to build the DaskCluster."""
    WAITING_FOR_DELETION = "WaitingForDeletion"
    """Objects of an earlier run, or of a deleted job of the same name, are still going."""
    DELETION_STUCK = "DeletionStuck"
    """An object has been going for too long; most likely the operator that holds a finalizer on it does not run."""
    CHOOSING_PRESET = "ChoosingPreset"
    """`scale` is auto and the loader is asking for the size of the table."""
    CLUSTER_STARTING = "ClusterStarting"
    """Scheduler and workers are being made."""
    LOADER_STARTING = "LoaderStarting"
    """The loader's pod is being made."""
    LOADING = "Loading"
    """The load runs."""
    SCRIPT_RUNNING = "ScriptRunning"
    """The script runs."""
    RETRYING = "Retrying"
    """An attempt failed and the next one begins or runs."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """A node cannot get the image."""
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 # a word
    """A Secret, or a key of it, that a pod needs is not there; goes on when it appears."""
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    """A ConfigMap, or a key of it, that a pod needs is not there; goes on when it appears."""
    POD_NOT_STARTING = "PodNotStarting"
    """A node cannot start a pod, for another reason than its image or a missing object."""
    POD_CRASHING = "PodCrashing"
    """The scheduler or a worker ends again and again."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has room for a pod, or none may take it."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A ResourceQuota of the namespace leaves no room."""
    POD_REFUSED = "PodRefused"
    """An admission policy refuses a pod."""
    REFUSED = "Refused"
    """The API server refuses an object that the operator makes for the job."""
    INVALID_SPEC = "InvalidSpec"
    """The specification cannot be carried out as it is written."""
    LIMIT_EXCEEDED = "LimitExceeded"
    """The job asks for more than its preset allows."""
    NAME_CONFLICT = "NameConflict"
    """An object that the job needs has the name of one that belongs to somebody else."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """`activeDeadlineSeconds` have passed."""
    STARTUP_DEADLINE_EXCEEDED = "StartupDeadlineExceeded"
    """`startupDeadlineSeconds` have passed without a cluster and a loader that run."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """`progressDeadlineSeconds` have passed without progress."""
    OUT_OF_MEMORY = "OutOfMemory"
    """The loader needed more memory than its pod may have."""
    LOADER_FAILED = "LoaderFailed"
    """The loader ended without a word."""
    SUSPENDING = "Suspending"
    """`spec.suspend` is true and the cluster is being given back."""
    CLUSTER_READY = "ClusterReady"
    """Scheduler and workers answer."""
    CLUSTER_DELETED = "ClusterDeleted"
    """The cluster has been given back."""
    CLUSTER_KEPT = "ClusterKept"
    """The job failed and `keepCluster` is OnFailure."""
    LOAD_VERIFIED = "LoadVerified"
    """Rows read, written and expected agree, and the manifest is written."""
    LOAD_DIFFERS = "LoadDiffers"
    """Rows read and expected differ, and the job says `verify: Warn`."""
    SCRIPT_FINISHED = "ScriptFinished"
    """The script ended with 0."""
    SCRIPT_FAILED = "ScriptFailed"
    """The script ended with something else."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is true."""
    INTERRUPTED = "Interrupted"
    """A person or a signal stopped the run; what was finished is kept."""
    INTERNAL_ERROR = "InternalError"
    """A fault of this program."""


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
