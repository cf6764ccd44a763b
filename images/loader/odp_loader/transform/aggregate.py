"""Groups rows and reduces each group, in partial results that can be merged in any order before they are finished."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.errors import InvalidLoad
from odp_loader.spec import Aggregate, AggregateFunction

_PENDING_ROWS = 250_000
_PENDING_TABLES = 64
"""A partial result merges what it has gathered when it holds more than either."""
_EXACT = pa.decimal128(38, 0)
"""Sums of integers meanwhile: no table is long enough to overflow it, so the order of merging cannot matter."""
_PARTS = {AggregateFunction.MEAN: ("sum", "count")}
"""What a function is put together from; the others are their own part."""


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


class Reduction:
    """An aggregate made fit for the columns it reduces.

    Nulls are left out; a null key is a group of its own, and so is NaN; -0.0 and 0.0 are one key. A NaN makes the sum and
    the mean of its group NaN, as in SQL; `min` and `max` leave it out (pyarrow's own answer for a group of nothing but NaN
    is an infinity). A group with no value has count 0 and null for the rest. A sum of integers or booleans is an int64, a sum
    of decimals has 38 digits, other sums and all means are float64, `min` and `max` have the column's type. Floats are added
    in the order of the tables that are merged, so merging them in the plan's order gives the same bits every time.

    Raises InvalidLoad for a column that is not there or cannot be reduced so, and for two columns of one name.
    """

    def __init__(self, aggregate: Aggregate, schema: pa.Schema) -> None:
        self._keys = [_key(schema, name) for name in dict.fromkeys(aggregate.by)]
        self._functions = [(name, f) for name, functions in aggregate.columns.items() for f in dict.fromkeys(functions)]
        wanted = dict.fromkeys(
            (name, part) for name, function in self._functions for part in _PARTS.get(function, (function.value,))
        )
        for name, function in self._functions:
            _check(schema, name, function)
        self.parts = tuple(Part(name, part, _part_type(_plain_type(schema.field(name).type), part)) for name, part in wanted)
        self._metadata = {name: schema.field(name).metadata for name in aggregate.columns}
        self._attributes = {k: v for k, v in (schema.metadata or {}).items() if k != b"pandas"}
        self._sources = {name: _plain_type(schema.field(name).type) for name in aggregate.columns}
        for made in (self.partial_schema, self.result_schema):
            if doubled := sorted({name for name in made.names if made.names.count(name) > 1}):
                raise InvalidLoad(
                    f"transform.aggregate.by: '{doubled[0]}' would also be the name of a result; derive the key under another name"
                )

    @property
    def keys(self) -> tuple[pa.Field, ...]:
        """The columns to group by, as they are in partial results and in the result."""
        return tuple(self._keys)

    @property
    def partial_schema(self) -> pa.Schema:
        """The keys, then one column for each part."""
        return pa.schema([*self._keys, *(pa.field(part.name, part.type) for part in self.parts)])

    @property
    def result_schema(self) -> pa.Schema:
        """The keys, then `<column>_<function>` as specified. Units and other attributes stay, except with counts."""
        fields = []
        for name, function in self._functions:
            metadata = None if function is AggregateFunction.COUNT else self._metadata[name]
            fields.append(pa.field(f"{name}_{function.value}", _result_type(self._sources[name], function), metadata=metadata))
        return pa.schema([*self._keys, *fields], self._attributes or None)

    def partial(self, rows: pa.RecordBatch) -> pa.Table:
        """The partial result of these rows: one row for each group in them."""
        keys = [_one_zero_one_nan(_plain(rows.column(key.name), key.type)) for key in self._keys]
        values = [_part_input(_plain(rows.column(part.column), self._sources[part.column]), part) for part in self.parts]
        return self._grouped(keys, values, [part.function for part in self.parts])

    def combine(self, tables: Iterable[pa.Table]) -> pa.Table:
        """One partial result from several, or from one in which groups come more than once."""
        table = pa.concat_tables([self.partial_schema.empty_table(), *tables])
        merges = ["sum" if part.function == "count" else part.function for part in self.parts]
        return self._grouped(table.columns[: len(self._keys)], table.columns[len(self._keys) :], merges)

    def finish(self, table: pa.Table) -> pa.Table:
        """The result from a combined partial result: a row for each group, sorted by the keys, nulls last.

        Raises InvalidLoad when a sum does not fit its type.
        """
        columns = [self._finished(table, name, function) for name, function in self._functions]
        result = pa.table([*table.columns[: len(self._keys)], *columns], schema=self.result_schema)
        return result.sort_by([(key.name, "ascending") for key in self._keys])

    def _grouped(self, keys: list[pa.Array], values: list[pa.Array], functions: list[str]) -> pa.Table:
        # Numbered columns, so that no name of the table can meet one that pyarrow makes up.
        key_names = [f"k{i}" for i in range(len(keys))]
        value_names = [f"v{i}" for i in range(len(values))]
        table = pa.table([*keys, *values], [*key_names, *value_names])
        grouped = table.group_by(key_names, use_threads=False).aggregate(list(zip(value_names, functions, strict=True)))
        ordered = grouped.select(
            [*key_names, *(f"{name}_{function}" for name, function in zip(value_names, functions, strict=True))]
        )
        return pa.table(ordered.columns, schema=self.partial_schema)

    def _finished(self, table: pa.Table, name: str, function: AggregateFunction) -> pa.ChunkedArray:
        if function is AggregateFunction.MEAN:
            return pc.divide(_as_floats(table[f"sum({name})"]), table[f"count({name})"].cast(pa.float64()))
        try:
            return table[f"{function.value}({name})"].cast(_result_type(self._sources[name], function))
        except pa.ArrowInvalid:
            pass
        raise InvalidLoad(
            f"transform.aggregate.columns.{name}: the sum of a group does not fit {_result_type(self._sources[name], function)};"
            " derive a float column from it and sum that one"
        )


class Partial:
    """Gathers the partial result of one partition. Its memory grows with the number of groups, not of rows."""

    def __init__(self, aggregate: Aggregate, schema: pa.Schema) -> None:
        self._reduction = Reduction(aggregate, schema)
        self._pending: list[pa.Table] = []
        self._rows = 0
        self._limit = _PENDING_ROWS

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in some rows of the schema."""
        self._pending.append(self._reduction.partial(rows))
        self._rows += self._pending[-1].num_rows
        if self._rows > self._limit or len(self._pending) > _PENDING_TABLES:
            self.table()

    def table(self) -> pa.Table:
        """All rows so far as one partial result."""
        merged = self._reduction.combine(self._pending)
        self._pending, self._rows = [merged], merged.num_rows
        # Twice what is left, so that many groups are not merged again for every batch.
        self._limit = max(_PENDING_ROWS, 2 * self._rows)
        return merged


