"""What a worker returns for a partition: what it read, what it wrote, and how to recognise the files again. Never rows."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """What one file holds of one column."""

    nulls: int
    minimum: int | float | str | bool | None = None
    """Least value that is neither null nor NaN, times as ISO 8601; None when there is none or the type has no order."""
    maximum: int | float | str | bool | None = None
    """Greatest value, likewise."""


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """One file of the output."""

    path: str
    """Relative to the output's `data/`, with `/` between folders."""
    rows: int
    bytes: int
    """Size of the file."""
    sha256: str
    """Hexadecimal digest of the whole file."""
    columns: Mapping[str, ColumnSummary]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One finished partition."""

    partition: int
    """The partition's index in the plan."""
    rows_read: int
    """Rows that the source delivered."""
    rows_dropped: int
    """Rows read that `transform.filter` or `map` left out; negative when `map` added some."""
    rows_written: int
    """Rows in the files; groups of this partition's partial result when the load aggregates."""
    bytes_read: int
    """Arrow bytes that the source delivered."""
    files: tuple[FileReceipt, ...]
    nan_columns: tuple[str, ...] = ()
    """Columns in which a NaN was seen; writers of later partitions start without statistics for them."""
    attempts: int = 1
    """How often the partition was read before it was whole."""
    throttled: int = 0
    """How often the server answered 429 meanwhile."""
    seconds: float = 0.0
    """Wall-clock time on the worker."""
    worker: str = ""
    """Name of the worker."""


def file_to_json(file: FileReceipt) -> dict[str, Any]:
    """A file as it stands in ledger and manifest."""
    return dataclasses.asdict(file)


def receipt_to_json(receipt: Receipt) -> dict[str, Any]:
    """A receipt as it stands in the ledger."""
    return dataclasses.asdict(receipt)


def receipt_from_json(document: Mapping[str, Any]) -> Receipt:
    """The inverse of `receipt_to_json`. Raises KeyError or TypeError for anything else."""
    files = tuple(
        FileReceipt(**{**file, "columns": {name: ColumnSummary(**column) for name, column in file["columns"].items()}})
        for file in document["files"]
    )
    return Receipt(**{**document, "files": files, "nan_columns": tuple(document["nan_columns"])})
