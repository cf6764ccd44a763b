"""Takes chunks of rows through a transform: filter, then derive, then map. What comes after, the aggregate, is a reduction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa

from odp_loader import spec
from odp_loader.errors import InvalidExpression, InvalidLoad
from odp_loader.expression import Resolved, parse, resolve
from odp_loader.transform.user_map import UserMap

MAP_ROWS = 120_000
"""`map` is given at most so many rows at a time."""


class Chain:
    """A transform made fit for its input's columns; made by `compile_chain`, used by one thread for one partition."""

    def __init__(self, transform: spec.Transform, schema: pa.Schema, output: pa.Schema | None) -> None:
        self._input = schema
        self._filter = None if transform.filter is None else _filter(transform.filter, schema, derived=transform.derive)
        self._derive: dict[str, Resolved] = {}
        for name, text in transform.derive.items():
            self._derive[name], schema = _derived(name, text, schema)
        self._before_map = schema
        self._map = None if transform.map is None else UserMap(transform.map, schema)
        self._schema = schema if self._map is None else output
        self.rows_in = 0
        """Rows given to `apply`."""
        self.rows_out = 0
        """Rows that came out of it."""

    @property
    def dropped(self) -> int:
        """Rows that the filter or `map` left out; negative when `map` added some."""
        return self.rows_in - self.rows_out

    @property
    def schema(self) -> pa.Schema | None:
        """Of the rows that come out; None when only a first result of `map` can tell (`probe`)."""
        return self._schema

    @property
    def output(self) -> pa.Schema:
        """`schema` where it is known. Raises ValueError where it is not."""
        if self._schema is None:
            raise ValueError("only a result of `map` tells its columns: probe the chain first, and compile it with what comes out")
        return self._schema

    def apply(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """What becomes of these rows, without batches that have none.

        Raises InvalidExpression for a value that an expression cannot take, UserCodeFailed when `map` fails.
        """
        self.rows_in += rows.num_rows
        for result in self._results(rows):
            if result.num_rows:
                self.rows_out += result.num_rows
                yield result

    def _results(self, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows = self._filtered_and_derived(rows)
        if self._map is None:
            yield rows
            return
        for start in range(0, rows.num_rows, MAP_ROWS):
            yield self._map.apply(rows.slice(start, MAP_ROWS), self.output)

    def _first_schema(self, rows: pa.RecordBatch | None) -> pa.Schema:
        if self._map is None:
            return self.output
        rows = pa.RecordBatch.from_pylist([], schema=self._input) if rows is None else rows
        return self._map.first(self._filtered_and_derived(rows).slice(0, MAP_ROWS)).schema

    def _filtered_and_derived(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        if self._filter is not None:
            with _field("filter"):
                rows = self._filter.filter(rows)
        for name, expression in self._derive.items():
            with _field(f"derive.{name}"):
                values = expression.evaluate(rows)
            columns = {**dict(zip(rows.schema.names, rows.columns, strict=True)), name: values}
            rows = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
        return pa.RecordBatch.from_arrays(rows.columns, schema=self._before_map) if self._derive else rows


def compile_chain(transform: spec.Transform, schema: pa.Schema, *, output: pa.Schema | None = None) -> Chain:
    """Check a transform against its input's columns and make it ready.

    Derived columns are computed in the order given and may use those before them. A derived column takes the place of one
    that has its name, for all that follows; the old one's attributes go with it, because they described other values. New
    columns come last. `output` is the schema that `probe` found; it matters with a `map` only.

    Raises InvalidExpression (its message begins with the field, such as `transform.derive.year`) and InvalidLoad.
    """
    return Chain(transform, schema, output)


def probe(chain: Chain, rows: pa.RecordBatch | None) -> pa.Schema:
    """The schema of what comes out of the chain, found by taking the first chunk of `rows` through it; counts nothing.

    None stands for a table without rows. When no row reaches `map`, it is called once with an empty frame, and has to
    accept that. Raises as `Chain.apply` does.
    """
    return chain._first_schema(rows)


def _filter(text: str, schema: pa.Schema, *, derived: Mapping[str, str]) -> Resolved:
    with _field("filter"):
        expression = parse(text)
        for name in expression.columns:
            if name in derived and name not in schema.names:
                raise InvalidLoad(
                    f"transform.filter: '{name}' is derived after the filter; filter by the expression itself: {derived[name]}"
                )
        condition = resolve(expression, schema)
    if not pa.types.is_boolean(condition.type):
        raise InvalidLoad(
            f"transform.filter: `{text}` is {condition.type}, and a filter is true or false; compare it with something"
        )
    return condition


def _derived(name: str, text: str, schema: pa.Schema) -> tuple[Resolved, pa.Schema]:
    """A derived column's expression, and the schema with the column."""
    with _field(f"derive.{name}"):
        expression = resolve(parse(text), schema)
    if pa.types.is_null(expression.type):
        raise InvalidLoad(f"transform.derive.{name}: `{text}` is always null, which has no type; write what it is otherwise")
    column = pa.field(name, expression.type)
    return expression, schema.set(schema.names.index(name), column) if name in schema.names else schema.append(column)


@contextmanager
def _field(name: str) -> Iterator[None]:
    """Say in which field of the job an expression is."""
    try:
        yield
    except InvalidExpression as error:
        raise InvalidExpression(f"transform.{name}: {error.message}", error.text, error.position) from None
