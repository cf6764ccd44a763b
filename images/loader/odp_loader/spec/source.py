"""Where a load reads from."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from odp_loader.spec.model import ColumnName, Expression, Model, OneOf, Url
from odp_loader.spec.storage import Storage

DATASET_PATTERN = r"^[A-Za-z0-9._-]+$"
Scalar = bool | int | float | str
Columns = Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=1024)]

MOST_SYNTHETIC_ROWS = 4_197_072_960
"""A minute apart, from the year 2020 to the last day that Python and ISO 8601 can write."""


class OdpSource(Model):
    """A table of the Ocean Data Platform."""

    dataset: str = Field(min_length=1, max_length=256, pattern=DATASET_PATTERN)
    """The dataset's UUID, as the platform's catalog shows it."""
    filter: Expression | None = None
    """Rows to read, in ODP's own filter language; evaluated by the server. Values go into `vars` and are named `$name` here.
    Beside each other `and` and `or` need parentheses: ODP gives them one precedence."""
    vars: Annotated[dict[Annotated[str, Field(max_length=64)], Scalar], Field(max_length=64)] = Field(default_factory=dict)
    """Values for the `$name`s of `filter`, cast to the type of the column they are compared with. Times with a zone become UTC."""
    columns: Columns | None = None
    """Columns to read; all of them by default."""
    split_by: ColumnName | None = None
    """Column whose ranges become the partitions. Default: a column marked `index`, else a time, an integer, a string column."""
    streams: int = Field(default=32, ge=1, le=1024)
    """At most so many requests at once; halved whenever the server answers 429."""
    base_url: Url = Field(default="https://api.hubocean.earth/", alias="baseURL")
    """The platform's address."""


class FileFormat(StrEnum):
    """How the files of a source are encoded."""

    PARQUET = "Parquet"
    CSV = "CSV"
    JSON_LINES = "JSONLines"


class FilesSource(Model):
    """Files of one kind: local, or in S3, Google Cloud Storage or Azure."""

    url: Url
    """A file, a folder, or a pattern with `*`: a path, `s3://`, `gs://` or `abfss://`."""
    format: FileFormat | None = None
    """Default: by the ending of the names."""
    columns: Columns | None = None
    """Columns to read; all of them by default."""
    filter: Expression | None = None
    """Rows to keep, in the same language as `transform.filter`; evaluated while reading."""
    storage: Storage | None = None
    """How to reach the object store that `url` names."""


class SyntheticSource(Model):
    """Rows made up on the workers: 50 stations, a minute apart, the same for the same seed."""

    rows: int = Field(ge=0, le=MOST_SYNTHETIC_ROWS)
    """How many rows."""
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    """Partition i is drawn from seed + i."""


class Source(OneOf):
    """What to read: exactly one of odp, files, synthetic."""

    odp: OdpSource | None = None
    """A table of the Ocean Data Platform."""
    files: FilesSource | None = None
    """Parquet, CSV or JSON lines files."""
    synthetic: SyntheticSource | None = None
    """Made-up rows, for trying things out."""
