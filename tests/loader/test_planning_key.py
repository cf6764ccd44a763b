"""Which column is the key, what statistics are worth, and how many partitions a table gets."""

import datetime
import math
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidLoad
from odp_loader.planning import ColumnStatistics, columns_of
from odp_loader.planning.key import choose_key
from odp_loader.planning.size import partition_count
from odp_loader.spec import Partitions

TIME = ColumnStatistics("time", "timestamp[us]", datetime.datetime(2020, 1, 1), datetime.datetime(2024, 1, 1), 0)
DAY = ColumnStatistics("day", "date32[day]", datetime.date(2020, 1, 1), datetime.date(2024, 1, 1), 0)
NUMBER = ColumnStatistics("number", "int64", 0, 99, 0)
NAME = ColumnStatistics("name", "string", "a", "z", 0)
DEPTH = ColumnStatistics("depth", "double", 0.0, 11_000.0, 0)
INDEXED = ColumnStatistics("indexed", "int64", 0, 99, 0, metadata={"index": "1"})
INDEXED_FLOAT = ColumnStatistics("indexed_float", "double", 0.0, 9.0, 0, metadata={"index": "1"})
INDEXED_PLACE = ColumnStatistics("place", "string", "POINT(0 0)", "POINT(9 9)", 0, metadata={"index": "", "isGeometry": "1"})
FLAG = ColumnStatistics("flag", "bool")
PRICE = ColumnStatistics("price", "decimal128(10, 2)")
CONSTANT = ColumnStatistics("constant", "timestamp[us]", TIME.minimum, TIME.minimum, 0)
NULLS = ColumnStatistics("nulls", "timestamp[us]", None, None, 1000)
MANY_NULLS = ColumnStatistics("many_nulls", "timestamp[us]", TIME.minimum, TIME.maximum, 200)
UNKNOWN = ColumnStatistics("unknown", "timestamp[us]")
NOT_AN_INDEX = ColumnStatistics("no_index", "int64", 0, 99, 0, metadata={"index": "false"})


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ([NAME, NUMBER, TIME, DAY], "time"),
        ([NAME, NUMBER, DAY, TIME], "day"),
        ([NAME, NUMBER, DEPTH], "number"),
        ([DEPTH, NAME], "name"),
        ([TIME, INDEXED], "indexed"),
        ([TIME, NOT_AN_INDEX], "time"),
        ([INDEXED_PLACE, INDEXED_FLOAT, NUMBER], "number"),
        ([CONSTANT, NULLS, NUMBER], "number"),
        ([MANY_NULLS, UNKNOWN, NAME], "name"),
        ([MANY_NULLS, DEPTH], "many_nulls"),
        ([UNKNOWN], "unknown"),
        ([ColumnStatistics("sea level", "int64", 0, 9), NAME], "name"),
        ([ColumnStatistics("a.b", "int64", 0, 9), NAME], "name"),
        ([ColumnStatistics("Null", "int64", 0, 9), NAME], "name"),
        ([DEPTH, FLAG, PRICE, INDEXED_PLACE, CONSTANT, NULLS], None),
        ([], None),
    ],
    ids=lambda value: "+".join(column.name for column in value) if isinstance(value, list) else str(value),
)
def test_the_best_column_is_the_key(columns: list[ColumnStatistics], chosen: str | None) -> None:
    choice = choose_key(columns, split_by=None, rows=1000)
    assert (choice.column.name if choice.column else None) == chosen
    assert choice.why


@pytest.mark.parametrize("column", [DEPTH, CONSTANT, NULLS, UNKNOWN, NAME], ids=lambda column: column.name)
def test_the_column_that_is_asked_for_is_the_key(column: ColumnStatistics) -> None:
    choice = choose_key([INDEXED, TIME, column], split_by=column.name, rows=1000)
    assert choice.column is column
    assert choice.why == f'"{column.name}" is the key: splitBy asks for it'


def test_the_choice_says_why() -> None:
    assert choose_key([INDEXED], split_by=None, rows=9).why == '"indexed" is the key: the table marks it as index'
    assert choose_key([TIME], split_by=None, rows=9).why == '"time" is the key: the best time column'
    unsound = choose_key([UNKNOWN], split_by=None, rows=9).why
    assert unsound == '"unknown" is the key: the best time column, though its bounds are unknown or many of its values null'


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("Time", 'the table has no column "Time"; did you mean "time"?'),
        ("tmie", 'the table has no column "tmie"; did you mean "time"?'),
        ("salinity", 'the table has no column "salinity"; name one of time, depth, or leave splitBy out'),
        ("flag", '"flag" cannot be cut into ranges, its type is bool; name one of time, depth, or leave splitBy out'),
        ("price", '"price" cannot be cut into ranges, its type is decimal128(10, 2); name one of'),
        ("place", '"place" cannot be cut into ranges, it is a geometry; name one of'),
        ("sea level", '"sea level" cannot be cut into ranges, a filter cannot name it'),
        ("is", '"is" cannot be cut into ranges, its name is a word of the filter language'),
    ],
)
def test_a_column_that_cannot_be_used_is_refused(asked: str, message: str) -> None:
    odd = [ColumnStatistics("sea level", "int64"), ColumnStatistics("is", "int64")]
    with pytest.raises(InvalidLoad) as raised:
        choose_key([TIME, DEPTH, FLAG, PRICE, INDEXED_PLACE, *odd], split_by=asked, rows=1000)
    assert str(raised.value).startswith(f"splitBy: {message}")


def test_a_table_without_any_key_says_so() -> None:
    with pytest.raises(InvalidLoad, match="leave splitBy out: no column of this table can be cut"):
        choose_key([FLAG], split_by="flag", rows=1000)


