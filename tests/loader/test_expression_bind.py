"""Variables of a job file as the plain values that a request carries."""

import datetime
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidExpression
from odp_loader.expression import bind, evaluate, parse

UTC = datetime.UTC
SCHEMA = pa.schema(
    {
        "time": pa.timestamp("us", "UTC"),
        "oslo": pa.timestamp("ms", "Europe/Oslo"),
        "naive": pa.timestamp("ns"),
        "day": pa.date32(),
        "clock": pa.time64("us"),
        "depth": pa.int32(),
        "temperature": pa.float64(),
        "price": pa.decimal128(10, 2),
        "station": pa.string(),
        "good": pa.bool_(),
        "nothing": pa.null(),
    }
)


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("time >= $x", "2024-01-01T00:00:00Z", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("time >= $x", "2024-01-01T02:00:00+02:00", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("time >= $x", "2024-01-01", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("$x <= time", datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("oslo >= $x", "2024-01-01T01:00:00", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("oslo >= $x", "2024-01-01T00:00:00.123456Z", datetime.datetime(2024, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("naive >= $x", "2024-01-01T02:00:00+02:00", datetime.datetime(2024, 1, 1)),
        ("naive >= $x", datetime.datetime(2024, 1, 1, 1, tzinfo=UTC), datetime.datetime(2024, 1, 1, 1)),
        ("day >= $x", "2024-01-01", datetime.date(2024, 1, 1)),
        ("day >= $x", "2024-01-01T00:00:00Z", datetime.date(2024, 1, 1)),
        ("day >= $x", "2024-01-01T12:00:00", datetime.datetime(2024, 1, 1, 12)),
        ("clock < $x", "12:30", datetime.time(12, 30)),
        ("clock < $x", datetime.time(12, 30), datetime.time(12, 30)),
        ("depth > $x", "5", 5),
        ("depth > $x", 5.0, 5),
        ("depth > $x", 5.5, 5.5),
        ("depth > $x", "5.5", 5.5),
        ("depth + $x > 3", "5", 5),
        ("temperature > $x", 5, 5.0),
        ("temperature > $x", "5", 5.0),
        ("temperature > $x", 2**53 + 1, 2**53 + 1),
        ("price > $x", "5.5", 5.5),
        ("price > $x", 5, 5),
        ("station == $x", 17, "17"),
        ("station == $x", "2024-01-01", "2024-01-01"),
        ("good == $x", 1, True),
        ("good == $x", "False", False),
        ("good and $x", True, True),
        ("nothing > $x", "5", "5"),
        ("year(time) == $x", "2024", 2024),
        ("date(time) == $x", "2024-01-01", datetime.date(2024, 1, 1)),
        ("coalesce($x, depth) > 3", "5", 5),
        ("bucket(time, $x) == 1", "2024-01-01", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
        ("startswith(station, $x)", "a", "a"),
        ("$x == 'a'", "a", "a"),
        ("h3(station, 5) == $x", "85283473fffffff", "85283473fffffff"),
        ("odp_only(depth) > $x and depth > 3", "5", "5"),
        ("not (time < $x or time >= $x)", "2024-01-01", datetime.datetime(2024, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_variable_takes_the_type_of_its_column(text: str, given: Any, expected: Any) -> None:
    found = bind(parse(text), SCHEMA, {"x": given, "unused": 1})
    assert found == {"x": expected}
    assert type(found["x"]) is type(expected)


def test_a_list_is_bound_in_its_order() -> None:
    found = bind(parse("time >= ? and depth < ? and station == ?"), SCHEMA, ("2024-01-01", "3", 4, 5))
    assert found == [datetime.datetime(2024, 1, 1, tzinfo=UTC), 3, "4"]


def test_nothing_is_bound_where_nothing_is_asked_for() -> None:
    assert bind(parse("depth > 1"), SCHEMA, {}) == {}
    assert bind(parse("depth > 1"), SCHEMA, []) == []


@pytest.mark.parametrize(
    ("text", "given", "position", "words"),
    [
        ("time > $x", "yesterday", 7, "is no time in ISO 8601"),
        ("time > $x", 5, 7, "`$x` is no timestamp"),
        ("depth > $x", "deep", 8, "'deep' is no number"),
        ("depth > $x", True, 8, "`$x` is no integer"),
        ("depth > $y", 1, 8, "there is no value for `$y`; there are $x"),
        ("depth > $x", None, 8, "nothing compares with null"),
        ("dept > $x", 1, 0, "did you mean `depth`?"),
        ("odp_only(dept) > $x", 1, 9, "did you mean `depth`?"),
        ("station + 1 > $x", 1, 0, "`+` takes numbers"),
        ("naive > $x", "2024-01-01T00:00:00.123456789", 8, "finer than a microsecond"),
        ("station == $x or depth == $x", 17, 26, "compared with columns of different types; use two variables"),
        ("time > $x or day > $x", "2024-01-01", 19, "compared with columns of different types"),
    ],
)
def test_a_value_that_cannot_be_compared_is_refused(text: str, given: Any, position: int, words: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        bind(parse(text), SCHEMA, {"x": given})
    assert (caught.value.position, words in caught.value.message) == (position, True), caught.value


@pytest.mark.parametrize(
    ("text", "given"),
    [("time > $x", "2024-01-01T00:00:00.5"), ("oslo <= $x", "2024-01-01"), ("day < $x", "2024-01-01T12:00"), ("depth > $x", "2.5")],
)
def test_what_is_bound_compares_as_what_was_given(text: str, given: Any) -> None:
    at = datetime.datetime(2024, 1, 1)
    times = [at + datetime.timedelta(seconds=seconds) for seconds in (-3600, -1, 0, 1, 43200, 86400)]
    batch = pa.record_batch(
        {
            "time": pa.array(times, SCHEMA.field("time").type),
            "oslo": pa.array(times, SCHEMA.field("oslo").type),
            "day": pa.array([time.date() for time in times], pa.date32()),
            "depth": pa.array(range(6), pa.int32()),
        }
    )
    expression = parse(text)
    bound = bind(expression, batch.schema, {"x": given})
    assert evaluate(expression, batch, bound).equals(evaluate(expression, batch, {"x": given}))
