"""The functions that take any number of arguments of one kind: `coalesce` and `bucket`."""

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.arithmetic import converted
from odp_loader.expression.comparing import describe, exact_value, placed_beside
from odp_loader.expression.constants import Placed
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import NUMBERS, Kind
from odp_loader.expression.kinds import decimal_of, decimal_type, kind_of
from odp_loader.expression.plan import Apply, Constant, Data, Plan

_UNSEARCHED = (Kind.STRING, Kind.DECIMAL)


def coalesce(arguments: tuple[Plan, ...], position: int) -> Plan:
    """The first argument that is not null, in the type of the columns when they agree and the constants fit into it."""
    columns = [argument for argument in arguments if not isinstance(argument, Constant)]
    typed = [argument for argument in columns or arguments if kind_of(argument.type) is not Kind.NULL] or list(arguments)
    type_ = typed[0].type
    for other in typed[1:]:
        type_ = _common(type_, other, position)
    for constant in arguments:
        if isinstance(constant, Constant) and constant.value is not None and _fitted(constant, type_) is None:
            type_ = _common(type_, constant, position)
    return Apply(
        pc.coalesce, tuple(_fitted(argument, type_) or converted(argument, type_) for argument in arguments), type_, position
    )


def _common(type_: pa.DataType, other: Plan, position: int) -> pa.DataType:
    kinds = {kind_of(type_), kind_of(other.type)}
    if type_ == other.type:
        return type_
    if kinds == {Kind.STRING}:
        return pa.large_string()
    if not kinds <= set(NUMBERS):
        raise Fault(f"coalesce needs arguments of one type, and {describe(other)} is not {type_}", position)
    if Kind.FLOAT in kinds:
        return pa.float64()
    if Kind.DECIMAL not in kinds:
        return pa.int64()
    one, two = decimal_of(type_), decimal_of(other.type)
    scale = max(one.scale, two.scale)
    try:
        return decimal_type(max(one.precision - one.scale, two.precision - two.scale) + scale, scale)
    except ValueError as error:
        raise Fault(f"coalesce {error}; write float(…) around its arguments", position) from None


def _fitted(argument: Plan, type_: pa.DataType) -> Constant | None:
    """A constant in a type that holds exactly its value; None for anything else."""
    if not isinstance(argument, Constant) or argument.value is None:
        return None
    kind = kind_of(type_)
    if kind in NUMBERS and kind_of(argument.type) not in NUMBERS and argument.variable is None:
        return None
    placed = placed_beside(argument, type_)
    scalar = pa.scalar(placed.ordinal, type_)
    if placed.side or (kind is Kind.FLOAT and scalar.as_py() != placed.ordinal):
        return None
    return Constant(exact_value(argument, kind), argument.position, exact=scalar)


def bucket(arguments: tuple[Plan, ...], position: int) -> Plan:
    """The number of edges that are not above the value."""
    value, *edges = arguments
    if kind_of(value.type) is Kind.NULL:
        return converted(value, pa.int64())
    places = [_edge(edge, value.type) for edge in edges]
    for (before, after), edge in zip(pairwise(places), edges[1:], strict=True):
        if (after.ordinal, -after.side) < (before.ordinal, -before.side) or (after == before and not after.side):
            raise Fault("the edges of a bucket must ascend", edge.position)
    count = _compared_counter(places, value.type) if kind_of(value.type) in _UNSEARCHED else _searching_counter(places, value.type)
    return Apply(count, (value,), pa.int64(), position)


def _compared_counter(places: list[Placed], type_: pa.DataType) -> Callable[[Data], Data]:
    bounds = [(pc.greater if place.side < 0 else pc.greater_equal, pa.scalar(place.ordinal, type_)) for place in places]

    def count(values: Data) -> Data:
        reached = [pc.cast(compare(values, bound), pa.int64()) for compare, bound in bounds]
        return functools.reduce(pc.add, reached)

    return count


def _searching_counter(places: list[Placed], type_: pa.DataType) -> Callable[[Data], Data]:
    """By binary search, which is five times as fast where values are numbers to NumPy as well."""
    import numpy as np

    is_float = pa.types.is_floating(type_)
    number = pa.float64() if is_float else type_ if pa.types.is_integer(type_) else getattr(pa, f"int{type_.bit_width}")()
    least = [_least(place, is_float) for place in places]
    edges = np.array([edge for edge in least if is_float or edge <= _greatest(number)], number.to_pandas_dtype())

    def count(values: Data) -> Data:
        if isinstance(values, pa.Scalar):
            return count(pa.repeat(values, 1))[0]
        numbers = pc.fill_null(values.cast(number), 0).to_numpy()
        lost = pc.is_null(values, nan_is_null=is_float)
        return pa.array(np.searchsorted(edges, numbers, side="right"), pa.int64(), mask=lost.to_numpy(zero_copy_only=False))

    return count


def _least(place: Placed, is_float: bool) -> Any:
    """The least value that lies in the bucket which an edge begins."""
    if place.side >= 0:
        return place.ordinal
    assert isinstance(place.ordinal, int | float)
    return math.nextafter(place.ordinal, math.inf) if is_float else place.ordinal + 1


def _greatest(number: pa.DataType) -> int:
    return int(2 ** (number.bit_width - pa.types.is_signed_integer(number)) - 1)


def _edge(edge: Plan, type_: pa.DataType) -> Placed:
    assert isinstance(edge, Constant)
    placed = placed_beside(edge, type_)
    if isinstance(placed.ordinal, float) and math.isnan(placed.ordinal):
        raise Fault("NaN is no edge of a bucket", edge.position)
    return placed
