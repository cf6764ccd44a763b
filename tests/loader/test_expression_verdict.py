"""Chunks that a filter keeps whole, drops whole, or has to be evaluated for."""

import datetime
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odp_loader.errors import InvalidExpression
from odp_loader.expression import ColumnRange, evaluate, parse, resolve, verdict

SCHEMA = pa.schema(
    {
        "i": pa.int64(),
        "f": pa.float64(),
        "g": pa.float32(),
        "s": pa.string(),
        "t": pa.timestamp("us", "UTC"),
        "n": pa.timestamp("ns"),
        "d": pa.decimal128(6, 2),
        "ok": pa.bool_(),
    }
)


def whole(minimum: object, maximum: object, **known: Any) -> ColumnRange:
    """A column of ten rows without null and NaN."""
    return ColumnRange(**{"minimum": minimum, "maximum": maximum, "nulls": 0, "rows": 10, "may_have_nan": False, **known})


def at(day: int) -> datetime.datetime:
    return datetime.datetime(2024, 1, day, tzinfo=datetime.UTC)


FROM_2_TO_4 = {
    "i": whole(2, 4),
    "f": whole(2.0, 4.0),
    "g": whole(2.0, 4.0),
    "s": whole("b", "d"),
    "t": whole(at(2), at(4)),
    "n": whole(at(2).replace(tzinfo=None), at(4).replace(tzinfo=None)),
    "d": whole(Decimal("2.00"), Decimal("4.00")),
    "ok": whole(False, True),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i > 1", "all"),
        ("i >= 2", "all"),
        ("i > 2", "some"),
        ("i <= 4", "all"),
        ("i < 4", "some"),
        ("i > 4", "none"),
        ("i >= 4", "some"),
        ("i < 2", "none"),
        ("i == 3", "some"),
        ("i == 5", "none"),
        ("i != 5", "all"),
        ("i != 3", "some"),
        ("i == 2.5", "none"),
        ("i != 2.5", "all"),
        ("i < 1e300", "all"),
        ("1 < i", "all"),
        ("not (i > 4)", "all"),
        ("not (i > 1)", "none"),
        ("i >= 2 and i < 5", "all"),
        ("i >= 2 and i < 2", "none"),
        ("i < 3 and i >= 3", "none"),
        ("i < 3 or i >= 3", "all"),
        ("i < 2 or i > 4", "none"),
        ("(i < 3 or i >= 3) and not (i > 4 and i < 9)", "all"),
        ("(i < 3 or i >= 3) and not (i > 0 and i < 2)", "all"),
        ("i > 3 or f < 9", "all"),
        ("i > 3 and f > 9", "none"),
        ("i > 3 and f < 3", "some"),
        ("(i < 3 and f > 9) or (i >= 3 and f > 9)", "none"),
        ("i is null", "none"),
        ("i is not null", "all"),
        ("not (i is null)", "all"),
        ("f > 1", "all"),
        ("not (f < 3 or f >= 3)", "none"),
        ("g >= 2", "all"),
        ("g < 2.0000000001", "some"),
        ("s >= 'b'", "all"),
        ("s > 'd'", "none"),
        ("s == 'c'", "some"),
        ('t >= "2024-01-02"', "all"),
        ('t > "2024-01-04T00:00:00Z"', "none"),
        ('t < "2024-01-04T00:00:00.0000001Z"', "all"),
        ('n <= "2024-01-04"', "all"),
        ("d > 1.999", "all"),
        ("d >= 4.001", "none"),
        ("ok", "some"),
        ("ok == true", "some"),
        ("ok or not ok", "all"),
        ("year(t) == 2024", "some"),
        ("year(t) == 2024 and i > 9", "none"),
        ("i + 1 > 0", "some"),
        ("(i + 1) is null", "some"),
        ("i > $x", "all"),
        ("null", "none"),
        ("true", "all"),
        ("i > 1 and true", "all"),
        ("i > 1 or null", "all"),
        ("i > 1 and null", "none"),
        ('"fetch" == "schema"', "none"),
        ("1 == 1", "all"),
        (" or ".join(f"i == {number}" for number in range(100, 200)), "none"),
    ],
)
def test_a_chunk_is_judged_by_its_bounds(text: str, expected: str) -> None:
    assert verdict(parse(text), FROM_2_TO_4, {"x": 1}, schema=SCHEMA) == expected


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("i > 1", whole(2, 4, nulls=1), "some"),
        ("i > 1", whole(2, 4, nulls=None), "some"),
        ("i > 4", whole(2, 4, nulls=1), "none"),
        ("i is null", whole(2, 4, nulls=1), "some"),
        ("i is null", whole(2, 4, nulls=None), "some"),
        ("i is null", whole(None, None, nulls=10), "all"),
        ("i is not null", whole(None, None, nulls=10), "none"),
        ("i > 1 or i is null", whole(2, 4, nulls=1), "all"),
        ("i > 1", whole(None, None, nulls=10), "none"),
        ("not (i > 1)", whole(None, None, nulls=10), "none"),
        ("i > 1", whole(None, 4), "some"),
        ("i > 4", whole(None, 4), "none"),
        ("i < 2", whole(2, None), "none"),
        ("i > 1", ColumnRange(), "some"),
        ("i > 1", ColumnRange(rows=0), "none"),
        ("i is null or 1 == 1", ColumnRange(rows=0), "none"),
        ("i == 2.5", whole(2, 4, nulls=1), "none"),
        ("i != 2.5", whole(2, 4, nulls=1), "some"),
        ("not (i == 2.5)", whole(2, 4, nulls=1), "some"),
        ("i > 1", whole(2.5, 4), "some"),
        ("i > 1", whole(pa.scalar(2), pa.scalar(4)), "all"),
        ("i > 1", whole(pa.scalar(None, pa.int64()), pa.scalar(None, pa.int64())), "some"),
    ],
)
def test_nulls_and_what_is_not_known_are_minded(text: str, known: ColumnRange, expected: str) -> None:
    assert verdict(parse(text), {"i": known}, schema=SCHEMA) == expected


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("f > 1", whole(2.0, 4.0, may_have_nan=True), "some"),
        ("f > 4", whole(2.0, 4.0, may_have_nan=True), "none"),
        ("not (f > 4)", whole(2.0, 4.0, may_have_nan=True), "all"),
        ("f != 9", whole(2.0, 4.0, may_have_nan=True), "all"),
        ("f == 9", whole(2.0, 4.0, may_have_nan=True), "none"),
        ("not (f < 3 or f >= 3)", whole(2.0, 4.0, may_have_nan=True), "some"),
        ("f > 1", whole(math.nan, math.nan), "some"),
        ("f > 4", whole(math.inf, -math.inf, may_have_nan=True), "none"),
        ("f is null", whole(None, None, may_have_nan=True), "none"),
    ],
)
def test_nan_is_minded(text: str, known: ColumnRange, expected: str) -> None:
    assert verdict(parse(text), {"f": known}, schema=SCHEMA) == expected


