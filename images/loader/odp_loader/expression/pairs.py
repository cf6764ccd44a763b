"""Compares two computed columns exactly, where the kernel of pyarrow.compute would round, overflow or refuse."""

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.functions import NUMBERS, Kind
from odp_loader.expression.kinds import decimal_of, decimal_type, kind_of
from odp_loader.expression.moments import DAY_NS, NANOSECONDS
from odp_loader.expression.plan import KERNELS, Data
from odp_loader.expression.syntax import ComparisonOperator

_MOMENTS = (Kind.TIMESTAMP, Kind.DATE)
_EXACT_IN_FLOAT64_BITS = 32


def pair_kernel(operator: ComparisonOperator, left: pa.DataType, right: pa.DataType) -> Callable[[Data, Data], Data] | None:
    """How two columns of these types are compared; None when they cannot be.

    Numbers are compared as numbers: an integer is not rounded to meet a float, an unsigned one not cut to meet a signed one.
    The exceptions become float64: a decimal beside a float, and decimals that need more than 76 digits to meet. Times of
    different units, and a date, count as instants; a time with a zone and one without cannot be compared.
    """
    compare = KERNELS[operator]
    kinds = {kind_of(left), kind_of(right)}
    if kinds <= set(NUMBERS):
        return _numbers(operator, left, right)
    if kinds <= set(_MOMENTS):
        return _moments(compare, left, right)
    if len(kinds) > 1 or kinds == {Kind.OTHER}:
        return None
    if kinds == {Kind.BOOLEAN}:
        return compare if operator in ("==", "!=") else None
    if kinds == {Kind.TIME}:
        return _converted(compare, pa.time64("ns")) if left != right else compare
    common = {Kind.STRING: pa.large_string(), Kind.BINARY: pa.large_binary()}.get(kind_of(left))
    return compare if left == right or common is None else _converted(compare, common)


def _numbers(operator: ComparisonOperator, left: pa.DataType, right: pa.DataType) -> Callable[[Data, Data], Data]:
    compare = KERNELS[operator]
    if left == right:
        return compare
    floats = [pa.types.is_floating(type_) for type_ in (left, right)]
    if not any(floats):
        if pa.uint64() in (left, right) or pa.types.is_decimal(left) or pa.types.is_decimal(right):
            return _as_decimals(compare, decimal_of(left), decimal_of(right))
        return _converted(compare, pa.int64())
    wide = [pa.types.is_integer(type_) and type_.bit_width > _EXACT_IN_FLOAT64_BITS for type_ in (left, right)]
    if wide[0]:
        return lambda integers, numbers: _integers_with_floats(operator, integers, numbers)
    if wide[1]:
        flipped: ComparisonOperator = flip(operator)
        return lambda numbers, integers: _integers_with_floats(flipped, integers, numbers)
    return _converted(compare, pa.float64())


def flip(operator: ComparisonOperator) -> ComparisonOperator:
    """The operator that says the same with left and right exchanged."""
    flipped: dict[ComparisonOperator, ComparisonOperator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
    return flipped.get(operator, operator)


def _converted(compare: Callable[[Data, Data], Data], type_: pa.DataType) -> Callable[[Data, Data], Data]:
    return lambda left, right: compare(pc.cast(left, type_), pc.cast(right, type_))


def _as_decimals(compare: Callable[[Data, Data], Data], left: pa.DataType, right: pa.DataType) -> Callable[[Data, Data], Data]:
    scale = max(left.scale, right.scale)
    whole = max(left.precision - left.scale, right.precision - right.scale)
    if whole + scale <= 76:
        return _converted(compare, decimal_type(whole + scale, scale))
    return _converted(compare, pa.float64())


def _moments(compare: Callable[[Data, Data], Data], left: pa.DataType, right: pa.DataType) -> Callable[[Data, Data], Data] | None:
    zones = [getattr(type_, "tz", None) for type_ in (left, right)]
    if (zones[0] is None) != (zones[1] is None):
        return None
    steps = [NANOSECONDS[type_.unit] if pa.types.is_timestamp(type_) else DAY_NS for type_ in (left, right)]
    if steps[0] == steps[1]:
        return compare

    def instants(values: Data, step: int) -> Data:
        # no 64-bit unit holds both all nanoseconds and all years: count in decimals
        counted = values.cast(pa.int32() if step == DAY_NS else pa.int64()).cast(pa.decimal128(19, 0))
        return pc.multiply(counted, pa.scalar(Decimal(step // min(steps)), pa.decimal128(18, 0)))

    return lambda before, after: compare(instants(before, steps[0]), instants(after, steps[1]))


def _integers_with_floats(operator: ComparisonOperator, integers: Data, numbers: Data) -> Data:
    """An int64 or uint64 column against floats.

    Rounding keeps order, so only where the rounded integer equals the float the integers themselves have to be compared.
    """
    numbers = pc.cast(numbers, pa.float64())
    rounded = pc.cast(integers, pa.float64(), safe=False)
    limit = 2.0 ** (63 if pa.types.is_signed_integer(integers.type) else 64)
    meet = pc.and_(pc.equal(rounded, numbers), pc.less(numbers, limit))
    whole = pc.cast(pc.if_else(meet, numbers, 0.0), integers.type)
    return pc.if_else(meet, KERNELS[operator](integers, whole), KERNELS[operator](rounded, _not_reached(numbers, limit)))


def _not_reached(numbers: Data, limit: float) -> Data:
    """The largest integer rounds up to the limit, which no integer reaches: there the float is the greater one."""
    return pc.if_else(pc.equal(numbers, limit), float("inf"), numbers)
