import datetime
import hashlib
import json
import math
import resource
from contextlib import contextmanager
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_loader.errors import LoadError
from odp_loader.receipt import ColumnSummary, Receipt, receipt_from_json, receipt_to_json
from odp_loader.sink import PartitionWriter, writer
from odp_loader.spec import Compression
from tests.support.sink import assert_same, write

NAN = math.nan


@pytest.fixture
def small_row_groups(monkeypatch):
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 100)


def columns_with_statistics(path):
    footer = pq.read_metadata(path)
    chunks = [footer.row_group(i).column(j) for i in range(footer.num_row_groups) for j in range(footer.num_columns)]
    return {chunk.path_in_schema for chunk in chunks if chunk.is_stats_set}


def test_receipt_describes_the_file(tmp_path):
    table = pa.table({"id": [3, 1, 2], "name": ["b", None, "a"]})
    (file,) = write(tmp_path, table)
    data = (tmp_path / "part-0.parquet").read_bytes()
    assert (file.path, file.rows, file.bytes) == ("part-0.parquet", 3, len(data))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert file.columns == {"id": ColumnSummary(0, 1, 3), "name": ColumnSummary(1, "a", "b")}


SUMMARIES = [
    (pa.array([2**62, None, -(2**62)]), (1, -(2**62), 2**62)),
    (pa.array([1.5, NAN, -2.5, None]), (1, -2.5, 1.5)),
    (pa.array([NAN, NAN]), (0, None, None)),
    (pa.array([NAN, None]), (1, None, None)),
    (pa.array([NAN, math.inf, 1.0]), (0, 1.0, "Infinity")),
    (pa.array([-math.inf, 1.0]), (0, "-Infinity", 1.0)),
    (pa.array([-0.0]), (0, 0.0, 0.0)),
    (pa.array([NAN, 0.5], pa.float32()), (0, 0.5, 0.5)),
    (pa.array([True, None, False]), (1, False, True)),
    (pa.array(["ø", "z", "a", "🌊"]), (0, "a", "🌊")),
    (pa.array(["", "x" * 129]), (0, "", None)),
    (pa.array(["a", "x" * 5000]), (0, None, None)),
    (pa.array([b"a", None]), (1, None, None)),
    (pa.array([None, None], pa.int64()), (2, None, None)),
    (pa.array([Decimal("-1.50"), Decimal("20.00")]), (0, "-1.50", "20.00")),
    (pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)]), (0, "0001-01-01", "9999-12-31")),
    (pa.array([datetime.datetime(1969, 12, 31, 23, 59, 59, 500_000)], pa.timestamp("us")), (0, *["1969-12-31T23:59:59.5"] * 2)),
    (pa.array([datetime.datetime(2024, 7, 1)], pa.timestamp("ms", "Europe/Oslo")), (0, *["2024-07-01T00:00:00Z"] * 2)),
    (pa.array([2**62], pa.int64()).cast(pa.timestamp("us")), (0, None, None)),
    (pa.array([datetime.time(12, 30, 0, 1)], pa.time64("us")), (0, *["12:30:00.000001"] * 2)),
    (pa.array([datetime.time(12, 30)], pa.time32("ms")), (0, *["12:30:00"] * 2)),
]


@pytest.mark.parametrize(("column", "summary"), SUMMARIES, ids=lambda value: str(getattr(value, "type", value)))
def test_summary_of_a_column(tmp_path, column, summary):
    files = write(tmp_path, pa.table({"x": column}))
    assert files[0].columns["x"] == ColumnSummary(*summary)
    assert math.copysign(1, files[0].columns["x"].minimum) > 0 if column.equals(pa.array([-0.0])) else True
    receipt = Receipt(0, 1, 0, 1, 8, files)
    strict = json.dumps(receipt_to_json(receipt), allow_nan=False)
    assert receipt_from_json(json.loads(strict)) == receipt


def test_summary_spans_row_groups_with_and_without_values(tmp_path, small_row_groups):
    table = pa.table(
        {
            "x": pa.array([None] * 150 + [*range(150)], pa.int64()),
            "s": ["m"] * 100 + ["a"] * 100 + ["long" * 2000] * 100,
            "f": [5.0] * 100 + [NAN] * 100 + [7.0] * 100,
        }
    )
    (file,) = write(tmp_path, table)
    assert file.columns == {"x": ColumnSummary(150, 0, 149), "s": ColumnSummary(0, None, None), "f": ColumnSummary(0, 5.0, 7.0)}


