"""Values of expressions, against kernels of pyarrow.compute called by hand and against values written by hand."""

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from odp_loader.errors import InvalidExpression
from odp_loader.expression import evaluate, filter_batch, infer, parse, resolve
from odp_loader.expression.plan import steps

NAN = math.nan
UTC = datetime.UTC


def moment(*parts: int, zone: datetime.tzinfo | None = None) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=zone)  # type: ignore[misc,arg-type]


MOMENTS = [moment(2023, 12, 31, 23, 59, 59), moment(2024, 1, 1), None, moment(2024, 2, 29, 12, 30, 15, 500000)]
AWARE = [value and value.replace(tzinfo=UTC) for value in MOMENTS]

BATCH = pa.record_batch(
    {
        "i": pa.array([1, -2, None, 4], pa.int64()),
        "i8": pa.array([1, -2, None, 100], pa.int8()),
        "u": pa.array([0, 5, None, 2**64 - 1], pa.uint64()),
        "f": pa.array([1.5, NAN, None, -0.5]),
        "f32": pa.array([0.1, 2.5, None, NAN], pa.float32()),
        "d": pa.array([Decimal("1.10"), Decimal("-2.25"), None, Decimal("99.99")], pa.decimal128(10, 2)),
        "s": pa.array(["abc", "Ærø", None, ""]),
        "ls": pa.array(["abc", "x", None, "ABC"], pa.large_string()),
        "cat": pa.array(["abc", "b", None, "abc"]).dictionary_encode(),
        "ok": pa.array([True, False, None, True]),
        "no": pa.array([False, False, None, None]),
        "raw": pa.array([b"a", b"b", None, b""], pa.binary()),
        "t": pa.array(MOMENTS, pa.timestamp("us")),
        "tz": pa.array(AWARE, pa.timestamp("ms", "UTC")),
        "ns": pa.array(MOMENTS, pa.timestamp("ns")),
        "oslo": pa.array(AWARE, pa.timestamp("us", "Europe/Oslo")),
        "day": pa.array([value and value.date() for value in MOMENTS], pa.date32()),
        "clock": pa.array([value and value.time() for value in MOMENTS], pa.time64("us")),
        "empty": pa.nulls(4),
    }
)


def col(name: str) -> pa.Array:
    return BATCH.column(name)


def stamp(name: str, *parts: int) -> pa.Scalar:
    return pa.scalar(moment(*parts, zone=UTC if col(name).type.tz else None), col(name).type)


def bools(*values: bool | None) -> pa.Array:
    return pa.array(values, pa.bool_())


def ints(*values: int | None) -> pa.Array:
    return pa.array(values, pa.int64())


def floats(*values: float | None) -> pa.Array:
    return pa.array(values, pa.float64())


Case = tuple[str, Callable[[], pa.Array]]

