"""Rows through filter, derive and map: what comes out, what is counted, and how faults are told."""

import datetime
import pickle
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from odp_loader.errors import InvalidExpression, InvalidLoad, LoadError, UserCodeFailed
from odp_loader.spec import Transform
from odp_loader.transform import Chain, compile_chain, probe
from odp_loader.transform.chain import MAP_ROWS

SCHEMA = pa.schema(
    [
        pa.field("time", pa.timestamp("us", "UTC"), metadata={"index": "1"}),
        pa.field("temperature", pa.float64(), metadata={"unit": "degree_C"}),
        pa.field("depth", pa.int64()),
        pa.field("station", pa.string()),
    ],
    metadata={"title": "Casts"},
)
ROWS = pa.RecordBatch.from_pylist(
    [
        {
            "time": datetime.datetime(2020 + i, 1 + i, 1, tzinfo=datetime.UTC),
            "temperature": [4.5, None, -3.0, float("nan"), 12.25][i],
            "depth": [0, 10, None, 30, 2**60 + 1][i],
            "station": ["a", "b", "a", None, "c"][i],
        }
        for i in range(5)
    ],
    schema=SCHEMA,
)
NO_ROWS = ROWS.slice(0, 0)
Write = Callable[[str], str]


def out(chain: Chain, *batches: pa.RecordBatch) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in batches:
        for result in chain.apply(batch):
            assert result.num_rows
            assert result.schema.equals(chain.output, check_metadata=True)
            rows += result.to_pylist()
    return rows


def mapped(transform: Transform, *batches: pa.RecordBatch, first: pa.RecordBatch | None = ROWS) -> list[dict[str, Any]]:
    """Probe, compile again as a worker does, and apply."""
    schema = probe(compile_chain(transform, SCHEMA), first)
    return out(compile_chain(transform, SCHEMA, output=schema), *batches)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts a module of the user's where Python finds it; returns its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> str:
        name = f"users_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_without_a_transform_rows_pass_as_they_are() -> None:
    chain = compile_chain(Transform(), SCHEMA)
    assert chain.schema is not None
    assert chain.schema.equals(SCHEMA, check_metadata=True)
    assert list(chain.apply(ROWS)) == [ROWS]
    assert list(chain.apply(NO_ROWS)) == []
    assert (chain.rows_in, chain.rows_out, chain.dropped) == (5, 5, 0)


def test_a_filter_keeps_what_is_true_and_counts_the_rest() -> None:
    chain = compile_chain(Transform(filter="temperature > -2"), SCHEMA)
    assert [row["station"] for row in out(chain, ROWS, ROWS)] == ["a", "c", "a", "c"]
    assert (chain.rows_in, chain.dropped) == (10, 6)


def test_a_batch_without_rows_left_is_not_passed_on() -> None:
    chain = compile_chain(Transform(filter="depth > 10000000000000000000"), SCHEMA)
    assert list(chain.apply(ROWS)) == []
    assert chain.dropped == 5


def test_columns_are_derived_in_order_and_attributes_stay() -> None:
    derive = {"year": "year(time)", "odd": "year * 2 + 1", "label": "'odp'"}
    chain = compile_chain(Transform(filter="temperature > 0", derive=derive), SCHEMA)
    rows = out(chain, ROWS)
    assert [(row["year"], row["odd"], row["label"]) for row in rows] == [(2020, 4041, "odp"), (2024, 4049, "odp")]
    assert chain.output.names == [*SCHEMA.names, "year", "odd", "label"]
    assert chain.output.metadata == SCHEMA.metadata
    assert chain.output.field("temperature").metadata == {b"unit": b"degree_C"}


