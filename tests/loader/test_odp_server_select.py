"""What a select returns is what pyarrow's own filter keeps: whole and part batches, projections, pages."""

import base64
import dataclasses
import datetime
import itertools
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from odp_server.filters import RowFilter, kept
from odp_server.messages import END_OF_STREAM, empty_batch, note_message, read_batch, schema_message
from odp_server.protocol import Cursor
from odp_server.summaries import ColumnSummary
from tests.support.odp_server import OdpServer, odp_server

ROWS, BATCH_ROWS = 5000, 100
START = datetime.datetime(2024, 1, 1)


def measurements() -> pa.Table:
    """Sorted by time; the other columns are not, and hold nulls and NaN."""
    random = np.random.default_rng(7)
    temperature = random.normal(10, 5, ROWS)
    temperature[random.random(ROWS) < 0.1] = np.nan
    depth = random.integers(0, 4000, ROWS)
    stations = np.array(["north", "south", 'o"dd', "d.ot$"])
    return pa.table(
        {
            "time": pa.array(np.datetime64(START, "us") + np.arange(ROWS) * np.timedelta64(1, "m")),
            "station": pa.array(stations[random.integers(0, 4, ROWS)], mask=random.random(ROWS) < 0.1),
            "depth": pa.array(depth, mask=random.random(ROWS) < 0.1),
            "temperature": pa.array(temperature, mask=random.random(ROWS) < 0.1),
        }
    )


TABLE = measurements()


def minute(number: int) -> datetime.datetime:
    return START + datetime.timedelta(minutes=number)


def between(low: int, high: int) -> pc.Expression:
    return (pc.field("time") >= minute(low)) & (pc.field("time") < minute(high))


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    texts = pa.table({"text": ["1"] * 250 + ["x"]})
    with odp_server({"t": TABLE, "texts": texts}, "--batch-rows", str(BATCH_ROWS)) as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> OdpServer:
    running.reset()
    return running


def select(server: OdpServer, text: str, variables: Any = None, columns: list[str] | None = None, **options: Any) -> pa.Table:
    return server.client().dataset("t").select(text, columns, variables, **options).all().table()


def same(left: pa.Table, right: pa.Table) -> bool:
    """Equal, and NaN is equal to NaN."""
    return left.schema == right.schema and left.to_pandas().equals(right.to_pandas())


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("time < $t", {"t": minute(1234)}, pc.field("time") < minute(1234)),
        ("time >= $a and time < $b", {"a": minute(1000), "b": minute(3050)}, between(1000, 3050)),
        ("time >= ? and time < ?", [minute(100), minute(200)], between(100, 200)),
        ("time >= '2024-01-03T00:00:00'", None, pc.field("time") >= minute(2 * 24 * 60)),
        ("time < $t", {"t": minute(0)}, pc.field("time") < minute(0)),
        ("depth > 2000.5", None, pc.field("depth") > 2000.5),
        ("depth is null", None, pc.field("depth").is_null()),
        ("not (depth > 10)", None, ~(pc.field("depth") > 10)),
        ("temperature >= $x", {"x": 12.5}, pc.field("temperature") >= 12.5),
        ("not (temperature < $x or temperature >= $x)", {"x": 0.0}, pc.field("temperature").is_nan()),
        ("station == 'north' or depth < 100", None, (pc.field("station") == "north") | (pc.field("depth") < 100)),
        ("station == $s", {"s": 'o"dd'}, pc.field("station") == 'o"dd'),
        ("station == 'd.ot$'", None, pc.field("station") == "d.ot$"),
        ("depth / 2 + 1 > 1500", None, pc.field("depth").cast(pa.float64()) / 2 + 1 > 1500),
    ],
)  # fmt: skip
@pytest.mark.parametrize("columns", [None, ["temperature"], ["station", "time"]])
def test_rows_are_those_of_pyarrows_filter(
    server: OdpServer, text: str, variables: Any, expected: pc.Expression, columns: list[str] | None
) -> None:
    wanted = TABLE.filter(expected)
    assert same(select(server, text, variables, columns), wanted if columns is None else wanted.select(columns))