def test_a_nanosecond_that_a_datetime_cannot_hold_is_not_cut_off() -> None:
    known = whole(pa.scalar(0, pa.timestamp("ns")), pa.scalar(1500, pa.timestamp("ns")))
    assert verdict(parse('n > "1970-01-01T00:00:00.0000011"'), {"n": known}, schema=SCHEMA) == "some"
    assert verdict(parse('n > "1970-01-01T00:00:00.0000015"'), {"n": known}, schema=SCHEMA) == "none"


def test_a_column_without_statistics_is_not_known() -> None:
    assert verdict(parse("i > 1"), {}, schema=SCHEMA) == "some"
    assert verdict(parse("i > 1 and f > 9"), {"f": whole(2.0, 4.0)}, schema=SCHEMA) == "none"


def test_only_a_condition_is_judged() -> None:
    with pytest.raises(InvalidExpression, match="a filter is true or false"):
        verdict(parse("i + 1"), FROM_2_TO_4, schema=SCHEMA)


NUMBERS = st.one_of(st.none(), st.integers(-3, 3))
FLOATS = st.one_of(st.none(), st.just(math.nan), st.integers(-3, 3).map(float), st.just(math.inf))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "ab", "b", "é", "😀"]))
MOMENTS = st.one_of(st.none(), st.integers(-3, 3))
COLUMNS = {
    "i": (pa.int64(), NUMBERS),
    "f": (pa.float64(), FLOATS),
    "s": (pa.string(), TEXTS),
    "n": (pa.timestamp("ns"), MOMENTS),
    "ok": (pa.bool_(), st.one_of(st.none(), st.booleans())),
}
WORDS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
LEAVES = st.one_of(
    st.builds(lambda name, word, value: f"({name} {word} {value})", st.sampled_from("if"), WORDS, st.sampled_from(range(-4, 5))),
    st.builds(
        lambda name, word, value: f"({name} {word} {value})", st.sampled_from("if"), WORDS, st.sampled_from([-2.5, 0.5, 1e300])
    ),
    st.builds(lambda word, value: f"(s {word} '{value}')", WORDS, st.sampled_from(["", "a", "aa", "b", "z"])),
    st.builds(lambda word, ns: f"(n {word} '1970-01-01T00:00:00.00000000{ns}')", WORDS, st.integers(0, 4)),
    st.builds(lambda name, word: f"({name} is {word})", st.sampled_from(sorted(COLUMNS)), st.sampled_from(["null", "not null"])),
    st.sampled_from(
        ["ok", "(ok != true)", "true", "false", "null", "(i > f)", "(i + 1 > 2)", "((i > 1) is null)", "startswith(s, 'a')"]
    ),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda word, parts: f"({f' {word} '.join(parts)})",
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda part: f"(not {part})", inner),
    ),
    max_leaves=8,
)


