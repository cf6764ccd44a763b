"""Folders of partitionOn: what readers make of them, with and without being told the schema."""

import datetime

import dask
import dask.dataframe as dd
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from odp_loader.errors import InvalidLoad
from odp_loader.receipt import ColumnSummary
from tests.support.sink import READERS, assert_same, duck_rows, write

PLAIN_TEXTS = [
    *("abc", "Ørsted", "a b", "a/b", "a=b", "50%", "%41", "q\"'", "a:b", "A+B", "..", ".", "*?[a]", "~", "$HOME", "#1", "a\\b"),
    *(
        "🌊",
        "e\u0301",
        "é",
        " a ",
        "\t",
        "",
        "null",
        "NULL",
        "NA",
        "None",
        "2024-01",
        "2024-Q1",
        "W1",
        "1_000",
        "-",
        "today",
        "x" * 120,
    ),
]
MISLEADING_TEXTS = [
    *("01", "007", "-0", "1.50", "1e5", ".5", "5.", "NaN", "inf", "-inf", "infinity", "true", "TRUE", "False", "0x1f", "0b11"),
    *("12:00", "12:00:00", "2024-01-01", "2024-1-1", "01-02-2024", "2024/01/01", "01.02.2024", "2024-01-01T00:00:00Z", "epoch"),
    *(
        "9999999999999999999",
        "٣",
        "20240101T000000",
        "2024- 01-01",
        "-2024-01-01",
        "2024-01-01 10:00",
        "__HIVE_DEFAULT_PARTITION__",
    ),
]


def by_key(key, kind=None):
    """One row for each key, and a column for the files."""
    return pa.table({"id": range(len(key)), "key": pa.array(key, kind)})


def test_files_and_receipts_say_their_values(tmp_path):
    table = pa.table({"year": [2024, 2023, 2024], "t": [True, True, False], "x": [1.0, 2.0, 3.0]})
    files = write(tmp_path, table, partition_on=["year", "t"])
    assert {file.path: file.columns for file in files} == {
        "year=2023/t=true/part-0.parquet": {
            "x": ColumnSummary(0, 2.0, 2.0),
            "year": ColumnSummary(0, 2023, 2023),
            "t": ColumnSummary(0, True, True),
        },
        "year=2024/t=false/part-0.parquet": {
            "x": ColumnSummary(0, 3.0, 3.0),
            "year": ColumnSummary(0, 2024, 2024),
            "t": ColumnSummary(0, False, False),
        },
        "year=2024/t=true/part-0.parquet": {
            "x": ColumnSummary(0, 1.0, 1.0),
            "year": ColumnSummary(0, 2024, 2024),
            "t": ColumnSummary(0, True, True),
        },
    }
    assert all(pq.read_schema(tmp_path / file.path).names == ["x"] for file in files)
    assert (tmp_path / "year=2024" / "t=false" / "part-0.parquet").exists()


def test_receipts_of_dates_and_nulls(tmp_path):
    files = write(tmp_path, by_key([datetime.date(2024, 2, 29), None, None]), partition_on=["key"])
    assert {file.path: file.columns["key"] for file in files} == {
        "key=2024-02-29/part-0.parquet": ColumnSummary(0, "2024-02-29", "2024-02-29"),
        "key=__HIVE_DEFAULT_PARTITION__/part-0.parquet": ColumnSummary(2),
    }


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", [pa.int8(), pa.int64()], ids=str)
def test_whole_numbers_come_back_in_every_reader_untold(tmp_path, reader, kind):
    table = by_key([7, -5, 0, 100], kind)
    write(tmp_path, table, partition_on=["key"])
    assert_same(READERS[reader](tmp_path).sort_by("id"), table)


@pytest.mark.parametrize("reader", READERS)
def test_text_comes_back_in_every_reader_untold(tmp_path, reader):
    table = by_key(PLAIN_TEXTS)
    write(tmp_path, table, partition_on=["key"])
    assert_same(READERS[reader](tmp_path).sort_by("id"), table)


@pytest.mark.parametrize("text", PLAIN_TEXTS)
def test_each_text_comes_back_also_where_it_is_the_only_one(tmp_path, text):
    table = by_key([text])
    write(tmp_path, table, partition_on=["key"])
    for read in READERS.values():
        assert_same(read(tmp_path), table)