def test_and_and_or_have_one_level_and_are_read_from_the_left(server: OdpServer) -> None:
    as_written = select(server, "depth < 2000 or station == 'north' and temperature > 5")
    from_the_left = ((pc.field("depth") < 2000) | (pc.field("station") == "north")) & (pc.field("temperature") > 5)
    assert same(as_written, TABLE.filter(from_the_left))
    assert not same(
        as_written, TABLE.filter((pc.field("depth") < 2000) | ((pc.field("station") == "north") & (pc.field("temperature") > 5)))
    )


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(-10, ROWS + 10), min_size=1, max_size=5))
def test_ranges_that_tile_the_line_return_every_row_once(running: OdpServer, cuts: list[int]) -> None:
    first, *inner = sorted(cuts)
    bounds = [("time < $high", {"high": minute(first)})]
    bounds += [
        ("(time >= $low) and (time < $high)", {"low": minute(a), "high": minute(b)}) for a, b in itertools.pairwise([first, *inner])
    ]
    bounds += [("time >= $low", {"low": minute([first, *inner][-1])})]
    parts = [select(running, text, variables) for text, variables in bounds]
    assert same(pa.concat_tables(parts), TABLE)


def test_batches_that_match_whole_are_not_touched(server: OdpServer) -> None:
    batches = list(server.client().dataset("t").select("time >= $t", vars={"t": minute(50)}).batches())
    assert [batch.num_rows for batch in batches] == [50] + [BATCH_ROWS] * 49