def _key(schema: pa.Schema, name: str) -> pa.Field:
    field = _field(schema, name, "by")
    plain = _plain_type(field.type)
    if not _is_ordered(plain):
        raise InvalidLoad(f"transform.aggregate.by: cannot group by '{name}', its type is {field.type}")
    return pa.field(name, plain, metadata=field.metadata)


def _check(schema: pa.Schema, name: str, function: AggregateFunction) -> None:
    found = _plain_type(_field(schema, name, "columns").type)
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


def _plain_type(found: pa.DataType) -> pa.DataType:
    return found.value_type if pa.types.is_dictionary(found) else found


def _plain(values: pa.Array, to: pa.DataType) -> pa.Array:
    return values.cast(to) if pa.types.is_dictionary(values.type) else values


def _part_type(source: pa.DataType, function: str) -> pa.DataType:
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


def _result_type(source: pa.DataType, function: AggregateFunction) -> pa.DataType:
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


def _part_input(values: pa.Array, part: Part) -> pa.Array:
    match part.function:
        case "sum":
            whole = values.cast(pa.int8()) if pa.types.is_boolean(values.type) else values
            return whole.cast(part.type)
        case "min" | "max" if pa.types.is_floating(values.type):
            return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return values


def _as_floats(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The nearest floats; Arrow's own cast of decimals misses some by one bit (5.35 becomes 5.3500000000000005)."""
    return values.cast(pa.string()).cast(pa.float64()) if pa.types.is_decimal(values.type) else values


def _one_zero_one_nan(keys: pa.Array) -> pa.Array:
    """Float keys are compared bit by bit, so equal ones get equal bits."""
    if not pa.types.is_floating(keys.type):
        return keys
    positive = pc.add(keys, pa.scalar(0.0, keys.type))
    return pc.if_else(pc.is_nan(positive), pa.scalar(float("nan"), keys.type), positive)
