"""Constants beside a column: what a literal or variable is worth in the column's type, and on which side something was cut off."""

import datetime
import decimal
import math
import numbers
import re
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa

from odp_loader.expression.functions import Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.moments import DAY_NS, NANOSECONDS, clock_nanoseconds, nanoseconds

Value = bool | int | float | decimal.Decimal | str | bytes | datetime.date | datetime.time
"""What a literal or a variable may be; a datetime is a date."""
Ordinal = bool | int | float | decimal.Decimal | str | bytes
"""A value of a column as Python orders it: times are integers of the column's own unit."""


_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,400}\s*")
_NUMBER = re.compile(r"\s*[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,3})?\s*")
_MOST_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class Placed:
    """The value of a type next to a constant; `side` is -1, 0 or 1 as that value is below, at or above the constant."""

    ordinal: Ordinal
    side: int


def kind_of_value(value: object) -> Kind:
    """What a Python value is. Raises TypeError for one that no expression can hold."""
    match value:
        case bool():
            return Kind.BOOLEAN
        case int():
            return Kind.INTEGER
        case float():
            return Kind.FLOAT
        case decimal.Decimal():
            return Kind.DECIMAL
        case str():
            return Kind.STRING
        case bytes():
            return Kind.BINARY
        case datetime.datetime():
            return Kind.TIMESTAMP
        case datetime.date():
            return Kind.DATE
        case datetime.time():
            return Kind.TIME
        case _:
            raise TypeError(f"a {type(value).__name__} is no value that an expression can hold")


def value_of(given: object) -> Value:
    """The plain value of what was given for a variable. Raises ValueError for null, TypeError for what is no value."""
    if given is None or (given != given and not isinstance(given, float)):
        raise ValueError("is null, and nothing compares with null; write `is null`")
    if isinstance(given, numbers.Integral) and not isinstance(given, bool):
        return int(given)
    if isinstance(given, numbers.Real) and not isinstance(given, bool):
        return float(given)
    if isinstance(given, decimal.Decimal) and abs(given.adjusted()) > _MOST_DIGITS:
        raise ValueError("has an exponent that no number needs")
    kind_of_value(given)
    return given  # type: ignore[return-value]


def cast_variable(value: Value, kind: Kind) -> Value:
    """A variable's value as a job file may have meant it beside a column of this kind: digits as a number, a number as text.

    Returned unchanged where there is nothing to cast. Raises ValueError for text that is no number.
    """
    match kind, value:
        case (Kind.INTEGER | Kind.FLOAT, str()):
            return int(value) if _INTEGER.fullmatch(value) else float(_number(value))
        case (Kind.DECIMAL, str()):
            return decimal.Decimal(_number(value).strip())
        case (Kind.STRING, int()) if not isinstance(value, bool):
            return str(value)
        case (Kind.BOOLEAN, int()) if value in (0, 1):  # the SDK sends true as the integer 1
            return bool(value)
        case (Kind.BOOLEAN, str()) if value.lower() in ("true", "false"):
            return value.lower() == "true"
    return value


def natural_type(value: Value) -> pa.DataType:
    """The type of a constant that stands beside no column. Raises ValueError for a number that no such type holds."""
    match value:
        case bool() | float() | str() | bytes():
            return pa.scalar(value).type
        case int():
            if not -(2**63) <= value < 2**64:
                raise ValueError("a number that does not fit into 64 bits")
            return pa.int64() if value < 2**63 else pa.uint64()
        case decimal.Decimal():
            return pa.scalar(value).type
        case datetime.datetime():
            unit = "ns" if getattr(value, "nanosecond", 0) else "us"
            return pa.timestamp(unit, None if value.tzinfo is None else "UTC")
        case datetime.date():
            return pa.date32()
        case datetime.time():
            return pa.time64("us")


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return text


def place(value: Value, type_: pa.DataType) -> Placed:
    """Where `value` lies among the values of `type_`, which must be of a kind that it can be compared with.

    Numbers are compared as numbers, so that 2**53 + 1 is not 2**53 and 2.5 lies between two integers; a string beside a time
    is ISO 8601. NaN is nowhere: its ordinal is NaN. Raises ValueError for text that is no time.
    """
    match kind_of(type_):
        case Kind.INTEGER:
            return _floor(value, 1, *_integer_range(type_))
        case Kind.FLOAT:
            return _nearest_float(value)
        case Kind.DECIMAL:
            limit = 10**type_.precision - 1
            placed = _floor(value, Fraction(1, 10**type_.scale) if type_.scale >= 0 else 10**-type_.scale, -limit, limit)
            if isinstance(placed.ordinal, float):
                return placed
            sign, digits, _ = decimal.Decimal(int(placed.ordinal)).as_tuple()
            return Placed(decimal.Decimal((sign, digits, -type_.scale)), placed.side)
        case Kind.TIMESTAMP:
            assert isinstance(value, str | datetime.date)
            return _floor(nanoseconds(value, type_.tz), NANOSECONDS[type_.unit], -(2**63), 2**63 - 1)
        case Kind.DATE:
            assert isinstance(value, str | datetime.date)
            return _floor(nanoseconds(value, None), DAY_NS, -(2**31), 2**31 - 1)
        case Kind.TIME:
            assert isinstance(value, str | datetime.time)
            return _floor(clock_nanoseconds(value), NANOSECONDS[type_.unit], 0, 2**63 - 1)
        case _:
            assert isinstance(value, bool | str | bytes)
            return Placed(value, 0)


def place_stored(value: object, type_: pa.DataType) -> Placed:
    """Where a value of a column of `type_`, a Python value or a pyarrow scalar, lies in that type."""
    if isinstance(value, pa.Scalar):
        if value.type == type_ and kind_of(type_) in (Kind.TIMESTAMP, Kind.DATE, Kind.TIME):
            return Placed(value.value, 0)
        value = value.as_py()
    kind_of_value(value)
    return place(value, type_)  # type: ignore[arg-type]


def _floor(value: Value, step: int | Fraction, least: int, greatest: int) -> Placed:
    """The number of whole steps in a number, kept within a range."""
    assert isinstance(value, int | float | decimal.Decimal)
    if not isinstance(value, int) and not math.isfinite(value):
        return Placed(math.nan, 0) if math.isnan(value) else Placed(greatest, -1) if value > 0 else Placed(least, 1)
    steps = Fraction(value) / step
    whole = math.floor(steps)
    if whole > greatest:
        return Placed(greatest, -1)
    return Placed(least, 1) if whole < least else Placed(whole, 0 if whole == steps else -1)


def _nearest_float(value: Value) -> Placed:
    assert isinstance(value, int | float | decimal.Decimal)
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    return Placed(nearest, (nearest > value) - (nearest < value))


def _integer_range(type_: pa.DataType) -> tuple[int, int]:
    bits = type_.bit_width
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if pa.types.is_signed_integer(type_) else (0, 2**bits - 1)
