"""The types of the API: OdpDaskJob and OdpDaskPreset. The CRDs, `kubectl explain` and every reader of a file come from them."""

from odp_dask_operator.spec.job import AUTO, JobSpec, OdpDaskJob
from odp_dask_operator.spec.meta import API_VERSION
from odp_dask_operator.spec.preset import OdpDaskPreset, PresetSpec, Workers
from odp_dask_operator.spec.state import ConditionStatus, ConditionType, Phase, Reason
from odp_dask_operator.spec.status import (
    Condition,
    JobStatus,
    LoadProgress,
    LoadResult,
    PartitionCounts,
    PresetSnapshot,
    WorkerCounts,
)

__all__ = [
    "API_VERSION",
    "AUTO",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "JobSpec",
    "JobStatus",
    "LoadProgress",
    "LoadResult",
    "OdpDaskJob",
    "OdpDaskPreset",
    "PartitionCounts",
    "Phase",
    "PresetSnapshot",
    "PresetSpec",
    "Reason",
    "WorkerCounts",
    "Workers",
]
