"""What a file holds of each column, for its receipt: the statistics in its footer, and own bounds for columns without any."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from odp_loader.receipt import ColumnSummary

_LONGEST_TEXT = 128
"""Characters of a bound; a longer one is left out, because the manifest repeats it for every file."""


@dataclass
class Summaries:
    """Collected while a file is written."""

    nulls: Counter[str] = field(default_factory=Counter)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Least and greatest float of the columns that have no statistics because of NaN; missing while there is none."""

    def add(self, rows: pa.Table, without_statistics: Iterable[str]) -> None:
        """Take note of a row group."""
        for name in rows.column_names:
            self.nulls[name] += rows.column(name).null_count
        for name in without_statistics:
            bounds = pc.min_max(rows.column(name)).as_py()
            self._widen(name, bounds["min"], bounds["max"])

    def keep(self, footer: pq.FileMetaData, name: str) -> None:
        """Remember what the statistics said of a column that will have none from now on."""
        for low, high in _statistics(footer, footer.schema.names.index(name)):
            self._widen(name, low, high)

    def _widen(self, name: str, low: float | None, high: float | None) -> None:
        if low is None or high is None or low > high:  # all null, or nothing but NaN, of which min_max makes (inf, -inf)
            return
        least, greatest = self.bounds.get(name, (math.inf, -math.inf))
        self.bounds[name] = min(least, low), max(greatest, high)

    def finish(self, footer: pq.FileMetaData, schema: pa.Schema) -> dict[str, ColumnSummary]:
        """The summary of each column of the finished file."""
        summaries = {}
        for index, column in enumerate(schema):
            pairs = [self.bounds[column.name]] if column.name in self.bounds else _ordered(footer, index, column.type)
            low, high = (min(low for low, _ in pairs), max(high for _, high in pairs)) if pairs else (None, None)
            summaries[column.name] = ColumnSummary(
                nulls=self.nulls[column.name], minimum=_json(low, column.type), maximum=_json(high, column.type)
            )
        return summaries


def constant(value: pa.Scalar, rows: int) -> ColumnSummary:
    """The summary of a partitionOn column, which has one value in a file."""
    if not value.is_valid:
        return ColumnSummary(nulls=rows)
    raw = value.cast(pa.int32()).as_py() if pa.types.is_date(value.type) else value.as_py()
    shown = _json(raw, value.type)
    return ColumnSummary(nulls=0, minimum=shown, maximum=shown)


def _ordered(footer: pq.FileMetaData, index: int, kind: pa.DataType) -> list[tuple[Any, Any]]:
    """The statistics of a column whose values have an order, provided that every row group with values has some.

    The writer leaves them out for text of more than 4096 bytes; bounds of the other row groups alone would be wrong.
    """
    if pa.types.is_binary(kind):
        return []
    pairs = _statistics(footer, index)
    holding = [i for i in range(footer.num_row_groups) if _values(footer, i, index)]
    return pairs if len(pairs) == len(holding) else []


def _values(footer: pq.FileMetaData, row_group: int, index: int) -> int:
    """How many values a column has in a row group; nulls are none."""
    chunk = footer.row_group(row_group).column(index)
    return int(chunk.statistics.num_values if chunk.statistics else chunk.num_values)


def _statistics(footer: pq.FileMetaData, index: int) -> list[tuple[Any, Any]]:
    """Bounds by row group, temporal ones as the integers that are stored: Python has no date after the year 9999."""
    pairs = []
    for i in range(footer.num_row_groups):
        statistics = footer.row_group(i).column(index).statistics
        if statistics is None or not statistics.has_min_max:
            continue
        raw = statistics.logical_type.type in ("TIMESTAMP", "DATE", "TIME")
        pairs.append((statistics.min_raw, statistics.max_raw) if raw else (statistics.min, statistics.max))
    return pairs


def _json(value: Any, kind: pa.DataType) -> int | float | str | bool | None:
    """A value as JSON has it: ISO 8601 for times, digits for decimals, words for infinities, no negative zero."""
    if value is None:
        return None
    if pa.types.is_temporal(kind):
        return _iso(value, kind)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    assert isinstance(value, bool | int | str)
    return None if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _iso(value: int, kind: pa.DataType) -> str | None:
    """A time that is stored as `value`, in UTC when the column has a zone; None when Arrow has no year for it."""
    scalar = pa.array([value], pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)[0]
    if pa.types.is_timestamp(kind):
        scalar = scalar.cast(pa.timestamp(kind.unit))
    text = str(scalar.cast(pa.string()).as_py())
    if text.startswith("<"):  # "<value out of range: ...>"
        return None
    text = text.replace(" ", "T")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text + "Z" if pa.types.is_timestamp(kind) and kind.tz else text
