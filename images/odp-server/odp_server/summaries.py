"""Summarises columns: what a batch holds (for skipping it), what a table holds (for the statistics endpoint)."""

import datetime
import decimal
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression import ColumnRange


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """What the values of one column of one batch, or of a whole table, are like."""

    nulls: int
    values: int
    """How many are not null; NaN is a value."""
    nans: int
    low: Any = None
    """Least value that is not NaN, as a Python object; None where there is none or the type has no order."""
    high: Any = None
    ascending: bool = False
    """Whether no value is less than the one before it, and none is null or NaN; not known of several batches together."""

    @classmethod
    def of(cls, column: pa.Array) -> "ColumnSummary":
        """Summarise one array."""
        nulls = column.null_count
        values = len(column) - nulls
        nans = 0
        if pa.types.is_float16(column.type):  # for which is_nan and min_max have no kernel
            column = column.cast(pa.float32())
        if pa.types.is_floating(column.type):
            is_nan = pc.is_nan(column)
            nans = is_nan.true_count
            if nans:  # min_max of NaN alone is (inf, -inf)
                column = column.filter(pc.invert(is_nan))
        if values == nans:
            return cls(nulls, values, nans)
        bounds = pc.min_max(column)
        ascending = nulls == nans == 0 and not pc.any(pc.less(column[1:], column[:-1])).as_py()
        return cls(nulls, values, nans, bounds["min"].as_py(), bounds["max"].as_py(), ascending)

    @classmethod
    def total(cls, parts: Iterable["ColumnSummary"]) -> "ColumnSummary":
        """Summarise several batches as one."""
        known = tuple(parts)
        return cls(
            nulls=sum(part.nulls for part in known),
            values=sum(part.values for part in known),
            nans=sum(part.nans for part in known),
            low=min((part.low for part in known if part.low is not None), default=None),
            high=max((part.high for part in known if part.high is not None), default=None),
        )

    @property
    def range(self) -> ColumnRange:
        """The same as a filter judges it."""
        return ColumnRange(
            minimum=self.low, maximum=self.high, nulls=self.nulls, rows=self.nulls + self.values, may_have_nan=self.nans > 0
        )


def column_statistics(field: pa.Field, summary: ColumnSummary) -> dict[str, Any]:
    """One entry of the statistics reply's `columns`.

    The names are those of the SDK's `ColumnStats` (odp-sdk 0.28.10, tabular_v2/client/table_stats.py), which refuses any other.
    """
    return {
        "name": field.name,
        "type": str(field.type),
        "null_count": summary.nulls,
        "num_values": summary.values,
        "min": _json_bound(summary.low),
        "max": _json_bound(summary.high),
        "metadata": decoded(field.metadata),
    }


def decoded(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    """Arrow metadata as text."""
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (metadata or {}).items()}


def _json_bound(value: Any) -> int | float | str | None:
    """Return `value` as statistics carry it: times in ISO 8601, decimals as text, None where JSON has no word for it."""
    match value:
        case bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case decimal.Decimal():
            return str(value)
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case _:
            return None