def test_a_derived_column_takes_the_place_of_its_namesake() -> None:
    derive = {"temperature": "temperature + 273.15", "warm": "temperature > 280"}
    chain = compile_chain(Transform(filter="temperature < 0", derive=derive), SCHEMA)
    assert chain.output.names == [*SCHEMA.names, "warm"]
    assert chain.output.field("temperature").metadata is None  # it says degree_C, which is no longer true
    (row,) = out(chain, ROWS)
    assert (row["temperature"], row["warm"]) == (pytest.approx(270.15), False)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ({"filter": "temprature > 1"}, r"^transform\.filter: .*temprature.*\n  temprature > 1\n  \^$"),
        ({"filter": "depth + 1"}, r"^transform\.filter: `depth \+ 1` is int64, and a filter is true or false"),
        ({"filter": "depth >"}, r"^transform\.filter: "),
        ({"filter": "year > 2000", "derive": {"year": "year(time)"}}, r"'year' is derived after the filter; .*: year\(time\)$"),
        ({"derive": {"year": "yaer(time)"}}, r"^transform\.derive\.year: .*yaer"),
        ({"derive": {"a": "b", "b": "depth"}}, r"^transform\.derive\.a: "),
        ({"derive": {"a": "station + 1"}}, r"^transform\.derive\.a: "),
        ({"derive": {"a": "null"}}, r"^transform\.derive\.a: `null` is always null"),
        ({"derive": {"a": "depth + $x"}}, r"^transform\.derive\.a: "),
    ],
)
def test_what_is_wrong_names_the_field_of_the_job(transform: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidLoad, match=f"(?s){message}"):
        compile_chain(Transform(**transform), SCHEMA)


def test_a_value_that_an_expression_cannot_take_names_the_field_too() -> None:
    chain = compile_chain(Transform(derive={"sum": "depth * 1000000"}), SCHEMA)
    with pytest.raises(InvalidExpression, match=r"^transform\.derive\.sum: "):
        list(chain.apply(ROWS))


def test_map_is_given_plain_frames_and_its_result_is_kept(write: Write) -> None:
    module = write("""
        def warm(frame):
            assert list(map(str, frame.dtypes)) == ["datetime64[us, UTC]", "float64", "Int64", "object"], frame.dtypes
            frame["double"] = frame["depth"] * 2
            return frame[frame["station"].notna()].drop(columns="time")
    """)
    transform = Transform(map=f"{module}:warm")
    chain = compile_chain(transform, SCHEMA)
    assert chain.schema is None
    with pytest.raises(ValueError, match="probe"):
        _ = chain.output
    schema = probe(chain, ROWS)
    assert schema.names == ["temperature", "depth", "station", "double"]
    assert schema.field("temperature").metadata == {b"unit": b"degree_C"}
    assert schema.metadata == SCHEMA.metadata
    assert (chain.rows_in, chain.dropped) == (0, 0)
    chain = compile_chain(transform, SCHEMA, output=schema)
    assert [row["double"] for row in out(chain, ROWS)] == [0, 20, None, 2 * (2**60 + 1)]
    assert (chain.rows_in, chain.dropped) == (5, 1)


def test_map_comes_after_filter_and_derive_and_may_add_rows(write: Write) -> None:
    module = write("""
        import pandas as pd
        class Steps:
            @staticmethod
            def twice(frame):
                assert "year" in frame
                return pd.concat([frame, frame])
    """)
    transform = Transform(filter="depth >= 0", derive={"year": "year(time)"}, map=f"{module}:Steps.twice")
    chain = compile_chain(transform, SCHEMA, output=probe(compile_chain(transform, SCHEMA), ROWS))
    assert len(out(chain, ROWS)) == 8
    assert (chain.rows_in, chain.rows_out, chain.dropped) == (5, 8, -3)


def test_map_is_given_at_most_a_chunk_and_never_none(write: Write) -> None:
    module = write("""
        import pandas as pd
        def count(frame):
            return pd.DataFrame({"rows": [len(frame)]})
    """)
    schema = pa.schema({"x": pa.int64()})
    transform = Transform(filter="x >= 0", map=f"{module}:count")
    many = pa.record_batch({"x": pa.array(range(-10, 2 * MAP_ROWS + 5))})
    chain = compile_chain(transform, schema, output=probe(compile_chain(transform, schema), many))
    results = [result.to_pydict()["rows"] for batch in (many, many.slice(0, 10), many.slice(0, 0)) for result in chain.apply(batch)]
    assert results == [[MAP_ROWS], [MAP_ROWS], [5]]


