"""Decides whether ODP's own aggregate can carry out a whole transform, what to ask it, and what its replies mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader import spec
from odp_loader.errors import LoadError, Transient
from odp_loader.spec import AggregateFunction
from odp_loader.transform.aggregate import Reduction
from odp_loader.transform.parts import Part
from odp_loader.transform.server_text import Inexpressible, ServerText, is_server_name, server_text

_SUMS = (AggregateFunction.SUM, AggregateFunction.MEAN)
_EXTREMES = (AggregateFunction.MIN, AggregateFunction.MAX)
_KEY, _ROWS = "", "*"
"""The columns of a reply that hold the group's key and its number of rows (odp-sdk 0.28.10, Table.aggregate)."""
_EXACT_FLOAT = 2**53
"""Integers beyond it, summed in floats, may have been rounded."""


@dataclass(frozen=True, slots=True)
class NotExpressible:
    """The rows have to be read."""

    reason: str
    """One sentence for the plan's notes."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What the server's replies come to."""

    table: pa.Table
    """A partial result, as `Reduction.combine` gives it."""
    rows: int
    """How many rows the server has grouped."""


@dataclass(frozen=True)
class ServerAggregate:
    """A transform in the server's words."""

    by: str
    """The expression to group by."""
    requests: tuple[Mapping[str, str], ...]
    """One request each: `{column: function}`, at most one function for a column, as the protocol has it."""
    filter: ServerText | None
    """`transform.filter` with its values; to be joined with the source's own filter by `and`, each in parentheses."""
    nan_columns: tuple[str, ...]
    """Float columns that are reduced. What the server makes of a NaN is not documented, so count those first (Predicate
    `nan`): unless there are none, read the rows."""
    reason: str
    """One sentence for the plan's notes."""
    _reduction: Reduction = field(repr=False, compare=False)

    def merge(self, replies: Sequence[pa.Table]) -> Merged:
        """One partial result from the replies to `requests`, in their order; a group may come several times in each.

        Raises Transient when the table changed between the requests, LoadError for a reply that is not as expected.
        """
        counts = [pc.sum(_column(reply, _ROWS, pa.int64())).as_py() or 0 for reply in replies]
        if len(set(counts)) > 1:
            raise Transient(f"the table changed between two requests of one aggregate: {counts[0]:,} and {max(counts):,} rows")
        tables = [self._partial(reply, asked) for reply, asked in zip(replies, self.requests, strict=True)]
        return Merged(self._reduction.combine(tables), counts[0])

    def _partial(self, reply: pa.Table, asked: Mapping[str, str]) -> pa.Table:
        """The reply with nulls for what was asked in other requests; merging leaves them out."""
        schema = self._reduction.partial_schema
        key = _column(reply, _KEY, schema.field(0).type)
        columns = [
            _answer(reply, part) if part.function in _answers(asked.get(part.column)) else pa.nulls(reply.num_rows, part.type)
            for part in self._reduction.parts
        ]
        return pa.table([key, *columns], schema=schema)


def server_aggregate(source: spec.OdpSource, transform: spec.Transform, schema: pa.Schema) -> ServerAggregate | NotExpressible:
    """Whether the server's aggregate can do all that `transform` says with the table of `schema`, and how.

    Raises InvalidLoad for an aggregate, InvalidExpression for a filter, that does not fit the schema.
    """
    aggregate = transform.aggregate
    if aggregate is None:
        return NotExpressible("the load does not aggregate")
    try:
        _refuse_steps(transform)  # the columns of the aggregate may be theirs
        reduction = Reduction(aggregate, schema)
        _refuse_columns(aggregate, reduction.keys, schema)
        condition = None if transform.filter is None else server_text(transform.filter, schema, taken=frozenset(source.vars))
    except Inexpressible as obstacle:
        return NotExpressible(f"the rows are read and grouped by the workers: {obstacle}")
    requests = _requests(aggregate)
    asked = "one request" if len(requests) == 1 else f"{len(requests)} requests"
    return ServerAggregate(
        by=reduction.keys[0].name,
        requests=requests,
        filter=condition,
        nan_columns=tuple(
            name
            for name, functions in aggregate.columns.items()
            if pa.types.is_floating(schema.field(name).type) and set(functions) != {AggregateFunction.COUNT}
        ),
        reason=f"the server groups by {reduction.keys[0].name} itself, in {asked}: no rows are read",
        _reduction=reduction,
    )