def parsed(type_: pa.DataType, low: Any, high: Any, **entry: Any) -> tuple[Any, Any]:
    schema = pa.schema([("key", type_)])
    (column,) = columns_of(schema, {"columns": [{"name": "key", "min": low, "max": high, **entry}]})
    return column.minimum, column.maximum


@pytest.mark.parametrize(
    ("type_", "raw", "value"),
    [
        (pa.int64(), 7, 7),
        (pa.int64(), 7.0, 7),
        (pa.int64(), "7", 7),
        (pa.int64(), 7.5, None),
        (pa.int64(), True, None),
        (pa.int64(), "seven", None),
        (pa.int8(), 200, None),
        (pa.uint64(), 2**64 - 1, 2**64 - 1),
        (pa.uint64(), -1, None),
        (pa.int64(), 10**500, None),
        (pa.float64(), 7, 7.0),
        (pa.float64(), "1e3", 1000.0),
        (pa.float64(), math.nan, None),
        (pa.float64(), "NaN", None),
        (pa.float64(), -math.inf, None),
        (pa.float64(), 10**400, None),
        (pa.float32(), 1e300, None),
        (pa.timestamp("us"), "2024-01-01T00:00:00Z", datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), "2024-01-01 02:00:00+02:00", datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), "2024-01-01 00:00:00.123456789", datetime.datetime(2024, 1, 1, 0, 0, 0, 123456)),
        (pa.timestamp("us"), "2024-01-01", datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), "20240101", datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), 1_704_067_200_000_000, datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), "1704067200000000", datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), 1_704_067_200_000_000_000, None),
        (pa.timestamp("ns"), 1_704_067_200_000_000_000, datetime.datetime(2024, 1, 1)),
        (pa.timestamp("ns"), "9999-01-01T00:00:00", None),
        (pa.timestamp("ms", "UTC"), 1_704_067_200_000, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
        (pa.timestamp("s", "Europe/Oslo"), "2024-01-01T00:00:00.9", datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)),
        (pa.timestamp("s"), 1_704_067_200.5, datetime.datetime(2024, 1, 1)),
        (pa.timestamp("us"), "yesterday", None),
        (pa.timestamp("us"), [], None),
        (pa.timestamp("us"), False, None),
        (pa.date32(), "2024-01-01", datetime.date(2024, 1, 1)),
        (pa.date32(), "2024-01-01T00:00:00", datetime.date(2024, 1, 1)),
        (pa.date32(), 19_723, datetime.date(2024, 1, 1)),
        (pa.date64(), 1_704_067_200_000, datetime.date(2024, 1, 1)),
        (pa.date32(), 10**18, None),
        (pa.date32(), "2024-01-41", None),
        (pa.string(), "2024", "2024"),
        (pa.string(), 7, None),
        (pa.string(), "\ud800", None),
        (pa.bool_(), True, None),
        (pa.binary(), "x", None),
        (pa.float16(), 1.0, None),
        (pa.time64("us"), 1, None),
    ],
    ids=str,
)
def test_a_bound_is_read_as_its_type_says(type_: pa.DataType, raw: Any, value: Any) -> None:
    assert parsed(type_, raw, raw) == (value, value)
    assert type(parsed(type_, raw, raw)[0]) is type(value)


def test_reversed_bounds_are_exchanged() -> None:
    assert parsed(pa.int64(), 9, 1) == (1, 9)
    assert parsed(pa.string(), "b", "a") == ("a", "b")


@pytest.mark.parametrize("nulls", [-1, True, "3", None, 2.5], ids=repr)
def test_a_count_of_nulls_that_is_none_is_unknown(nulls: Any) -> None:
    (column,) = columns_of(pa.schema([("key", pa.int64())]), {"columns": [{"name": "key", "null_count": nulls}]})
    assert column.nulls is None


@pytest.mark.parametrize("statistics", [{}, {"columns": None}, {"columns": "x"}, {"columns": [None, 3, {}]}], ids=repr)
def test_statistics_may_say_nothing(statistics: dict[str, Any]) -> None:
    assert columns_of(pa.schema([("key", pa.int64())]), statistics) == (ColumnStatistics("key", "int64"),)


def test_metadata_comes_from_the_schema_and_from_the_statistics() -> None:
    schema = pa.schema([pa.field("key", pa.int64(), nullable=False, metadata={"index": "1", "unit": "m"})])
    (column,) = columns_of(schema, {"columns": [{"name": "key", "metadata": {"unit": "km", "class": "latitude", "n": 1}}]})
    assert column.metadata == {"index": "1", "unit": "m", "class": "latitude", "n": "1"}
    assert column.is_index
    assert not column.nullable
    (place,) = columns_of(pa.schema([("key", pa.string())]), {"columns": [{"name": "key", "metadata": {"class": "Geometry"}}]})
    assert place.is_geometry
    assert place.kind is None


MEBI = 2**20


@pytest.mark.parametrize(
    ("size_mib", "expected"),
    [(0, 1), (5, 1), (32, 1), (33, 3), (64, 4), (96, 6), (128, 8), (256, 16), (477, 16), (2048, 16), (2049, 17), (10_240, 80)],
)
def test_the_default_target_gives_every_preset_enough_streams(size_mib: int, expected: int) -> None:
    assert partition_count(size_mib * 1024, 1024.0, Partitions()) == expected


def test_a_target_that_is_asked_for_is_kept() -> None:
    assert partition_count(1000, 1 * MEBI, Partitions(target_bytes=2**16)) == 10_000
    assert partition_count(1000, 2.5 * MEBI, Partitions(target_bytes=25 * MEBI)) == 100
    assert partition_count(1000, 1 * MEBI, Partitions(target_bytes=4000 * MEBI)) == 1
    assert partition_count(10**12, 1.0, Partitions(maximum=7)) == 7
