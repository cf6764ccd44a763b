"""What an aggregate is put together from: which types can be grouped and reduced, what to, and in what form meanwhile."""

from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.errors import InvalidLoad
from odp_loader.spec import AggregateFunction

_EXACT = pa.decimal128(38, 0)
"""Sums of integers meanwhile: no table is long enough to overflow it, so the order of merging cannot matter."""


@dataclass(frozen=True, slots=True)
class Part:
    """One column of a partial result: `function` (sum, count, min or max) of `column`."""

    column: str
    function: str
    type: pa.DataType

    @property
    def name(self) -> str:
        """Of the column in a partial result."""
        return f"{self.function}({self.column})"


def key(schema: pa.Schema, name: str) -> pa.Field:
    """The field of a key in partial results and results. Raises InvalidLoad for one that is not there or cannot be grouped by."""
    field = _field(schema, name, "by")
    plain = plain_type(field.type)
    if not _is_ordered(plain):
        raise InvalidLoad(f"transform.aggregate.by: cannot group by '{name}', its type is {field.type}")
    return pa.field(name, plain, metadata=field.metadata)


def check(schema: pa.Schema, name: str, function: AggregateFunction) -> None:
    """Raises InvalidLoad for a column that is not there or cannot be reduced so."""
    found = plain_type(_field(schema, name, "columns").type)
    match function:
        case AggregateFunction.SUM | AggregateFunction.MEAN if not _is_number(found):
            raise InvalidLoad(
                f"transform.aggregate.columns.{name}: {function.value} takes numbers, '{name}' is {found}; use min, max or count"
            )
        case AggregateFunction.MIN | AggregateFunction.MAX if not _is_ordered(found):
            raise InvalidLoad(f"transform.aggregate.columns.{name}: the type {found} has no {function.value}; use count")


def _field(schema: pa.Schema, name: str, where: str) -> pa.Field:
    if name in schema.names:
        return schema.field(name)
    hint = (
        " count any column by its name"
        if name == "*"
        else "".join(f" did you mean '{near}'?" for near in get_close_matches(name, schema.names, 1))
    )
    raise InvalidLoad(
        f"transform.aggregate.{where}: there is no column '{name}';{hint or ' there are ' + ', '.join(schema.names[:50])}"
    )


def _is_number(found: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(found)
        or types.is_float32(found)
        or types.is_float64(found)
        or types.is_boolean(found)
        or types.is_decimal(found)
    )


def _is_ordered(found: pa.DataType) -> bool:
    types = pa.types
    texts = types.is_string(found) or types.is_large_string(found) or types.is_binary(found) or types.is_large_binary(found)
    return bool(_is_number(found) or texts or types.is_date(found) or types.is_timestamp(found) or types.is_time(found))


def plain_type(found: pa.DataType) -> pa.DataType:
    """The type of the values, where they are a dictionary's."""
    return found.value_type if pa.types.is_dictionary(found) else found


def plain(values: pa.Array, to: pa.DataType) -> pa.Array:
    """The values themselves, where they are a dictionary's."""
    return values.cast(to) if pa.types.is_dictionary(values.type) else values


def part_type(source: pa.DataType, function: str) -> pa.DataType:
    """What a part of a column of type `source` is kept as."""
    match function:
        case "count":
            return pa.int64()
        case "sum" if pa.types.is_floating(source):
            return pa.float64()
        case "sum" if pa.types.is_decimal(source):
            return pa.decimal256(76, source.scale)
        case "sum":
            return _EXACT
    return source


def result_type(source: pa.DataType, function: AggregateFunction) -> pa.DataType:
    """What a column of type `source` is reduced to."""
    match function:
        case AggregateFunction.COUNT:
            return pa.int64()
        case AggregateFunction.MEAN:
            return pa.float64()
        case AggregateFunction.SUM if pa.types.is_floating(source):
            return pa.float64()
        case AggregateFunction.SUM if pa.types.is_decimal(source):
            return pa.decimal128(38, source.scale)
        case AggregateFunction.SUM:
            return pa.int64()
    return source


def part_input(values: pa.Array, part: Part) -> pa.Array:
    """The values as the part's kernel takes them: sums in their own type, no NaN for bounds."""
    match part.function:
        case "sum":
            whole = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
            return whole.cast(part.type)
        case "min" | "max" if pa.types.is_floating(values.type):
            return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return values


def as_floats(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The nearest floats; Arrow's own cast of decimals misses some by one bit (5.35 becomes 5.3500000000000005)."""
    return values.cast(pa.string()).cast(pa.float64()) if pa.types.is_decimal(values.type) else values


def one_zero_one_nan(keys: pa.Array) -> pa.Array:
    """Float keys are compared bit by bit, so equal ones get equal bits."""
    if not pa.types.is_floating(keys.type):
        return keys
    positive = pc.add(keys, pa.scalar(0.0, keys.type))
    return pc.if_else(pc.is_nan(positive), pa.scalar(float("nan"), keys.type), positive)
