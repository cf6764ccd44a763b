"""Reads a job as the API server has it: what it asks for, and the status that was recorded."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from odp_dask_operator.core.names import Names
from odp_dask_operator.spec import Condition, ConditionStatus, ConditionType, JobSpec, JobStatus, OdpDaskJob
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import InvalidDocument, validate
from odp_dask_operator.spec.meta import JobMeta
from odp_loader.spec import Model

SomeModel = TypeVar("SomeModel", bound=Model)
_NO_STATUS = JobStatus()


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job, as far as decisions need it."""

    names: Names
    generation: int | None
    deleting: bool
    """The API server has been told to delete it; its children go with it."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: JobSpec | None
    """None when it cannot be read; `fault` then says why."""
    fault: str = ""
    status: JobStatus = _NO_STATUS

    def condition(self, kind: ConditionType) -> Condition | None:
        """What was recorded about something."""
        return next((condition for condition in self.status.conditions if condition.type is kind), None)

    def holds(self, kind: ConditionType) -> bool:
        """Whether a condition was recorded as true."""
        condition = self.condition(kind)
        return condition is not None and condition.status is ConditionStatus.TRUE

    @property
    def end(self) -> Condition | None:
        """The condition that says that and when the job ended; None while it has not. There is no way back from it."""
        return next((self.condition(kind) for kind in (ConditionType.COMPLETE, ConditionType.FAILED) if self.holds(kind)), None)

    @property
    def stopped(self) -> bool:
        """The current run was ended by `suspend`, or none has begun because of it."""
        return self.holds(ConditionType.SUSPENDED)

    @property
    def run(self) -> int:
        """The number of the run; 0 before the first."""
        return self.status.runs or 0

    @property
    def active(self) -> bool:
        """A run has begun and has not ended."""
        return self.run > 0 and not self.stopped and self.end is None

    @property
    def had_cluster(self) -> bool:
        """The cluster was ready in this run; if it is not now, it was lost."""
        ready, start = self.condition(ConditionType.CLUSTER_READY), self.status.start_time
        if ready is None or start is None:
            return False
        return ready.status is ConditionStatus.TRUE or ready.last_transition_time > start


def read_job(raw: Mapping[str, Any]) -> JobRecord:
    """The job. A specification that cannot be read is told in `fault`; fields that this version does not know are passed over."""
    meta = raw["metadata"]
    spec, fault = _read_spec(raw)
    return JobRecord(
        names=Names(meta["name"], meta.get("namespace") or "default", meta["uid"]),
        generation=meta.get("generation"),
        deleting="deletionTimestamp" in meta,
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        spec=spec,
        fault=fault,
        status=read_status(raw.get("status") or {}),
    )


def read_tolerantly(model: type[SomeModel], value: object) -> SomeModel:
    """An object of the cluster as a model. Raises pydantic's ValidationError."""
    return model.model_validate(value, extra="ignore", by_alias=True, by_name=False)


def _read_spec(raw: Mapping[str, Any]) -> tuple[JobSpec | None, str]:
    meta = {"name": raw["metadata"]["name"]}
    try:
        read_tolerantly(JobMeta, meta)
        return read_tolerantly(JobSpec, raw.get("spec")), ""
    except ValidationError as error:
        rough = "; ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors(include_url=False))
    document = {"apiVersion": raw.get("apiVersion"), "kind": raw.get("kind"), "metadata": meta, "spec": raw.get("spec")}
    try:
        validate(OdpDaskJob, Document(document))
    except InvalidDocument as error:
        return None, str(error).replace("\n", "; ")
    return None, rough  # refused above only because of what `validate` reads another way


def read_status(raw: Mapping[str, Any]) -> JobStatus:
    """The recorded status. What another version wrote and this one cannot read is left out, field by field.

    Nothing but a whole loss may hide that a job has ended: it would begin again.
    """
    with contextlib.suppress(ValidationError):
        return read_tolerantly(JobStatus, raw)
    fields: dict[str, Any] = {}
    for name, field in JobStatus.model_fields.items():
        key = field.alias or name
        value = _readable_conditions(raw.get(key)) if name == "conditions" else raw.get(key)
        if value is None:
            continue
        try:
            read_tolerantly(JobStatus, {key: value})
        except ValidationError:
            continue
        fields[key] = value
    return read_tolerantly(JobStatus, fields)


_condition = TypeAdapter(Condition)


def _readable_conditions(raw: object) -> list[Any]:
    readable = []
    for value in raw if isinstance(raw, list) else ():
        try:
            _condition.validate_python(value, extra="ignore")
        except ValidationError:
            continue
        readable.append(value)
    return readable
