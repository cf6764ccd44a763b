"""Comparisons that a careless cast would get wrong: large integers, decimals, units of time, time zones."""

import datetime
import math
import operator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidExpression
from odp_loader.expression import evaluate, parse
from odp_loader.expression.moments import clock_nanoseconds, nanoseconds

BIG = 2**53
ORDER = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def values(text: str, variables: dict[str, Any] | None = None, **columns: pa.Array) -> list[Any]:
    result: list[Any] = evaluate(parse(text), pa.record_batch(columns), variables or {}).to_pylist()
    return result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i > 9007199254740992", [False, True]),
        ("i > 9007199254740992.0", [False, True]),
        ("i == 9007199254740993.0", [False, True]),
        ("i < 9007199254740992.5", [True, False]),
        ("f < 9007199254740993", [True, True]),
        ("f == 9007199254740993", [False, False]),
        ("f >= 9007199254740991", [True, True]),
        ("i == f", [True, False]),
        ("f == i", [True, False]),
        ("i > f", [False, True]),
        ("f < i", [False, True]),
        ("f >= i", [True, False]),
        ("i + 0 == 9007199254740993", [False, True]),
    ],
)
def test_integers_and_floats_meet_beyond_2_to_the_53(text: str, expected: list[bool]) -> None:
    assert values(text, i=pa.array([BIG, BIG + 1]), f=pa.array([float(BIG), float(BIG)])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bucket(i, 9007199254740992.5)", [0, 1]),
        ("bucket(i, 9007199254740993)", [0, 1]),
        ("bucket(f, 9007199254740991, 9007199254740993)", [1, 2]),
        ("bucket(i, -1e300, 1e300)", [1, 1]),
        ("bucket(b, 0.5, 1.5, 127.5)", [1, 2]),
        ("bucket(t, '1970-01-01T00:00:01', '1970-01-01T00:00:01.5', '1970-01-01T00:00:02')", [1, 3]),
    ],
)
def test_an_edge_between_two_values_is_not_rounded(text: str, expected: list[int]) -> None:
    columns = {
        "i": pa.array([BIG, BIG + 1]),
        "f": pa.array([float(BIG), float(BIG + 2)]),
        "b": pa.array([1, 2], pa.int8()),
        "t": pa.array([1, 2], pa.timestamp("s")),
    }
    assert values(text, **columns) == expected


@pytest.mark.parametrize("type_", [pa.int64(), pa.uint64()])
def test_the_largest_integers_stay_below_the_float_they_round_to(type_: pa.DataType) -> None:
    greatest = 2**63 - 1 if type_ == pa.int64() else 2**64 - 1
    columns = {"i": pa.array([greatest] * 5, type_), "f": pa.array([float(greatest + 1), math.inf, math.nan, -math.inf, None])}
    assert values("i < f", **columns) == [True, True, False, False, None]
    assert values("i >= f", **columns) == [False, False, False, True, None]
    assert values("f != i", **columns) == [True, True, True, True, None]
    assert values(f"i < {float(greatest + 1)!r}", **columns) == [True] * 5
    assert values(f"i == {greatest}", **columns) == [True] * 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [("u > i", [True, True]), ("u == i", [False, False]), ("i < u", [True, True]), ("u == 18446744073709551615", [True, False])],
)
def test_unsigned_and_signed_meet(text: str, expected: list[bool]) -> None:
    assert values(text, u=pa.array([2**64 - 1, 0], pa.uint64()), i=pa.array([2**63 - 1, -1])) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d == 0.1", True),
        ("d < 0.1000000000000000055511151231257827", True),
        ("d == 0.10000000000000000001", False),
        ("d >= $x", False),
        ("d == e", True),
        ("d < i", True),
        ("d > -1e300", True),
        ("d < 1e300", True),
    ],
)
def test_a_decimal_is_compared_digit_by_digit(text: str, expected: bool) -> None:
    columns = {
        "d": pa.array([Decimal("0.1")], pa.decimal128(20, 10)),
        "e": pa.array([Decimal("0.10")], pa.decimal256(60, 30)),
        "i": pa.array([1]),
    }
    assert values(text, {"x": Decimal("0.10000000001")}, **columns) == [expected]


