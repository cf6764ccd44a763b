"""What an aggregate returns is what pyarrow's own group_by gives, for every kind of key and in one message or many."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests

from odp_server.aggregate import Aggregation
from odp_server.files import TableFiles
from odp_server.protocol import Query
from odp_server.tables import Table
from tests.support.odp_server import OdpServer, odp_server

ROWS = 3000
START = datetime.datetime(2024, 1, 1)


def measurements() -> pa.Table:
    random = np.random.default_rng(3)
    temperature = random.normal(10, 5, ROWS).round(2)
    temperature[random.random(ROWS) < 0.1] = np.nan
    fields = [
        pa.field("time", pa.timestamp("us")),
        pa.field("station", pa.string()),
        pa.field("level", pa.float64()),
        pa.field("depth", pa.int64(), metadata={"aggr": "max"}),
        pa.field("temperature", pa.float64(), metadata={"aggr": "mean"}),
        pa.field("good", pa.bool_()),
    ]
    columns = [
        pa.array(np.datetime64(START, "us") + np.arange(ROWS) * np.timedelta64(1, "m")),
        pa.array(np.array(["a", "b", "c"])[random.integers(0, 3, ROWS)], mask=random.random(ROWS) < 0.1),
        pa.array(np.array([0.0, 10.0, np.nan])[random.integers(0, 3, ROWS)], mask=random.random(ROWS) < 0.1),
        pa.array(random.integers(0, 4000, ROWS), mask=random.random(ROWS) < 0.1),
        pa.array(temperature, mask=random.random(ROWS) < 0.1),
        pa.array(random.random(ROWS) < 0.5),
    ]
    return pa.table(columns, schema=pa.schema(fields))


TABLE = measurements()
FUNCTIONS = {"temperature": "mean", "depth": "sum", "time": "max", "good": "count", "level": "min"}
PARTS = [("temperature", "sum"), ("temperature", "count"), ("depth", "sum"), ("time", "max"), ("good", "count"), ("level", "min")]


@pytest.fixture(scope="module")
def server() -> Iterator[OdpServer]:
    with odp_server({"t": TABLE}, "--batch-rows", "500") as server:
        yield server


@pytest.fixture(scope="module")
def in_parts() -> Iterator[OdpServer]:
    with odp_server({"t": TABLE}, "--batch-rows", "500", "--aggregate-batch-rows", "1000") as server:
        yield server


def reply(server: OdpServer, **body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}/api/table/v2/sdk/aggregate?table_id=t",
        json={"query": None, "by": None, "aggr": {}, "vars": None, **body},
        headers={"Authorization": f"ApiKey {server.api_key}"},
        timeout=10,
    )


def batches(server: OdpServer, **body: Any) -> list[pa.RecordBatch]:
    answer = reply(server, **body)
    assert answer.status_code == 200, answer.text
    return list(pa.ipc.open_stream(answer.content))


def expected(table: pa.Table, key: pa.Array | pa.ChunkedArray | pa.Scalar, parts: list[tuple[str, str]] = PARTS) -> pd.DataFrame:
    """By pyarrow, from the whole table at once."""
    keyed = table.append_column("", pa.repeat(key, table.num_rows) if isinstance(key, pa.Scalar) else key)
    grouped = keyed.group_by("").aggregate([([], "count_all"), *parts])
    names = [f"{column}_{part}" for column, part in parts]
    return comparable(grouped.select(["", "count_all", *names]).rename_columns(["", "*", *names]))


def comparable(table: pa.Table) -> pd.DataFrame:
    """In the order of its keys, by their text, so that null and NaN have a place."""
    return table.take(pc.sort_indices(pc.fill_null(table[""].cast(pa.string()), "\x00"))).to_pandas()


def buckets(column: str, *edges: Any) -> pa.ChunkedArray:
    """How many of two edges are not above each value."""
    low, high = (pc.greater_equal(TABLE[column], edge).cast(pa.int64()) for edge in edges)
    return pc.add(low, high)


KEYS = {
    "station": TABLE["station"],
    "level": TABLE["level"],
    "good": TABLE["good"],
    "'TOTAL'": pa.scalar("TOTAL"),
    "": pa.scalar("TOTAL"),
    "depth / 1000": pc.divide(TABLE["depth"].cast(pa.float64()), 1000.0),
    "hour(time)": pc.hour(TABLE["time"]),
    "bucket(depth, 1000, 2000)": buckets("depth", 1000, 2000),
    "bucket(time, $a, $b)": buckets("time", START + datetime.timedelta(minutes=777), START + datetime.timedelta(minutes=2000)),
}
EDGES = {name: {"type": "datetime", "value": f"2024-01-0{time}"} for name, time in (("a", "1T12:57:00"), ("b", "2T09:20:00"))}


@pytest.mark.parametrize("key", KEYS)
def test_groups_are_those_of_pyarrow(server: OdpServer, key: str) -> None:
    (answer,) = batches(server, by=key, aggr=FUNCTIONS, vars=EDGES if "$" in key else None)
    wanted = expected(TABLE, KEYS[key])
    assert list(answer.schema.names) == ["", "*", *(f"{column}_{part}" for column, part in PARTS)]
    pd.testing.assert_frame_equal(comparable(pa.Table.from_batches([answer])), wanted)


COUNTS = [("time", "count"), ("depth", "count"), ("level", "count")]
COUNTED = {
    **KEYS,
    "bucket(level, 0, 10)": pc.if_else(pc.is_nan(TABLE["level"]), pa.scalar(None, pa.int64()), buckets("level", 0, 10)),
    "BUCKET(time, $a, $b)": KEYS["bucket(time, $a, $b)"],
    "-7": pa.scalar(-7, pa.int64()),
}


@pytest.mark.parametrize("batch_rows", [7, 500, 2500, ROWS])
@pytest.mark.parametrize("key", COUNTED)
def test_counts_from_summaries_are_those_of_pyarrow(tmp_path: Path, key: str, batch_rows: int) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    table = Table(TableFiles("t", (tmp_path / "t.parquet",)), batch_rows=batch_rows)
    body = {"by": key, "aggr": {"time": "count", "depth": "count", "level": "count"}, "vars": EDGES if "$" in key else None}
    aggregation = Aggregation.parse(table, Query.parse(json.dumps(body).encode()))
    (answer,) = aggregation.replies(None)
    assert answer.schema == aggregation.schema
    pd.testing.assert_frame_equal(comparable(pa.Table.from_batches([answer])), expected(TABLE, COUNTED[key], COUNTS))


@pytest.mark.parametrize("edges", [(0, 3), (1, 2), (255, 256), (256, 257), (511, 1023), (1999, 2000), (2998, 2999), (3000, 4000)])
@pytest.mark.parametrize("without_nulls", [True, False])
def test_edges_anywhere_in_an_ascending_batch(tmp_path: Path, edges: tuple[int, int], without_nulls: bool) -> None:
    numbers = pa.array(range(ROWS))
    beside = numbers if without_nulls else pa.array([None, *range(ROWS - 1)])
    pq.write_table(pa.table({"n": numbers, "m": beside}), tmp_path / "t.parquet")
    table = Table(TableFiles("t", (tmp_path / "t.parquet",)), batch_rows=2000)
    body = {"by": f"bucket(n, {edges[0]}, {edges[1]})", "aggr": {"m": "count"}}
    (answer,) = Aggregation.parse(table, Query.parse(json.dumps(body).encode())).replies(None)
    wanted = [sum(low <= n < high for n in range(ROWS)) for low, high in zip((-1, *edges), (*edges, ROWS), strict=True)]
    rows = dict(zip(answer[""].to_pylist(), answer["*"].to_pylist(), strict=True))
    assert [rows.get(i, 0) for i in range(3)] == wanted
    assert sum(answer["m_count"].to_pylist()) == ROWS - beside.null_count


def test_null_and_nan_are_groups_of_their_own(server: OdpServer) -> None:
    (answer,) = batches(server, by="level")
    keys = answer[""].to_pylist()
    assert len(keys) == 4
    assert keys.count(None) == 1
    assert sum(key != key for key in keys) == 1
    (answer,) = batches(server, by="station")
    assert answer["*"].to_pylist()[answer[""].to_pylist().index(None)] == TABLE["station"].null_count


@pytest.mark.parametrize("key", ["station", "'TOTAL'", "hour(time)"])
def test_a_filter_comes_first(server: OdpServer, key: str) -> None:
    kept = TABLE.filter(pc.field("depth") > 1000)
    (answer,) = batches(server, query="depth > $d", vars={"d": {"type": "integer", "value": 1000}}, by=key, aggr=FUNCTIONS)
    keys: Any = {"station": kept["station"], "'TOTAL'": pa.scalar("TOTAL"), "hour(time)": pc.hour(kept["time"])}
    pd.testing.assert_frame_equal(comparable(pa.Table.from_batches([answer])), expected(kept, keys[key]))


@pytest.mark.parametrize("key", ["station", "level", "'TOTAL'"])
def test_partial_results_merge_to_the_whole_one(server: OdpServer, in_parts: OdpServer, key: str) -> None:
    partial = batches(in_parts, by=key, aggr=FUNCTIONS)
    (whole,) = batches(server, by=key, aggr=FUNCTIONS)
    assert [batch.num_rows for batch in partial] == [whole.num_rows] * 3
    merges = [("*", "sum")] + [(f"{column}_{part}", "sum" if part == "count" else part) for column, part in PARTS]
    merged = pa.Table.from_batches(partial).group_by("").aggregate(merges)
    merged = merged.select(["", *(f"{name}_{function}" for name, function in merges)]).rename_columns(whole.schema.names)
    pd.testing.assert_frame_equal(comparable(merged), comparable(pa.Table.from_batches([whole])))


def test_the_sdk_aggregates(server: OdpServer) -> None:
    table = server.client().dataset("t").table
    frame = table.aggregate("station", aggr={"temperature": "mean", "depth": "max"})
    north = TABLE.filter(pc.field("station") == "a")
    assert frame.loc["a", "temperature"] == pytest.approx(pc.mean(north["temperature"]).as_py(), nan_ok=True)
    assert frame.loc["a", "depth"] == pc.max(north["depth"]).as_py()
    assert frame["*"].sum() == ROWS
    by_metadata = table.aggregate("station")
    assert set(by_metadata.columns) == {"*", "depth", "temperature"}


@pytest.mark.parametrize("text", ["", "depth > 2000", "station is null", "depth < 0"])
def test_the_sdk_counts_the_rows_of_a_filter(server: OdpServer, in_parts: OdpServer, text: str) -> None:
    count = server.client().dataset("t").select(text).all().table().num_rows
    for one in (server, in_parts):
        assert one.client().dataset("t").table.aggregate(filter=text, aggr={"depth": "count"})["*"].sum() == count


def test_the_sdk_loses_null_keys_when_a_reply_has_parts(in_parts: OdpServer) -> None:
    frame = in_parts.client().dataset("t").table.aggregate("station", aggr={"depth": "sum"})
    assert frame["*"].sum() == ROWS - TABLE["station"].null_count  # why a loader merges the messages itself


def test_no_rows_make_no_group(server: OdpServer, in_parts: OdpServer) -> None:
    (answer,) = batches(server, query="depth < 0", by="station", aggr=FUNCTIONS)
    assert answer.num_rows == 0
    assert answer.schema.names[:2] == ["", "*"]
    assert [batch.num_rows for batch in batches(in_parts, query="depth < 0", by="station")] == [0, 0, 0]


@pytest.mark.parametrize("limit", [10, 1_000_000])
def test_partial_results_are_merged_before_they_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr("odp_server.aggregate._MERGE_ROWS", limit)
    pq.write_table(TABLE, tmp_path / "t.parquet")
    table = Table(TableFiles("t", (tmp_path / "t.parquet",)), batch_rows=7)
    body = {"by": "time", "aggr": {"depth": "sum", "level": "max"}}
    aggregation = Aggregation.parse(table, Query.parse(json.dumps(body).encode()))
    (answer,) = aggregation.replies(None)
    assert answer.schema == aggregation.schema
    wanted = expected(TABLE, TABLE["time"], [("depth", "sum"), ("level", "max")])
    pd.testing.assert_frame_equal(comparable(pa.Table.from_batches([answer])), wanted)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"aggr": {"*": "count"}}, "'*' is no column"),
        ({"aggr": {"tide": "sum"}}, "no column 'tide'"),
        ({"aggr": {"depth": "median"}}, "no aggregation 'median'"),
        ({"aggr": {"station": "sum"}}, "cannot be aggregated"),
        ({"by": "tide"}, "tide"),
        ({"by": "bucket(depth"}, "^"),
        ({"query": "depth >"}, "^"),
        ({"by": "bucket(depth, $e)"}, "$e"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(server: OdpServer, body: dict[str, Any], words: str) -> None:
    answer = reply(server, **body)
    assert answer.status_code == 400
    assert words in answer.text
