"""How often a load asks the server for what it could know, and that knowing it loses no row."""

import time
from collections.abc import Iterator
from pathlib import Path

import distributed
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_loader.errors import Transient
from odp_loader.partition import Partition, Predicate
from odp_loader.prepare import Widths, plan_load
from odp_loader.receipt import FileReceipt
from odp_loader.run import run_load
from odp_loader.sink import PartitionWriter
from odp_loader.sources.odp import OdpTable
from odp_loader.spec import OdpSource, Partitions
from tests.support.loads import load_of, rows_of
from tests.support.odp_server import API_KEY, OdpServer, odp_server

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
ROWS = pq.read_metadata(COADS).num_rows
EVERYTHING = Predicate("everything")
WORDS = pa.table({"n": range(60_000), "word": [f"{'w' * (n % 7)}{n}" for n in range(60_000)]})


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    with odp_server({"coads": COADS, "words": WORDS}, "--batch-rows", "4096") as server:
        yield server


@pytest.fixture
def server(running: OdpServer, monkeypatch: pytest.MonkeyPatch) -> OdpServer:
    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    running.reset()
    return running


def source_of(server: OdpServer, table: str) -> OdpSource:
    return OdpSource(dataset=server.table_id(table), base_url=server.url)


def rows(table: OdpTable) -> int:
    return sum(batch.num_rows for batch in table.read(EVERYTHING))


def test_a_load_asks_for_the_schema_once(server: OdpServer, client: distributed.Client, tmp_path: Path):
    source = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url}}
    result = run_load(load_of(source, tmp_path, partitions={"targetBytes": "1Mi"}), client)
    assert result.partitions > 8
    assert rows_of(tmp_path).num_rows == ROWS
    assert server.counters()["requests"]["schema"] == 1


def test_the_statistics_after_the_last_row_are_asked_for_while_files_are_written(
    server: OdpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    finish = PartitionWriter.finish

    def finish_when_asked(writer: PartitionWriter) -> tuple[FileReceipt, ...]:
        end = time.monotonic() + 60
        while server.counters()["requests"]["stats"] < 2:
            assert time.monotonic() < end, "nobody asked while partitions were unfinished"
            time.sleep(0.01)
        return finish(writer)

    monkeypatch.setattr(PartitionWriter, "finish", finish_when_asked)
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=16, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        source = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url}}
        result = run_load(load_of(source, tmp_path, partitions={"targetBytes": "1Mi"}), client)
    assert 8 < result.partitions <= 16
    assert server.counters()["requests"]["stats"] == 2


def test_a_stream_cut_unnoticed_by_arrow_is_found_without_a_schema_request(server: OdpServer):
    described = OdpTable(source_of(server, "coads")).describe()
    assert described.ends_marked
    server.settings(close_delimited=True)
    server.fault("cut", rows=4096, requests=["select"])
    table = OdpTable(source_of(server, "coads"), schema=described.schema, ends_marked=True)
    asked = server.counters()["requests"]["schema"]
    with pytest.raises(Transient, match="cut"):
        rows(table)
    assert server.counters()["requests"]["schema"] == asked
    assert rows(table) == ROWS
    assert server.counters()["requests"]["schema"] == asked + 1, "after a failure the server is asked again"


def test_a_server_that_stops_marking_ends_is_counted(server: OdpServer):
    described = OdpTable(source_of(server, "coads")).describe()
    server.settings(close_delimited=True, end_of_stream=False)
    table = OdpTable(source_of(server, "coads"), schema=described.schema, ends_marked=described.ends_marked)
    with pytest.raises(Transient, match="cut"):
        rows(table)
    counts = server.counters()["requests"].get("aggregate", 0)
    assert rows(table) == ROWS
    assert server.counters()["requests"]["aggregate"] == counts + 1
    assert not OdpTable(source_of(server, "coads")).describe().ends_marked


def test_columns_are_chosen_as_without_knowing(server: OdpServer):
    few = source_of(server, "coads").model_copy(update={"columns": ("sst", "time")})
    described = OdpTable(few).describe()
    assert described.schema.names == ["sst", "time"]
    table = OdpTable(few, schema=described.schema, ends_marked=True)
    assert pa.Table.from_batches(table.read(EVERYTHING)).equals(pq.read_table(COADS, columns=["sst", "time"]))


@pytest.mark.parametrize("target", [2**16, 2**26])
def test_what_is_foreseen_is_asked_once_and_changes_no_plan(server: OdpServer, target: int):
    partitions = Partitions(target_bytes=target)
    plain, seeing = (OdpTable(source_of(server, "words")) for _ in range(2))
    width = Widths(WORDS.schema).bytes_per_row(plain.preview())
    wanted = plain.divide(plain.describe(), partitions, bytes_per_row=width)
    asked = server.counters()["requests"].get("aggregate", 0)
    description = seeing.describe()
    seeing.foresee(description, partitions, least_bytes_per_row=Widths(description.schema).least)
    assert seeing.divide(description, partitions, bytes_per_row=width) == wanted
    assert server.counters()["requests"].get("aggregate", 0) == 2 * asked


def test_a_plan_previews_only_columns_whose_values_differ_in_length(server: OdpServer):
    source = {"odp": {"dataset": server.table_id("words"), "baseURL": server.url}}
    plan = plan_load(load_of(source, "/somewhere"), OdpTable(source_of(server, "words")), load_id="", load_hash="", generation=1)
    assert [each["cols"] for each in server.counters()["selects"]["each"]] == [["word"]]
    assert plan.bytes_per_row == pytest.approx(WORDS.nbytes / len(WORDS), rel=0.1)
    coads = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url}}
    plan_load(load_of(coads, "/somewhere"), OdpTable(source_of(server, "coads")), load_id="", load_hash="", generation=1)
    assert server.counters()["selects"]["started"] == 1, "no row is read where the types tell"


def test_widths():
    schema = pa.schema([("a", pa.int64()), pa.field("b", pa.float32(), nullable=False), ("c", pa.bool_()), ("d", pa.string())])
    assert Widths(schema).varying == ("d",)
    assert Widths(schema).least == (65 + 32 + 2 + 33) / 8
    rows = pa.record_batch({"d": ["four"] * 80})
    assert Widths(schema).bytes_per_row(rows) == pytest.approx((65 + 32 + 2) / 8 + 4 + 4, abs=0.1)
    assert Widths(schema).bytes_per_row(None) == 50
    assert Widths(schema.remove(3)).bytes_per_row(None) == (65 + 32 + 2) / 8


def test_nulls_and_nan_are_beside_the_ranges_unless_there_are_some():
    ranges = [Partition(i, Predicate("range", "key", i, i + 1), count) for i, count in enumerate([10, None])]
    nulls, nan = Partition(4, Predicate("null", "key"), 0), Partition(5, Predicate("nan", "key"))
    many_nulls = Partition(6, Predicate("null", "key"), 25)
    assert [each.beside for each in (*ranges, nulls, nan, many_nulls)] == [False, False, True, True, False]