CASES: list[Case] = [
    # comparisons
    ("i > 1", lambda: pc.greater(col("i"), 1)),
    ("1 < i", lambda: pc.greater(col("i"), 1)),
    ("i >= 1", lambda: pc.greater_equal(col("i"), 1)),
    ("i <= -2", lambda: pc.less_equal(col("i"), -2)),
    ("i == 4", lambda: pc.equal(col("i"), 4)),
    ("i = 4", lambda: pc.equal(col("i"), 4)),
    ("i != 4", lambda: pc.not_equal(col("i"), 4)),
    ("i < 1.5", lambda: pc.less(pc.cast(col("i"), pa.float64()), 1.5)),
    ("i == 1.0", lambda: pc.equal(col("i"), 1)),
    ("i == 1.5", lambda: bools(False, False, None, False)),
    ("i != 1.5", lambda: bools(True, True, None, True)),
    ("i8 < 1000", lambda: bools(True, True, None, True)),
    ("i8 > -1000", lambda: bools(True, True, None, True)),
    ("u > -1", lambda: bools(True, True, None, True)),
    ("u == 18446744073709551615", lambda: pc.equal(col("u"), pa.scalar(2**64 - 1, pa.uint64()))),
    ("u >= 18446744073709551616", lambda: bools(False, False, None, False)),
    ("u > i", lambda: bools(False, True, None, True)),
    ("i8 == i", lambda: bools(True, True, None, False)),
    ("i < f", lambda: pc.less(pc.cast(col("i"), pa.float64()), col("f"))),
    ("f != f", lambda: pc.not_equal(col("f"), col("f"))),
    ("f > 0", lambda: pc.greater(col("f"), 0.0)),
    ("f != 1.5", lambda: bools(False, True, None, True)),
    ("f32 == 0.1", lambda: bools(False, False, None, False)),
    ("f32 < 0.1001", lambda: pc.less(pc.cast(col("f32"), pa.float64()), 0.1001)),
    ("d == 1.1", lambda: pc.equal(col("d"), pa.scalar(Decimal("1.10"), pa.decimal128(10, 2)))),
    ("d < 99.995", lambda: bools(True, True, None, True)),
    ("d == 1.101", lambda: bools(False, False, None, False)),
    ("d >= i", lambda: bools(True, False, None, True)),
    ('s == "abc"', lambda: pc.equal(col("s"), "abc")),
    ("s < 'b'", lambda: pc.less(col("s"), "b")),
    ("s == ls", lambda: pc.equal(pc.cast(col("s"), pa.large_string()), col("ls"))),
    ("ls >= 'a'", lambda: pc.greater_equal(col("ls"), pa.scalar("a", pa.large_string()))),
    ('cat == "abc"', lambda: pc.equal(pc.cast(col("cat"), pa.string()), "abc")),
    ("cat == s", lambda: pc.equal(col("cat").dictionary_decode(), col("s"))),
    ("ok == true", lambda: pc.equal(col("ok"), True)),
    ("ok != no", lambda: pc.not_equal(col("ok"), col("no"))),
    ("empty > 3", lambda: bools(None, None, None, None)),
    ("i > empty", lambda: bools(None, None, None, None)),
    # times
    ('t >= "2024-01-01"', lambda: pc.greater_equal(col("t"), stamp("t", 2024, 1, 1))),
    ('t < "2024-02-29T12:30:15.5"', lambda: pc.less(col("t"), stamp("t", 2024, 2, 29, 12, 30, 15, 500000))),
    ('t == "2024-01-01T01:00:00+01:00"', lambda: pc.equal(col("t"), stamp("t", 2024, 1, 1))),
    ('t == "2024-01-01 00:00"', lambda: pc.equal(col("t"), stamp("t", 2024, 1, 1))),
    ('tz >= "2024-01-01T00:00:00Z"', lambda: pc.greater_equal(col("tz"), stamp("tz", 2024, 1, 1))),
    ('tz >= "2024-01-01"', lambda: pc.greater_equal(col("tz"), stamp("tz", 2024, 1, 1))),
    ('tz < "2024-02-29T12:30:15.5001Z"', lambda: bools(True, True, None, True)),
    ('tz == "2024-02-29T12:30:15.5001Z"', lambda: bools(False, False, None, False)),
    ('ns <= "2024-02-29T12:30:15.500000001"', lambda: bools(True, True, None, True)),
    ('oslo == "2024-01-01T01:00:00"', lambda: pc.equal(col("oslo"), stamp("oslo", 2024, 1, 1))),
    ('oslo == "2024-01-01T00:00:00Z"', lambda: pc.equal(col("oslo"), stamp("oslo", 2024, 1, 1))),
    ("oslo == tz", lambda: bools(True, True, None, True)),
    ("t == ns", lambda: pc.equal(col("t"), pc.cast(col("ns"), pa.timestamp("us")))),
    ("t > day", lambda: pc.greater(col("t"), pc.cast(col("day"), pa.timestamp("us")))),
    ('day >= "2024-01-01"', lambda: pc.greater_equal(col("day"), pa.scalar(datetime.date(2024, 1, 1)))),
    ('day > "2024-01-01T00:00:01"', lambda: bools(False, False, None, True)),
    ('day >= "2023-12-31T12:00:00"', lambda: bools(False, True, None, True)),
    ('clock > "12:30"', lambda: pc.greater(col("clock"), pa.scalar(datetime.time(12, 30), pa.time64("us")))),
    # logic
    ("ok", lambda: col("ok")),
    ("not ok", lambda: pc.invert(col("ok"))),
    ("~ok", lambda: pc.invert(col("ok"))),
    ("ok and no", lambda: pc.and_kleene(col("ok"), col("no"))),
    ("ok or no", lambda: pc.or_kleene(col("ok"), col("no"))),
    ("ok and (no or i > 1)", lambda: pc.and_kleene(col("ok"), pc.or_kleene(col("no"), pc.greater(col("i"), 1)))),
    ("i > 0 and f > 0 and ok", lambda: pc.and_kleene(pc.and_kleene(pc.greater(col("i"), 0), pc.greater(col("f"), 0)), col("ok"))),
    ("ok and null", lambda: pc.and_kleene(col("ok"), pa.scalar(None, pa.bool_()))),
    ("ok or empty", lambda: pc.or_kleene(col("ok"), pa.scalar(None, pa.bool_()))),
    ("i is null", lambda: pc.is_null(col("i"))),
    ("f is null", lambda: pc.is_null(col("f"))),
    ("f is not null", lambda: pc.is_valid(col("f"))),
    ("cat is null", lambda: pc.is_null(col("cat"))),
    ("raw is not null", lambda: pc.is_valid(col("raw"))),
    ("(i > 1) is null", lambda: bools(False, False, True, False)),
    ("not (f < 0 or f >= 0)", lambda: bools(False, True, None, False)),
    # arithmetic
    ("i + 1", lambda: pc.add(col("i"), 1)),
    ("i8 + i8", lambda: ints(2, -4, None, 200)),
    ("i8 * 100", lambda: ints(100, -200, None, 10_000)),
    ("i - f", lambda: pc.subtract(pc.cast(col("i"), pa.float64()), col("f"))),
    ("i * 2 + 1", lambda: pc.add(pc.multiply(col("i"), 2), 1)),
    ("i / 2", lambda: floats(0.5, -1.0, None, 2.0)),
    ("i / 0", lambda: floats(math.inf, -math.inf, None, math.inf)),
    ("0 / (i - 1)", lambda: floats(NAN, -0.0, None, 0.0)),
    ("f32 + 1", lambda: pc.add(pc.cast(col("f32"), pa.float64()), 1.0)),
    ("-i", lambda: pc.negate(col("i"))),
    ("-f32", lambda: pc.negate(pc.cast(col("f32"), pa.float64()))),
    ("- -i", lambda: col("i")),
    ("d + d", lambda: pc.add(col("d"), col("d"))),
    ("d * 2", lambda: pc.multiply(col("d"), pa.scalar(Decimal(2), pa.decimal128(1, 0)))),
    ("d * 0.5", lambda: pc.multiply(pc.cast(col("d"), pa.float64()), 0.5)),
    ("d / 2", lambda: pc.divide(pc.cast(col("d"), pa.float64()), 2.0)),
    ("-d", lambda: pc.negate(col("d"))),
    ("2 + 3 * 4", lambda: ints(14, 14, 14, 14)),
    ("i > 2 + 3 * 4 - 13", lambda: pc.greater(col("i"), 1)),
    ("empty + 1", lambda: floats(None, None, None, None)),
    # functions
    ("year(t)", lambda: pc.year(col("t"))),
    ("month(tz)", lambda: ints(12, 1, None, 2)),
    ("day(day)", lambda: pc.day(col("day"))),
    ("dayofyear(t)", lambda: ints(365, 1, None, 60)),
    ("weekday(day)", lambda: ints(*(value.weekday() if value else None for value in MOMENTS))),
    ("hour(t)", lambda: pc.hour(col("t"))),
    ("hour(oslo)", lambda: ints(0, 1, None, 13)),
    ("year(oslo)", lambda: ints(2024, 2024, None, 2024)),
    ("minute(clock)", lambda: pc.minute(col("clock"))),
    ("second(tz)", lambda: ints(59, 0, None, 15)),
    ("date(t)", lambda: col("day")),
    ("date(tz)", lambda: col("day")),
    ("date(oslo)", lambda: pa.array([datetime.date(2024, 1, 1)] * 2 + [None, datetime.date(2024, 2, 29)])),
    ("date(day)", lambda: col("day")),
    ('date_trunc("month", t)', lambda: pc.floor_temporal(col("t"), unit="month")),
    ('date_trunc("hour", tz)', lambda: pc.floor_temporal(col("tz"), unit="hour")),
    ('date_trunc("day", oslo)', lambda: pc.floor_temporal(col("oslo"), unit="day")),
    (
        'date_trunc("week", day)',
        lambda: pa.array([datetime.date(2023, 12, 25), datetime.date(2024, 1, 1), None, datetime.date(2024, 2, 26)]),
    ),
    ("abs(i)", lambda: pc.abs(col("i"))),
    ("abs(i8)", lambda: ints(1, 2, None, 100)),
    ("abs(f)", lambda: pc.abs(col("f"))),
    ("abs(d)", lambda: pc.abs(col("d"))),
    ("floor(f)", lambda: pc.floor(col("f"))),
    ("ceil(f)", lambda: pc.ceil(col("f"))),
    ("floor(i)", lambda: col("i")),
    ("ceil(d)", lambda: pc.ceil(pc.cast(col("d"), pa.decimal128(11, 2)))),
    ("round(f)", lambda: floats(2.0, NAN, None, -0.0)),
    ("round(f * 1.1, 1)", lambda: pc.round(pc.multiply(col("f"), 1.1), ndigits=1, round_mode="half_to_even")),
    ("round(d, 1)", lambda: pc.round(pc.cast(col("d"), pa.decimal128(11, 2)), ndigits=1, round_mode="half_to_even")),
    ("sqrt(i)", lambda: floats(1.0, NAN, None, 2.0)),
    ("exp(f)", lambda: pc.exp(col("f"))),
    ("log(i)", lambda: pc.ln(pc.cast(col("i"), pa.float64()))),
    ("log(0)", lambda: floats(*[-math.inf] * 4)),
    ("is_nan(f)", lambda: pc.is_nan(col("f"))),
    ("is_nan(i)", lambda: bools(False, False, None, False)),
    ("lower(s)", lambda: pa.array(["abc", "ærø", None, ""])),
    ("upper(ls)", lambda: pa.array(["ABC", "X", None, "ABC"], pa.large_string())),
    ("length(s)", lambda: ints(3, 3, None, 0)),
    ("length(cat)", lambda: ints(3, 1, None, 3)),
    ('startswith(s, "a")', lambda: pc.starts_with(col("s"), "a")),
    ('endswith(s, "ø")', lambda: pc.ends_with(col("s"), "ø")),
    ('contains(s, "b")', lambda: pc.match_substring(col("s"), "b")),
    ('contains(s, ".")', lambda: bools(False, False, None, False)),
    ("coalesce(i, 0)", lambda: pc.coalesce(col("i"), 0)),
    ("coalesce(i8, 0)", lambda: pc.coalesce(col("i8"), pa.scalar(0, pa.int8()))),
    ("coalesce(i8, 1000)", lambda: ints(1, -2, 1000, 100)),
    ("coalesce(i, 0.5)", lambda: floats(1.0, -2.0, 0.5, 4.0)),
    ("coalesce(f32, 0)", lambda: pc.coalesce(col("f32"), pa.scalar(0, pa.float32()))),
    ("coalesce(f32, 0.1)", lambda: pc.coalesce(pc.cast(col("f32"), pa.float64()), 0.1)),
    ("coalesce(d, 0)", lambda: pc.coalesce(col("d"), pa.scalar(Decimal("0.00"), pa.decimal128(10, 2)))),
    ("coalesce(d, 1.5)", lambda: pc.coalesce(col("d"), pa.scalar(Decimal("1.50"), pa.decimal128(10, 2)))),
    ("coalesce(s, ls, '?')", lambda: pa.array(["abc", "Ærø", "?", ""], pa.large_string())),
    ('coalesce(t, "1970-01-01")', lambda: pc.coalesce(col("t"), stamp("t", 1970, 1, 1))),
    ("coalesce(null, i)", lambda: col("i")),
    ("coalesce(empty, i, 7)", lambda: pc.coalesce(col("i"), 7)),
    ("int(i + 0.9)", lambda: ints(1, -1, None, 4)),
    ("int(d)", lambda: ints(1, -2, None, 99)),
    ("int(ok)", lambda: ints(1, 0, None, 1)),
    ('int("12") + i', lambda: ints(13, 10, None, 16)),
    ("float(i)", lambda: floats(1.0, -2.0, None, 4.0)),
    ("float(d)", lambda: pc.cast(col("d"), pa.float64())),
    ('float("1e3")', lambda: floats(*[1000.0] * 4)),
    ("string(i)", lambda: pa.array(["1", "-2", None, "4"])),
    ("string(ok)", lambda: pa.array(["true", "false", None, "true"])),
    ("string(day)", lambda: pa.array(["2023-12-31", "2024-01-01", None, "2024-02-29"])),
    ("string(d)", lambda: pa.array(["1.10", "-2.25", None, "99.99"])),
    ("bucket(i, 0, 2, 4)", lambda: ints(1, 0, None, 3)),
    ("bucket(f, -0.5, 1.5)", lambda: ints(2, None, None, 1)),
    ("bucket(f32, 0.1, 2.5)", lambda: ints(1, 2, None, None)),
    ("bucket(u, 1, 18446744073709551615)", lambda: ints(0, 1, None, 2)),
    ("bucket(i, 0.5, 3.5)", lambda: ints(1, 0, None, 2)),
    ('bucket(s, "B", "b")', lambda: ints(1, 2, None, 0)),
    ("bucket(d, 0, 1.1, 1.105, 50)", lambda: ints(2, 0, None, 4)),
    ('bucket(t, "2024-01-01", "2024-02-01T00:00:00Z")', lambda: ints(0, 1, None, 2)),
    ('bucket(day, "2024-01-01", "2024-02-29")', lambda: ints(0, 1, None, 2)),
    ("bucket(3, 1, 2, 3)", lambda: ints(3, 3, 3, 3)),
    ("bucket(empty, 1)", lambda: ints(None, None, None, None)),
    # constants
    ("1", lambda: ints(1, 1, 1, 1)),
    ("1.5", lambda: floats(1.5, 1.5, 1.5, 1.5)),
    ("'x'", lambda: pa.array(["x"] * 4)),
    ("null", lambda: pa.nulls(4)),
    ('"fetch" == "schema"', lambda: bools(False, False, False, False)),
    ("1 == 1", lambda: bools(True, True, True, True)),
    ("1 == 1.0", lambda: bools(True, True, True, True)),
    ("'TOTAL'", lambda: pa.array(["TOTAL"] * 4)),
]


