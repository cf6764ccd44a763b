"""What is there of a job's children, as facts: parsed once from what the API server and the loader say."""

from odp_dask_operator.core.observed.facts import Facts, Refusal
from odp_dask_operator.core.observed.observe import observe
from odp_dask_operator.core.observed.record import (
    ClusterSeen,
    LoaderSeen,
    Observed,
    PodEnd,
    PodSeen,
    Seen,
    Silent,
    Trouble,
    Whose,
)
from odp_dask_operator.core.observed.words import LastWord, ProgressSeen

__all__ = [
    "ClusterSeen",
    "Facts",
    "LastWord",
    "LoaderSeen",
    "Observed",
    "PodEnd",
    "PodSeen",
    "ProgressSeen",
    "Refusal",
    "Seen",
    "Silent",
    "Trouble",
    "Whose",
    "observe",
]