def test_an_index_that_says_something_becomes_columns(write: Write) -> None:
    module = write("""
        def means(frame):
            return frame.groupby("station")[["temperature"]].mean()
    """)
    rows = mapped(Transform(map=f"{module}:means"), ROWS)
    assert rows == [
        {"station": "a", "temperature": 0.75},
        {"station": "b", "temperature": None},
        {"station": "c", "temperature": 12.25},
    ]


def test_later_chunks_are_converted_to_the_first_ones_types_where_nothing_is_lost(write: Write) -> None:
    module = write("""
        import pandas as pd
        def results(frame):
            ratio = 0.5 if frame["station"].iloc[0] == "a" else 2
            note = "first" if frame["station"].iloc[0] == "a" else None
            return pd.DataFrame({"ratio": [ratio], "note": [note]})[["ratio", "note"] if ratio == 0.5 else ["note", "ratio"]]
    """)
    rows = mapped(Transform(map=f"{module}:results"), ROWS, ROWS.slice(1))
    assert rows == [{"ratio": 0.5, "note": "first"}, {"ratio": 2.0, "note": None}]


def test_a_table_without_rows_is_probed_with_an_empty_frame(write: Write) -> None:
    module = write("""
        def label(frame):
            return frame.assign(label=frame["station"].str.upper(), half=frame["depth"] / 2)
    """)
    for first in (None, NO_ROWS):
        schema = probe(compile_chain(Transform(map=f"{module}:label"), SCHEMA), first)
        assert schema.types == [*SCHEMA.types, pa.string(), pa.float64()]
    filtered = Transform(filter="depth < 0", map=f"{module}:label")
    assert probe(compile_chain(filtered, SCHEMA), ROWS) == schema


def test_a_function_that_fails_without_rows_is_told_why_it_was_called(write: Write) -> None:
    module = write("""
        def first(frame):
            return frame.assign(first=frame["station"].iloc[0])
    """)
    with pytest.raises(UserCodeFailed, match=r"(?s)raised IndexError.*it was given no rows, only columns"):
        probe(compile_chain(Transform(map=f"{module}:first"), SCHEMA), None)


def test_probing_without_a_map_needs_no_rows() -> None:
    chain = compile_chain(Transform(derive={"year": "year(time)"}), SCHEMA)
    assert probe(chain, None) == chain.schema


def test_a_function_that_raises_is_told_with_its_own_lines_and_five_rows(write: Write, tmp_path: Path) -> None:
    module = write("""
        import pandas as pd

        def helper(frame):
            return pd.to_numeric(frame["station"])

        def convert(frame):
            frame["station"] = "overwritten"
            frame.loc[3, "station"] = "not a number"
            return frame.assign(number=helper(frame))
    """)
    rows = pa.RecordBatch.from_pylist(ROWS.to_pylist() * 2, schema=SCHEMA)
    with pytest.raises(UserCodeFailed) as failed:
        mapped(Transform(map=f"{module}:convert"), first=rows)
    told = str(failed.value).splitlines()
    file = tmp_path / f"{module}.py"
    assert told[0].startswith(f'transform.map: {module}:convert raised ValueError: Unable to parse string "overwritten"')
    assert told[1:3] == [
        f"  {file}:10, in convert: return frame.assign(number=helper(frame))",
        f'  {file}:5, in helper: return pd.to_numeric(frame["station"])',
    ]
    assert told[3] == "the first rows that went in:"
    assert told[4].split() == ["time", "temperature", "depth", "station"]
    assert told[5].split()[-1] == "a"  # what went in, not what the function made of it
    assert len(told) == 10
    assert pickle.loads(pickle.dumps(failed.value)).args == failed.value.args
    assert (failed.value.__cause__, failed.value.__context__) == (None, None)