def same(left: pa.Array, right: pa.Array) -> bool:
    """Equal in type, length, nulls and values, NaN equal to NaN, -0.0 to 0.0."""
    if left.type != right.type or not pc.is_null(left).equals(pc.is_null(right)):
        return False
    if pa.types.is_floating(left.type):
        nans = pc.is_nan(left).equals(pc.is_nan(right))
        return nans and pc.all(pc.or_(pc.is_nan(left), pc.equal(left, right)), min_count=0).as_py() is not False
    return bool(left.equals(right))


@pytest.mark.parametrize(("text", "oracle"), CASES, ids=[text for text, _ in CASES])
def test_an_expression_has_the_value_of_its_kernels(text: str, oracle: Callable[[], pa.Array]) -> None:
    expression = parse(text)
    result, expected = evaluate(expression, BATCH), oracle()
    assert same(result, expected), f"{result}\nis not\n{expected}"
    assert infer(expression, BATCH.schema) == result.type


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_a_batch_of_no_rows_has_the_same_type(text: str) -> None:
    expression = parse(text)
    result = evaluate(expression, BATCH.slice(0, 0))
    assert (len(result), result.type) == (0, infer(expression, BATCH.schema))


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_a_slice_has_the_values_of_its_rows(text: str) -> None:
    expression = parse(text)
    assert same(evaluate(expression, BATCH.slice(1, 2)), evaluate(expression, BATCH).slice(1, 2))


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("i > $least", {"least": 1, "other": 2}, bools(False, False, None, True)),
        ("i > ? and i < ?", [-3, 2], bools(True, True, None, False)),
        ("i > $x", {"x": "1"}, bools(False, False, None, True)),
        ("i > $x", {"x": 1.5}, bools(False, False, None, True)),
        ("i > $x", {"x": NAN}, bools(False, False, None, False)),
        ("i != $x", {"x": NAN}, bools(True, True, None, True)),
        ("f < $x", {"x": math.inf}, bools(True, False, None, True)),
        ("i < $x", {"x": math.inf}, bools(True, True, None, True)),
        ("i < $x", {"x": 10**400}, bools(True, True, None, True)),
        ("f > $x", {"x": -(10**400)}, bools(True, False, None, True)),
        ("d == $x", {"x": "1.1"}, bools(True, False, None, False)),
        ("d == $x", {"x": Decimal("1.1")}, bools(True, False, None, False)),
        ("s == $x", {"x": "a.b $x 'quoted'"}, bools(False, False, None, False)),
        ("s == $x", {"x": 5}, bools(False, False, None, False)),
        ("ok == $x", {"x": 1}, bools(True, False, None, True)),
        ("ok == $x", {"x": "true"}, bools(True, False, None, True)),
        ("$flag or ok", {"flag": 0}, bools(True, False, None, True)),
        ("$flag or ok", {"flag": False}, bools(True, False, None, True)),
        ("t >= $x", {"x": "2024-01-01T00:00:00Z"}, bools(False, True, None, True)),
        (
            "t >= $x",
            {"x": moment(2024, 1, 1, 1, zone=datetime.timezone(datetime.timedelta(hours=1)))},
            bools(False, True, None, True),
        ),
        ("tz >= $x", {"x": moment(2024, 1, 1)}, bools(False, True, None, True)),
        ("t >= $x", {"x": datetime.date(2024, 1, 1)}, bools(False, True, None, True)),
        ("clock > $x", {"x": datetime.time(12)}, bools(True, False, None, True)),
        ("i + $x", {"x": "2"}, ints(3, 0, None, 6)),
        ("startswith(s, $x)", {"x": "a"}, bools(True, False, None, False)),
        ("bucket(t, $a, $b)", {"a": moment(2024, 1, 1), "b": "2024-02-01"}, ints(0, 1, None, 2)),
        ("raw == $x", {"x": b"a"}, bools(True, False, None, False)),
        ("$a == $b", {"a": 1, "b": "1"}, bools(True, True, True, True)),
        ("year($x)", {"x": moment(2024, 1, 1)}, ints(2024, 2024, 2024, 2024)),
    ],
)
def test_variables_take_the_type_of_what_they_stand_beside(text: str, variables: Any, expected: pa.Array) -> None:
    assert same(evaluate(parse(text), BATCH, variables), expected)


