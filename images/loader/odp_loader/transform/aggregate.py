"""Groups rows and reduces each group, in partial results that can be merged in any order before they are finished."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.errors import InvalidLoad
from odp_loader.spec import Aggregate, AggregateFunction
from odp_loader.transform.parts import (
    Part,
    as_floats,
    check,
    key,
    one_zero_one_nan,
    part_input,
    part_type,
    plain,
    plain_type,
    result_type,
)

_PENDING_ROWS = 250_000
_PENDING_TABLES = 64
"""A partial result merges what it has gathered when it holds more than either."""
_PARTS = {AggregateFunction.MEAN: ("sum", "count")}
"""What a function is put together from; the others are their own part."""


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
        self._keys = [key(schema, name) for name in dict.fromkeys(aggregate.by)]
        self._functions = [(name, f) for name, functions in aggregate.columns.items() for f in dict.fromkeys(functions)]
        wanted = dict.fromkeys(
            (name, part) for name, function in self._functions for part in _PARTS.get(function, (function.value,))
        )
        for name, function in self._functions:
            check(schema, name, function)
        self.parts = tuple(Part(name, part, part_type(plain_type(schema.field(name).type), part)) for name, part in wanted)
        self._metadata = {name: schema.field(name).metadata for name in aggregate.columns}
        self._attributes = {k: v for k, v in (schema.metadata or {}).items() if k != b"pandas"}
        self._sources = {name: plain_type(schema.field(name).type) for name in aggregate.columns}
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
            fields.append(pa.field(f"{name}_{function.value}", result_type(self._sources[name], function), metadata=metadata))
        return pa.schema([*self._keys, *fields], self._attributes or None)

    def partial(self, rows: pa.RecordBatch) -> pa.Table:
        """The partial result of these rows: one row for each group in them."""
        keys = [one_zero_one_nan(plain(rows.column(key.name), key.type)) for key in self._keys]
        values = [part_input(plain(rows.column(part.column), self._sources[part.column]), part) for part in self.parts]
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
            return pc.divide(as_floats(table[f"sum({name})"]), table[f"count({name})"].cast(pa.float64()))
        try:
            return table[f"{function.value}({name})"].cast(result_type(self._sources[name], function))
        except pa.ArrowInvalid:
            pass
        raise InvalidLoad(
            f"transform.aggregate.columns.{name}: the sum of a group does not fit {result_type(self._sources[name], function)};"
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