def _refuse_steps(transform: spec.Transform) -> None:
    if transform.map is not None:
        raise Inexpressible("the server cannot call `map`")
    if transform.derive:
        raise Inexpressible("the server has no derived columns")


def _refuse_columns(aggregate: spec.Aggregate, keys: Sequence[pa.Field], schema: pa.Schema) -> None:
    if len(keys) > 1:
        raise Inexpressible(f"the server groups by one column, not by {len(keys)}")
    key, types = keys[0], pa.types
    if not is_server_name(key.name):
        raise Inexpressible(f"the server's language has no such name as '{key.name}'")
    # Of other keys it is not documented how the server sends them: floats, times and dates could come back changed.
    if not (types.is_string(key.type) or types.is_integer(key.type)):
        raise Inexpressible(
            f"'{key.name}' is {key.type}, and only strings and integers are sure to come back from the server as they are"
        )
    for name, functions in aggregate.columns.items():
        found = schema.field(name).type
        number = types.is_integer(found) or types.is_float32(found) or types.is_float64(found)
        ordered = number or types.is_timestamp(found) or types.is_date(found)
        for function in functions:
            if (function in _SUMS and not number) or (function in _EXTREMES and not ordered):
                raise Inexpressible(f"it is not documented how the server takes the {function.value} of '{name}', which is {found}")


def _requests(aggregate: spec.Aggregate) -> tuple[Mapping[str, str], ...]:
    """As few requests as one function for a column allows; `mean` brings sum and count."""
    waves: list[dict[str, str]] = []
    for name, functions in aggregate.columns.items():
        wire = [function.value for function in _EXTREMES if function in functions]
        if any(function in functions for function in _SUMS):
            # Also for a sum alone: only the count tells a group without values, whose sum is null, from one of zeros.
            wire.insert(0, "mean")
        elif AggregateFunction.COUNT in functions:
            wire.insert(0, "count")
        for number, function in enumerate(wire):
            if number == len(waves):
                waves.append({})
            waves[number][name] = function
    return tuple(waves)


def _answers(function: str | None) -> tuple[str, ...]:
    """The parts that a function of the protocol is answered with."""
    if function is None:
        return ()
    return ("sum", "count") if function == "mean" else (function,)


def _answer(reply: pa.Table, part: Part) -> pa.ChunkedArray:
    values = _column(reply, f"{part.column}_{part.function}", part.type)
    if part.function != "sum":
        return values
    counts = _column(reply, f"{part.column}_count", pa.int64())
    return pc.if_else(pc.greater(counts, 0), values, pa.scalar(None, values.type))


def _column(reply: pa.Table, name: str, to: pa.DataType) -> pa.ChunkedArray:
    if name not in reply.column_names:
        raise LoadError(f"the server's aggregate has no column '{name}', only {', '.join(map(repr, reply.column_names))}")
    values = reply[name]
    types = pa.types
    text = types.is_string(values.type) or types.is_large_string(values.type)
    # A cast between text and numbers would invent what the server meant.
    if text == types.is_string(to) or types.is_null(values.type):
        try:
            if types.is_floating(values.type) and types.is_decimal(to):
                return _whole(values).cast(to)
            return values.cast(to)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    raise LoadError(f"the server's aggregate has {values.type} in '{name}', which is no {to}")


def _whole(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Sums of integers that the server sent as floats. Raises ArrowInvalid where they may not be exact."""
    if pc.any(pc.greater_equal(pc.abs(values), float(_EXACT_FLOAT))).as_py():
        raise pa.ArrowInvalid("not exact")
    return values.cast(pa.int64())
