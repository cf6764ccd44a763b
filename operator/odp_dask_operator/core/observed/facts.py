"""What the shell brings: objects and answers as they came."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odp_dask_operator.core.names import Child

OBSERVED_KINDS = (
    "Job",
    "Pod",
    "Deployment",
    "Service",
    "Ingress",
    "NetworkPolicy",
    "DaskCluster",
    "DaskWorkerGroup",
    "DaskAutoscaler",
)
"""Kinds whose objects belong into `Facts.objects`. ConfigMaps and Secrets are made and deleted unseen."""


@dataclass(frozen=True)
class Refusal:
    """The API server's answer to the last thing that was decided, when it was no."""

    child: Child
    verb: str
    """`create`, `apply` or `delete`."""
    code: int
    """HTTP status; 4xx other than 404 and 409, which mean that the work is done, and 429, which is tried again."""
    message: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about one job's surroundings."""

    objects: Sequence[Mapping[str, Any]] = ()
    """Every object of OBSERVED_KINDS with JOB_LABEL `<name of the job>` in its namespace, those of a predecessor among them; and
    whatever stood in the way (409) of an object that was to be created, read by its name."""
    events: Sequence[Mapping[str, Any]] = ()
    """Events about the objects that `events_wanted` names."""
    progress: bytes | None = None
    """What `progress_url` answered; None when it was not asked or did not answer."""
    dask_served: bool = True
    """The API server knows the kind DaskCluster."""
    dask_seen_at: datetime.datetime | None = None
    """When the Dask operator last made something, for whichever job."""
    refusal: Refusal | None = None
