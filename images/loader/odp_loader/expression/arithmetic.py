"""Sums, differences, products and quotients: in which type they are computed, so that none overflows unseen."""

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.comparing import describe, exact_value
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import NUMBERS, Kind
from odp_loader.expression.kinds import decimal_of, decimal_type, kind_of
from odp_loader.expression.plan import Apply, Constant, Data, Plan, run
from odp_loader.expression.syntax import ArithmeticOperator

_CHECKED: dict[ArithmeticOperator, Callable[[Data, Data], Data]] = {
    "+": pc.add_checked,
    "-": pc.subtract_checked,
    "*": pc.multiply_checked,
}


def arithmetic(operator: ArithmeticOperator, left: Plan, right: Plan, position: int) -> Plan:
    """`left operator right`, of numbers.

    Integers give int64, and stop with a Fault where 64 bits do not hold the result. Decimals among each other and with
    integers give the decimal that holds every result. A quotient, and anything with a float, is a float64 by IEEE 754: x / 0
    is infinite, 0 / 0 is NaN. Raises Fault for what is no number, and for decimals that 76 digits do not hold.
    """
    left, right = _number(left, right, operator), _number(right, left, operator)
    kinds = {kind_of(left.type), kind_of(right.type)}
    if operator == "/" or not kinds <= {Kind.INTEGER, Kind.DECIMAL}:
        kernel = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}[operator]
        return Apply(kernel, (converted(left, pa.float64()), converted(right, pa.float64())), pa.float64(), position)
    if Kind.DECIMAL in kinds:
        return _decimals(operator, left, right, position)
    return Apply(_CHECKED[operator], (converted(left, pa.int64()), converted(right, pa.int64())), pa.int64(), position)


def negative(operand: Plan, position: int) -> Plan:
    """Unary minus. Raises Fault for what is no number."""
    operand = _number(operand, operand, "-")
    match kind_of(operand.type):
        case Kind.INTEGER:
            return Apply(pc.negate_checked, (converted(operand, pa.int64()),), pa.int64(), position)
        case Kind.DECIMAL:
            return Apply(pc.negate, (operand,), operand.type, position)
    return Apply(pc.negate, (converted(operand, pa.float64()),), pa.float64(), position)


def converted(operand: Plan, type_: pa.DataType) -> Plan:
    """The operand in a type that holds it; an integer may be rounded to a float, as everywhere."""
    if operand.type == type_:
        return operand
    if isinstance(operand, Constant) and isinstance(operand.value, int) and pa.types.is_decimal(type_):
        return Constant(operand.value, operand.position, exact=pa.scalar(Decimal(operand.value), type_))
    safe = not pa.types.is_floating(type_)
    cast = Apply(lambda values: pc.cast(values, type_, safe=safe), (operand,), type_, operand.position)
    return Constant(operand.value, operand.position, exact=run(cast, None)) if isinstance(operand, Constant) else cast


def _number(operand: Plan, other: Plan, operator: str) -> Plan:
    kind = kind_of(operand.type)
    if isinstance(operand, Constant) and operand.variable is not None and kind_of(other.type) in NUMBERS:
        operand = Constant(exact_value(operand, kind_of(other.type)), operand.position)
        kind = kind_of(operand.type)
    if kind is Kind.NULL and not isinstance(operand, Constant):
        return converted(operand, pa.float64())
    if kind not in NUMBERS:
        raise Fault(f"`{operator}` takes numbers, and {describe(operand)} is none", operand.position)
    return operand


def _decimals(operator: ArithmeticOperator, left: Plan, right: Plan, position: int) -> Plan:
    one, other = _digits(left), _digits(right)
    whole = max(one.precision - one.scale, other.precision - other.scale)
    precision, scale = whole + max(one.scale, other.scale) + 1, max(one.scale, other.scale)
    if operator == "*":
        precision, scale = one.precision + other.precision + 1, one.scale + other.scale
    try:
        result = decimal_type(precision, scale)
    except ValueError as error:
        raise Fault(f"the result of `{operator}` {error}; write float(…) around one side", position) from None
    make = pa.decimal256 if precision > 38 else pa.decimal128
    sides = (converted(left, make(one.precision, one.scale)), converted(right, make(other.precision, other.scale)))
    return Apply({"+": pc.add, "-": pc.subtract, "*": pc.multiply}[operator], sides, result, position)


def _digits(operand: Plan) -> pa.DataType:
    if isinstance(operand, Constant) and isinstance(operand.value, int):
        return pa.decimal128(len(str(abs(operand.value))), 0)
    return decimal_of(operand.type)
