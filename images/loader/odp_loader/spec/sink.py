"""Where a load writes to."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from odp_loader.spec.model import ColumnName, Model, OneOf, Url
from odp_loader.spec.storage import Storage


class IfExists(StrEnum):
    """What to do when the output is not empty."""

    RESUME = "Resume"
    """Go on with the same load where it stopped; anything else that is there is an error."""
    ERROR = "Error"
    """Refuse, unless nothing is there."""
    OVERWRITE = "Overwrite"
    """Replace it, once the new data is complete and verified."""


class Compression(StrEnum):
    """The codec of the Parquet pages."""

    ZSTD = "zstd"
    SNAPPY = "snappy"
    LZ4 = "lz4"


class ParquetSink(Model):
    """A folder of Parquet files with a manifest beside it."""

    url: Url
    """A folder: a path, `s3://`, `gs://` or `abfss://`. The files appear in `data/` below it."""
    if_exists: IfExists = IfExists.RESUME
    """What to do when something is there already."""
    compression: Compression = Compression.ZSTD
    """The codec of the Parquet pages."""
    partition_on: Annotated[tuple[ColumnName, ...], Field(max_length=4)] = ()
    """Columns that become folders, `year=2024`. Their values move from the files into the names."""
    storage: Storage | None = None
    """How to reach the object store that `url` names."""


class Sink(OneOf):
    """Where the result goes: exactly one kind; there is one kind so far."""

    parquet: ParquetSink | None = None
    """A folder of Parquet files with a manifest beside it."""