def test_numbers_of_numpy_and_times_of_pandas_are_values() -> None:
    import numpy as np
    import pandas as pd

    batch = pa.record_batch({"ns": pa.array([1, 2, 3], pa.timestamp("ns"))})
    assert evaluate(parse("ns > $x"), batch, {"x": pd.Timestamp(2, unit="ns")}).to_pylist() == [False, False, True]
    assert evaluate(parse("i > $x"), BATCH, {"x": np.int32(1)}).to_pylist() == [False, False, None, True]
    assert evaluate(parse("f > $x"), BATCH, {"x": np.float32(0.5)}).to_pylist() == [True, False, None, False]


def test_a_filter_keeps_the_rows_that_are_true() -> None:
    assert filter_batch(parse("i > 0"), BATCH).column("i").to_pylist() == [1, 4]
    assert filter_batch(parse("null"), BATCH).num_rows == 0
    assert filter_batch(parse("empty"), BATCH).num_rows == 0
    assert filter_batch(parse("i > 0"), BATCH).schema == BATCH.schema
    everything = resolve(parse("1 == 1"), BATCH.schema)
    assert everything.filter(BATCH) is BATCH
    assert everything.filter(BATCH.slice(0, 0)).num_rows == 0
    with pytest.raises(InvalidExpression, match="a filter is true or false, and this is int64"):
        filter_batch(parse("i + 1"), BATCH)


