"""Everything that people read Parquet with must give back the same values and answer the same questions."""

import datetime
import math
from decimal import Decimal

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from odp_loader.sink import check_schema, write_empty
from odp_loader.spec import Compression
from tests.support.sink import READERS, assert_same, duck_rows, write

ROWS = 9_000
NAN = math.nan


def every_type(rows: int = ROWS) -> pa.Table:
    """All types of an output; each column with nulls, with values that repeat and with values that do not."""
    rng = np.random.default_rng(7)
    i = np.arange(rows)
    null = i % 11 == 3
    moment = np.datetime64("2024-01-01", "us") + i * 1_234_567
    columns = {
        "id": pa.array(i),
        "int8": pa.array(i % 100, pa.int8(), mask=null),
        "int16": pa.array(i % 30_000, pa.int16(), mask=null),
        "int32": pa.array(rng.integers(-(2**31), 2**31, rows), pa.int32(), mask=null),
        "int64": pa.array(rng.integers(-(2**63), 2**63 - 1, rows), mask=null),
        "float32": pa.array(rng.normal(size=rows).astype("f4"), mask=null),
        "float64": pa.array(np.where(i % 13 == 0, NAN, rng.normal(size=rows)), mask=null),
        "grid": pa.array(np.linspace(-89.5, 89.5, 180)[i % 180], mask=null),
        "bool": pa.array(i % 3 == 0, mask=null),
        "text": pa.array([f"Ørsted {n * 7919 % rows} 🌊" for n in i], mask=null),
        "name": pa.array([f"buoy {n % 7}" for n in i], mask=null),
        "binary": pa.array([n.to_bytes(3, "big") for n in i.tolist()], mask=null),
        "date": pa.array(moment.astype("datetime64[D]"), pa.date32(), mask=null),
        "time": pa.array(i * 1_000_003 % 86_400_000_000, pa.int64(), mask=null).cast(pa.time64("us")),
        "millis": pa.array(i * 101, pa.int32(), mask=null).cast(pa.time32("ms")),
        "timestamp": pa.array(moment, mask=null),
        "utc": pa.array(moment, pa.timestamp("us", "UTC"), mask=null),
        "decimal": pa.array([Decimal(int(n)) / 100 for n in i], pa.decimal128(12, 2), mask=null),
        "sea ice.fraction 冰/(%)": pa.array(i / 7, mask=null),
        "nothing": pa.nulls(rows, pa.float64()),
    }
    return pa.table(columns)


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("reader", READERS)
def test_all_types_come_back(tmp_path, reader, compression):
    table = every_type()
    write(tmp_path, table, compression=compression)
    assert_same(READERS[reader](tmp_path).sort_by("id"), table)


@pytest.mark.parametrize("reader", READERS)
def test_a_dataset_without_rows_opens_with_all_columns(tmp_path, reader):
    schema = every_type(1).schema
    write_empty(tmp_path, stem="part-0", schema=schema, partition_on=["name"])
    assert_same(READERS[reader](tmp_path), schema.empty_table())


def test_pandas_shows_the_attributes_of_table_and_columns(tmp_path):
    schema = pa.schema([pa.field("sst", pa.float64(), metadata={"units": "degC"})], metadata={"title": "COADS"})
    write(tmp_path, pa.table({"sst": [1.5]}, schema=schema))
    write(tmp_path / "more", pa.table({"sst": [2.5]}, schema=schema))
    assert pd.read_parquet(tmp_path).attrs == {"title": "COADS", "columns": {"sst": {"units": "degC"}}}
    dataset = ds.dataset(tmp_path)
    assert dataset.schema.metadata[b"title"] == b"COADS"
    assert dataset.schema.field("sst").metadata == {b"units": b"degC"}


# Questions about NaN. Two files: the first holds NaN beside small values only, so that bounds without NaN would rule it out;
# the second holds none and keeps its statistics. The oracle is each engine's own answer about the same rows in memory.

HOLES = pa.table({"id": range(8), "x": [1.0, NAN, 2.0, 3.0, NAN, 4.0, 3.0, 2.0]})
WHOLE = pa.table({"id": range(8, 12), "x": [4.0, 5.0, 6.0, None]})
BOTH = pa.concat_tables([HOLES, WHOLE])


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, HOLES)
    write(tmp_path / "more", WHOLE)
    (tmp_path / "more" / "part-0.parquet").rename(tmp_path / "part-1.parquet")
    (tmp_path / "more").rmdir()
    return tmp_path


EXPRESSIONS = {
    "x > 5": pc.field("x") > 5,
    "not x < 5": ~(pc.field("x") < 5),
    "not x <= 3": ~(pc.field("x") <= 3),
    "x != 4": pc.field("x") != 4,
    "x = NaN": pc.field("x") == NAN,
    "is_nan(x)": pc.is_nan(pc.field("x")),
    "x is null": pc.field("x").is_null(),
    "x is valid": pc.field("x").is_valid(),
}