def ranged(column: pa.Array, told: list[bool], *, widen: bool) -> ColumnRange:
    """What is true of a column, some of it held back, its bounds as they are or further apart."""
    values = (
        column.drop_null().to_pylist()
        if not pa.types.is_timestamp(column.type)
        else column.drop_null().cast(pa.int64()).to_pylist()
    )
    plain = [value for value in values if value == value]
    low, high = (min(plain), max(plain)) if plain else (None, None)
    if plain and widen and isinstance(low, int | float) and not isinstance(low, bool):
        low, high = low - 1, high + 1
    exact = [None if bound is None else pa.scalar(bound, column.type) for bound in (low, high)]
    return ColumnRange(
        minimum=exact[0] if told[0] else None,
        maximum=exact[1] if told[1] else None,
        nulls=column.null_count if told[2] else None,
        rows=len(column) if told[3] else None,
        may_have_nan=len(plain) < len(values) or not told[4],
    )


@settings(max_examples=600, deadline=None)
@given(
    CONDITIONS,
    st.lists(st.fixed_dictionaries({name: values for name, (_, values) in COLUMNS.items()}), max_size=3),
    st.lists(st.sampled_from([True, True, True, False]), min_size=25, max_size=25),
    st.booleans(),
)
def test_a_verdict_is_never_wrong(text: str, rows: list[dict[str, Any]], told: list[bool], widen: bool) -> None:
    batch = pa.record_batch({name: pa.array([row[name] for row in rows], type_) for name, (type_, _) in COLUMNS.items()})
    statistics = {name: ranged(batch.column(name), told[5 * i : 5 * i + 5], widen=widen) for i, name in enumerate(COLUMNS)}
    expression = parse(text)
    kept = pc.fill_null(evaluate(expression, batch), False).true_count if text != "null" else 0
    judged = resolve(expression, batch.schema).verdict(statistics)
    assert judged != "all" or kept == len(rows)
    assert judged != "none" or kept == 0


@settings(max_examples=200, deadline=None)
@given(CONDITIONS, st.fixed_dictionaries({name: values for name, (_, values) in COLUMNS.items()}))
def test_comparisons_with_constants_of_one_row_are_judged_exactly(text: str, row: dict[str, Any]) -> None:
    """Where minimum and maximum are the value itself, nothing is left to guess but what is computed from it."""
    batch = pa.record_batch({name: pa.array([row[name]], type_) for name, (type_, _) in COLUMNS.items()})
    statistics = {name: ranged(batch.column(name), [True] * 5, widen=False) for name in COLUMNS}
    guessed = any(part in text for part in ("i > f", "i + 1", "is null)", "startswith")) or any(
        value != value for value in row.values()
    )
    judged = resolve(parse(text), batch.schema).verdict(statistics)
    if not guessed:
        kept = evaluate(parse(text), batch).to_pylist() == [True]
        assert judged == ("all" if kept else "none")
