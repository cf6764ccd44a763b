"""Random expressions over random rows, against a small interpreter in plain Python that looks at one row at a time."""

import datetime
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from odp_loader.errors import InvalidExpression
from odp_loader.expression import evaluate, infer, parse

Row = dict[str, Any]


@dataclass(frozen=True)
class Spelled:
    """An expression as text, and what it is worth in a row: Python's own arithmetic and comparisons, None for null."""

    text: str
    value: Callable[[Row], Any]


class Overflow(Exception):
    """An integer left 64 bits."""


ORDER = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EXTREMES = [0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**31]
INTS = st.one_of(st.sampled_from(EXTREMES), st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1))
UNSIGNED = st.one_of(st.sampled_from([0, 1, 2**53 + 1, 2**63, 2**64 - 1]), st.integers(0, 5), st.integers(0, 2**64 - 1))
SMALL = st.integers(-128, 127)
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 0.5, -2.5, 1e300]),
    st.floats(-5, 5),
    st.floats(),
)
SINGLES = st.floats(width=32)
DECIMALS = st.decimals(-999, 999, places=2)
TEXTS = st.one_of(st.sampled_from(["", "a", "b", "ab", "it's", 'say "x"', "a.b", "$x", "é", "😀"]), st.text(max_size=4)).filter(
    lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)
)
TIMES = st.datetimes(datetime.datetime(1960, 1, 1), datetime.datetime(2040, 1, 1))
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), INTS),
    "j": (pa.int64(), INTS),
    "u": (pa.uint64(), UNSIGNED),
    "b": (pa.int8(), SMALL),
    "f": (pa.float64(), FLOATS),
    "g": (pa.float32(), SINGLES),
    "d": (pa.decimal128(5, 2), DECIMALS),
    "s": (pa.string(), TEXTS),
    "r": (pa.large_string(), TEXTS),
    "t": (pa.timestamp("us"), TIMES),
    "m": (pa.timestamp("ms"), TIMES.map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))),
    "day": (pa.date32(), TIMES.map(lambda time: time.date())),
    "p": (pa.bool_(), st.booleans()),
    "q": (pa.bool_(), st.booleans()),
}
SCHEMA = pa.schema({name: type_ for name, (type_, _) in COLUMNS.items()})
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()}), max_size=4)


def column(name: str) -> Spelled:
    return Spelled(name, lambda row: row[name])


def constant(text: str, value: Any) -> Spelled:
    return Spelled(text, lambda row: value)


def strictly(function: Callable[..., Any], *operands: Spelled) -> Callable[[Row], Any]:
    """Null when an operand is."""

    def value(row: Row) -> Any:
        values = [operand.value(row) for operand in operands]
        return None if any(part is None for part in values) else function(*values)

    return value


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def compared(word: str, left: Spelled, right: Spelled) -> Spelled:
    def compare(one: Any, other: Any) -> bool:
        return bool(ORDER[word](_instant(one), _instant(other)))

    return Spelled(f"({left.text} {word} {right.text})", strictly(compare, left, right))


def _instant(value: Any) -> Any:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    return value


def summed(word: str, left: Spelled, right: Spelled) -> Spelled:
    def compute(one: Any, other: Any) -> Any:
        if word != "/" and isinstance(one, int) and isinstance(other, int):
            result = {"+": operator.add, "-": operator.sub, "*": operator.mul}[word](one, other)
            if not all(-(2**63) <= number < 2**63 for number in (one, other, result)):
                raise Overflow
            return result
        one, other = float(one), float(other)
        if word != "/":
            return {"+": operator.add, "-": operator.sub, "*": operator.mul}[word](one, other)
        if other == 0:
            return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1, other)
        return one / other

    return Spelled(f"({left.text} {word} {right.text})", strictly(compute, left, right))


def junction(word: str, operands: list[Spelled]) -> Spelled:
    decisive = word == "or"

    def value(row: Row) -> bool | None:
        values = [operand.value(row) for operand in operands]
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return Spelled(f"({f' {word} '.join(operand.text for operand in operands)})", value)


def negation(operand: Spelled) -> Spelled:
    return Spelled(f"(not {operand.text})", strictly(operator.not_, operand))


def is_null(operand: Spelled, negated: bool) -> Spelled:
    words = "is not null" if negated else "is null"
    return Spelled(f"({operand.text} {words})", lambda row: (operand.value(row) is None) != negated)


def coalesced(operands: list[Spelled]) -> Spelled:
    def value(row: Row) -> Any:
        return next((found for operand in operands if (found := operand.value(row)) is not None), None)

    return Spelled(f"coalesce({', '.join(operand.text for operand in operands)})", value)


def bucket(operand: Spelled, edges: list[int | float]) -> Spelled:
    def count(value: Any) -> int | None:
        return None if value != value else sum(value >= edge for edge in edges)

    return Spelled(f"bucket({operand.text}, {', '.join(map(repr, edges))})", strictly(count, operand))