def test_a_range_costs_its_kernels_and_nothing_else() -> None:
    found = [
        type(step).__name__
        for step in steps(resolve(parse('t >= $lo and t < "2025-01-01"'), BATCH.schema, {"lo": "2024-01-01"}).plan)
    ]
    assert found == ["Junction", "Compare", "Load", "Compare", "Load"]


def test_the_deepest_expression_that_parses_is_computed() -> None:
    for text in ("not " * 97 + "(i > 1)", "i" + " + 1" * 98 + " > 1", "abs(" * 97 + "i" + ")" * 97 + " > 1"):
        resolved = resolve(parse(text), BATCH.schema)
        assert len(resolved.evaluate(BATCH)) == 4
        assert resolved.verdict({}) == "some"


def test_a_resolved_expression_refuses_a_batch_of_another_type() -> None:
    resolved = resolve(parse("i > 1"), BATCH.schema)
    with pytest.raises(TypeError, match="column i is double, and the expression was resolved for int64"):
        resolved.evaluate(pa.record_batch({"i": [1.0]}))


STORED = [
    pa.array(["a", None, "b"], pa.string_view()),
    pa.array(["a", None, "b"]).dictionary_encode(),
    pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", None, "b"])),
    pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3]), pa.array(["a", None, "b"])),
    pa.array(["a", None, "b"], pa.large_string()),
]


