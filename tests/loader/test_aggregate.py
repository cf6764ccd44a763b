"""Aggregates in parts: however rows are cut and partial results merged, the groups are those of the whole table."""

import datetime
import decimal
import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_loader.errors import InvalidLoad
from odp_loader.spec import Aggregate
from odp_loader.transform.aggregate import Partial, Reduction

NAN = float("nan")
SCHEMA = pa.schema(
    [
        pa.field("station", pa.string(), metadata={"index": "1"}),
        pa.field("level", pa.float64()),
        pa.field("count_of_fish", pa.int64()),
        pa.field("temperature", pa.float64(), metadata={"unit": "degree_C"}),
        pa.field("species", pa.string()),
        pa.field("seen", pa.timestamp("us", "UTC")),
        pa.field("day", pa.date32()),
        pa.field("tagged", pa.bool_()),
        pa.field("weight", pa.decimal128(12, 2)),
    ],
    metadata={"title": "Catches"},
)
EVERYTHING = Aggregate(
    by=("station", "level"),
    columns={
        "count_of_fish": ("sum", "mean", "min", "max", "count"),
        "temperature": ("mean", "sum", "min", "max", "count"),
        "species": ("min", "max", "count"),
        "seen": ("min", "max", "count"),
        "day": ("max", "min"),
        "tagged": ("sum", "mean", "min"),
        "weight": ("sum", "mean", "max"),
    },
)
# Quarters are added without rounding, so that no order of adding them can be told from another.
QUARTERS = st.integers(-4_000, 4_000).map(lambda number: number / 4)
ROWS = st.fixed_dictionaries(
    {
        "station": st.none() | st.sampled_from(["a", "b", "", "None"]),
        "level": st.none() | st.sampled_from([0.0, -0.0, 1.5, NAN, -NAN, math.inf]),
        "count_of_fish": st.none() | st.integers(-(2**40), 2**40),
        "temperature": st.none() | st.just(NAN) | QUARTERS,
        "species": st.none() | st.text("abé☂", max_size=3),
        "seen": st.none() | st.datetimes(timezones=st.just(datetime.UTC)),
        "day": st.none() | st.dates(),
        "tagged": st.none() | st.booleans(),
        "weight": st.none() | st.decimals(-(10**6), 10**6, places=2),
    }
)


def of(rows: Sequence[dict[str, Any]], schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=schema)


def reduced(aggregate: Aggregate, *batches: pa.RecordBatch) -> pa.Table:
    partial = Partial(aggregate, batches[0].schema)
    for batch in batches:
        partial.add(batch)
    return Reduction(aggregate, batches[0].schema).finish(partial.table())


def is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def by_hand(rows: Sequence[dict[str, Any]], aggregate: Aggregate) -> list[dict[str, Any]]:
    """What the specification says, in plain Python; the oracle."""
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in rows:
        key = tuple("NaN" if is_nan(row[name]) else row[name] for name in aggregate.by)
        groups.setdefault(key, []).append(row)
    return [
        {
            **dict(zip(aggregate.by, key, strict=True)),
            **{
                f"{name}_{function}": by_hand_one([row[name] for row in members], function)
                for name, functions in aggregate.columns.items()
                for function in functions
            },
        }
        for key, members in groups.items()
    ]


def by_hand_one(values: list[Any], function: str) -> object:
    values = [value for value in values if value is not None]
    ordered = [value for value in values if not is_nan(value)]
    if function == "count":
        return len(values)
    if function in ("min", "max"):
        return None if not ordered else min(ordered) if function == "min" else max(ordered)
    if not values:
        return None
    if len(ordered) < len(values):
        return "NaN"
    return sum(values) if function == "sum" else float(sum(values)) / len(values)


def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = [{name: "NaN" if is_nan(value) else value for name, value in row.items()} for row in rows]
    return sorted(told, key=repr)


