"""The arithmetic of a key: how its values lie on a line of exact integers, where they are counted off and cut without rounding.

An axis maps values to positions that keep their order, and back to values that the column's own type can hold. Python's
integers have no limit, so neither 64-bit extremes nor floats of 300 digits overflow.
"""

import datetime
import math
import re
import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

from odp_loader.partition import Scalar

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MS_PER_DAY = 86_400_000
_ORDINAL_OF_1970 = datetime.date(1970, 1, 1).toordinal()
_GREATEST_SINGLE = float.fromhex("0x1.fffffep+127")
_GREATEST_DOUBLE = float.fromhex("0x1.fffffffffffffp+1023")
_SUBNORMAL_BITS = 1074
"""Every finite double is a multiple of 2**-1074."""


@dataclass(frozen=True, kw_only=True)
class Axis(ABC):
    """The line on which the values of one type lie."""

    least: int
    """Position of the least value that is used as a bound."""
    greatest: int
    """Position of the greatest."""

    @abstractmethod
    def position(self, value: Scalar) -> int:
        """Where a value lies."""

    @abstractmethod
    def value(self, position: int) -> Scalar:
        """The value at a position, or one beside it that the column's type can hold; never out of order."""

    @abstractmethod
    def parse(self, raw: object) -> Scalar | None:
        """A value as statistics may spell it in JSON; None for what is no value of this type."""

    def step(self, position: int) -> int:  # noqa: ARG002 - the same everywhere but for floats
        """About how far the next value is."""
        return 1

    def holds(self, position: int) -> bool:
        """Whether a value of the type lies there."""
        return self.least <= position <= self.greatest


@dataclass(frozen=True, kw_only=True)
class IntegerAxis(Axis):
    """Whole numbers: a position is the value."""

    def position(self, value: Scalar) -> int:
        """The value itself."""
        assert isinstance(value, int)
        return value

    def value(self, position: int) -> int:
        """The position itself."""
        return position

    def parse(self, raw: object) -> int | None:
        """An integer, a float without a fraction, or either as text."""
        number = _number(raw)
        return int(number) if number is not None and number == int(number) and self.holds(int(number)) else None


@dataclass(frozen=True, kw_only=True)
class FloatAxis(Axis):
    """Finite floats, as multiples of 2**-1074."""

    single: bool
    """Whether the column is single precision; its bounds are then numbers that it can hold."""

    def position(self, value: Scalar) -> int:
        """The exact multiple."""
        assert isinstance(value, float)
        return _multiple(value)

    def value(self, position: int) -> float:
        """The nearest float. Dividing integers rounds once, so the order is kept."""
        value = position / (1 << _SUBNORMAL_BITS)
        return float(struct.unpack("<f", struct.pack("<f", value))[0]) if self.single else value

    def step(self, position: int) -> int:
        """The distance to the next float; single precision has 29 bits less."""
        return _multiple(math.ulp(self.value(position))) << (29 if self.single else 0)

    def parse(self, raw: object) -> float | None:
        """A finite number, or one as text; neither NaN nor an infinity is a bound."""
        number = _number(raw)
        try:
            return float(number) if number is not None and self.holds(_multiple(float(number))) else None
        except OverflowError:
            return None


