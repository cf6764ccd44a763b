"""CSV and JSON lines as a source: types that every value of every file fits, and errors that say where."""

import bz2
import datetime
import gzip
import itertools
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odp_loader import spec
from odp_loader.errors import InvalidLoad
from odp_loader.partition import FileSlice, FileSlices
from odp_loader.sources.files import FilesSource, csv_text, json_lines
from odp_loader.sources.files.text import Meaning, Misfit, convert, meaning
from odp_loader.spec import Partitions
from tests.support.files_source import files_source, load

UTC = datetime.UTC


def write(folder: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def notes_of(url: Path) -> tuple[str, ...]:
    source = files_source(url)
    return source.divide(source.describe(), Partitions(), bytes_per_row=10).notes


class TestMeaning:
    @pytest.mark.parametrize(
        ("texts", "kind"),
        [
            (["", "NA", "null"], pa.null()),
            (["1", "-5", "", " 7 "], pa.int64()),
            (["9223372036854775807"], pa.int64()),
            (["9223372036854775808"], pa.string()),
            (["12345678901234567890", "1.5"], pa.string()),
            (["9007199254740993", "0.5"], pa.string()),
            (["9007199254740991", "0.5"], pa.float64()),
            (["1e300", "123456789012345678.5", "nan", "-inf", "NA"], pa.float64()),
            (["true", "FALSE", "", "True"], pa.bool_()),
            (["true", "1"], pa.string()),
            (["1", "x"], pa.string()),
            (["2024-01-01", "0001-12-31"], pa.date32()),
            (["2024-02-30"], pa.string()),
            (["2024-01-01", "2024-01-01T10:00", "2024-01-01 10:00:00.123456"], pa.timestamp("us")),
            (["1500-01-01T00:00:00.123456789"], pa.string()),
            (["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00"], pa.timestamp("us", "UTC")),
            (["2024-01-01T00:00:00Z", "2024-01-01T00:00:00"], pa.string()),
            (["2024-01-01", "20240101"], pa.string()),
            (["12:30"], pa.string()),
        ],
    )
    def test_does_not_depend_on_order_or_blocks(self, texts: list[str], kind: pa.DataType) -> None:
        for order in itertools.permutations(texts[:4]):
            at_once = meaning(pa.array([*order, *texts[4:]]), Meaning(pa.null()))
            assert at_once.type == kind
            one_by_one = Meaning(pa.null())
            joined = Meaning(pa.null())
            for text in (*order, *texts[4:]):
                one_by_one = meaning(pa.array([text]), one_by_one)
                joined = joined | meaning(pa.array([text]), Meaning(pa.null()))
            assert one_by_one.type == joined.type == kind

    @given(
        st.lists(st.one_of(st.integers(-(2**70), 2**70).map(str), st.floats().map(repr), st.sampled_from(["", "NA", "x", "true"])))
    )
    def test_no_value_is_lost(self, texts: list[str]) -> None:
        found = meaning(pa.array(texts, pa.string()), Meaning(pa.null())).type
        values = convert(pa.array(texts, pa.string()), found).to_pylist()
        for text, value in zip(texts, values, strict=True):
            if value is None:
                assert text in (("", "NA") if found != pa.string() else ("",))
            elif found == pa.int64():
                assert value == int(text)
            elif found == pa.float64():
                assert repr(value) == repr(float(text))
            elif found == pa.bool_():
                assert str(value).lower() == text
            else:
                assert value == text

    def test_sliced_arrays(self) -> None:
        """`if_else` of pyarrow 18.1 damages them."""
        texts = pa.array(["name", "", "b,ar", "NA"]).slice(1)
        values = convert(texts, pa.string())
        values.validate(full=True)
        assert values.to_pylist() == [None, "b,ar", "NA"]

    def test_the_misfit_is_found(self) -> None:
        texts = pa.array([str(i) for i in range(1000)] + ["1.5"] + ["x"])
        with pytest.raises(Misfit) as caught:
            convert(texts, pa.int64())
        assert (caught.value.place, caught.value.text) == (1000, "1.5")


class TestCsv:
    def test_several_files_of_different_make(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            a__csv='id,when,temp,ok,name\n1,2024-01-01,1,true,foo\n2,2024-01-02, NA ,,"b,\n""ar"""\n',
            b__csv="\ufeffname;id;when;temp\r\nNA;3;2024-01-03T10:00:00;2.5\r\n\r\n",
            c__csv="",
            d__csv="id,temp",
        )
        table = load(tmp_path)
        assert table.schema.types == [pa.int64(), pa.timestamp("us"), pa.float64(), pa.bool_(), pa.string()]
        assert table.to_pylist() == [
            {"id": 1, "when": datetime.datetime(2024, 1, 1), "temp": 1.0, "ok": True, "name": "foo"},
            {"id": 2, "when": datetime.datetime(2024, 1, 2), "temp": None, "ok": None, "name": 'b,\n"ar"'},
            {"id": 3, "when": datetime.datetime(2024, 1, 3, 10), "temp": 2.5, "ok": None, "name": "NA"},
        ]
        source = files_source(tmp_path)
        description = source.describe()
        assert description.rows == 3
        assert [file["rows"] for file in description.statistics["files"]] == [2, 1, 0, 0]
        assert source.count(None) == 3
        assert source.count(FileSlices((FileSlice("a.csv"),))) == 2

    def test_a_late_value_decides_and_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv_text, "_BLOCK_BYTES", 4096)
        write(tmp_path, a__csv="x,y\n" + "".join(f"{i},{i}\n" for i in range(5000)) + "1.5,about 7\n", b__csv="x,y\n1,1\n")
        assert load(tmp_path).schema.types == [pa.float64(), pa.string()]
        assert "column 'y' is read as text, because of 'about 7' in row 5002 of a.csv" in notes_of(tmp_path)

    def test_columns_and_filter(self, tmp_path: Path) -> None:
        write(tmp_path, a__csv="a,b,c\n1,2,x\n3,4,y\n", b__csv="c,b,a\nz,6,5\n")
        assert load(tmp_path, columns=("c",), filter="b >= 4 and a < 9").to_pylist() == [{"c": "y"}, {"c": "z"}]
        assert files_source(tmp_path, columns=("c",), filter="b >= 4").count(FileSlices((FileSlice("a.csv"),))) == 1

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_delimiters(self, tmp_path: Path, delimiter: str) -> None:
        write(tmp_path, a__csv=delimiter.join(["a", '"b;|,c"', "d"]) + "\n" + delimiter.join("123") + "\n")
        assert load(tmp_path / "a.csv").to_pylist() == [{"a": 1, "b;|,c": 2, "d": 3}]

    @pytest.mark.parametrize(
        ("ending", "compress"),
        [("gz", gzip.compress), ("gz", lambda raw: gzip.compress(raw[:9]) + gzip.compress(raw[9:])), ("bz2", bz2.compress)],
    )
    def test_compressed(self, tmp_path: Path, ending: str, compress: object) -> None:
        raw = b"a,b\n" + b"1,2\n" * 100_000
        (tmp_path / f"x.csv.{ending}").write_bytes(compress(raw))  # type: ignore[operator]
        table = load(tmp_path)
        assert (table.num_rows, table.column("b").unique().to_pylist()) == (100_000, [2])

    def test_a_row_longer_than_a_block(self, tmp_path: Path) -> None:
        rows = [f"{i},{'x' * (3 * 2**20 if i == 30_000 else 100)}" for i in range(40_000)]
        write(tmp_path, a__csv="id,geometry\n" + "\n".join(rows))
        table = load(tmp_path)
        assert table.column("id").to_pylist() == list(range(40_000))
        assert len(table.column("geometry")[30_000].as_py()) == 3 * 2**20

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("a,b\n1,2\n3\n", "row 3: Expected 2 columns, got 1: 3"),
            ("a,b\n1,2\n3,4,5\n", "row 3: Expected 2 columns, got 3"),
            (b"a,b\n1,2\n1,\xff\n", "row 3 is not UTF-8"),
            (b"a,\xff\n1,2\n", "the first line is not UTF-8"),
            ('a,b\n"x,2\n3,4\n', "Expected 2 columns, got 1"),
            ("a,b,a\n1,2,3\n", "column 'a' is there twice"),
        ],
    )
    def test_damaged(self, tmp_path: Path, content: str | bytes, words: str) -> None:
        write(tmp_path, a__csv=content)
        with pytest.raises(InvalidLoad, match=rf"a\.csv.*{words}"):
            files_source(tmp_path).describe()

    def test_damaged_compression(self, tmp_path: Path) -> None:
        for content in (gzip.compress(b"a\n" + b"1\n" * 10_000)[:-9], b"a\n1\n"):
            write(tmp_path, a__csv__gz=content)
            with pytest.raises(InvalidLoad, match=r"a\.csv\.gz is no proper CSV: "):
                files_source(tmp_path).describe()

    def test_only_empty_files(self, tmp_path: Path) -> None:
        write(tmp_path, a__csv="", b__csv="\n")
        with pytest.raises(InvalidLoad, match="no columns: every file is empty"):
            files_source(tmp_path).describe()

    def test_only_headers(self, tmp_path: Path) -> None:
        write(tmp_path, a__csv="a,b\n", b__csv="b")
        source = files_source(tmp_path)
        description = source.describe()
        assert (description.schema.names, description.schema.types, description.rows) == (["a", "b"], [pa.string()] * 2, 0)
        assert source.preview() is None

    def test_a_file_that_changed_since(self, tmp_path: Path) -> None:
        write(tmp_path, a__csv="a,b\n1,2\n")
        schema = files_source(tmp_path).describe().schema
        write(tmp_path, a__csv="a,b\n1,2\n1,x\n")
        with pytest.raises(InvalidLoad, match=r"a\.csv, row 3: 'x' is no int64, which column 'b' was when the load was planned"):
            list(FilesSource(spec.FilesSource(url=str(tmp_path)), schema=schema).read(FileSlices((FileSlice("a.csv"),))))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {
                    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
                    "f": st.none() | st.floats(allow_nan=False).map(lambda value: value + 0.0),
                    "s": st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
                    "t": st.none() | st.datetimes(datetime.datetime(1000, 1, 1)),
                }
            ),
            max_size=30,
        ),
        cut=st.integers(0, 30),
    )
    def test_what_was_written_comes_back(self, tmp_path: Path, rows: list[dict[str, object]], cut: int) -> None:
        kinds = {"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "t": pa.timestamp("us")}
        schema = pa.schema(kinds.items())
        for name, part in (("a", rows[:cut]), ("b", rows[cut:])):
            pacsv.write_csv(pa.Table.from_pylist(part, schema), tmp_path / f"{name}.csv")
        found = load(tmp_path)
        for name in schema.names:
            texts = [row[name] for row in rows]
            if pa.types.is_string(found.schema.field(name).type) and name != "s":
                assert not any(isinstance(text, int | float | datetime.datetime) for text in texts)
            elif found.schema.field(name).type == kinds[name]:
                assert found.column(name).to_pylist() == texts


class TestJsonLines:
    def test_types_over_all_files(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            a__jsonl='{"i":1,"f":1,"s":"12","t":"2024-01-01T00:00:00Z","d":"2024-01-01","n":null}\n\n{"f":0.5,"b":true}\n',
            b__ndjson='{"t":"2024-01-02T01:00:00.5+01:00","d":"2024-01-01T10:00:00","s":"","n":"NA"}',
            c__json="",
        )
        table = load(tmp_path)
        assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
            "i": pa.int64(),
            "f": pa.float64(),
            "s": pa.string(),
            "t": pa.timestamp("us", "UTC"),
            "d": pa.timestamp("us"),
            "n": pa.string(),
            "b": pa.bool_(),
        }
        assert table.column("s").to_pylist() == ["12", None, ""]
        assert table.column("n").to_pylist() == [None, None, "NA"]
        assert table.column("t").to_pylist()[2] == datetime.datetime(2024, 1, 2, 0, 0, 0, 500_000, UTC)
        assert table.column("d").to_pylist()[0] == datetime.datetime(2024, 1, 1)
        assert files_source(tmp_path).describe().rows == 3

    @pytest.mark.parametrize("block", [64, 1000, 2**20])
    def test_blocks_do_not_matter(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", block)
        rows = [{"a": i if i < 400 else i + 0.5, "t": f"2024-01-01T00:00:{i % 60:02}", "s": "é" * (i % 50)} for i in range(500)]
        rows[450]["t"] = "2024-01-01T00:00:00.25"
        write(tmp_path, a__jsonl="\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
        table = load(tmp_path)
        assert table.schema.types == [pa.float64(), pa.timestamp("us"), pa.string()]
        assert table.column("a").to_pylist() == [row["a"] for row in rows]
        assert table.column("s").to_pylist() == [row["s"] for row in rows]
        assert table.column("t").to_pylist()[450] == datetime.datetime(2024, 1, 1, 0, 0, 0, 250_000)

    def test_strings_that_are_no_times_after_all_keep_their_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 40)
        texts = ["2024-01-01T00:00:00", "2024-01-01", "2024-01-01T00:00:00Z", "soon"]
        write(tmp_path, a__jsonl="\n".join(json.dumps({"t": text, "o": {"t": text}}) for text in texts))
        table = load(tmp_path)
        assert table.column("t").to_pylist() == texts
        assert [each["t"] for each in table.column("o").to_pylist()] == texts

    def test_columns_filter_and_compression(self, tmp_path: Path) -> None:
        lines = "".join(json.dumps({"a": i, "b": i * 2}) + "\n" for i in range(100_000))
        write(tmp_path, a__jsonl__gz=gzip.compress(lines.encode()))
        assert load(tmp_path, columns=("b",), filter="a >= 99998").to_pylist() == [{"b": 199_996}, {"b": 199_998}]
        assert files_source(tmp_path).count(FileSlices((FileSlice("a.jsonl.gz"),))) == 100_000

    @pytest.mark.parametrize(
        ("files", "words"),
        [
            ({"a__jsonl": '{"a":1}\n{"a":"x"}\n'}, r"a\.jsonl.*row 2: Column\(/a\) changed from number to string"),
            ({"a__jsonl": '{"a":1}\n{"a":\n{"a":2}\n'}, r"a\.jsonl is no proper JSON lines.*row 2: "),
            ({"a__jsonl": '[{"a":1}]\n'}, r"a\.jsonl is no proper JSON lines.*row 1: .*from object to array"),
            ({"a__jsonl": b'{"a":"\xff"}\n'}, r"a\.jsonl is no proper JSON lines.*UTF8"),
            ({"a__jsonl": '{"a":1,"a":2}\n'}, r"twice"),
            ({"a__jsonl": '{"a":1}\n', "b__jsonl": '{"a":"x"}\n'}, r"'a' is int64 in a\.jsonl and string in b\.jsonl"),
            ({"a__jsonl": '{"a":true}\n', "b__jsonl": '{"a":1}\n'}, r"'a' is bool in a\.jsonl and int64 in b\.jsonl"),
        ],
    )
    def test_damaged_or_clashing(self, tmp_path: Path, files: dict[str, str | bytes], words: str) -> None:
        write(tmp_path, **files)
        with pytest.raises(InvalidLoad, match=words):
            files_source(tmp_path).describe()

    def test_rows_are_numbered_over_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 100)
        write(tmp_path, a__jsonl='{"a":1}\n' * 500 + '{"a":1x}\n' + '{"a":1}\n' * 500)
        with pytest.raises(InvalidLoad, match="row 501: "):
            files_source(tmp_path).describe()
        write(tmp_path, a__jsonl='{"a":1}\n' * 500 + '{"a":true}\n' * 500)
        with pytest.raises(InvalidLoad, match=r"'a' is int64 up to row \d+ and bool after it|row 501: .*number to boolean"):
            files_source(tmp_path).describe()

    def test_a_line_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 1000)
        monkeypatch.setattr(json_lines, "_LONGEST_LINE_BYTES", 2**20)
        write(tmp_path, a__jsonl='{"a":"' + "x" * 2**21 + '"}\n')
        with pytest.raises(InvalidLoad, match="a line is longer than 1 MiB"):
            files_source(tmp_path).describe()
