"""The essentials of a pod that a job may set: environment, volumes and where it may run."""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from odp_dask_operator.spec.meta import Key, LabelKey, LabelValue, ObjectName
from odp_loader.spec import Model
from odp_loader.spec.model import OneOf

ENV_NAME_PATTERN = r"^[-._a-zA-Z][-._a-zA-Z0-9]*$"
VOLUME_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SIZE_PATTERN = r"^[0-9]{1,16}(\.[0-9]{1,9})?([kMGT]|[KMGT]i)?$"
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
EnvName = Annotated[str, Field(min_length=1, max_length=253, pattern=ENV_NAME_PATTERN)]
API_KEY_VARIABLE = "ODP_API_KEY"


class KeyRef(Model):
    """One key of a Secret or ConfigMap in the job's namespace."""

    name: ObjectName
    """Name of the object."""
    key: Key
    """The key whose value is taken."""
    optional: bool = False
    """Leave the variable unset when the object or the key is missing."""


class FieldRef(Model):
    """A field of the pod itself."""

    field_path: str = Field(min_length=1, max_length=512)
    """Such as `metadata.name` or `status.hostIP`."""


class EnvValueFrom(OneOf):
    """Where a variable's value comes from: exactly one."""

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap."""
    field_ref: FieldRef | None = None
    """A field of the pod."""


class EnvVar(Model):
    """An environment variable."""

    name: EnvName
    """Name of the variable."""
    value: Annotated[str, Field(max_length=32_768)] | None = None
    """Its value."""
    value_from: EnvValueFrom | None = None
    """Where its value comes from, instead of `value`."""

    @model_validator(mode="after")
    def _value_or_reference(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError("set value or valueFrom, not both")
        if self.name == API_KEY_VARIABLE and self.value is not None:
            raise ValueError(
                "the API key does not belong in a job; put it into a Secret and name that in spec.credentials.secretName"
            )
        return self


class ObjectRef(Model):
    """A Secret or ConfigMap in the job's namespace."""

    name: ObjectName
    """Name of the object."""
    optional: bool = False
    """Go on without it when it is missing."""


class EnvFrom(Model):
    """Every key of one object becomes a variable."""

    prefix: str | None = Field(default=None, max_length=253)
    """Put before each name."""
    secret_ref: ObjectRef | None = None
    """The Secret to take."""
    config_map_ref: ObjectRef | None = None
    """The ConfigMap to take."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.secret_ref is None) == (self.config_map_ref is None):
            raise ValueError("set exactly one of secretRef, configMapRef")
        return self


class KeyToPath(Model):
    """One key of an object, as a file."""

    key: Key
    """The key."""
    path: FilePath
    """Name of the file, relative to the mount."""


Items = Annotated[tuple[KeyToPath, ...], Field(max_length=256)]


class ConfigMapVolume(Model):
    """A ConfigMap as files."""

    name: ObjectName
    """Name of the ConfigMap."""
    items: Items = ()
    """Which keys become which files; all, under their own names, by default."""
    optional: bool = False
    """Mount an empty folder when it is missing."""


class SecretVolume(Model):
    """A Secret as files."""

    secret_name: ObjectName
    """Name of the Secret."""
    items: Items = ()
    """Which keys become which files; all, under their own names, by default."""
    optional: bool = False
    """Mount an empty folder when it is missing."""


class ClaimVolume(Model):
    """Storage that was claimed before. Every pod of the job mounts it, so more than one node needs ReadWriteMany."""

    claim_name: ObjectName
    """Name of the PersistentVolumeClaim."""
    read_only: bool = False
    """Mount it without the right to write."""


class EmptyDirMedium(StrEnum):
    """What an empty folder is kept on."""

    DISK = ""
    """The node's disk."""
    MEMORY = "Memory"
    """Memory; counts against the pod's limit."""


class EmptyDirVolume(Model):
    """An empty folder of each pod's own, gone with the pod."""

    medium: EmptyDirMedium = EmptyDirMedium.DISK
    """What it is kept on."""
    size_limit: str | None = Field(default=None, max_length=64, pattern=SIZE_PATTERN)
    """A quantity such as 10Gi; a pod that writes more is evicted."""


class Volume(Model):
    """A named volume of exactly one kind. Folders of a node are not offered: the restricted Pod Security standard refuses them."""

    name: str = Field(min_length=1, max_length=63, pattern=VOLUME_NAME_PATTERN)
    """The name that volumeMounts refer to."""
    config_map: ConfigMapVolume | None = None
    """A ConfigMap as files."""
    secret: SecretVolume | None = None
    """A Secret as files."""
    persistent_volume_claim: ClaimVolume | None = None
    """Storage that was claimed before."""
    empty_dir: EmptyDirVolume | None = None
    """An empty folder of each pod's own."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = (self.config_map, self.secret, self.persistent_volume_claim, self.empty_dir)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("set exactly one of configMap, secret, persistentVolumeClaim, emptyDir")
        return self


class VolumeMount(Model):
    """Where the pods see a volume."""

    name: str = Field(min_length=1, max_length=63)
    """Name of one of the job's volumes."""
    mount_path: FilePath
    """Folder in the container."""
    sub_path: FilePath | None = None
    """Folder or file in the volume that is mounted instead of its root."""
    read_only: bool = False
    """Mount it without the right to write."""


class TolerationOperator(StrEnum):
    """How a toleration matches a taint."""

    EQUAL = "Equal"
    """Key and value are the same."""
    EXISTS = "Exists"
    """The key is there."""


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    """They are not placed there."""
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    """They are placed elsewhere if possible."""
    NO_EXECUTE = "NoExecute"
    """They are evicted."""


class Toleration(Model):
    """A taint of nodes that the pods put up with."""

    key: str | None = Field(default=None, max_length=317)
    """The taint's key; all taints when it is missing."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """How it matches; Equal when it is missing."""
    value: str | None = Field(default=None, max_length=63)
    """The taint's value."""
    effect: TaintEffect | None = None
    """The taint's effect; all effects when it is missing."""
    toleration_seconds: int | None = Field(default=None, ge=0, le=2**31 - 1)
    """How long a NoExecute taint is put up with."""


class LocalObjectRef(Model):
    """An object in the job's namespace, by name."""

    name: ObjectName
    """Name of the object."""


Env = Annotated[tuple[EnvVar, ...], Field(max_length=256)]
EnvFroms = Annotated[tuple[EnvFrom, ...], Field(max_length=32)]
Volumes = Annotated[tuple[Volume, ...], Field(max_length=32)]
VolumeMounts = Annotated[tuple[VolumeMount, ...], Field(max_length=64)]
NodeSelector = Annotated[dict[LabelKey, LabelValue], Field(max_length=32)]
Tolerations = Annotated[tuple[Toleration, ...], Field(max_length=32)]
Affinity = Annotated[dict[str, Any], Field(max_length=3, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""As in a pod; the API server checks it when the pods are made."""
ImagePullSecrets = Annotated[tuple[LocalObjectRef, ...], Field(max_length=16)]
