"""Whatever a table holds and whatever is said about it, its partitions hold every row exactly once."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odp_loader.errors import InvalidLoad
from odp_loader.partition import Partition, Predicate
from odp_loader.planning import Division, columns_of, divide
from odp_loader.planning.division import HISTOGRAM_FROM
from odp_loader.spec import Partitions
from tests.support.key_tables import KEY_TYPES, as_iso, as_number, bucket_counts, column, columns, matching, true_statistics

TARGET = 2**16
JUNK = st.sampled_from(
    ["n/a", "", True, [], {}, math.nan, math.inf, "NaN", "1e999", "\ud800", 10**400, -(10**400), 1.5, -1, "2024-13-01"]
)


def division(
    keys: pa.Array, entry: dict[str, Any], parts: int, *, maximum: int = 10_000, nullable: bool = True, **callbacks: Any
) -> Division:
    """A division of a table with one column into `parts` ranges, 1, 3 or more, if its values allow it."""
    size = parts * TARGET if parts > 16 else parts * TARGET // 8
    schema = pa.schema([pa.field("key", keys.type, nullable=nullable)])
    return divide(
        columns_of(schema, {"num_rows": len(keys), "columns": [entry]}),
        rows=1000,
        bytes_per_row=size / 1000,
        partitions=Partitions(target_bytes=TARGET, maximum=maximum),
        split_by="key",
        **callbacks,
    )


@st.composite
def stated(draw: st.DrawFn, keys: pa.Array) -> dict[str, Any]:
    """Statistics in any state: true, of an older table, reversed, missing, wrong, nonsense."""
    spelling = draw(st.sampled_from([as_number, as_iso]))
    entry = true_statistics(keys, spelling)
    match draw(st.sampled_from(["true", "stale", "reversed", "missing", "junk", "absent"])):
        case "stale":
            entry = true_statistics(keys.slice(0, draw(st.integers(0, len(keys)))), spelling)
        case "reversed":
            entry["min"], entry["max"] = entry["max"], entry["min"]
        case "missing":
            del entry[draw(st.sampled_from(["min", "max", "null_count"]))]
        case "junk":
            entry[draw(st.sampled_from(["min", "max", "null_count", "metadata"]))] = draw(JUNK)
        case "absent":
            return {"name": "another"}
    if draw(st.booleans()):
        entry["null_count"] = draw(st.integers(0, 50))
    return entry


def as_predicate(partition: Partition) -> Predicate:
    assert isinstance(partition.selection, Predicate)
    return partition.selection


def assert_tiled(partitions: tuple[Partition, ...], keys: pa.Array) -> None:
    """Every row matches exactly one predicate."""
    assert [partition.index for partition in partitions] == list(range(len(partitions)))
    hits = np.sum([matching(as_predicate(partition), keys) for partition in partitions], axis=0)
    assert hits.tolist() == [1] * len(keys)


def assert_well_cut(partitions: tuple[Partition, ...]) -> None:
    """Ranges touch, ascend, are open at both ends, and no two are the same."""
    ranges = [range_ for range_ in map(as_predicate, partitions) if range_.kind == "range"]
    assert len(ranges) != 1
    if ranges:
        assert ranges[0].low is None
        assert ranges[-1].high is None
        assert all(left.high == right.low for left, right in pairwise(ranges))
        inner = [range_.low for range_ in ranges[1:]]
        assert all(left < right for left, right in pairwise(inner))  # type: ignore[operator]


@pytest.mark.parametrize("type_", KEY_TYPES, ids=str)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_row_is_in_exactly_one_partition(type_: pa.DataType, data: st.DataObject) -> None:
    keys = data.draw(columns(type_))
    parts = data.draw(st.sampled_from([1, 3, 4, 9, 40]))

    def liar(questions: Any) -> Any:
        return [data.draw(st.lists(st.integers(0, 100), min_size=len(q.edges) + 1, max_size=len(q.edges) + 1)) for q in questions]

    callbacks = {
        "count_buckets": data.draw(st.sampled_from([None, lambda _: None, lambda questions: bucket_counts(questions, keys), liar])),
        "count_values": data.draw(
            st.sampled_from([None, lambda _: None, lambda _: {v: 2 for v in keys.to_pylist() if v is not None}])
        ),
    }
    if not pa.types.is_string(type_) and not pa.types.is_large_string(type_):
        del callbacks["count_values"]
    divided = division(keys, data.draw(stated(keys)), parts, **callbacks)
    assert_well_cut(divided.partitions)
    assert_tiled(divided.partitions, keys)


def selections(divided: Division) -> list[Predicate]:
    return [as_predicate(partition) for partition in divided.partitions]


def test_a_small_table_is_read_as_one() -> None:
    divided = division(pa.array([1, 2, None, 4]), {"name": "key", "min": 1, "max": 4}, 1)
    assert divided == Division((Partition(0, Predicate("everything"), 1000),), divided.notes, None)
    assert divided.notes == ("one partition: 1,000 rows of 8 bytes are no more than one",)


def test_integers_are_cut_into_equal_steps() -> None:
    entry = {"name": "key", "min": 0, "max": 99, "null_count": 7}
    divided = division(pa.array([], pa.int32()), entry, 4)
    assert [(s.kind, s.low, s.high) for s in selections(divided)] == [
        ("range", None, 25),
        ("range", 25, 50),
        ("range", 50, 75),
        ("range", 75, None),
        ("null", None, None),
    ]
    assert [partition.rows for partition in divided.partitions] == [None] * 4 + [7]
    assert divided.key == "key"


def test_64_bit_extremes_do_not_overflow() -> None:
    entry = {"name": "key", "min": -(2**63), "max": 2**63 - 1}
    lows = [s.low for s in selections(division(pa.array([], pa.int64()), entry, 4, nullable=False))]
    assert lows == [None, -(2**62), 0, 2**62]


def test_the_greatest_floats_do_not_overflow() -> None:
    entry = {"name": "key", "min": -1.7976931348623157e308, "max": 1.7976931348623157e308}
    lows = [s.low for s in selections(division(pa.array([], pa.float64()), entry, 4, nullable=False)) if s.kind == "range"]
    assert lows == [None, -(2.0**1023 - 2.0**970), 0, 2.0**1023 - 2.0**970]


def test_fewer_values_than_partitions_give_no_empty_ones() -> None:
    divided = division(pa.array([], pa.int8()), {"name": "key", "min": 3, "max": 5}, 40, nullable=False)
    assert [(s.low, s.high) for s in selections(divided)] == [(None, 4), (4, 5), (5, None)]


@pytest.mark.parametrize("entry", [{"min": 5, "max": 5}, {"min": None, "max": None, "null_count": 1000}, {"max": 9}, {}], ids=str)
def test_a_key_that_gives_nowhere_to_cut_is_read_as_one(entry: dict[str, Any]) -> None:
    divided = division(pa.array([], pa.int64()), {"name": "key", **entry}, 4)
    assert selections(divided) == [Predicate("everything")]
    assert "cannot be cut" in divided.notes[0]


def test_single_precision_cuts_are_single_precision_numbers() -> None:
    entry = {"name": "key", "min": 0.1, "max": 0.7}
    cuts = [s.low for s in selections(division(pa.array([], pa.float32()), entry, 9)) if s.low is not None]
    assert len(cuts) == 8
    assert [float(np.float32(cut)) for cut in cuts] == cuts  # type: ignore[arg-type]


@pytest.mark.parametrize(("unit", "zone"), [("s", None), ("ms", "UTC"), ("us", "Europe/Oslo"), ("ns", None)])
def test_bounds_of_times_are_whole_units_and_aware_where_the_column_is(unit: str, zone: str | None) -> None:
    entry = {"name": "key", "min": "2024-01-01T00:00:00", "max": "2024-01-01T00:01:00.9999999"}
    type_ = pa.timestamp(unit, zone)
    cuts = [s.low for s in selections(division(pa.array([], type_), entry, 7)) if s.low is not None]
    assert len(cuts) == 6
    for cut in cuts:
        pa.scalar(cut, type_)  # raises when digits would be lost
        assert (cut.tzinfo is None) == (zone is None)  # type: ignore[union-attr]


def test_a_column_that_cannot_be_null_has_no_partition_of_nulls() -> None:
    entry = {"name": "key", "min": 0, "max": 99, "null_count": 0}
    assert "null" in [s.kind for s in selections(division(pa.array([], pa.int64()), entry, 4))]
    assert "null" not in [s.kind for s in selections(division(pa.array([], pa.int64()), entry, 4, nullable=False))]


def test_only_floats_have_a_partition_of_nan() -> None:
    entry = {"name": "key", "min": 0.0, "max": 99.0, "null_count": 0}
    kinds = [s.kind for s in selections(division(pa.array([], pa.float64()), entry, 3))]
    assert kinds == ["range", "range", "range", "null", "nan"]


@pytest.mark.parametrize(("maximum", "total"), [(1, 1), (2, 1), (3, 3), (5, 5), (10_000, 41)])
def test_the_maximum_counts_every_partition(maximum: int, total: int) -> None:
    divided = division(pa.array([], pa.int64()), {"name": "key", "min": 0, "max": 10**6}, 40, maximum=maximum)
    assert len(divided.partitions) == total


def test_strings_are_cut_by_the_characters_that_may_occur() -> None:
    entry = {"name": "key", "min": "station_01", "max": "station_50"}
    cuts = [s.low for s in selections(division(pa.array([], pa.string()), entry, 10, nullable=False)) if s.low is not None]
    assert len(cuts) == 9
    assert all(str(cut).removeprefix("station_").isdigit() for cut in cuts)
    names = [f"station_{i:02}" for i in range(1, 51)]
    counts = [sum(matching(s, pa.array(names))) for s in selections(division(pa.array([], pa.string()), entry, 10))]
    assert max(counts) <= 6


def test_strings_are_cut_by_how_often_they_occur() -> None:
    values = {"b": 50, "a": 100, "d": 40, "c": 10, "e" * 5000: 100}
    entry = {"name": "key", "min": "a", "max": "z"}
    schema = pa.schema([pa.field("key", pa.string(), nullable=False)])
    asked = []

    def count_values(name: str) -> dict[str, int]:
        asked.append(name)
        return values

    divided = divide(
        columns_of(schema, {"columns": [entry]}),
        rows=300,
        bytes_per_row=TARGET / 100,
        partitions=Partitions(target_bytes=TARGET, maximum=3),
        count_values=count_values,
    )
    assert asked == ["key"]
    assert [(s.low, s.high) for s in selections(divided)] == [(None, "b"), ("b", "e" * 256), ("e" * 256, None)]
    assert [partition.rows for partition in divided.partitions] == [100, 100, 100]


def test_a_histogram_is_asked_for_only_when_there_is_much_to_balance() -> None:
    asked = []

    def count(questions: Any) -> None:
        asked.append(questions)

    entry = {"name": "key", "min": 0, "max": 10**6}
    division(pa.array([], pa.int64()), entry, HISTOGRAM_FROM - 1, count_buckets=count)
    assert asked == []
    divided = division(pa.array([], pa.int64()), entry, HISTOGRAM_FROM, nullable=False, count_buckets=count)
    assert len(asked) == 1
    assert "equal steps" in divided.notes[1]


def test_the_same_table_gives_the_same_plan() -> None:
    keys = column(list(range(1000)) * 2 + [7] * 500, pa.timestamp("us"))
    entry = true_statistics(keys, as_iso)
    plans = [division(keys, entry, 20, count_buckets=lambda questions: bucket_counts(questions, keys)) for _ in range(2)]
    assert plans[0] == plans[1]


def test_nothing_is_asked_about_a_key_that_cannot_be_used() -> None:
    with pytest.raises(InvalidLoad, match='splitBy: "key" cannot be cut into ranges, its type is bool'):
        division(pa.array([True]), {"name": "key"}, 40)