@given(st.lists(ROWS, max_size=40), st.lists(st.integers(0, 40), max_size=6), st.randoms(use_true_random=False))
def test_any_cut_and_any_order_of_merging_gives_the_groups_of_the_table(
    rows: list[dict[str, Any]], cuts: list[int], chance: random.Random
) -> None:
    reduction = Reduction(EVERYTHING, SCHEMA)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    tables = [reduction.partial(of(rows[low:high])) for low, high in itertools.pairwise(edges)]
    while len(tables) > 1:  # a random tree
        chance.shuffle(tables)
        some = chance.randint(2, len(tables))
        tables = [reduction.combine(tables[:some]), *tables[some:]]
    result = reduction.finish(reduction.combine(tables))
    assert result.schema.equals(reduction.result_schema, check_metadata=True)
    assert comparable(result.to_pylist()) == comparable(by_hand(rows, EVERYTHING))


@given(st.lists(ROWS, min_size=1, max_size=40))
def test_pandas_agrees(rows: list[dict[str, Any]]) -> None:
    aggregate = Aggregate(
        by=("station",), columns={"count_of_fish": ("sum", "min", "count"), "temperature": ("mean", "max", "count")}
    )
    for row in rows:  # to pandas a NaN is a missing value
        row["temperature"] = None if is_nan(row["temperature"]) else row["temperature"]
    frame = pd.DataFrame(rows, columns=SCHEMA.names).astype({"count_of_fish": "Int64", "temperature": "float64"})
    grouped = frame.groupby("station", dropna=False, sort=False)
    fish, temperature = grouped["count_of_fish"], grouped["temperature"]
    expected = pd.DataFrame(
        {
            "count_of_fish_sum": fish.sum(min_count=1),
            "count_of_fish_min": fish.min(),
            "count_of_fish_count": fish.count(),
            "temperature_mean": temperature.mean(),
            "temperature_max": temperature.max(),
            "temperature_count": temperature.count(),
        }
    )
    found = reduced(aggregate, of(rows)).to_pylist()
    assert len(found) == len(expected)
    for row in found:
        station = row.pop("station")
        ((_, wanted),) = expected[expected.index.isna() if station is None else expected.index == station].iterrows()
        assert row == {name: None if pd.isna(wanted[name]) else pytest.approx(wanted[name]) for name in row}