@dataclass(frozen=True, kw_only=True)
class TimestampAxis(Axis):
    """Instants since 1970, in the column's unit, or in microseconds where that is finer than Python's datetime."""

    unit: str
    """s, ms, us or ns."""
    zone: bool
    """Whether the column has a time zone; its bounds are then aware, in UTC."""

    def position(self, value: Scalar) -> int:
        """Whole units since 1970."""
        assert isinstance(value, datetime.datetime)
        naive = value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)
        return (naive - _EPOCH) // _MICROSECOND // _microseconds_per_tick(self.unit)

    def value(self, position: int) -> datetime.datetime:
        """The instant: wall clock for a column without a zone, UTC for one with."""
        value = _EPOCH + position * _microseconds_per_tick(self.unit) * _MICROSECOND
        return value.replace(tzinfo=datetime.UTC) if self.zone else value

    def parse(self, raw: object) -> datetime.datetime | None:
        """ISO 8601, in UTC where it names no zone; or a number since 1970 in the column's unit.

        How ODP spells the bounds of a time column is not known.
        """
        try:
            if isinstance(raw, str) and not _is_number(raw):
                position = self.position(datetime.datetime.fromisoformat(raw))
            elif (number := _number(raw)) is not None:
                position = int(number) // (1000 if self.unit == "ns" else 1)
            else:
                return None
        except (ValueError, OverflowError):
            return None
        return self.value(position) if self.holds(position) else None


@dataclass(frozen=True, kw_only=True)
class DateAxis(Axis):
    """Calendar days since 1970."""

    def position(self, value: Scalar) -> int:
        """Days since 1970."""
        assert isinstance(value, datetime.date)
        return value.toordinal() - _ORDINAL_OF_1970

    def value(self, position: int) -> datetime.date:
        """The day."""
        return datetime.date.fromordinal(position + _ORDINAL_OF_1970)

    def parse(self, raw: object) -> datetime.date | None:
        """ISO 8601, days since 1970, or (as Arrow's date64 counts) milliseconds where days would be out of range."""
        if isinstance(raw, str) and not _is_number(raw):
            try:
                return datetime.datetime.fromisoformat(raw).date()
            except ValueError:
                return None
        number = _number(raw)
        if number is None:
            return None
        days = int(number) if self.holds(int(number)) else int(number) // _MS_PER_DAY
        return self.value(days) if self.holds(days) else None


def axis_of(arrow_type: str) -> Axis | None:
    """The axis of a column whose Arrow type prints like this; None where there is no such arithmetic.

    Booleans, decimals, times of day, binaries and half floats have none: ODP has no typed variable for them, or Arrow cannot
    compare them. Strings have their own (`text`).
    """
    if found := re.fullmatch(r"(u?)int(8|16|32|64)", arrow_type):
        bits = int(found[2])
        return IntegerAxis(least=0 if found[1] else -(1 << bits - 1), greatest=(1 << bits - (not found[1])) - 1)
    if arrow_type in ("float", "double"):
        greatest = _multiple(_GREATEST_SINGLE if arrow_type == "float" else _GREATEST_DOUBLE)
        return FloatAxis(least=-greatest, greatest=greatest, single=arrow_type == "float")
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns)(, tz=.+)?\]", arrow_type):
        per_tick = _microseconds_per_tick(found[1])
        least = -((_EPOCH - datetime.datetime.min) // _MICROSECOND // per_tick)
        greatest = (datetime.datetime.max - _EPOCH) // _MICROSECOND // per_tick
        if found[1] == "ns":  # 1677 to 2262
            least, greatest = -(2**63 // 1000), 2**63 // 1000
        return TimestampAxis(least=least, greatest=greatest, unit=found[1], zone=found[2] is not None)
    if arrow_type in ("date32[day]", "date64[ms]"):
        days = [day.toordinal() - _ORDINAL_OF_1970 for day in (datetime.date.min, datetime.date.max)]
        return DateAxis(least=days[0], greatest=days[1])
    return None


def _multiple(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return (numerator << _SUBNORMAL_BITS) // denominator


def _microseconds_per_tick(unit: str) -> int:
    return max(1, 10**6 // _PER_SECOND[unit])


def _is_number(text: str) -> bool:
    """Whether text is a number rather than ISO 8601, where eight digits are a date."""
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None and len(text) != 8


def _number(raw: object) -> int | float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    if isinstance(raw, str):
        try:
            raw = int(raw) if re.fullmatch(r"[+-]?\d{1,400}", raw) else float(raw)
        except ValueError:
            return None
    return raw if isinstance(raw, int) or math.isfinite(raw) else None
