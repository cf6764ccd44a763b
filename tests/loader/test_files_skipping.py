"""Row groups and files that a filter surely drops are not read; whatever is left out, the rows are the same."""

import datetime
import math
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odp_loader.expression import filter_batch, parse
from odp_loader.partition import FileSlice, FileSlices
from tests.support.files_source import files_source, load

_GROUP = 10
_PLAIN: dict[str, Any] = {"row_group_size": _GROUP, "use_dictionary": False, "compression": "none"}


def ruin(path: Path, groups: set[int]) -> None:
    """Overwrite the values of some row groups; nobody can read them any more."""
    metadata = pq.read_metadata(path)
    raw = bytearray(path.read_bytes())
    for group in groups:
        for i in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(i)
            raw[chunk.data_page_offset : chunk.data_page_offset + chunk.total_compressed_size] = (
                b"\xff" * chunk.total_compressed_size
            )
    path.write_bytes(raw)


def rows_of(folder: Path, text: str) -> list[dict[str, Any]]:
    return load(folder, filter=text).to_pylist()


class TestNotRead:
    """Row group `i` holds the numbers, days and names from 10 i to 10 i + 9."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        start = datetime.datetime(2024, 1, 1)
        numbers = range(40)
        table = pa.table(
            {
                "x": pa.array(numbers, pa.int32()),
                "f": pa.array([float(i) for i in numbers], pa.float32()),
                "name": [f"n{i:02}" for i in numbers],
                "kind": pa.array([f"k{i // _GROUP}" for i in numbers]).dictionary_encode(),
                "day": pa.array([(start + datetime.timedelta(days=i)).date() for i in numbers]),
                "at": pa.array([start + datetime.timedelta(days=i) for i in numbers], pa.timestamp("ns")),
                "utc": pa.array([start + datetime.timedelta(days=i) for i in numbers], pa.timestamp("s", "UTC")),
                "sure": [i >= 30 for i in numbers],
                "late": [i if i >= 30 else None for i in numbers],
            }
        )
        pq.write_table(table, tmp_path / "a.parquet", **_PLAIN)
        return tmp_path

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("x >= 30", range(30, 40)),
            ("x > 12 and x < 15", range(13, 15)),
            ("f < 3", range(3)),
            ('name == "n25"', [25]),
            ('kind == "k2"', range(20, 30)),
            ('day >= "2024-02-01"', range(31, 40)),
            ('at < "2024-01-03"', range(2)),
            ('utc >= "2024-02-01T00:00:00Z"', range(31, 40)),
            ("sure", range(30, 40)),
            ("late is not null", range(30, 40)),
            ("not (x < 30)", range(30, 40)),
            ("x < 5 or x > 37", [*range(5), 38, 39]),
            ("x == 100", []),
        ],
    )
    def test_row_groups_that_hold_no_row_to_keep(self, folder: Path, text: str, kept: Any) -> None:
        description = files_source(folder, filter=text).describe()
        ruin(folder / "a.parquet", set(range(4)) - {x // _GROUP for x in kept})
        assert load(folder, filter=text, description=description)["x"].to_pylist() == list(kept)

    def test_files_in_folders_that_hold_no_row_to_keep(self, tmp_path: Path) -> None:
        for year in (2023, 2024):
            (tmp_path / f"year={year}").mkdir()
            pq.write_table(pa.table({"x": range(5)}), tmp_path / f"year={year}" / "a.parquet")
        source = files_source(tmp_path, filter="year == 2024")
        source.describe()
        (tmp_path / "year=2023" / "a.parquet").write_bytes(b"no Parquet at all")
        files = FileSlices(tuple(FileSlice(f"year={year}/a.parquet") for year in (2023, 2024)))
        assert sum(batch.num_rows for batch in source.read(files)) == 5

    def test_a_column_that_a_file_lacks_is_null_in_it(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"x": range(3), "y": range(3)}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"x": range(3, 6)}), tmp_path / "b.parquet")
        assert [row["x"] for row in rows_of(tmp_path, "y is null")] == [3, 4, 5]
        assert [row["x"] for row in rows_of(tmp_path, "y > 0")] == [1, 2]

    def test_a_type_that_only_some_files_have(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"x": pa.array([1, 2], pa.int8())}), tmp_path / "a.parquet")
        pq.write_table(pa.table({"x": pa.array([300], pa.int64())}), tmp_path / "b.parquet")
        assert rows_of(tmp_path, "x > 1") == [{"x": 2}, {"x": 300}]

    def test_a_field_of_a_struct_is_no_column(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"s": [{"x": 1}, {"x": 2}], "x": [10, 20]}), tmp_path / "a.parquet")
        assert [row["x"] for row in rows_of(tmp_path, "x > 5")] == [10, 20]

    def test_what_a_footer_claims_wrongly_is_found_by_counting(self, tmp_path: Path) -> None:
        claimed, held = tmp_path / "a.parquet", tmp_path / "held"
        pq.write_table(pa.table({"x": range(10)}), claimed, **_PLAIN)
        pq.write_table(pa.table({"x": range(100, 110)}), held, **_PLAIN)
        chunk = pq.read_metadata(claimed).row_group(0).column(0)
        values = slice(chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size)
        raw, other = bytearray(claimed.read_bytes()), held.read_bytes()
        held.unlink()
        raw[values] = other[values]
        claimed.write_bytes(raw)
        source = files_source(tmp_path, filter="x > 50")
        assert rows_of(tmp_path, "x > 50") == []
        assert source.count(None) == 10


_TEXT = st.one_of(st.none(), st.sampled_from(["", "a", "z", "\U0010ffff" * 40, "é" * 70, "a" * 70, "a" * 69 + "b"]))
_FLOAT = st.one_of(st.none(), st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1.5, -1.5, 5e-324]))
_INTEGER = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]))
_TIME = st.one_of(st.none(), st.sampled_from([datetime.datetime(1, 1, 1), datetime.datetime(2024, 1, 1, 0, 0, 0, 1)]))
_SCHEMA = pa.schema({"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "t": pa.timestamp("us"), "b": pa.bool_()})
_ROW = st.fixed_dictionaries({"i": _INTEGER, "f": _FLOAT, "s": _TEXT, "t": _TIME, "b": st.sampled_from([None, True, False])})
_TERMS = st.sampled_from(
    [
        *(f"i {sign} {value}" for sign in ("<", ">=", "==", "!=") for value in ("0", "1", "0.5")),
        *(f"f {sign} {value}" for sign in ("<", ">", "==", "!=") for value in ("0", "1.5", "100")),
        *(f's {sign} "{value}"' for sign in ("<", ">=", "==", "!=") for value in ("", "a", "a" * 70, "é" * 70, "zz")),
        *(f't {sign} "2024-01-01"' for sign in ("<", ">", "!=")),
        *(f"{name} is {word}" for name in "ifst" for word in ("null", "not null")),
        "b",
        "i + 0 > 0",
    ]
)
_CONDITIONS = st.recursive(
    _TERMS,
    lambda inner: st.one_of(
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)


def by_pyarrow(table: pa.Table, path: Path, size: int, statistics: bool | list[str]) -> None:
    pq.write_table(table, path, row_group_size=size, write_statistics=statistics)


def by_polars(table: pa.Table, path: Path, size: int, statistics: bool | list[str]) -> None:
    pl.from_arrow(table).write_parquet(path, row_group_size=size, statistics=bool(statistics))


class TestTheSameRows:
    @settings(deadline=None)
    @given(
        rows=st.lists(_ROW, min_size=1, max_size=12),
        size=st.integers(1, 4),
        statistics=st.sampled_from([True, False, ["i", "s"]]),
        text=_CONDITIONS,
        write=st.sampled_from([by_pyarrow, by_polars]),
    )
    def test_whatever_is_asked(
        self, tmp_path_factory: pytest.TempPathFactory, rows: Any, size: int, statistics: Any, text: str, write: Any
    ) -> None:
        folder = tmp_path_factory.mktemp("files")
        write(pa.Table.from_pylist(rows, _SCHEMA), folder / "a.parquet", size, statistics)
        everything = load(folder)
        expected = [row for batch in everything.to_batches() for row in filter_batch(parse(text), batch).to_pylist()]
        assert repr(rows_of(folder, text)) == repr(expected)
        assert files_source(folder, filter=text).count(None) == len(expected)

    @pytest.mark.parametrize("text", ['s >= "y"', 's < "b"', "i > 4000", "i > 100 and i < 200", 's == "é"', "f > 0.5"])
    def test_files_of_duckdb(self, tmp_path: Path, text: str) -> None:
        query = "select range as i, chr((97 + range // 400)::int) || repeat('é', 200) as s, range % 2 / 2 as f from range(10000)"
        duckdb.sql(f"copy ({query}) to '{tmp_path}/a.parquet' (row_group_size 2048)")
        everything = load(tmp_path).combine_chunks().to_batches()
        expected = [row for batch in everything for row in filter_batch(parse(text), batch).to_pylist()]
        assert rows_of(tmp_path, text) == expected