@pytest.mark.parametrize("where", ["import", "call"])
def test_a_key_that_the_function_raises_is_not_told(write: Write, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("ODP_API_KEY", "a-secret-key")
    fault = "raise ValueError('bad header: ApiKey ' + os.environ['ODP_API_KEY'])"
    module = write(f"import os\n{fault if where == 'import' else ''}\ndef ask(frame):\n    {fault}\n")
    with pytest.raises(LoadError, match=r"bad header: ApiKey \*\*\*") as failed:
        mapped(Transform(map=f"{module}:ask"))
    assert "a-secret-key" not in repr(failed.value.args)


def test_a_failure_is_told_in_bounded_words(write: Write) -> None:
    module = write("""
        def shout(frame):
            raise RuntimeError("x" * 100_000)
    """)
    wide = pa.record_batch({f"column{i}": ["y" * 1000] * 5 for i in range(200)})
    chain = compile_chain(Transform(map=f"{module}:shout"), wide.schema)
    with pytest.raises(UserCodeFailed) as failed:
        probe(chain, wide)
    assert len(str(failed.value)) < 6_000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("frame.head()", r"returned NoneType, not a pandas\.DataFrame; does it lack a `return`\?"),
        ("return frame['depth']", r"returned pandas\.core\.series\.Series, not a pandas\.DataFrame"),
        ("return frame.rename(columns={'depth': 1})", "returned a column whose name is not text: 1"),
        ("return frame.assign(note=None)", "returned a column 'note' without any value in its first result"),
    ],
)
def test_a_result_that_is_no_table_is_told(write: Write, body: str, message: str) -> None:
    module = write(f"def change(frame):\n    {body}\n")
    with pytest.raises(UserCodeFailed, match=f"(?s)^transform.map: {module}:change {message}.*the first rows that went in"):
        mapped(Transform(map=f"{module}:change"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("frame.drop(columns='depth')", r"columns than the first result: it lacks depth$"),
        ("frame.rename(columns={'depth': 'level'})", r"it lacks depth; it has besides level$"),
        ("frame.assign(depth=frame['depth'].astype('float64'))", r"'depth' is double, it was int64 \(pandas makes floats"),
        ("frame.assign(temperature=frame['station'])", r"'temperature' is string, it was double$"),
    ],
)
def test_a_result_unlike_the_first_is_told(write: Write, body: str, message: str) -> None:
    module = write(f"def change(frame):\n    return frame if frame['station'].iloc[0] == 'a' else {body}\n")
    with pytest.raises(UserCodeFailed, match=f"(?sm)returned other .*{message}.*the first rows that went in"):
        mapped(Transform(map=f"{module}:change"), ROWS.slice(0, 1), ROWS.slice(1, 1))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module_here:f", r"there is no module 'no_such_module_here'; .*PYTHONPATH \(Python looks in "),
        ("json.no_such_part:f", r"there is no module 'json\.no_such_part'"),
        ("json:laods", r"^transform\.map: json has no 'laods'; there is loads$"),
        ("json:decoder.JSONDecoder.nothing", r"json has no 'nothing'; there is "),
        ("sys:path", r"sys:path is list, not a function"),
        ("this_is_broken:f", r"importing this_is_broken failed: SyntaxError"),
        ("this_needs_more:f", r"this_needs_more imports 'no_such_dependency', which is not installed"),
        ("this_gives_up:f", r"importing this_gives_up failed: SystemExit: no"),
    ],
)
def test_a_function_that_cannot_be_imported_is_an_invalid_load(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "this_is_broken.py").write_text("def f(:")
    (tmp_path / "this_needs_more.py").write_text("import no_such_dependency")
    (tmp_path / "this_gives_up.py").write_text("raise SystemExit('no')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LoadError, match=message) as failed:
        compile_chain(Transform(map=path), SCHEMA)
    assert failed.value.exit_code == 2
