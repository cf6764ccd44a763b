"""Parquet files as a source: one schema over all of them, every row exactly once, in bounded memory."""

import datetime
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odp_loader import spec
from odp_loader.errors import InvalidLoad
from odp_loader.manifest import describe_schema
from odp_loader.partition import FileSlice, FileSlices, Partition, Predicate, RowRange, partition_from_json, partition_to_json
from odp_loader.sources.files import FilesSource
from odp_loader.sources.files.division import Piece, divide
from odp_loader.sources.files.types import widen
from odp_loader.spec import Partitions
from tests.support.files_source import files_source, load, paths_of

OCEAN = pa.table(
    {
        "time": pa.array([datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i) for i in range(1000)], pa.timestamp("us")),
        "station": [f"ST-{i % 7}" for i in range(1000)],
        "temperature": pa.array([None if i % 10 == 3 else i / 10 for i in range(1000)]),
        "depth": pa.array(range(1000), pa.int32()),
    }
)


def write(folder: Path, files: Mapping[str, pa.Table], **options: Any) -> Path:
    for name, table in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, folder / name, **options)
    return folder


class TestTable:
    def test_all_rows_come_once_however_it_is_divided(self, tmp_path: Path) -> None:
        write(tmp_path, {f"{i}.parquet": OCEAN.slice(i * 250, 250) for i in range(4)}, row_group_size=30)
        for target, least in ((2**40, 1), (10_000, 3), (2**16, 1), (1, 36)):
            source = files_source(tmp_path)
            description = source.describe()
            assert description.rows == 1000
            cut = source.divide(description, Partitions.model_construct(target_bytes=target, maximum=10_000), bytes_per_row=35)
            assert len(cut.partitions) >= least
            assert sum(partition.rows or 0 for partition in cut.partitions) == 1000
            assert [partition_from_json(partition_to_json(each)) for each in cut.partitions] == list(cut.partitions)
            assert load(tmp_path, cut=cut, description=description).equals(OCEAN)
            assert sum(source.count(partition.selection) for partition in cut.partitions) == 1000

    def test_chunks_are_short_and_memory_is_bounded(self, tmp_path: Path) -> None:
        rows = 1_500_000
        table = pa.table({name: pa.array(range(rows), pa.int64()) for name in "abcd"})  # 48 MB, one row group
        write(tmp_path, {"x.parquet": table}, row_group_size=rows, use_dictionary=False, compression="none")
        del table
        source = files_source(tmp_path)
        read, most, before = 0, 0, pa.total_allocated_bytes()
        for batch in source.read(FileSlices((FileSlice("x.parquet"),))):
            assert batch.num_rows <= 120_000
            read += batch.num_rows
            most = max(most, pa.total_allocated_bytes() - before)
        assert read == rows
        assert most < 25e6

    def test_columns_and_filter(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN.slice(0, 500), "b.parquet": OCEAN.slice(500)})
        options = {"columns": ("station", "depth"), "filter": 'temperature > 50 and time < "2024-02-01T00:00:00"'}
        source = files_source(tmp_path, **options)
        description = source.describe()
        assert description.rows is None
        assert description.schema.names == ["station", "depth"]
        expected = [row for row in OCEAN.to_pylist() if (row["temperature"] or 0) > 50 and row["time"].month == 1]
        wanted = [{"station": row["station"], "depth": row["depth"]} for row in expected]
        assert len(wanted) > 100
        assert load(tmp_path, **options).to_pylist() == wanted
        assert source.count(None) == source.count(Predicate("everything")) == len(wanted)
        first = source.preview()
        assert first is not None
        assert first.to_pylist() == wanted  # the first file has none of them

    def test_preview_of_nothing(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        assert files_source(tmp_path, filter="depth > 5000").preview() is None

    def test_no_rows_but_a_schema(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN.slice(0, 0)})
        source = files_source(tmp_path)
        description = source.describe()
        assert (description.rows, description.schema.names) == (0, OCEAN.schema.names)
        assert source.divide(description, Partitions(), bytes_per_row=10).partitions == ()
        assert source.preview() is None

    def test_metadata_stays(self, tmp_path: Path) -> None:
        field = pa.field("t", pa.float64(), metadata={"units": "degC", "standard_name": "sea_water_temperature"})
        table = pa.table([[1.0]], schema=pa.schema([field], metadata={"title": "COADS", "pandas": "{}"}))
        write(tmp_path, {"a.parquet": table, "b.parquet": OCEAN.select(["depth"])})
        schema = files_source(tmp_path).describe().schema
        assert schema.metadata == {b"title": b"COADS"}
        assert schema.field("t").metadata[b"units"] == b"degC"

    def test_a_source_is_small_to_send_and_needs_to_look_at_nothing_again(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        source = files_source(tmp_path, columns=("depth",), filter="temperature > 99")
        schema = source.describe().schema
        there = FilesSource(
            pickle.loads(pickle.dumps(spec.FilesSource(url=str(tmp_path), filter="temperature > 99"))), schema=schema
        )
        found = pa.Table.from_batches(there.read(FileSlices((FileSlice("a.parquet", 0, 1),))), schema)
        assert found["depth"].to_pylist() == list(range(991, 993)) + list(range(994, 1000))

    def test_other_selections_are_refused(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        with pytest.raises(TypeError, match="RowRange"):
            files_source(tmp_path).count(RowRange(0, 0, 1))


class TestTypes:
    def test_safe_widenings_are_made_and_noted(self, tmp_path: Path) -> None:
        one = pa.table({"i": pa.array([1], pa.int32()), "f": pa.array([1.5], pa.float32()), "n": pa.nulls(1), "only": ["x"]})
        two = pa.table({"i": pa.array([2**40], pa.int64()), "f": pa.array([0.1], pa.float64()), "n": ["y"]})
        write(tmp_path, {"1.parquet": one, "2.parquet": two})
        assert load(tmp_path).to_pylist() == [
            {"i": 1, "f": 1.5, "n": None, "only": "x"},
            {"i": 2**40, "f": 0.1, "n": "y", "only": None},
        ]
        source = files_source(tmp_path)
        notes = source.divide(source.describe(), Partitions(), bytes_per_row=8).notes
        assert "column 'i' is read as int64: it is int32 in 1.parquet, int64 in 2.parquet" in notes
        assert "column 'only' is null in 1 of 2 files, which lack it" in notes

    def test_a_clash_is_named(self, tmp_path: Path) -> None:
        write(tmp_path, {"1.parquet": pa.table({"id": [1], "x": [1]}), "b/2.parquet": pa.table({"id": ["one"], "x": [2]})})
        with pytest.raises(InvalidLoad, match=r"'id' is int64 in 1\.parquet and string in b/2\.parquet.* source\.files\.columns"):
            files_source(tmp_path).describe()
        assert load(tmp_path, columns=("x",)).to_pylist() == [{"x": 1}, {"x": 2}]
        with pytest.raises(InvalidLoad, match="'id' is int64"):
            files_source(tmp_path, columns=("x",), filter="id == 1").describe()

    @pytest.mark.parametrize(
        ("one", "other", "joined"),
        [
            (pa.int8(), pa.int64(), pa.int64()),
            (pa.uint8(), pa.int8(), pa.int16()),
            (pa.uint32(), pa.int8(), pa.int64()),
            (pa.uint64(), pa.int64(), None),
            (pa.uint16(), pa.uint64(), pa.uint64()),
            (pa.int32(), pa.float64(), pa.float64()),
            (pa.int64(), pa.float64(), None),
            (pa.int32(), pa.float32(), None),
            (pa.int16(), pa.float32(), pa.float32()),
            (pa.float32(), pa.float64(), pa.float64()),
            (pa.null(), pa.string(), pa.string()),
            (pa.string(), pa.large_string(), pa.large_string()),
            (pa.string(), pa.binary(), None),
            (pa.binary(16), pa.binary(), pa.large_binary()),
            (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
            (pa.date32(), pa.date64(), pa.date32()),
            (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
            (pa.date32(), pa.timestamp("us", "UTC"), None),
            (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
            (pa.timestamp("us", "UTC"), pa.timestamp("ms", "Europe/Oslo"), pa.timestamp("us", "UTC")),
            (pa.timestamp("us"), pa.timestamp("us", "UTC"), None),
            (pa.time32("s"), pa.time64("us"), pa.time64("us")),
            (pa.decimal128(5, 2), pa.decimal128(6, 1), pa.decimal128(7, 2)),
            (pa.decimal128(38, 0), pa.decimal128(38, 38), None),
            (pa.bool_(), pa.int8(), None),
            (pa.list_(pa.int8()), pa.list_(pa.int16()), pa.list_(pa.int16())),
            (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), pa.struct([("a", pa.int8()), ("b", pa.int8())])),
            (pa.struct([("a", pa.int8())]), pa.struct([("a", pa.string())]), None),
        ],
    )
    def test_widen(self, one: pa.DataType, other: pa.DataType, joined: pa.DataType | None) -> None:
        assert widen(one, other) == joined
        assert widen(other, one) in (joined, pa.struct([("b", pa.int8()), ("a", pa.int8())]))

    def test_old_nanoseconds_and_dictionaries(self, tmp_path: Path) -> None:
        """INT96 holds times that nanoseconds since 1970 do not."""
        old = datetime.datetime(1500, 1, 1)
        table = pa.table({"t": pa.array([old], pa.timestamp("us")), "s": pa.array(["x"]).dictionary_encode()})
        write(tmp_path, {"a.parquet": table}, use_deprecated_int96_timestamps=True)
        assert load(tmp_path).to_pylist() == [{"t": old, "s": "x"}]
        assert load(tmp_path).schema.types == [pa.timestamp("us"), pa.string()]

    def test_a_value_that_does_not_fit_is_an_error(self, tmp_path: Path) -> None:
        """Files changed since the load was planned."""
        write(tmp_path, {"a.parquet": pa.table({"x": [2**40]})})
        source = FilesSource(spec.FilesSource(url=str(tmp_path)), schema=pa.schema([("x", pa.int32())]))
        with pytest.raises(InvalidLoad, match=r"a\.parquet: column 'x' does not fit int32.*1099511627776"):
            list(source.read(FileSlices((FileSlice("a.parquet"),))))
        with pytest.raises(InvalidLoad, match="changed since the load was planned"):
            list(source.read(FileSlices((FileSlice("a.parquet", 0, 7),))))


class TestFolders:
    def test_names_of_folders_are_columns(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {
                "year=2023/region=North%20Sea/a.parquet": pa.table({"x": [1]}),
                "year=2024/region=__HIVE_DEFAULT_PARTITION__/a.parquet": pa.table({"x": [2]}),
            },
        )
        expected = [{"x": 1, "year": 2023, "region": "North Sea"}, {"x": 2, "year": 2024, "region": None}]
        assert load(tmp_path).to_pylist() == expected
        assert load(tmp_path, columns=("year",)).to_pylist() == [{"year": 2023}, {"year": 2024}]
        assert load(tmp_path, columns=("x",), filter='region == "North Sea"').to_pylist() == [{"x": 1}]
        assert load(f"{tmp_path}/year=2024").to_pylist() == [{"x": 2, "region": None}]
        assert load(f"{tmp_path}/year=*").to_pylist() == expected
        assert files_source(tmp_path, filter="year > 2023").count(None) == 1

    def test_texts_that_would_lose_something_stay_texts(self, tmp_path: Path) -> None:
        write(tmp_path, {f"station={name}/a.parquet": pa.table({"x": [1]}) for name in ("7", "07")})
        write(tmp_path / "m", {f"month={name}/a.parquet": pa.table({"x": [1]}) for name in ("01", "12")})
        assert load(tmp_path / "station=*").column("station").to_pylist() == ["07", "7"]
        assert load(tmp_path / "m").column("month").to_pylist() == [1, 12]

    def test_the_folder_counts_where_the_file_has_the_column_too(self, tmp_path: Path) -> None:
        write(tmp_path, {"year=2024/a.parquet": pa.table({"year": [1], "x": [1]})})
        assert load(tmp_path).to_pylist() == [{"year": 2024, "x": 1}]

    def test_hidden_files_are_left_out(self, tmp_path: Path) -> None:
        table = pa.table({"x": [1]})
        write(tmp_path, dict.fromkeys(("a.parquet", "_b.parquet", ".c.parquet", "_tmp/d.parquet", "sub/e.parquet"), table))
        assert paths_of(files_source(tmp_path)) == ["a.parquet", "sub/e.parquet"]

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("*.parquet", ["a.parquet", "b2.parquet"]),
            ("b*.parquet", ["b2.parquet"]),
            ("*/a.parquet", ["s/a.parquet"]),
            ("**/a.parquet", ["a.parquet", "s/a.parquet", "s/t/a.parquet"]),
            ("s/*", ["a.parquet", "t/a.parquet"]),
            ("s*", ["s/a.parquet", "s/t/a.parquet"]),
        ],
    )
    def test_patterns(self, tmp_path: Path, pattern: str, found: list[str]) -> None:
        write(tmp_path, {name: pa.table({"x": [1]}) for name in ("a.parquet", "b2.parquet", "s/a.parquet", "s/t/a.parquet")})
        assert paths_of(files_source(f"{tmp_path}/{pattern}")) == found
        assert files_source(f"file://{tmp_path}/{pattern}").count(None) == len(found)

    def test_relative_urls(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        write(tmp_path, {"a.parquet": pa.table({"x": [1]})})
        assert [load(url).num_rows for url in ("a.parquet", "*.parquet", ".", "./a.parquet")] == [1, 1, 1, 1]

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("nothing", "no file at .*/nothing"),
            ("*.csv", r"no file in .* fits \*\.csv"),
            ("odd", r"odd/x\.bin does not end in \.parquet.*set source\.files\.format"),
            ("mixed", r"several formats in .*mixed, such as a\.csv and b\.parquet"),
        ],
    )
    def test_no_or_other_files(self, tmp_path: Path, url: str, words: str) -> None:
        write(tmp_path, {"odd/x.bin": OCEAN, "mixed/b.parquet": OCEAN, "a.parquet": OCEAN})
        (tmp_path / "mixed/a.csv").write_text("x\n1\n")
        with pytest.raises(InvalidLoad, match=words):
            files_source(tmp_path / url).describe()

    def test_other_names_are_left_out_and_noted(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        (tmp_path / "README.md").write_text("x")
        source = files_source(tmp_path)
        notes = source.divide(source.describe(), Partitions(), bytes_per_row=1).notes
        assert notes[0] == "1 files are left out, because their names do not say Parquet: README.md"

    def test_the_format_can_be_said(self, tmp_path: Path) -> None:
        write(tmp_path, {"x.bin": OCEAN})
        assert load(tmp_path / "x.bin", format="Parquet").equals(OCEAN)

    @pytest.mark.parametrize("column", ["temperatur", "nothing"])
    def test_unknown_columns(self, tmp_path: Path, column: str) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        hint = "; did you mean 'temperature'" if column == "temperatur" else ""
        with pytest.raises(
            InvalidLoad, match=rf"columns: no file has a column '{column}'{hint}.*time, station, temperature, depth"
        ):
            files_source(tmp_path, columns=(column,)).describe()

    @pytest.mark.parametrize(
        ("text", "words"), [("q > 1", "no column `q`"), ("depth +", "ends too early"), ("depth", "true or false")]
    )
    def test_bad_filters(self, tmp_path: Path, text: str, words: str) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        with pytest.raises(InvalidLoad, match=rf"source\.files\.filter: .*{words}"):
            files_source(tmp_path, filter=text, columns=("time",)).describe()

    def test_damaged_files(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        whole = (tmp_path / "a.parquet").read_bytes()
        for content in (b"", b"PAR1", whole[:-20], b"x" * 1000):
            (tmp_path / "a.parquet").write_bytes(content)
            with pytest.raises(InvalidLoad, match=r"a\.parquet is no whole Parquet file: "):
                files_source(tmp_path).describe()
        (tmp_path / "a.parquet").write_bytes(whole[:100] + bytes(2000) + whole[2100:])
        with pytest.raises(InvalidLoad, match=r"a\.parquet is no whole Parquet file: "):
            load(tmp_path)

    def test_doubled_columns(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": pa.table([pa.array([1]), pa.array([2])], names=["x", "x"])})
        with pytest.raises(InvalidLoad, match="column 'x' is there twice"):
            files_source(tmp_path).describe()


class TestOurOwnOutput:
    def test_exactly_the_files_of_the_manifest_are_read_with_its_types(self, tmp_path: Path) -> None:
        day = datetime.date(2024, 1, 1)
        rows = pa.table({"x": [1, 2]})
        write(tmp_path, {"data/day=2024-01-01/part-a.parquet": rows, "data/part-of-another-load.parquet": pa.table({"x": ["no"]})})
        schema = pa.schema([("x", pa.int64()), ("day", pa.date32())])
        document = {"schema": describe_schema(schema), "partitionOn": ["day"], "files": [{"path": "day=2024-01-01/part-a.parquet"}]}
        (tmp_path / "manifest.json").write_text(json.dumps(document))
        (tmp_path / "plan.json").write_text("{}")
        (tmp_path / "report.html").write_text("")
        assert load(tmp_path).to_pylist() == [{"x": 1, "day": day}, {"x": 2, "day": day}]
        (tmp_path / "data/day=2024-01-01/part-a.parquet").unlink()
        with pytest.raises(InvalidLoad, match=r"part-a\.parquet is missing, although .*manifest\.json lists it"):
            files_source(tmp_path).describe()

    def test_an_unfinished_one_is_refused(self, tmp_path: Path) -> None:
        write(tmp_path, {"data/part-a.parquet": OCEAN})
        (tmp_path / "plan.json").write_text("{}")
        with pytest.raises(InvalidLoad, match="output of a load that has not finished"):
            files_source(tmp_path).describe()

    def test_a_manifest_of_something_else_is_a_file_like_others(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
        with pytest.raises(InvalidLoad, match="several formats"):
            files_source(tmp_path).describe()
        assert load(tmp_path / "*.parquet").equals(OCEAN)


class TestStatistics:
    def test_a_change_during_the_load_shows(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN, "b.parquet": OCEAN})
        source = files_source(tmp_path)
        before = source.describe()
        assert source.describe() == before
        assert [file["rows"] for file in before.statistics["files"]] == [1000, 1000]
        write(tmp_path, {"b.parquet": OCEAN.slice(1), "c.parquet": pa.table({"time": ["clash"]})})
        after = source.describe()
        assert after.statistics != before.statistics
        assert [file.get("rows") for file in after.statistics["files"]] == [1000, None, None]
        assert after.rows is None

    def test_a_file_that_vanishes(self, tmp_path: Path) -> None:
        write(tmp_path, {"a.parquet": OCEAN})
        source = files_source(tmp_path)
        source.describe()
        (tmp_path / "a.parquet").unlink()
        with pytest.raises(InvalidLoad, match="No such file"):
            list(source.read(FileSlices((FileSlice("a.parquet"),))))


class TestDivision:
    @settings(deadline=None)
    @given(
        sizes=st.lists(st.lists(st.integers(0, 1000), max_size=5), max_size=12),
        target=st.integers(1, 3000),
        maximum=st.integers(1, 20),
    )
    def test_every_piece_exactly_once(self, sizes: list[list[int]], target: int, maximum: int) -> None:
        pieces = [Piece(f"{file}", group, rows, rows * 8) for file, groups in enumerate(sizes) for group, rows in enumerate(groups)]
        cut = divide(pieces, Partitions.model_construct(target_bytes=target, maximum=maximum), rows_known=True)
        assert len(cut.partitions) <= maximum
        assert [partition.index for partition in cut.partitions] == list(range(len(cut.partitions)))
        covered = [
            (piece.path, group)
            for partition in cut.partitions
            for piece in _slices(partition)
            for group in range(piece.start or 0, piece.stop or 0)
        ]
        assert covered == [(piece.path, piece.group) for piece in pieces if piece.rows]
        assert sum(partition.rows or 0 for partition in cut.partitions) == sum(piece.rows for piece in pieces)

    def test_small_files_come_together_and_large_ones_are_noted(self) -> None:
        pieces = [Piece(f"{i}.csv", None, 10, 100) for i in range(100)] + [Piece("big.csv", None, 10_000, 100_000)]
        cut = divide(pieces, Partitions.model_construct(target_bytes=10_000, maximum=10_000), rows_known=False)
        assert [len(_slices(partition)) for partition in cut.partitions] == [100, 1]
        assert [partition.rows for partition in cut.partitions] == [None, None]
        assert "a file of text is read as a whole: big.csv" in cut.notes[-1]


def _slices(partition: Partition) -> tuple[FileSlice, ...]:
    assert isinstance(partition.selection, FileSlices)
    return partition.selection.slices
