"""OdpDaskPreset: the named sizes that a job asks for with `scale`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from odp_dask_operator.spec.meta import API_VERSION, ObjectMeta
from odp_dask_operator.spec.pod import NodeSelector, Tolerations
from odp_dask_operator.spec.quantity import CpuQuantity, MemoryQuantity
from odp_loader.spec import Model

MAX_WORKERS = 1000
"""More than the Dask operator makes in reasonable time: one Deployment each, one after the other."""

Count = Annotated[int, Field(ge=1, le=MAX_WORKERS)]


class Workers(Model):
    """How many workers: a fixed number, or as many as the work needs between two bounds."""

    replicas: Count | None = None
    """This many."""
    minimum: Count | None = None
    """At least this many; with `maximum`, instead of `replicas`."""
    maximum: Count | None = None
    """At most this many; with `minimum`, instead of `replicas`."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        bounds = (self.minimum, self.maximum)
        if self.replicas is not None and bounds != (None, None):
            raise ValueError("set replicas, or minimum and maximum, not both")
        if self.replicas is None and None in bounds:
            raise ValueError("set replicas, or both minimum and maximum")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is greater than maximum {self.maximum}")
        return self

    @property
    def most(self) -> int:
        """The greatest number of workers there may be at once."""
        return self.replicas or self.maximum or 1

    @property
    def least(self) -> int:
        """The number of workers to begin with."""
        return self.replicas or self.minimum or 1


class Resources(Model):
    """What a pod gets; request and limit are the same."""

    cpu: CpuQuantity
    """Processor time: 2, 500m or "0.5" in quotes."""
    memory: MemoryQuantity
    """Memory: 4Gi or 512Mi."""


class WorkerResources(Resources):
    """What each worker gets."""

    threads: int = Field(ge=1, le=256)
    """Partitions that a worker reads at once. More than cores: one stream is slower than one core."""


class Limits(Model):
    """What jobs may ask for beyond the preset."""

    max_workers: Count = 20
    """At most so many workers, whatever the job says."""


_DRIVER = Resources.model_validate({"cpu": "500m", "memory": "1Gi"})


class PresetSpec(Model):
    """A size."""

    workers: Workers
    """How many workers."""
    worker: WorkerResources
    """What each worker gets."""
    scheduler: Resources = _DRIVER
    """What the scheduler gets."""
    loader: Resources = _DRIVER
    """What the loader gets. It holds receipts, never rows."""
    limits: Limits = Limits()
    """What jobs may ask for beyond this."""
    node_selector: NodeSelector = Field(default_factory=dict)
    """Labels of the nodes that the pods may run on."""
    tolerations: Tolerations = ()
    """Taints of nodes that the pods put up with."""
    priority_class_name: str | None = Field(default=None, max_length=253)
    """Priority of the pods."""

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if self.workers.most > self.limits.max_workers:
            raise ValueError(f"workers asks for {self.workers.most}, more than limits.maxWorkers ({self.limits.max_workers})")
        return self


class OdpDaskPreset(Model):
    """A named size, looked up beside the job, then beside the operator."""

    api_version: Literal["odpdask.dev/v1alpha1"] = API_VERSION
    kind: Literal["OdpDaskPreset"] = "OdpDaskPreset"
    metadata: ObjectMeta
    """Its name is what a job's `scale` says."""
    spec: PresetSpec
    """The size."""