@pytest.mark.parametrize("question", EXPRESSIONS)
def test_pyarrow_answers_as_for_rows_in_memory(folder, question):
    found = ds.dataset(folder).to_table(filter=EXPRESSIONS[question])
    assert_same(found.sort_by("id"), ds.dataset(BOTH).to_table(filter=EXPRESSIONS[question]))


@pytest.mark.parametrize("question", ["x > 5", "not x < 5", "not x <= 3", "x != 4", "x is null"])
def test_pandas_answers_as_for_rows_in_memory(folder, question):
    found = pd.read_parquet(folder, filters=EXPRESSIONS[question])
    assert sorted(found.id) == BOTH.filter(EXPRESSIONS[question])["id"].to_pylist()


QUERIES = [
    "x > 5",
    "x = 'NaN'::DOUBLE",
    "NOT x < 5",
    "NOT x <= 3",
    "x <> 4",
    "isnan(x)",
    "x > 1e300",
    "x IS NULL",
    "x BETWEEN 2 AND 5",
]


@pytest.mark.parametrize("question", QUERIES)
def test_duckdb_answers_as_for_rows_in_memory(folder, question):
    found = duck_rows(f"SELECT * FROM read_parquet('{folder}/*.parquet') WHERE {question} ORDER BY id")
    literal = ", ".join(
        f"({i}, {'NULL' if x is None else repr(str(x))}::DOUBLE)" for i, x in zip(*BOTH.to_pydict().values(), strict=True)
    )
    expected = duck_rows(f"SELECT id::BIGINT id, x FROM (VALUES {literal}) t(id, x) WHERE {question} ORDER BY id")
    assert expected.num_rows > 0
    assert_same(found, expected)


FRAMES = {
    "x > 5": lambda x: x > 5,
    "not x < 5": lambda x: ~(x < 5),
    "not x <= 3": lambda x: ~(x <= 3),
    "x != 4": lambda x: x != 4,
}


@pytest.mark.parametrize("question", [*FRAMES, "is_nan(x)"])
def test_polars_answers_as_for_rows_in_memory(folder, question):
    predicate = FRAMES[question](pl.col("x")) if question in FRAMES else pl.col("x").is_nan()
    expected = pl.from_arrow(BOTH).filter(predicate)
    assert expected.height > 0
    assert_same(pl.scan_parquet(folder).filter(predicate).sort("id").collect().to_arrow(), expected.to_arrow())


@pytest.mark.parametrize("filesystem", ["fsspec", "arrow"])
@pytest.mark.parametrize("question", FRAMES)
def test_dask_answers_as_for_rows_in_memory(folder, question, filesystem):
    frame = dd.read_parquet(folder, filesystem=filesystem)
    memory = dd.from_pandas(BOTH.to_pandas(), npartitions=1)
    with dask.config.set(scheduler="synchronous"):
        found = frame[FRAMES[question](frame.x)].compute().sort_values("id")
        expected = memory[FRAMES[question](memory.x)].compute()
    # Nulls are NaN in a pandas frame, but not to the filter that Dask hands on to pyarrow.
    null = BOTH.filter(pc.field("x").is_null())["id"].to_pylist()
    assert set(found.id) - set(null) == set(expected.id) - set(null) != set()


def test_only_the_file_with_nan_goes_without_statistics(folder):
    found = {}
    for name in ("part-0.parquet", "part-1.parquet"):
        row_group = pq.read_metadata(folder / name).row_group(0)
        found[name] = [row_group.column(i).is_stats_set for i in range(2)]
    assert found == {"part-0.parquet": [True, False], "part-1.parquet": [True, True]}


def test_readers_can_skip_row_groups_by_their_statistics(folder):
    def row_groups(question):
        return sum(f.subset(filter=question).num_row_groups for f in ds.dataset(folder).get_fragments())

    assert [row_groups(pc.field("id") >= 0), row_groups(pc.field("id") >= 8), row_groups(pc.field("id") > 100)] == [2, 1, 0]


def test_every_column_name_survives(tmp_path):
    names = ["temp (°C)", "a.b", "a/b", 'quo"te', "it's", "αβγ", "emoji 🌊", "UPPER", " spaced ", "select", "$x", "x" * 200]
    table = pa.table({"id": [1, 2], **{name: [NAN, 2.0] for name in names}})
    write(tmp_path, table)
    for read in READERS.values():
        assert_same(read(tmp_path), table)
    assert check_schema(table.schema).names == table.column_names


def test_dates_far_from_now_come_back(tmp_path):
    table = pa.table(
        {
            "id": [0, 1],
            "t": pa.array([datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)], pa.timestamp("us")),
        }
    )
    write(tmp_path, table)
    for name in ("dask-arrow", "pandas", "pyarrow", "polars", "duckdb"):
        assert_same(READERS[name](tmp_path), table)
