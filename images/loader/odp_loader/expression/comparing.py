"""Decides whether two things can be compared, and turns the comparison into steps that compare exactly."""

import math
from decimal import Decimal

import pyarrow as pa

from odp_loader.expression.constants import Placed, Value, cast_variable, kind_of_value, place
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import NUMBERS, Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.pairs import flip, pair_kernel
from odp_loader.expression.plan import Apply, Certain, Compare, Constant, Load, Plan
from odp_loader.expression.syntax import ComparisonOperator

_BESIDE: dict[Kind, tuple[Kind, ...]] = {
    **dict.fromkeys(NUMBERS, NUMBERS),
    Kind.STRING: (Kind.STRING,),
    Kind.BINARY: (Kind.BINARY,),
    Kind.BOOLEAN: (Kind.BOOLEAN,),
    Kind.TIMESTAMP: (Kind.TIMESTAMP, Kind.DATE, Kind.STRING),
    Kind.DATE: (Kind.TIMESTAMP, Kind.DATE, Kind.STRING),
    Kind.TIME: (Kind.TIME, Kind.STRING),
}
"""Which constants may stand beside a column of a kind."""

_BELOW: dict[ComparisonOperator, ComparisonOperator] = {"<": "<=", "<=": "<=", ">": ">", ">=": ">"}
_ABOVE: dict[ComparisonOperator, ComparisonOperator] = {"<": "<", "<=": "<", ">": ">=", ">=": ">="}


def comparison(operator: ComparisonOperator, left: Plan, right: Plan, position: int) -> Plan:
    """`left operator right`. Raises Fault where that has no meaning."""
    if isinstance(left, Constant) and (not isinstance(right, Constant) or isinstance(left.value, str)):
        left, right, operator = right, left, flip(operator)
    if isinstance(right, Constant):
        return _with_constant(operator, left, right, position)
    if Kind.NULL in (kind_of(left.type), kind_of(right.type)):
        return Certain(left, None, position)
    kernel = pair_kernel(operator, left.type, right.type)
    if kernel is None:
        raise Fault(_incomparable(operator, left, right), position)
    return Apply(kernel, (left, right), pa.bool_(), position)


def placed_beside(constant: Constant, type_: pa.DataType) -> Placed:
    """Where a constant lies among the values of a type. Raises Fault at a constant that cannot be compared with them."""
    value = exact_value(constant, kind_of(type_))
    if kind_of_value(value) not in _BESIDE.get(kind_of(type_), ()):
        raise Fault(f"{_name(constant)} is no {kind_of(type_)}{_advice(constant, kind_of(type_))}", constant.position)
    try:
        return place(value, type_)
    except ValueError as error:
        raise Fault(str(error), constant.position) from None


def exact_value(constant: Constant, kind: Kind) -> Value:
    """What a constant is worth beside a column of this kind. Raises Fault for null, and for a variable that cannot be cast."""
    if constant.value is None:
        raise Fault("nothing compares with null; write `is null` or `is not null`", constant.position)
    if constant.text is not None and kind in (Kind.INTEGER, Kind.DECIMAL):
        return Decimal(constant.text)
    if constant.variable is None:
        return constant.value
    try:
        return cast_variable(constant.value, kind)
    except ValueError as error:
        raise Fault(f"{_name(constant)}: {error}", constant.position) from None


def _with_constant(operator: ComparisonOperator, operand: Plan, constant: Constant, position: int) -> Plan:
    kind = kind_of(operand.type)
    value = exact_value(constant, kind)
    if kind is Kind.NULL:
        return Certain(operand, None, position)
    ordered = operator in ("==", "!=") or kind is not Kind.BOOLEAN
    if not ordered or kind_of_value(value) not in _BESIDE.get(kind, ()):
        raise Fault(_incomparable(operator, operand, constant), position)
    placed = placed_beside(constant, operand.type)
    if isinstance(placed.ordinal, float) and math.isnan(placed.ordinal):
        return Certain(operand, operator == "!=", position)
    if placed.side and operator in ("==", "!="):
        return Certain(operand, operator == "!=", position)
    if placed.side:
        operator = (_BELOW if placed.side < 0 else _ABOVE)[operator]
    # a float32 column is compared as it is, not with the constant cut to 32 bits
    type_ = pa.float64() if kind is Kind.FLOAT else operand.type
    return Compare(operator, operand, placed.ordinal, pa.scalar(placed.ordinal, type_), position)


def describe(plan: Plan) -> str:
    """A step in the words of a message: `depth` (double)."""
    return f"{_name(plan)} ({plan.type})"


def _name(plan: Plan) -> str:
    match plan:
        case Constant(variable=str() as name):
            return f"`${name}`"
        case Constant(variable=int() as number):
            return f"`?` number {number + 1}"
        case Constant(value=str() as text):
            return f'"{text}"'
        case Constant():
            return str(plan.text or plan.value)
        case Load():
            return f"`{plan.name}`"
    return "this"


def _incomparable(operator: str, left: Plan, right: Plan) -> str:
    kind = kind_of(left.type)
    chained = kind is Kind.BOOLEAN and isinstance(left, Compare | Certain | Apply) and operator not in ("==", "!=")
    advice = "; write `a < b and b < c` for `a < b < c`" if chained else _advice(right, kind) if isinstance(right, Constant) else ""
    return f"{describe(left)} cannot be compared with {describe(right)} by `{operator}`{advice}"


def _advice(constant: Constant, kind: Kind) -> str:
    if kind in NUMBERS and isinstance(constant.value, str):
        return "; write the number without quotes"
    if kind is Kind.STRING and kind_of_value(constant.value) in NUMBERS:
        return "; write the text in quotes"
    if kind in (Kind.TIMESTAMP, Kind.DATE):
        return '; write a time as "2024-01-31T00:00:00Z"'
    return '; write a time of day as "13:30:00"' if kind is Kind.TIME else ""
