"""Which expressions have a type, which one, and where the others are at fault."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidExpression
from odp_loader.expression import infer, parse

SCHEMA = pa.schema(
    {
        "time": pa.timestamp("us", "UTC"),
        "naive": pa.timestamp("ns"),
        "temperature": pa.float64(),
        "depth": pa.int32(),
        "count": pa.uint64(),
        "price": pa.decimal128(10, 2),
        "big": pa.decimal128(38, 10),
        "huge": pa.decimal256(76, 0),
        "station": pa.string(),
        "good": pa.bool_(),
        "raw": pa.binary(),
        "day": pa.date32(),
        "clock": pa.time32("s"),
        "nothing": pa.null(),
        "list": pa.list_(pa.int64()),
    }
)

TYPES = [
    ("temperature", pa.float64()),
    ("depth", pa.int32()),
    ("depth + depth", pa.int64()),
    ("depth * 2.0", pa.float64()),
    ("depth / depth", pa.float64()),
    ("-count", pa.int64()),
    ("price + price", pa.decimal128(11, 2)),
    ("price + 1", pa.decimal128(11, 2)),
    ("price * depth", pa.decimal128(21, 2)),
    ("price - temperature", pa.float64()),
    ("big + big", pa.decimal256(39, 10)),
    ("big * 10", pa.decimal256(41, 10)),
    ("huge + 0.5", pa.float64()),
    ("depth > 1", pa.bool_()),
    ("nothing", pa.null()),
    ("nothing > 1", pa.bool_()),
    ("1 < nothing", pa.bool_()),
    ("nothing * 2", pa.float64()),
    ("year(nothing)", pa.int64()),
    ("upper(nothing)", pa.string()),
    ("coalesce(depth, count)", pa.int64()),
    ("coalesce(price, big)", pa.decimal128(38, 10)),
    ("coalesce(price, depth)", pa.decimal128(12, 2)),
    ("coalesce(price, temperature)", pa.float64()),
    ("coalesce(time, time)", pa.timestamp("us", "UTC")),
    ("coalesce(null, null)", pa.null()),
    ("coalesce(nothing, null)", pa.null()),
    ("ROUND(temperature, 2)", pa.float64()),
    ("date_trunc('month', time)", pa.timestamp("us", "UTC")),
    ("huge == 1", pa.bool_()),
    ("huge == price", pa.bool_()),
    ("list is null", pa.bool_()),
]


@pytest.mark.parametrize(("text", "expected"), TYPES, ids=[text for text, _ in TYPES])
def test_an_expression_has_one_type(text: str, expected: pa.DataType) -> None:
    assert infer(parse(text), SCHEMA) == expected


FAULTS: list[tuple[str, Any, int, str]] = [
    ("temprature > 1", {}, 0, "there is no column `temprature`; did you mean `temperature`?"),
    ("good and Depth > 1", {}, 9, "did you mean `depth`?"),
    ("xyz is null", {}, 0, "there is no column `xyz`; there are time, naive, temperature,"),
    ("depth > 1 and yeer(time) == 2", {}, 14, "there is no function `yeer`; did you mean `year`?"),
    ("frobnicate(depth)", {}, 0, "there is no function `frobnicate`; there are year, month,"),
    ("time.year()", {}, 0, "there is no function `time.year`"),
    ("depth > $deep", {"depth": 1, "steep": 2}, 8, "there is no value for `$deep`; did you mean `$steep`?"),
    ("depth > $deep", {}, 8, "there is no value for `$deep`"),
    ("depth > $deep", [1], 8, "the variables are a list; write `?`"),
    ("depth > ?", {"x": 1}, 8, "`?` takes its value from a list"),
    ("depth > ? and depth < ?", [1], 22, "there is no value for `?` number 2: 1 were given"),
    ("depth > $x", {"x": None}, 8, "`$x`: is null, and nothing compares with null"),
    ("depth > $x", {"x": [1]}, 8, "a list is no value"),
    ("depth > $x", {"x": "deep"}, 8, "'deep' is no number"),
    ("depth > $x", {"x": True}, 6, "`depth` (int32) cannot be compared with `$x` (bool) by `>`"),
    ("depth + $x", {"x": "deep"}, 8, "'deep' is no number"),
    ("price > $x", {"x": "deep"}, 8, "'deep' is no number"),
    ("depth > $x", {"x": "1_000"}, 8, "'1_000' is no number"),
    ("price > $x", {"x": "1e-99999999"}, 8, "'1e-99999999' is no number"),
    ("price > $x", {"x": Decimal("1e-99999999")}, 8, "an exponent that no number needs"),
    ("good and $x", {"x": 2}, 9, "`and` takes conditions"),
    ("time > $x", {"x": "yesterday"}, 7, "'yesterday' is no time in ISO 8601; write it as 2024-01-31"),
    ("time > $x", {"x": 20240101}, 5, 'write a time as "2024-01-31T00:00:00Z"'),
    ("good == $x", {"x": 2}, 5, "cannot be compared"),
    ("station < 3", {}, 8, "`station` (string) cannot be compared with 3 (int64) by `<`; write the text in quotes"),
    ('depth > "3"', {}, 6, "write the number without quotes"),
    ("depth > station", {}, 6, "`depth` (int32) cannot be compared with `station` (string)"),
    ("time > 3", {}, 5, 'write a time as "2024-01-31T00:00:00Z"'),
    ('time > "2024-13-01"', {}, 7, "'2024-13-01' is no time: month must be in 1..12"),
    ('time > "2024"', {}, 7, "is no time in ISO 8601"),
    ('time > "2024-01-01T25:00"', {}, 7, "hour must be in 0..23"),
    ("time > naive", {}, 5, "cannot be compared"),
    ("time > day", {}, 5, "cannot be compared"),
    ("time > clock", {}, 5, "cannot be compared"),
    ('clock > "noon"', {}, 8, "'noon' is no time of day; write it as 13:30"),
    ('clock > "25:00"', {}, 8, "hour must be in 0..23"),
    ("clock > 12", {}, 6, 'write a time of day as "13:30:00"'),
    ("good > true", {}, 5, "cannot be compared"),
    ("good == 1", {}, 5, "`good` (bool) cannot be compared with 1 (int64)"),
    ("raw == 'x'", {}, 4, "cannot be compared"),
    ("list == 1", {}, 5, "cannot be compared"),
    ("list == list", {}, 5, "cannot be compared"),
    ("(1 < depth) < 5", {}, 12, "write `a < b and b < c`"),
    ("depth == null", {}, 9, "nothing compares with null; write `is null`"),
    ("null != depth", {}, 0, "nothing compares with null"),
    ("depth and good", {}, 0, "`and` takes conditions, and `depth` (int32) is none"),
    ("good or 1", {}, 8, "`or` takes conditions, and 1 (int64) is none"),
    ("not depth", {}, 4, "`not` takes conditions"),
    ("not 'x'", {}, 4, '`not` takes conditions, and "x" (string) is none'),
    ("station + 1", {}, 0, "`+` takes numbers, and `station` (string) is none"),
    ("1 - time", {}, 4, "`-` takes numbers"),
    ("good * 2", {}, 0, "`*` takes numbers"),
    ("depth + null", {}, 8, "`+` takes numbers"),
    ("-station", {}, 1, "`-` takes numbers"),
    ("depth + 99999999999999999999", {}, 8, "does not fit into 64 bits"),
    ("99999999999999999999", {}, 0, "does not fit into 64 bits"),
    ("huge + huge", {}, 5, "needs 77 digits, and a decimal has at most 76; write float(…)"),
    ("year()", {}, 0, "`year(time)` has another number of arguments than 0"),
    ("year(time, 1)", {}, 0, "`year(time)` has another number of arguments than 2"),
    ("round(temperature, 1, 2)", {}, 0, "`round(x, [digits])` has another number of arguments than 3"),
    ("bucket(depth)", {}, 0, "`bucket(x, edge, …)` has another number of arguments than 1"),
    ("year(depth)", {}, 5, "`time` of year is timestamp, date, and `depth` (int32) is none"),
    ("hour(day)", {}, 5, "`time` of hour is timestamp, time"),
    ("lower(depth)", {}, 6, "`text` of lower is string"),
    ("sqrt(station)", {}, 5, "`x` of sqrt is integer, float, decimal"),
    ("startswith(station, station)", {}, 20, "`start` of startswith must be the same for all rows"),
    ("contains(station, null)", {}, 18, "must be the same for all rows"),
    ("round(temperature, depth)", {}, 19, "must be the same for all rows"),
    ("round(temperature, 16)", {}, 19, "round takes 0 to 15 digits"),
    ("round(temperature, -1)", {}, 19, "round takes 0 to 15 digits"),
    ("date_trunc('fortnight', time)", {}, 11, "date_trunc knows year, quarter, month, week, day, hour"),
    ("date_trunc('hour', day)", {}, 11, "date_trunc knows year, quarter, month, week, day for a date, not 'hour'"),
    ("bucket(depth, 1, 3, 2)", {}, 20, "the edges of a bucket must ascend"),
    ("bucket(depth, 1, 1)", {}, 17, "the edges of a bucket must ascend"),
    ("bucket(depth, depth)", {}, 14, "must be the same for all rows"),
    ("bucket(depth, 'x')", {}, 14, '"x" is no integer; write the number without quotes'),
    ("bucket(time, 3)", {}, 13, "3 is no timestamp"),
    ("bucket(temperature, $x)", {"x": float("nan")}, 20, "NaN is no edge"),
    ("bucket(good, 1)", {}, 7, "`x` of bucket is integer"),
    ("coalesce(depth, 'x')", {}, 0, 'coalesce needs arguments of one type, and "x" (string) is not int32'),
    ("coalesce(depth, station)", {}, 0, "coalesce needs arguments of one type"),
    ("coalesce(time, naive)", {}, 0, "coalesce needs arguments of one type"),
    ("coalesce(huge, price)", {}, 0, "needs 78 digits"),
    ("coalesce(list, list)", {}, 9, "of coalesce is boolean"),
    ("int(time)", {}, 4, "`x` of int is integer"),
    ("depth within 'POINT (0 0)'", {}, 0, "`within` takes geometries (WKT or WKB), and `depth` (int32) is none"),
    ("raw within 'POINT (0'", {}, 11, "is no geometry; write it as WKT"),
    ("raw within null", {}, 11, "takes geometries"),
    ("h3(station, 5)", {}, 0, "h3 needs the h3 package"),
]


@pytest.mark.parametrize(("text", "variables", "position", "words"), FAULTS, ids=[f"{case[0]} {case[1] or ''}" for case in FAULTS])
def test_what_does_not_fit_is_refused_at_its_place(text: str, variables: Any, position: int, words: str) -> None:
    if text.startswith("h3"):
        pytest.importorskip("shapely")
    with pytest.raises(InvalidExpression) as caught:
        infer(parse(text), SCHEMA, variables)
    error = caught.value
    assert (error.position, words in error.message, error.text) == (position, True, text), error


def test_a_column_that_exists_twice_is_not_guessed() -> None:
    schema = pa.schema([("a", pa.int64()), ("a", pa.string())])
    with pytest.raises(InvalidExpression, match="there are several columns `a`"):
        infer(parse("a > 1"), schema)
