import gc
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from odp_loader.errors import InvalidLoad
from odp_loader.sink import PartitionWriter, write_empty, writer
from tests.support.sink import assert_same, write

MB = 2**20


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def open_files_below(folder):
    """How many files below a folder this process holds open."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(link.readlink())
        except FileNotFoundError:
            continue
    return sum(path.is_relative_to(folder) for path in links)


def row_groups(path):
    footer = pq.read_metadata(path)
    return [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]


@pytest.mark.parametrize("chunk", [10_000, 65_536, 122_880, 1_000_000])
def test_row_groups_have_the_same_size_whatever_the_chunks(tmp_path, chunk):
    write(tmp_path, pa.table({"x": np.arange(300_000)}), chunk=chunk)
    assert row_groups(tmp_path / "part-0.parquet") == [122_880, 122_880, 54_240]


def test_rows_keep_their_order(tmp_path):
    table = pa.table({"x": np.random.default_rng(0).permutation(200_000)})
    write(tmp_path, table, chunk=7_777)
    assert_same(pq.read_table(tmp_path / "part-0.parquet"), table)


def test_huge_values_make_smaller_row_groups(tmp_path):
    text = "x" * 100_000
    table = pa.table({"id": range(1500), "s": [text] * 1500})
    write(tmp_path, table, chunk=50)
    sizes = row_groups(tmp_path / "part-0.parquet")
    assert sum(sizes) == 1500
    assert max(sizes) * len(text) < writer.BUFFER_BYTES + 51 * len(text)
    assert min(sizes[:-1]) * len(text) > writer.BUFFER_BYTES // 2


def test_one_chunk_of_huge_values_is_cut_up(tmp_path):
    table = pa.table({"id": range(1000), "s": ["x" * 100_000] * 1000})
    write(tmp_path, table, chunk=1000)
    sizes = row_groups(tmp_path / "part-0.parquet")
    assert sum(sizes) == 1000
    assert max(sizes) * 100_000 < writer.BUFFER_BYTES * 1.3


def test_a_value_larger_than_the_buffer_is_written(tmp_path):
    table = pa.table({"s": ["a" * (writer.BUFFER_BYTES + 1), "b", None]})
    write(tmp_path, table)
    assert_same(pq.read_table(tmp_path / "part-0.parquet"), table)


def random_chunks(count, rows, folders=1):
    rng = np.random.default_rng(0)
    for start in range(0, count * rows, rows):
        folder = pa.array([f"f{n}" for n in range(folders)]).take(pa.array(rng.integers(0, folders, rows)))
        yield pa.record_batch({"id": np.arange(start, start + rows), "folder": folder, "x": rng.normal(size=rows)})


@pytest.mark.parametrize("folders", [1, 60])
def test_memory_does_not_grow_with_the_partition(tmp_path, monkeypatch, folders):
    """Partitions of 10 and 30 MB hold no more than the buffer, a chunk, a row group of 3 MB and the open files."""
    monkeypatch.setattr(writer, "BUFFER_BYTES", 2 * MB)
    held = {}
    for count in (20, 60):
        gc.collect()
        before, most = pa.total_allocated_bytes(), 0
        schema = next(random_chunks(1, 1)).schema
        with PartitionWriter(tmp_path / str(count), stem="part-0", schema=schema, partition_on=["folder"], durable=False) as own:
            for chunk in random_chunks(count, 20_000, folders):
                own.write(chunk)
                most = max(most, pa.total_allocated_bytes() - before)
            files = own.finish()
        assert sum(file.rows for file in files) == count * 20_000
        held[count] = most
    assert 0 < held[20] < 8 * MB
    assert held[60] < held[20] + MB


def test_few_files_are_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(writer, "OPEN_FILES", 5)
    most = 0
    schema = pa.schema([("id", pa.int64()), ("folder", pa.string()), ("x", pa.float64())])
    chunks = list(random_chunks(10, 200, folders=40))
    with PartitionWriter(tmp_path, stem="part-7", schema=schema, partition_on=["folder"], durable=False) as own:
        for chunk in chunks:
            own.write(chunk)
            most = max(most, open_files_below(tmp_path))
        files = own.finish()
    assert 0 < most <= 5
    assert open_files_below(tmp_path) == 0
    assert len(files) > 40
    by_folder = {}
    for file in files:
        folder, _, name = file.path.rpartition("/")
        by_folder.setdefault(folder, []).append(name)
    for names in by_folder.values():
        assert sorted(names) == sorted(["part-7.parquet", *(f"part-7-{i}.parquet" for i in range(1, len(names)))])
    assert [file.path for file in files] == files_below(tmp_path)
    expected = pa.Table.from_batches(chunks).sort_by("id").select(["id", "x", "folder"])
    assert_same(ds.dataset(tmp_path, partitioning="hive").to_table().sort_by("id"), expected)


def test_a_full_buffer_writes_the_fullest_folders_and_keeps_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "BUFFER_BYTES", 100_000)
    batch = pa.record_batch({"folder": ["big"] * 5_000 + ["small"] * 10, "x": np.arange(5_010)})
    with PartitionWriter(tmp_path, stem="part-0", schema=batch.schema, partition_on=["folder"]) as own:
        for _ in range(10):
            own.write(batch)
        assert files_below(tmp_path) == ["folder=big/part-0.parquet"]
        own.finish()
    assert row_groups(tmp_path / "folder=small" / "part-0.parquet") == [100]
    assert sum(row_groups(tmp_path / "folder=big" / "part-0.parquet")) == 50_000


def test_too_many_folders_are_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MOST_FOLDERS", 100)
    with pytest.raises(InvalidLoad, match=r"partitionOn: id would make more than 100 folders .*`derive`"):
        write(tmp_path, pa.table({"id": np.arange(101), "x": np.zeros(101)}), partition_on=["id"])


def test_a_partition_without_rows_becomes_no_file(tmp_path):
    schema = pa.schema([("x", pa.int64())])
    with PartitionWriter(tmp_path / "data", stem="part-0", schema=schema) as own:
        own.write(pa.record_batch([pa.array([], pa.int64())], schema=schema))
        assert own.finish() == ()
    assert not (tmp_path / "data").exists()


def test_abort_removes_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(writer, "OPEN_FILES", 2)
    (tmp_path / "other.parquet").write_text("somebody else's")
    own = PartitionWriter(tmp_path, stem="part-0", schema=next(random_chunks(1, 1)).schema, partition_on=["folder"])
    for chunk in random_chunks(3, 200, folders=5):
        own.write(chunk)
    assert len(files_below(tmp_path)) > 2
    own.abort()
    assert files_below(tmp_path) == ["other.parquet"]
    assert open_files_below(tmp_path) == 0


def test_an_exception_removes_what_was_written_and_finish_keeps_it(tmp_path):
    batch = pa.record_batch({"x": np.arange(200_000)})

    def interrupted():
        with PartitionWriter(tmp_path, stem="part-0", schema=batch.schema) as own:
            own.write(batch)
            assert files_below(tmp_path) == ["part-0.parquet"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files_below(tmp_path) == []
    with PartitionWriter(tmp_path, stem="part-0", schema=batch.schema) as own:
        own.write(batch)
        own.finish()
    assert files_below(tmp_path) == ["part-0.parquet"]
    own.abort()
    assert files_below(tmp_path) == []


def test_a_durable_file_is_synchronised_and_others_are_not(tmp_path, monkeypatch):
    synchronised = []
    monkeypatch.setattr(os, "fsync", lambda fd: synchronised.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    write(tmp_path, pa.table({"x": [1]}), durable=False)
    assert synchronised == []
    write(tmp_path, pa.table({"x": [1]}), durable=True)
    assert synchronised == ["part-0.parquet"]


def test_columns_may_come_in_another_order(tmp_path):
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    with PartitionWriter(tmp_path, stem="part-0", schema=schema) as own:
        own.write(pa.record_batch({"b": ["x"], "a": [1]}))
        own.finish()
    assert pq.read_table(tmp_path / "part-0.parquet").to_pydict() == {"a": [1], "b": ["x"]}


def test_the_empty_file_has_every_column_and_a_receipt(tmp_path):
    schema = pa.schema([("year", pa.int64()), ("x", pa.float64())], metadata={"title": "none"})
    file = write_empty(tmp_path, stem="part-0", schema=schema, partition_on=["year"])
    stored = pq.read_table(tmp_path / file.path)
    assert (stored.column_names, stored.num_rows) == (["year", "x"], 0)
    assert stored.schema.metadata[b"title"] == b"none"
    assert (file.path, file.rows, file.bytes) == ("part-0.parquet", 0, (tmp_path / "part-0.parquet").stat().st_size)
    assert {name: summary.nulls for name, summary in file.columns.items()} == {"year": 0, "x": 0}