UNITS = ["s", "ms", "us", "ns"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Oslo", "+05:30"])
def test_a_constant_finer_than_the_column_is_not_rounded(unit: str, zone: str | None) -> None:
    noon = 1_719_835_200 * 10**9
    step = 10 ** (9 - 3 * UNITS.index(unit))
    instants = [noon - step, noon, noon + step]
    column = pa.array([instant // step for instant in instants], pa.timestamp(unit, zone))
    for text, constant in {
        "2024-07-01T12:00:00Z": noon,
        "2024-07-01T14:00:00+02:00": noon,
        "2024-07-01T12:00:00.000000001Z": noon + 1,
        "2024-07-01T11:59:59.999999999Z": noon - 1,
        "0001-01-01T00:00:00Z": -(10**20),
        "9999-12-31T23:59:59-12:00": 10**20,
    }.items():
        for word, order in ORDER.items():
            assert values(f't {word} "{text}"', t=column) == [order(instant, constant) for instant in instants], (word, text)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("other", UNITS)
def test_columns_of_any_two_units_are_compared_as_instants(unit: str, other: str) -> None:
    extreme = 2**63 - 1
    left = pa.array([0, 1, extreme, -extreme, None], pa.timestamp(unit))
    right = pa.array([0, 1, extreme, -extreme, 0], pa.timestamp(other))
    finer = UNITS.index(other) - UNITS.index(unit)
    assert values("a == b", a=left, b=right) == [True, finer == 0, finer == 0, finer == 0, None]
    assert values("a > b", a=left, b=right) == [False, finer > 0, finer > 0, finer < 0, None]


def test_times_of_day_of_any_unit_are_compared() -> None:
    columns = {
        "a": pa.array([43200, 43201], pa.time32("s")),
        "b": pa.array([43200 * 10**9, 43200 * 10**9 + 1], pa.time64("ns")),
    }
    assert values("a <= b", **columns) == [True, False]
    assert values('a > "12:00:00.5"', **columns) == [False, True]
    assert values('b == "12:00:00.000000001"', **columns) == [False, True]


def test_a_wall_clock_is_the_columns_own() -> None:
    oslo = pa.array([datetime.datetime(2024, 6, 30, 22, tzinfo=datetime.UTC)], pa.timestamp("us", "Europe/Oslo"))
    assert values('t == "2024-07-01"', t=oslo) == [True]
    assert values('t == "2024-07-01T00:00:00Z"', t=oslo) == [False]
    assert values("month(t) == 7 and hour(t) == 0", t=oslo) == [True]


@pytest.mark.parametrize("text", ["2024-03-31T02:30:00", "2024-10-27T02:30:00"])
def test_a_wall_clock_that_is_skipped_or_twice_is_refused(text: str) -> None:
    column = pa.array([0], pa.timestamp("us", "Europe/Oslo"))
    with pytest.raises(InvalidExpression, match=r"the clocks of Europe/Oslo were changed at .*; write the time in UTC, with a Z"):
        values(f't > "{text}"', t=column)
    assert values(f't > "{text}Z"', t=column) == [False]


def test_a_zone_that_is_not_known_needs_a_time_in_utc() -> None:
    column = pa.array([0], pa.timestamp("us", "Ocean/Atlantis"))
    with pytest.raises(InvalidExpression, match="the time zone 'Ocean/Atlantis' is not known on this machine"):
        values('t > "2024-01-01"', t=column)
    assert values('t > "2024-01-01T00:00:00Z"', t=column) == [False]


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("1970-01-01", None, 0),
        ("1970-01-01T00:00:00.000000001", None, 1),
        ("1970-01-01 00:00:01,5", None, 1_500_000_000),
        ("1970-01-01t00:01z", None, 60 * 10**9),
        ("1970-01-01T00:00:00+0130", None, -5400 * 10**9),
        ("1970-01-01T00:00:00-01", "Europe/Oslo", 3600 * 10**9),
        ("1969-12-31T23:59:59.999999999Z", "UTC", -1),
        (" 1970-01-01 ", "UTC", 0),
        ("1970-01-01T01:00:00", "Europe/Oslo", 0),
        (datetime.datetime(1970, 1, 1, 0, 0, 0, 1), None, 1000),
        (datetime.date(1970, 1, 2), "UTC", 86_400 * 10**9),
    ],
)
def test_a_time_is_counted_in_nanoseconds(text: str | datetime.date, zone: str | None, expected: int) -> None:
    assert nanoseconds(text, zone) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1970", "1970-01", "70-01-01", "1970-1-1", "1970-01-01T", "1970-02-30", "1970-01-01T00:00:60", "0000-01-01", "١٩٧٠-٠١-٠١"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        nanoseconds(text, None)


def test_a_time_of_day_is_counted_in_nanoseconds() -> None:
    assert clock_nanoseconds("00:00:00.000000001") == 1
    assert clock_nanoseconds(datetime.time(1, 0, 0, 1)) == 3600 * 10**9 + 1000
    with pytest.raises(ValueError, match="is no time of day"):
        clock_nanoseconds("1 o'clock")
    with pytest.raises(ValueError, match="a time of day has none"):
        clock_nanoseconds(datetime.time(1, tzinfo=datetime.UTC))
