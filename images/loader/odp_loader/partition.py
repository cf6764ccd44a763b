"""The unit of reading: which rows of a source belong to a partition, as data that JSON can carry."""

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

Scalar = int | float | str | datetime.datetime | datetime.date
"""A bound of a range. Times without a zone are wall clock of the column; times with one are UTC."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """The rows of a table whose `column` lies where `kind` says.

    `range` is half open: `low <= column < high`; a missing bound leaves that side open. NaN lies in no range and null in no
    range and not in `nan`, so ranges that tile the line, `nan` and `null` together hold every row exactly once.
    """

    kind: Literal["everything", "range", "null", "nan"]
    column: str | None = None
    low: Scalar | None = None
    high: Scalar | None = None


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A whole file, or the row groups `start <= i < stop` of a Parquet file."""

    path: str
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class FileSlices:
    """Pieces of files that are read together, in this order."""

    slices: tuple[FileSlice, ...]


@dataclass(frozen=True, slots=True)
class RowRange:
    """The rows `start <= row < stop` of a synthetic table, drawn from one random stream of their own, number `stream`."""

    stream: int
    start: int
    stop: int


Selection = Predicate | FileSlices | RowRange


@dataclass(frozen=True, slots=True)
class Partition:
    """One unit of reading, numbered from 0 in the order of the plan."""

    index: int
    selection: Selection
    rows: int | None = None
    """How many rows the planner thinks it has; for balance and display only, nothing is verified against it."""

    @property
    def beside(self) -> bool:
        """Whether it is what lies beside the ranges of a key, null or NaN, and most likely nothing."""
        return isinstance(self.selection, Predicate) and self.selection.kind in ("null", "nan") and not self.rows


def scalar_to_json(value: Scalar) -> dict[str, Any]:
    """`{"type": ..., "value": ...}` as ODP types its variables."""
    match value:
        case bool():
            raise TypeError("a boolean is no bound")
        case int():
            return {"type": "integer", "value": value}
        case float():
            return {"type": "float", "value": value}
        case str():
            return {"type": "string", "value": value}
        case datetime.datetime():
            return {"type": "datetime", "value": value.isoformat()}
        case datetime.date():
            return {"type": "date", "value": value.isoformat()}
        case _:
            assert_never(value)


def scalar_from_json(document: Mapping[str, Any]) -> Scalar:
    """The inverse of `scalar_to_json`. Raises ValueError for an unknown type."""
    value = document["value"]
    match document["type"]:
        case "integer":
            return int(value)
        case "float":
            return float(value)
        case "string":
            return str(value)
        case "datetime":
            return datetime.datetime.fromisoformat(value)
        case "date":
            return datetime.date.fromisoformat(value)
        case other:
            raise ValueError(f"unknown type of bound: {other!r}")


def partition_to_json(partition: Partition) -> dict[str, Any]:
    """A partition as it stands in plan.json."""
    selection: dict[str, Any]
    match partition.selection:
        case Predicate() as predicate:
            bounds = {"low": predicate.low, "high": predicate.high}
            selection = {
                "kind": predicate.kind,
                **({} if predicate.column is None else {"column": predicate.column}),
                **{name: scalar_to_json(bound) for name, bound in bounds.items() if bound is not None},
            }
        case FileSlices() as files:
            pieces = [[piece.path, piece.start, piece.stop] for piece in files.slices]
            selection = {"kind": "files", "slices": pieces}
        case RowRange() as rows:
            selection = {"kind": "rows", **dataclasses.asdict(rows)}
        case other:
            assert_never(other)
    return {"index": partition.index, "rows": partition.rows, **selection}


def partition_from_json(document: Mapping[str, Any]) -> Partition:
    """The inverse of `partition_to_json`. Raises KeyError, TypeError or ValueError for anything else."""
    selection: Selection
    match document["kind"]:
        case "everything" | "range" | "null" | "nan" as kind:
            bounds = {name: scalar_from_json(document[name]) for name in ("low", "high") if name in document}
            selection = Predicate(kind, document.get("column"), **bounds)
        case "files":
            selection = FileSlices(tuple(FileSlice(*piece) for piece in document["slices"]))
        case "rows":
            selection = RowRange(document["stream"], document["start"], document["stop"])
        case other:
            raise ValueError(f"unknown kind of partition: {other!r}")
    return Partition(document["index"], selection, document["rows"])
