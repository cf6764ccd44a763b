"""A whole load, and its alternative: the user's own program."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from odp_loader.spec.model import ByteQuantity, Model
from odp_loader.spec.sink import Sink
from odp_loader.spec.source import Source
from odp_loader.spec.transform import Transform

MODULE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*$"


class Verify(StrEnum):
    """What a difference between rows expected, read and written means."""

    STRICT = "Strict"
    """The load fails."""
    WARN = "Warn"
    """The manifest notes it and the load succeeds."""


class Partitions(Model):
    """How finely the table is cut. The cut depends on the table and on this, never on the workers."""

    target_bytes: ByteQuantity = Field(default=128 * 2**20, ge=2**16, le=2**40)
    """Aim for partitions of this many bytes of Arrow data; a quantity such as 128Mi."""
    maximum: int = Field(default=10_000, ge=1, le=100_000)
    """At most so many partitions."""


class Load(Model):
    """Read a table, transform it, write it as verified Parquet."""

    source: Source
    """What to read."""
    transform: Transform = Field(default_factory=Transform)
    """What to do with the rows."""
    sink: Sink
    """Where the result goes."""
    partitions: Partitions = Field(default_factory=Partitions)
    """How finely the table is cut."""
    verify: Verify = Verify.STRICT
    """What to do when the rows do not add up."""


class ScriptConfigMap(Model):
    """A program in a ConfigMap."""

    name: str = Field(min_length=1, max_length=253)
    """The ConfigMap's name."""
    key: str = Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """The key whose value is the program."""


class Script(Model):
    """The user's own Dask program, unchanged: `Client()` finds the job's cluster by its environment."""

    config_map: ScriptConfigMap | None = None
    """Where the program is."""
    module: str | None = Field(default=None, max_length=512, pattern=MODULE_PATTERN)
    """A module of the image, run as `python -m` would."""
    args: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=256)] = ()
    """Its arguments."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.config_map is None) == (self.module is None):
            raise ValueError("set exactly one of configMap, module")
        return self