@pytest.mark.parametrize("text", MISLEADING_TEXTS)
def test_text_that_a_reader_would_change_is_refused(tmp_path, text):
    with pytest.raises(InvalidLoad, match=r"column 'key' .*`derive`"):
        write(tmp_path, by_key(["fine", text]), partition_on=["key"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_whole_numbers_as_text_come_back_as_the_same_digits(tmp_path):
    table = by_key(["5", "-17", "0", "999999999999999999"])
    write(tmp_path, table, partition_on=["key"])
    for read in READERS.values():
        assert_same(read(tmp_path).sort_by("id"), table)


def test_a_value_too_long_for_a_name_is_refused(tmp_path):
    with pytest.raises(InvalidLoad, match=r"a value of column 'key' is too long .*`derive` a shorter one"):
        write(tmp_path, by_key(["🌊" * 30]), partition_on=["key"])


TYPED = [
    by_key([2024, None, 1950, 3_000_000_000]),
    by_key(["a/b", None, "Ørsted %"]),
    by_key([True, None, False]),
    by_key([datetime.date(2024, 1, 1), None, datetime.date(1850, 12, 31)]),
    by_key([None, None], pa.int64()),
]


@pytest.mark.parametrize("table", TYPED, ids=lambda table: str(table.schema.field("key").type))
def test_all_types_and_nulls_come_back_in_readers_that_are_told(tmp_path, table):
    """As it stands in docs: each reader with the schema of the folders. Dask can be told with its fsspec file system only."""
    write(tmp_path, table, partition_on=["key"])
    key = table.schema.field("key").type
    folders = pa.schema([("key", key)])
    hive = ds.partitioning(folders, flavor="hive")
    sql = {pa.int64(): "BIGINT", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN", pa.date32(): "DATE"}[key]
    assert_same(ds.dataset(tmp_path, partitioning=hive).to_table().sort_by("id"), table)
    frame = pd.read_parquet(tmp_path, partitioning=hive, dtype_backend="pyarrow")
    assert_same(pa.Table.from_pandas(frame, preserve_index=False).sort_by("id"), table)
    told = {"partitioning": {"flavor": "hive", "schema": folders}}
    with dask.config.set(scheduler="synchronous"):
        frame = dd.read_parquet(tmp_path, dataset=told, dtype_backend="pyarrow").compute()
    assert_same(pa.Table.from_pandas(frame, preserve_index=False).sort_by("id"), table)
    told = {"key": pl.from_arrow(table.schema.empty_table())["key"].dtype}
    assert_same(pl.read_parquet(tmp_path, hive_schema=told).sort("id").to_arrow(), table)
    rows = duck_rows(f"SELECT * FROM read_parquet('{tmp_path}/**/*.parquet', hive_types = {{'key': {sql}}}) ORDER BY id")
    assert_same(rows, table)


@pytest.mark.parametrize("reader", ["pyarrow", "polars", "duckdb"])
@pytest.mark.parametrize("table", TYPED[:2], ids=["int64", "string"])
def test_nulls_come_back_untold_in_these(tmp_path, reader, table):
    write(tmp_path, table, partition_on=["key"])
    assert_same(READERS[reader](tmp_path).sort_by("id"), table)


@pytest.mark.parametrize("name", ["key", "my key", "sea-ice.fraction", "år", "2nd"])
def test_names_of_columns_come_back(tmp_path, name):
    table = pa.table({"id": [0, 1], name: [5, 6]})
    write(tmp_path, table, partition_on=[name])
    for read in READERS.values():
        assert_same(read(tmp_path).sort_by("id"), table)


def test_rows_of_a_folder_keep_their_order(tmp_path):
    table = pa.table(
        {"id": range(10_000), "a": [i % 3 for i in range(10_000)], "b": [None if i % 7 else i % 2 for i in range(10_000)]}
    )
    files = write(tmp_path, table, chunk=999, partition_on=["a", "b"])
    assert len(files) == 9
    for file in files:
        ids = pq.ParquetFile(tmp_path / file.path).read()["id"].to_pylist()
        assert ids == sorted(ids)
    assert sum(file.rows for file in files) == 10_000


def test_one_folder_skips_the_rest(tmp_path):
    write(tmp_path, pa.table({"year": [2023, 2024], "x": [1, 2]}), partition_on=["year"])
    fragments = ds.dataset(tmp_path, partitioning="hive").get_fragments(filter=ds.field("year") == 2024)
    assert [fragment.path.endswith("year=2024/part-0.parquet") for fragment in fragments] == [True]