NUMBER_CONSTANTS = st.one_of(
    INTS.map(lambda value: constant(str(value), value)),
    FLOATS.filter(math.isfinite).map(lambda value: constant(repr(value), value)),
)
INTEGERS = st.recursive(
    st.one_of(st.sampled_from("ijub").map(column), INTS.map(lambda value: constant(str(value), value))),
    lambda inner: st.builds(summed, st.sampled_from("+-*"), inner, inner),
    max_leaves=3,
)
EDGES = st.lists(
    st.one_of(st.integers(-5, 5), st.integers(-10, 10).map(lambda number: number / 2), st.sampled_from(EXTREMES)),
    min_size=1,
    max_size=3,
    unique=True,
).map(sorted)
NUMBERS = st.recursive(
    st.one_of(st.sampled_from("ijubfg").map(column), NUMBER_CONSTANTS),
    lambda inner: st.one_of(
        st.builds(summed, st.sampled_from("+-*/"), inner, inner),
        st.builds(bucket, inner, EDGES),
    ),
    max_leaves=3,
)
WORDS = st.sampled_from(list(ORDER))
LEAVES = st.one_of(
    st.builds(compared, WORDS, NUMBERS, NUMBERS),
    st.builds(compared, WORDS, st.just(column("d")), st.one_of(st.just(column("d")), INTEGERS)),
    st.builds(compared, WORDS, st.just(column("d")), DECIMALS.map(lambda value: constant(str(value), value))),
    st.builds(compared, WORDS, st.sampled_from("sr").map(column), TEXTS.map(lambda text: constant(quoted(text), text))),
    st.builds(compared, WORDS, st.sampled_from("sr").map(column), st.sampled_from("sr").map(column)),
    st.builds(compared, WORDS, st.sampled_from(["t", "m", "day"]).map(column), st.sampled_from(["t", "m", "day"]).map(column)),
    st.builds(
        compared,
        WORDS,
        st.sampled_from(["t", "m", "day"]).map(column),
        TIMES.map(lambda time: constant(f'"{time.isoformat()}"', time)),
    ),
    st.builds(is_null, st.sampled_from(sorted(COLUMNS)).map(column), st.booleans()),
    st.sampled_from("pq").map(column),
    st.sampled_from([constant("true", True), constant("false", False), constant("null", None)]),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(junction, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
        st.builds(negation, inner),
        st.builds(is_null, inner, st.booleans()),
    ),
    max_leaves=6,
)


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([row[field.name] for row in rows], field.type) for field in SCHEMA], schema=SCHEMA)


def agree(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float) and math.isnan(found):
        return math.isnan(expected)
    return type(found) is type(expected) and bool(found == expected)


def check(spelled: Spelled, rows: list[Row]) -> None:
    expression = parse(spelled.text)
    try:
        expected = [spelled.value(row) for row in rows]
    except Overflow:
        try:
            evaluate(expression, batch_of(rows))
        except InvalidExpression as error:
            assert "64 bits" in error.message or "not in range" in error.message  # noqa: PT017
            return
        raise AssertionError("an overflow went unseen") from None
    try:
        result = evaluate(expression, batch_of(rows))
    except InvalidExpression as error:
        # what depends on no row, or stands beside null, is computed all the same, and may overflow
        assume("64 bits" not in error.message and "not in range" not in error.message)
        raise
    assert result.type == infer(expression, SCHEMA)
    found = result.to_pylist()
    assert all(map(agree, found, expected)), (found, expected)
    assert len(found) == len(rows)


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, ROWS)
def test_conditions_agree_with_the_interpreter(spelled: Spelled, rows: list[Row]) -> None:
    check(spelled, rows)


@settings(max_examples=200, deadline=None)
@given(NUMBERS, ROWS)
def test_numbers_agree_with_the_interpreter(spelled: Spelled, rows: list[Row]) -> None:
    check(spelled, rows)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.just(column("i")), st.just(column("j")), INTS.map(lambda value: constant(str(value), value))),
        min_size=2,
        max_size=4,
    ),
    ROWS,
)
def test_coalesce_agrees_with_the_interpreter(operands: list[Spelled], rows: list[Row]) -> None:
    check(coalesced(operands), rows)


@settings(max_examples=200, deadline=None)
@given(WORDS, st.sampled_from("ijubfgd"), st.one_of(INTS, UNSIGNED, FLOATS, DECIMALS), ROWS)
def test_a_variable_is_compared_exactly(word: str, name: str, value: int | float | Decimal, rows: list[Row]) -> None:
    """As Python compares numbers, whatever their types: without rounding either."""
    assume(not (name == "d" and isinstance(value, float)))
    # Python refuses to order NaN and a Decimal; NaN is as far from any other number
    expected = [None if row[name] is None else ORDER[word](row[name], 0 if row[name] != row[name] else value) for row in rows]
    found = evaluate(parse(f"{name} {word} $value"), batch_of(rows), {"value": value}).to_pylist()
    assert found == expected