def test_file_is_begun_again_without_statistics_at_the_first_nan(tmp_path, small_row_groups):
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=1000) for name in ("a", "b", "c", "d")}
    columns["b"][350] = NAN
    columns["c"][720:] = NAN
    columns["d"][5] = NAN
    table = pa.table({"id": range(1000), **columns, "text": [f"row {i}" for i in range(1000)]}).replace_schema_metadata({"k": "v"})
    with PartitionWriter(tmp_path, stem="part-0", schema=table.schema) as own:
        for batch in table.to_batches(max_chunksize=70):
            own.write(batch)
        (file,) = own.finish()
    path = tmp_path / "part-0.parquet"
    assert own.nan_columns == {"b", "c", "d"}
    assert columns_with_statistics(path) == {"id", "a", "text"}
    assert_same(pq.read_table(path), table)
    assert pq.read_metadata(path).num_row_groups == 10
    assert file.columns["c"] == ColumnSummary(0, columns["c"][:720].min(), columns["c"][:720].max())
    assert file.columns["b"] == ColumnSummary(0, np.nanmin(columns["b"]), np.nanmax(columns["b"]))
    assert [entry.name for entry in tmp_path.iterdir()] == ["part-0.parquet"]


def test_files_of_known_nan_columns_are_not_begun_again(tmp_path, small_row_groups):
    table = pa.table({"x": [1.0] * 500 + [NAN], "y": [1.0] * 501})
    with PartitionWriter(tmp_path, stem="part-0", schema=table.schema, nan_columns=frozenset(["x", "gone"])) as own:
        own.write(table.slice(0, 450).to_batches()[0])
        inode = (tmp_path / "part-0.parquet").stat().st_ino
        own.write(table.slice(450).to_batches()[0])
        (file,) = own.finish()
    assert (tmp_path / "part-0.parquet").stat().st_ino == inode
    assert own.nan_columns == frozenset()
    assert columns_with_statistics(tmp_path / "part-0.parquet") == {"y"}
    assert file.columns["x"] == ColumnSummary(0, 1.0, 1.0)


def test_nan_below_a_null_is_no_nan(tmp_path):
    column = pa.array(np.array([1.0, NAN, 3.0]), mask=np.array([False, True, False]))
    with PartitionWriter(tmp_path, stem="part-0", schema=pa.schema([("x", pa.float64())])) as own:
        own.write(pa.record_batch({"x": column}))
        (file,) = own.finish()
    assert own.nan_columns == frozenset()
    assert columns_with_statistics(tmp_path / "part-0.parquet") == {"x"}
    assert file.columns["x"] == ColumnSummary(1, 1.0, 3.0)


@pytest.mark.parametrize("infinite", [math.inf, -math.inf])
def test_infinity_is_no_nan(tmp_path, infinite):
    write(tmp_path, pa.table({"x": [infinite, -infinite, 0.0]}))
    assert columns_with_statistics(tmp_path / "part-0.parquet") == {"x"}


@pytest.mark.parametrize("compression", Compression)
def test_codec_is_the_one_asked_for(tmp_path, compression):
    write(tmp_path, pa.table({"x": [1, 2]}), compression=compression)
    chunk = pq.read_metadata(tmp_path / "part-0.parquet").row_group(0).column(0)
    assert chunk.compression == compression.name


def test_the_same_rows_give_the_same_bytes(tmp_path):
    table = pa.table({"x": np.random.default_rng(1).normal(size=5000), "s": [f"{i % 50}" for i in range(5000)]})
    first, second = write(tmp_path / "a", table, chunk=5000), write(tmp_path / "b", table, chunk=77)
    assert first == second


@contextmanager
def disk(size: int):
    """Lets no file grow beyond `size`, as a full disk would; Python ignores the signal, so the write fails.

    For the block only: pytest's own output may go to a file that is longer.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failing_disk_is_an_error_with_the_file_and_leaves_nothing(tmp_path):
    table = pa.table({"x": np.random.default_rng(1).normal(size=200_000)})
    with pytest.raises(LoadError, match=r"part-0\.parquet cannot be written: File too large; ") as caught, disk(64 * 1024):
        write(tmp_path, table)
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_while_a_file_is_begun_again_leaves_nothing(tmp_path, small_row_groups):
    rng = np.random.default_rng(1)
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    with PartitionWriter(tmp_path, stem="part-0", schema=schema, compression=Compression.SNAPPY) as own:
        own.write(pa.record_batch([rng.normal(size=1000), rng.normal(size=1000)], schema=schema))
        assert (tmp_path / "part-0.parquet").stat().st_size > 10_000
        with pytest.raises(LoadError, match="cannot be written: File too large"), disk(8_000):
            own.write(pa.record_batch([[NAN] * 100, rng.normal(size=100)], schema=schema))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LoadError, match=r"file/part-0\.parquet cannot be written: File exists"):
        write(tmp_path / "file", pa.table({"x": [1]}))
    assert (tmp_path / "file").read_text() == "in the way"
