import datetime
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidLoad
from odp_loader.sink import check_schema
from odp_loader.sink.schema import conform

KEPT = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.string(), pa.binary()),
    *(pa.date32(), pa.time32("ms"), pa.time64("us"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us", "Europe/Oslo")),
    *(pa.decimal128(38, 0), pa.decimal128(5, 5)),
]
CONVERTED = [
    (pa.array([0, 255, None], pa.uint8()), pa.int16()),
    (pa.array([0, 2**16 - 1, None], pa.uint16()), pa.int32()),
    (pa.array([0, 2**32 - 1, None], pa.uint32()), pa.int64()),
    (pa.array([1.5, None], pa.float32()).cast(pa.float16()), pa.float32()),
    (pa.array(["a", None], pa.large_string()), pa.string()),
    (pa.array([b"a", None], pa.large_binary()), pa.binary()),
    (pa.array([b"ab", None], pa.binary(2)), pa.binary()),
    (pa.array(["a", "b", None, "a"]).dictionary_encode(), pa.string()),
    (pa.array([1, 2, None], pa.uint8()).dictionary_encode(), pa.int16()),
    (pa.array([datetime.date(2024, 2, 29), None], pa.date64()), pa.date32()),
    (pa.array([datetime.time(12, 30), None], pa.time32("s")), pa.time32("ms")),
    (pa.array([datetime.time(12, 30, 0, 1), None], pa.time64("ns")), pa.time64("us")),
    (pa.array([datetime.datetime(1600, 1, 1), None], pa.timestamp("s")), pa.timestamp("ms")),
    (pa.array([datetime.datetime(2024, 1, 1, 0, 0, 0, 1), None], pa.timestamp("ns", "UTC")), pa.timestamp("us", "UTC")),
    (pa.array([Decimal("1.50"), None], pa.decimal256(38, 2)), pa.decimal128(38, 2)),
]
REFUSED = [
    (pa.null(), "has no type"),
    (pa.uint64(), "uint64"),
    (pa.list_(pa.int64()), "nested"),
    (pa.struct([("a", pa.int64())]), "nested"),
    (pa.map_(pa.string(), pa.int64()), "nested"),
    (pa.duration("us"), "duration"),
    (pa.string_view(), "string_view"),
    (pa.month_day_nano_interval(), "interval"),
    (pa.decimal256(39, 0), "decimal256"),
    (pa.decimal128(5, -2), "decimal128"),
    (pa.dictionary(pa.int8(), pa.uint64()), "dictionary"),
]


@pytest.mark.parametrize("kept", KEPT, ids=str)
def test_what_table_formats_share_is_kept(kept):
    assert check_schema(pa.schema([("x", kept)])).field("x").type == kept


@pytest.mark.parametrize(("column", "stored"), CONVERTED, ids=lambda value: str(getattr(value, "type", value)))
def test_what_they_do_not_share_is_converted_without_losing_a_value(column, stored):
    batch = pa.record_batch({"x": column})
    schema = check_schema(batch.schema)
    assert schema.field("x").type == stored
    conformed = conform(batch, schema)
    assert conformed.schema.field("x").type == stored
    assert conformed.column("x").to_pylist() == column.to_pylist()


@pytest.mark.parametrize(("refused", "why"), REFUSED, ids=lambda value: str(value))
def test_what_cannot_be_stored_is_refused_by_name(refused, why):
    with pytest.raises(InvalidLoad, match=rf"column 'depth in m' .*{why}.*`columns`.*`map`"):
        check_schema(pa.schema([("a", pa.int64()), ("depth in m", refused)]))


def test_all_columns_at_fault_are_named_at_once():
    with pytest.raises(InvalidLoad) as caught:
        check_schema(pa.schema([("a", pa.null()), ("b", pa.int64()), ("c", pa.uint64()), ("b", pa.int8()), ("", pa.int8())]))
    lines = str(caught.value).splitlines()
    assert [line.split(" has")[0].split(" is")[0].split(" exists")[0] for line in lines] == [
        *("column 'a'", "column 'c'", "column 'b'", "a column")
    ]


@pytest.mark.parametrize("given", ["timestamp[ns]", "time64[ns]"])
def test_a_time_finer_than_a_microsecond_is_an_error_and_not_cut_off(given):
    kind = pa.timestamp("ns") if given.startswith("timestamp") else pa.time64("ns")
    batch = pa.record_batch({"time": pa.array([1000, 1001], pa.int64()).cast(kind)})
    with pytest.raises(InvalidLoad, match=r"column 'time' does not fit into .*floor\('us'\)"):
        conform(batch, check_schema(batch.schema))


def test_columns_with_the_right_type_are_not_copied():
    batch = pa.record_batch({"x": pa.array([1.0, 2.0]), "s": pa.array(["a", "b"])})
    conformed = conform(batch, check_schema(batch.schema))
    assert [b.address for c in conformed.columns for b in c.buffers() if b] == [
        b.address for c in batch.columns for b in c.buffers() if b
    ]


def test_every_column_may_hold_null():
    assert check_schema(pa.schema([pa.field("x", pa.int64(), nullable=False)])).field("x").nullable


def test_metadata_of_columns_and_table_is_kept_and_pandas_gets_it_too():
    temperature = pa.field("t", pa.float64(), metadata={"units": "degC", "standard_name": "sea_water_temperature"})
    schema = pa.schema([temperature, ("n", pa.int64())], metadata={"title": "Argo", "pandas": "{}", "PANDAS_ATTRS": '{"doi": 5}'})
    stored = check_schema(schema)
    assert stored.field("t").metadata == temperature.metadata
    assert stored.field("n").metadata is None
    assert stored.metadata.keys() == {b"title", b"PANDAS_ATTRS"}
    assert json.loads(stored.metadata[b"PANDAS_ATTRS"]) == {
        "title": "Argo",
        "doi": 5,
        "columns": {"t": {"units": "degC", "standard_name": "sea_water_temperature"}},
    }


def test_numbers_of_another_files_columns_are_dropped():
    schema = pa.schema([pa.field("t", pa.int64(), metadata={"PARQUET:field_id": "7"})])
    assert check_schema(schema).field("t").metadata is None
    assert not check_schema(schema).metadata


@pytest.mark.parametrize("damaged", [b"{", b"[1]", b"null", b"\xff"])
def test_damaged_metadata_of_a_source_is_no_obstacle(damaged):
    schema = pa.schema([("t", pa.int64())], metadata={"PANDAS_ATTRS": damaged, "geo": damaged})
    assert not check_schema(schema).metadata


def test_checking_twice_changes_nothing():
    schema = pa.schema(
        [pa.field("g", pa.string(), metadata={"class": "geometry"}), ("u", pa.uint8()), ("t", pa.timestamp("ns"))],
        metadata={"title": "x"},
    )
    once = check_schema(schema, ["u"])
    assert check_schema(once, ["u"]).equals(once, check_metadata=True)


@pytest.mark.parametrize(
    ("partition_on", "why"),
    [
        (["year"], "no column 'year'; the columns are"),
        (["x"], "'x' is double; only integers, text, booleans and dates"),
        (["time"], "'time' is timestamp"),
        (["g"], "'g' is binary"),
        (["a/b"], "'a/b' cannot be part of a folder's name"),
        (["_hidden"], "'_hidden' cannot be part"),
        (["50%"], "'50%' cannot be part"),
        (["n", "n"], "names a column twice"),
    ],
)
def test_columns_that_cannot_be_folders_are_refused(partition_on, why):
    columns = [
        *(("x", pa.float64()), ("time", pa.timestamp("us")), ("n", pa.int64()), ("a/b", pa.int64()), ("_hidden", pa.int64())),
        *(("50%", pa.int64()), pa.field("g", pa.string(), metadata={"isGeometry": "1"})),
    ]
    with pytest.raises(InvalidLoad, match=why):
        check_schema(pa.schema(columns), partition_on)


def test_a_column_must_be_left_for_the_files():
    with pytest.raises(InvalidLoad, match="no column is left"):
        check_schema(pa.schema([("a", pa.int64()), ("b", pa.string())]), ["a", "b"])


@pytest.mark.parametrize("columns", ["[]", '{"g": []}', '{"h": {"encoding": "WKB"}}'])
def test_a_geo_entry_that_fits_no_column_is_dropped(columns):
    schema = pa.schema([("g", pa.binary())], metadata={"geo": f'{{"columns": {columns}}}'})
    assert not check_schema(schema).metadata