@given(st.lists(ROWS, min_size=1, max_size=40))
def test_pyarrow_agrees_where_it_has_no_quirk(rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_batches([of(rows)])
    expected = table.group_by("station", use_threads=False).aggregate(
        [("count_of_fish", "sum"), ("count_of_fish", "count"), ("seen", "max"), ("species", "min")]
    )
    aggregate = Aggregate(by=("station",), columns={"count_of_fish": ("sum", "count"), "seen": ("max",), "species": ("min",)})
    found = reduced(aggregate, of(rows))
    assert found.equals(expected.select(found.schema.names).sort_by("station").cast(found.schema))


def test_rows_are_sorted_by_the_keys_with_nulls_last() -> None:
    keys = [("b", 1.0), (None, 0.0), ("a", NAN), ("a", None), ("a", -1.0), ("b", None), (None, None)]
    rows = of([{"station": station, "level": level, "day": datetime.date(2024, 1, 1)} for station, level in keys])
    result = reduced(Aggregate(by=("station", "level"), columns={"day": ("count",)}), rows)
    assert list(zip(result["station"].to_pylist(), map(str, result["level"].to_pylist()), strict=True)) == [
        ("a", "-1.0"),
        ("a", "nan"),
        ("a", "None"),
        ("b", "1.0"),
        ("b", "None"),
        (None, "0.0"),
        (None, "None"),
    ]


def test_a_group_of_nothing_but_nan_has_no_minimum() -> None:
    rows = of([{"station": "a", "temperature": NAN}] * 3)
    (row,) = reduced(Aggregate(by=("station",), columns={"temperature": ("min", "max", "count", "mean")}), rows).to_pylist()
    assert (row["temperature_min"], row["temperature_max"], row["temperature_count"]) == (None, None, 3)
    assert math.isnan(row["temperature_mean"])


def test_types_names_and_attributes_of_a_result() -> None:
    schema = Reduction(EVERYTHING, SCHEMA).result_schema
    assert schema.metadata == {b"title": b"Catches"}
    assert schema.field("temperature_max").metadata == {b"unit": b"degree_C"}
    assert schema.field("temperature_count").metadata is None
    assert {field.name: str(field.type) for field in schema} == {
        "station": "string",
        "level": "double",
        "count_of_fish_sum": "int64",
        "count_of_fish_mean": "double",
        "count_of_fish_min": "int64",
        "count_of_fish_max": "int64",
        "count_of_fish_count": "int64",
        "temperature_mean": "double",
        "temperature_sum": "double",
        "temperature_min": "double",
        "temperature_max": "double",
        "temperature_count": "int64",
        "species_min": "string",
        "species_max": "string",
        "species_count": "int64",
        "seen_min": "timestamp[us, tz=UTC]",
        "seen_max": "timestamp[us, tz=UTC]",
        "seen_count": "int64",
        "day_max": "date32[day]",
        "day_min": "date32[day]",
        "tagged_sum": "int64",
        "tagged_mean": "double",
        "tagged_min": "bool",
        "weight_sum": "decimal128(38, 2)",
        "weight_mean": "double",
        "weight_max": "decimal128(12, 2)",
    }


@pytest.mark.parametrize(
    "kind",
    [
        pa.int8(),
        pa.uint64(),
        pa.float32(),
        pa.bool_(),
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.timestamp("ns"),
        pa.date64(),
        pa.time32("s"),
        pa.time64("us"),
        pa.decimal128(38, 5),
        pa.decimal256(60, 2),
        pa.dictionary(pa.int8(), pa.string()),
    ],
    ids=str,
)
def test_these_types_are_keys_and_have_a_minimum(kind: pa.DataType) -> None:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    rows = pa.record_batch({"key": pa.nulls(2, kind), "value": pa.nulls(2, kind)})
    result = reduced(Aggregate(by=("key",), columns={"value": ("min", "max", "count")}), rows, rows)
    assert result.to_pylist() == [{"key": None, "value_min": None, "value_max": None, "value_count": 0}]
    assert result.schema.types == [plain, plain, plain, pa.int64()]


def test_no_rows_are_no_groups() -> None:
    reduction = Reduction(EVERYTHING, SCHEMA)
    for table in (reduction.combine([]), Partial(EVERYTHING, SCHEMA).table(), reduction.partial(of([]))):
        assert table.schema.equals(reduction.partial_schema)
        result = reduction.finish(table)
        assert result.num_rows == 0
        assert result.schema.equals(reduction.result_schema, check_metadata=True)


def test_sums_of_integers_are_exact_and_may_overflow_on_the_way_but_not_at_the_end() -> None:
    aggregate = Aggregate(by=("station",), columns={"count_of_fish": ("sum", "mean")})
    big = [{"station": "a", "count_of_fish": value} for value in (2**62, 2**62, 2**62, -(2**62), -(2**62))]
    assert reduced(aggregate, *(of([row]) for row in big))["count_of_fish_sum"].to_pylist() == [2**62]
    with pytest.raises(
        InvalidLoad, match=r"aggregate\.columns\.count_of_fish: the sum of a group does not fit int64; derive a float"
    ):
        reduced(aggregate, of(big[:2]))


def test_unsigned_and_boolean_sums() -> None:
    rows = pa.record_batch({"k": [1, 1], "u": pa.array([2**63, 5], pa.uint64()), "b": [True, True]})
    with pytest.raises(InvalidLoad, match="does not fit int64"):
        reduced(Aggregate(by=("k",), columns={"u": ("sum",)}), rows)
    assert reduced(Aggregate(by=("k",), columns={"b": ("sum", "mean")}), rows).to_pylist() == [{"k": 1, "b_sum": 2, "b_mean": 1.0}]


def test_decimal_sums_beyond_their_digits() -> None:
    most = decimal.Decimal("9" * 36 + ".99")
    rows = pa.record_batch({"k": [1] * 20, "d": pa.array([most] * 20, pa.decimal128(38, 2))})
    with pytest.raises(InvalidLoad, match=r"does not fit decimal128\(38, 2\)"):
        reduced(Aggregate(by=("k",), columns={"d": ("sum",)}), rows)


def test_a_partial_result_survives_an_arrow_file() -> None:
    reduction = Reduction(EVERYTHING, SCHEMA)
    table = reduction.partial(of([{"station": "a", "level": 0.5, "count_of_fish": 3, "weight": decimal.Decimal("1.25")}]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    again = pa.ipc.open_file(sink.getvalue()).read_all()
    assert reduction.finish(reduction.combine([again, again]))["count_of_fish_sum"].to_pylist() == [6]


def test_memory_grows_with_groups_not_with_rows() -> None:
    rows = pa.record_batch({"key": pa.array([i % 100 for i in range(50_000)]), "value": pa.array([1.0] * 50_000)})
    partial = Partial(Aggregate(by=("key",), columns={"value": ("sum",)}), rows.schema)
    before = pa.total_allocated_bytes()
    for _ in range(200):
        partial.add(rows)
    assert pa.total_allocated_bytes() - before < rows.nbytes
    assert partial.table()[1].to_pylist() == [100_000.0] * 100


def test_many_groups_are_merged_on_the_way() -> None:
    partial = Partial(Aggregate(by=("key",), columns={"value": ("count",)}), pa.schema({"key": pa.int64(), "value": pa.int64()}))
    batch = pa.record_batch({"key": pa.array(range(100_000)), "value": pa.array(range(100_000))})
    for _ in range(12):
        partial.add(batch)
        assert sum(table.num_rows for table in partial._pending) <= 350_000
    assert partial.table()[1].unique().to_pylist() == [12]


@pytest.mark.parametrize(
    ("by", "columns", "message"),
    [
        ("statoin", {"day": ("count",)}, r"transform\.aggregate\.by: there is no column 'statoin'; did you mean 'station'\?"),
        ("station", {"*": ("count",)}, r"transform\.aggregate\.columns: there is no column '\*'; count any column by its name"),
        ("station", {"zz": ("count",)}, r"there is no column 'zz'; there are station, level, count_of_fish, .*"),
        (
            "station",
            {"species": ("mean",)},
            r"aggregate\.columns\.species: mean takes numbers, 'species' is string; use min, max or count",
        ),
        ("station", {"seen": ("sum",)}, r"sum takes numbers, 'seen' is timestamp"),
        ("places", {"day": ("count",)}, r"transform\.aggregate\.by: cannot group by 'places', its type is list"),
        ("station", {"places": ("max",)}, r"aggregate\.columns\.places: the type list.* has no max; use count"),
        ("day_count", {"day": ("count",)}, r"'day_count' would also be the name of a result"),
    ],
)
def test_what_cannot_be_reduced_is_named(by: str, columns: dict[str, Any], message: str) -> None:
    schema = SCHEMA.append(pa.field("places", pa.list_(pa.string()))).append(pa.field("day_count", pa.int64()))
    with pytest.raises(InvalidLoad, match=message):
        Reduction(Aggregate(by=(by,), columns=columns), schema)


def test_a_function_named_twice_counts_once() -> None:
    assert Reduction(Aggregate(by=("station", "station"), columns={"day": ("min", "min")}), SCHEMA).result_schema.names == [
        "station",
        "day_min",
    ]
