"""What is known of a table's columns before a row is read: types, bounds, nulls and metadata, whatever state they are in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from odp_loader.partition import Scalar
from odp_loader.planning.axis import Axis, DateAxis, FloatAxis, IntegerAxis, TimestampAxis, axis_of

_TEXT = ("string", "large_string", "string_view")


class Kind(IntEnum):
    """How well a type serves as the key of ranges, best first."""

    TIME = 0
    """A timestamp or a date: what tables of observations are sorted by."""
    INTEGER = 1
    STRING = 2
    FLOAT = 3
    """Only when asked for: it has NaN, and is seldom what a table is sorted by."""


class Field(Protocol):
    """A field of an Arrow schema, as far as it is looked at."""

    name: str
    type: Any
    nullable: bool
    metadata: Mapping[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One column, as its schema and the table's statistics describe it. Statistics may be missing, stale or wrong."""

    name: str
    type: str
    """As Arrow prints it, `timestamp[us, tz=UTC]`."""
    minimum: Scalar | None = None
    """A value of the type, or None where nothing usable is known; never NaN or infinite."""
    maximum: Scalar | None = None
    nulls: int | None = None
    """In the whole table, whatever the query's filter."""
    nullable: bool = True
    """False when the schema forbids nulls."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind | None:
        """How the column serves as a key; None when it cannot be cut into ranges."""
        if self.is_geometry:
            return None
        match self.axis:
            case TimestampAxis() | DateAxis():
                return Kind.TIME
            case IntegerAxis():
                return Kind.INTEGER
            case FloatAxis():
                return Kind.FLOAT
        return Kind.STRING if self.type in _TEXT else None

    @property
    def axis(self) -> Axis | None:
        """The arithmetic of its values; None for strings and all that cannot be cut."""
        return axis_of(self.type)

    @property
    def is_geometry(self) -> bool:
        """Whether the metadata calls it one; ODP writes `isGeometry`, or `class: geometry`."""
        return _is_set(self.metadata.get("isGeometry")) or self.metadata.get("class", "").lower() == "geometry"

    @property
    def is_index(self) -> bool:
        """Whether the table's author wants it used to partition the data, which is what ODP's `index` metadata means."""
        return _is_set(self.metadata.get("index"))


def columns_of(fields: Iterable[Field], statistics: Mapping[str, Any]) -> tuple[ColumnStatistics, ...]:
    """All columns of a schema, with what ODP's `stats` reply says of them.

    The reply is `{num_rows, size, columns: [{name, type, null_count, num_values, min, max, metadata}]}`. The schema decides
    about types; a value that does not fit one counts as absent, and bounds in the wrong order are exchanged.
    """
    listed = statistics.get("columns")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list | tuple) else []
    by_name = {entry.get("name"): entry for entry in entries}
    return tuple(_column(schema_field, by_name.get(schema_field.name, {})) for schema_field in fields)


def _column(schema_field: Field, entry: Mapping[str, Any]) -> ColumnStatistics:
    arrow_type = str(schema_field.type)
    axis = axis_of(arrow_type)
    bounds: list[Any] = [None, None]
    if axis is not None:
        bounds = [axis.parse(entry.get("min")), axis.parse(entry.get("max"))]
    elif arrow_type in _TEXT:
        bounds = [_text(entry.get("min")), _text(entry.get("max"))]
    if None not in bounds:
        bounds.sort()
    nulls = entry.get("null_count")
    own = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema_field.metadata or {}).items()}
    told = entry.get("metadata")
    return ColumnStatistics(
        name=schema_field.name,
        type=arrow_type,
        minimum=bounds[0],
        maximum=bounds[1],
        nulls=nulls if isinstance(nulls, int) and not isinstance(nulls, bool) and nulls >= 0 else None,
        nullable=schema_field.nullable,
        metadata=({str(key): str(value) for key, value in told.items()} if isinstance(told, Mapping) else {}) | own,
    )


def _text(raw: object) -> str | None:
    """A string that UTF-8 can carry; JSON can also spell half a surrogate pair."""
    try:
        return raw if isinstance(raw, str) and raw.encode() is not None else None
    except UnicodeEncodeError:
        return None


def _is_set(value: str | None) -> bool:
    return value is not None and value.lower() not in ("false", "0", "no")