@pytest.mark.parametrize("column", STORED, ids=[str(column.type) for column in STORED])
def test_however_text_is_stored_it_is_text(column: pa.Array) -> None:
    batch = pa.record_batch({"s": column})
    assert evaluate(parse("s > 'a'"), batch).to_pylist() == [False, None, True]
    assert evaluate(parse("s is null"), batch).to_pylist() == [False, True, False]
    assert evaluate(parse("upper(s)"), batch).to_pylist() == ["A", None, "B"]
    assert evaluate(parse("s"), batch).to_pylist() == ["a", None, "b"]


def test_half_floats_and_milliseconds_of_days_are_computed_wider() -> None:
    import numpy as np

    batch = pa.record_batch({"h": pa.array(np.array([0.5, 2.5], "f2")), "d": pa.array([0, 86_400_000], pa.date64())})
    assert evaluate(parse("h > 1"), batch).to_pylist() == [False, True]
    assert evaluate(parse("year(d) == 1970 and d > '1970-01-01'"), batch).to_pylist() == [False, True]
    assert infer(parse("h"), batch.schema) == pa.float32()


def test_other_columns_can_be_asked_for_null_only() -> None:
    batch = pa.record_batch({"list": pa.array([[1], None])})
    assert evaluate(parse("list is null"), batch).to_pylist() == [False, True]
    with pytest.raises(InvalidExpression, match="cannot be compared"):
        evaluate(parse("list == 1"), batch)


OVERFLOWS = [
    ("i + 9223372036854775807", 2, "does not fit into 64 bits; write float(…)"),
    ("i * 9223372036854775807", 2, "does not fit into 64 bits; write float(…)"),
    ("u + 1", 0, "not in range"),
    ("-(i * 0 - 9223372036854775807 - 1)", 0, "does not fit into 64 bits"),
    ("abs(i * 0 - 9223372036854775807 - 1)", 0, "does not fit into 64 bits"),
    ("int(f)", 0, "truncated"),
    ("int(1e30)", 0, "truncated"),
    ("int(s)", 0, "Failed to parse string"),
    ("float(s)", 0, "Failed to parse string"),
]


@pytest.mark.parametrize(("text", "position", "words"), OVERFLOWS)
def test_what_does_not_fit_stops_with_its_place(text: str, position: int, words: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        evaluate(parse(text), BATCH)
    assert (caught.value.position, words in caught.value.message) == (position, True), caught.value
