"""What every Kubernetes object carries beside its spec: the parts of its metadata that are read or written here."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, PlainSerializer

from odp_loader.spec import Model

API_VERSION: Literal["odpdask.dev/v1alpha1"] = "odpdask.dev/v1alpha1"

JOB_NAME_PATTERN = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A DNS-1035 label. The names of the objects made for a job add up to 13 characters to it."""
OBJECT_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""A DNS-1123 subdomain, as Kubernetes asks of most names."""
KEY_PATTERN = r"^[-._a-zA-Z0-9]+$"
"""A key of a Secret or ConfigMap."""
LABEL_KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LABEL_VALUE_PATTERN = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"


def format_time(moment: datetime.datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as the API server writes times."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[AwareDatetime, PlainSerializer(format_time)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=OBJECT_NAME_PATTERN)]
Key = Annotated[str, Field(min_length=1, max_length=253, pattern=KEY_PATTERN)]
LabelKey = Annotated[str, Field(min_length=1, max_length=317, pattern=LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Annotations = Annotated[dict[LabelKey, Annotated[str, Field(max_length=8192)]], Field(max_length=64)]


class ObjectMeta(Model):
    """Standard metadata. What only the API server sets may be there, so that `kubectl get -o yaml` can be read back."""

    name: ObjectName
    """Unique in its namespace."""
    namespace: Annotated[str, Field(max_length=63)] | None = None
    """Where the object lives."""
    labels: dict[str, str] = Field(default_factory=dict)
    """To select objects by."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """For tools and people."""
    uid: str | None = None
    """Set by the API server; different for an object of the same name made later."""
    resource_version: str | None = None
    """Set by the API server; changes with every write."""
    generation: int | None = None
    """Set by the API server; changes with every change of the spec."""
    creation_timestamp: Time | None = None
    """Set by the API server."""
    deletion_timestamp: Time | None = None
    """Set by the API server when the object is being deleted."""
    deletion_grace_period_seconds: int | None = None
    """Set by the API server."""
    finalizers: tuple[str, ...] = ()
    """What must be done before the object goes."""
    owner_references: tuple[dict[str, Any], ...] = ()
    """The objects with which this one goes."""
    managed_fields: tuple[dict[str, Any], ...] = ()
    """Who wrote which field."""


class JobMeta(ObjectMeta):
    """Metadata of a job, whose name leaves room for the names of its children."""

    name: str = Field(min_length=1, max_length=40, pattern=JOB_NAME_PATTERN)
    """Unique in its namespace; at most 40 lower-case letters, digits and '-', beginning with a letter."""
