"""Judges rows before they are read, by a footer's statistics and the names of folders: a filter may surely drop them all."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odp_loader.expression import ColumnRange, Resolved
from odp_loader.sources.files.types import plain

_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


@dataclass(frozen=True)
class Sieve:
    """A filter that judges rows before they are read."""

    condition: Resolved
    known: Mapping[str, ColumnRange] = field(default_factory=dict)
    """Of columns that have one value in all rows that are judged."""

    def of_folders(self, keys: Mapping[str, pa.Scalar]) -> "Sieve":
        """The same for files in folders whose names say these values."""
        known = {
            name: ColumnRange(minimum=value, maximum=value, nulls=int(not value.is_valid), rows=1) for name, value in keys.items()
        }
        return replace(self, known=known)

    def passes(self, ranges: Mapping[str, ColumnRange]) -> bool:
        """Whether some of the rows of which this is known may be kept."""
        return self.condition.verdict({**ranges, **self.known}) != "none"

    def row_groups(self, file: pq.ParquetFile, groups: Iterable[int], columns: pa.Schema) -> list[int]:
        """Those of a Parquet file's row groups that may hold rows to keep; `columns` have the types of the whole table."""
        looked_at = [columns.field(name) for name in self.condition.expression.columns if name in columns.names]
        places = {column.name: _place(file, column) for column in looked_at}
        absent = frozenset(column.name for column in looked_at) - frozenset(file.schema_arrow.names)

        def ranges(group: int) -> dict[str, ColumnRange]:
            chunks = file.metadata.row_group(group)
            missing = dict.fromkeys(absent, ColumnRange(nulls=chunks.num_rows, rows=chunks.num_rows))
            there = {
                column.name: _range(chunks.column(place).statistics, column.type, chunks.num_rows)
                for column in looked_at
                if (place := places[column.name]) is not None
            }
            return missing | there

        return [group for group in groups if self.passes(ranges(group))]


def _place(file: pq.ParquetFile, column: pa.Field) -> int | None:
    """Which of the file's leaves is this column; None where it is nested, or has another type than the whole table."""
    names = file.schema_arrow.names
    if names.count(column.name) != 1 or plain(file.schema_arrow.field(column.name).type) != column.type:
        return None
    for i in range(file.metadata.num_columns):
        leaf = file.metadata.schema.column(i)
        if leaf.path == leaf.name == column.name and leaf.max_repetition_level == 0:
            return i
    return None


def _range(statistics: Any, kind: pa.DataType, rows: int) -> ColumnRange:
    """Statistics as a range. Bounds may be wider than the values: writers shorten long text."""
    if statistics is None:
        return ColumnRange(rows=rows)
    nulls = statistics.null_count if statistics.has_null_count else None
    if not statistics.has_min_max:
        return ColumnRange(nulls=nulls, rows=rows)
    low, high = (_value(raw, statistics, kind) for raw in (statistics.min_raw, statistics.max_raw))
    return ColumnRange(minimum=low, maximum=high, nulls=nulls, rows=rows)


def _value(raw: Any, statistics: Any, kind: pa.DataType) -> object:
    """A bound as a value of the column, exactly; None for types whose bounds are not used."""
    types = pa.types
    if types.is_boolean(kind) or types.is_signed_integer(kind) or types.is_float32(kind) or types.is_float64(kind):
        return raw
    if types.is_string(kind) or types.is_large_string(kind):
        try:
            return raw.decode()
        except UnicodeDecodeError:  # shortened within a character
            return None
    if types.is_date32(kind):
        return pa.scalar(raw, pa.int32()).cast(kind)
    if types.is_timestamp(kind):
        unit = _UNITS.get(json.loads(statistics.logical_type.to_json()).get("timeUnit", ""))
        return pa.scalar(raw, pa.int64()).cast(pa.timestamp(unit, kind.tz)).cast(kind) if unit else None
    return None