@pytest.mark.parametrize(
    ("text", "variables", "words"),
    [
        ("time >", None, "ends too early"),
        ("tide > 3", None, "tide"),
        ("depth", None, "a filter is true or false, and this is int64"),
        ("depth > $d", None, "$d"),
        ("depth > $d", {"d": "deep"}, "depth"),
        ("nearby(depth)", None, "nearby"),
        ("depth > 3 and", None, "^"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused_with_the_place(server: OdpServer, text: str, variables: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        select(server, text, variables)
    assert server.counters()["statuses"]["400"] == 1


def test_what_goes_wrong_while_rows_are_read_is_told_inside_the_stream(server: OdpServer) -> None:
    batches = server.client().dataset("texts").select("int(text) > 0").batches()
    assert [next(batches).num_rows, next(batches).num_rows] == [BATCH_ROWS, BATCH_ROWS]
    with pytest.raises(ValueError, match=r"server error: .*x"):
        next(batches)
    assert server.counters()["selects"]["each"][0]["outcome"] == "error"


def test_a_column_that_does_not_exist_is_refused(server: OdpServer) -> None:
    with pytest.raises(ValueError, match="tide"):
        select(server, "", columns=["tide"])


def test_pages_by_rows_hold_every_row_once() -> None:
    with odp_server({"t": TABLE}, "--batch-rows", "100", "--page-rows", "1500") as server:
        assert same(select(server, ""), TABLE)
        assert [(one["rows"], one["page"], one["outcome"]) for one in server.counters()["selects"]["each"]] == [
            (1500, False, "paged"),
            (1500, True, "paged"),
            (1500, True, "paged"),
            (500, True, "finished"),
        ]
        server.reset()
        wanted = TABLE.filter(pc.field("temperature") > 10).select(["depth"])
        assert same(select(server, "temperature > $x", {"x": 10.0}, ["depth"]), wanted)
        rows = [one["rows"] for one in server.counters()["selects"]["each"]]
        assert all(1500 <= count < 1600 for count in rows[:-1])
        assert sum(rows) == wanted.num_rows


def test_pages_by_time_hold_every_row_once(server: OdpServer) -> None:
    assert same(select(server, "", timeout=0.0), TABLE)
    each = server.counters()["selects"]["each"]
    assert [one["rows"] for one in each] == [BATCH_ROWS] * (ROWS // BATCH_ROWS)
    server.reset()
    server.fault("stall", rows=300, seconds=0.3)
    assert same(select(server, "", timeout=0.25), TABLE)
    assert server.counters()["selects"]["each"][0]["outcome"] == "paged"


def post(server: OdpServer, cursor: str, query: str = "", **body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}/api/table/v2/sdk/select?table_id=t",
        json={"query": query, "cursor": cursor, "timeout": 0, **body},
        headers={"Authorization": f"ApiKey {server.api_key}"},
        timeout=10,
    )


def next_cursor(reply: requests.Response) -> str:
    (*_, last) = pa.ipc.open_stream(reply.content).iter_batches_with_custom_metadata()
    assert last.batch.num_rows == 0
    cursor: bytes = last.custom_metadata[b"cursor"]
    return cursor.decode()


def test_a_cursor_works_on_any_connection_and_twice(server: OdpServer) -> None:
    cursor = next_cursor(post(server, ""))
    replies = [pa.ipc.open_stream(post(server, cursor).content).read_all() for _ in range(2)]
    assert all(same(reply, TABLE.slice(100, 100)) for reply in replies)


def test_a_cursor_of_another_query_is_refused(server: OdpServer) -> None:
    cursor = next_cursor(post(server, ""))
    for query, body in (("depth > 3", {}), ("", {"cols": ["time"]}), ("", {"vars": {"a": {"type": "integer", "value": 1}}})):
        reply = post(server, cursor, query, **body)
        assert (reply.status_code, "another query" in reply.text) == (400, True)
    fields = json.loads(base64.urlsafe_b64decode(cursor))
    for batch in (-1, ROWS):
        fields[2] = batch
        assert post(server, base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()).status_code == 400


def test_an_old_cursor_is_refused(server: OdpServer) -> None:
    cursor = Cursor.decode(next_cursor(post(server, "")))
    young, old = (dataclasses.replace(cursor, issued_at=time.time() - age).encode() for age in (500, 601))
    assert post(server, young).status_code == 200
    reply = post(server, old)
    assert (reply.status_code, "cursor expired" in reply.text) == (400, True)


def test_a_message_in_the_middle_of_a_stream_is_cut_out_exactly() -> None:
    for schema in (TABLE.schema, TABLE.schema.with_metadata({"a": "b" * 1000}), pa.schema([("x", pa.int8())])):
        note = note_message(schema, {"cursor": "c"})
        stream = schema_message(schema).to_pybytes() + note.to_pybytes() + END_OF_STREAM
        ((batch, metadata),) = (
            (item.batch, item.custom_metadata) for item in pa.ipc.open_stream(stream).iter_batches_with_custom_metadata()
        )
        assert batch.equals(empty_batch(schema))
        assert dict(metadata) == {b"cursor": b"c"}
        assert read_batch(note, schema).num_rows == 0


@given(mask=st.lists(st.booleans(), max_size=12))
def test_kept_rows_are_those_of_the_mask(mask: list[bool]) -> None:
    batch = pa.record_batch({"n": pa.array(range(len(mask)))})
    assert kept(batch, pa.array(mask, pa.bool_())).equals(batch.filter(pa.array(mask, pa.bool_())))


FLOATS = st.none() | st.sampled_from([float("nan"), float("inf"), -0.0, 1.0, 2.0])


@given(values=st.lists(st.lists(FLOATS, max_size=5), max_size=4))
def test_summaries_of_parts_are_the_summary_of_the_whole(values: list[list[float | None]]) -> None:
    def of(column: list[float | None]) -> ColumnSummary:
        return ColumnSummary.of(pa.array(column, pa.float64()))

    together = [value for part in values for value in part]
    whole = of(together)
    assert ColumnSummary.total(map(of, values)) == dataclasses.replace(whole, ascending=False)
    ordered = all(value is not None and not math.isnan(value) for value in together) and together == sorted(together)
    assert whole.ascending == (ordered and bool(together))


FILTERS = ["x < 1.5", "x >= 1", "x == 1", "x != 1", "x is null", "x is not null", "not (x < 1.5 or x >= 1.5)", "x > 0 or x is null"]


@given(values=st.lists(FLOATS, min_size=1, max_size=6), text=st.sampled_from(FILTERS))
def test_a_verdict_is_never_wrong(values: list[float | None], text: str) -> None:
    column = pa.array(values, pa.float64())
    batch = pa.record_batch({"x": column})
    rows = RowFilter.parse(text, {}, batch.schema)
    truth: Callable[[str], bool] = {
        "all": rows.mask(batch).true_count == len(values),
        "none": rows.mask(batch).true_count == 0,
        "some": True,
    }.__getitem__
    assert truth(rows.verdict({"x": ColumnSummary.of(column).range}))
