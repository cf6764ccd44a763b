"""Loads through everything that can go wrong on the way: either the rows are all there, or the load fails with a reason."""

import os
import pickle
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import distributed
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from odp_loader.errors import LoadError, Transient
from odp_loader.odp.client import OdpClient
from odp_loader.partition import Predicate
from odp_loader.run import run_load
from odp_loader.sources.odp import OdpTable
from odp_loader.spec import OdpSource
from tests.support.loads import Watcher, load_of, rows_of, same_rows
from tests.support.odp_server import API_KEY, OdpServer, odp_server

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
KEYS = ("time", "lat", "lon")
MANY = {"targetBytes": "1Mi"}


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    with odp_server({"coads": COADS}, "--batch-rows", "2048") as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> OdpServer:
    running.reset()
    return running


def source(server: OdpServer, **fields: object) -> dict[str, object]:
    return {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url, **fields}}


def whole(url: Path) -> bool:
    """Whether the output is the table, row for row."""
    return same_rows(rows_of(url, *KEYS), pq.read_table(COADS).sort_by([(key, "ascending") for key in KEYS]))


CUTS = [
    pytest.param(
        {"kind": "cut", "rows": 4096, "inside": False}, {"close_delimited": True}, id="between messages, looks like the end"
    ),
    pytest.param({"kind": "cut", "rows": 4096, "inside": True}, {"close_delimited": True}, id="inside a message"),
    pytest.param({"kind": "cut", "rows": 4096, "inside": False}, {}, id="between messages, chunked"),
    pytest.param({"kind": "cut", "rows": 4096, "inside": True}, {}, id="inside a message, chunked"),
    pytest.param({"kind": "error", "rows": 4096, "message": "disk on fire"}, {}, id="error after rows"),
    pytest.param({"kind": "status", "status": 500}, {}, id="500"),
    pytest.param({"kind": "status", "status": 503}, {}, id="503"),
    pytest.param({"kind": "status", "status": 429, "retry_after_s": 0.2}, {}, id="429 with Retry-After"),
    pytest.param({"kind": "status", "status": 429}, {}, id="429 without"),
]


@pytest.mark.parametrize(("fault", "settings"), CUTS)
def test_a_fault_in_a_partition_costs_a_repetition_and_no_row(
    server: OdpServer, client: distributed.Client, tmp_path: Path, fault: dict[str, object], settings: dict[str, bool]
):
    server.settings(**settings)
    server.fault(**fault, requests=["select"], matching="$", times=3)  # type: ignore[arg-type]
    run_load(load_of(source(server), tmp_path, partitions=MANY), client)
    assert whole(tmp_path)
    assert sum(server.counters()["faults"].values()) == 3


def test_an_expired_cursor_starts_the_partition_over(server: OdpServer, client: distributed.Client, tmp_path: Path):
    with odp_server({"coads": COADS}, "--batch-rows", "2048", "--page-rows", "5000") as paging:
        paging.fault("expire", requests=["select"], times=2)
        run_load(load_of(source(paging), tmp_path, partitions=MANY), client)
        assert paging.counters()["faults"] == {"expire": 2}
    assert whole(tmp_path)


def test_a_server_without_end_markers_is_counted_instead(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.settings(end_of_stream=False, close_delimited=True)
    server.fault("cut", rows=4096, inside=False, requests=["select"], matching="$", times=2)
    run_load(load_of(source(server), tmp_path, partitions=MANY), client)
    assert whole(tmp_path)
    assert server.counters()["requests"]["aggregate"] > 12, "one count for each partition"


def test_rows_sent_twice_are_found_and_read_again(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.fault("repeat", rows=100, requests=["select"], matching="$low", times=1)
    watcher = Watcher()
    run_load(load_of(source(server), tmp_path, partitions=MANY), client, observer=watcher)
    assert whole(tmp_path)
    assert any("read again" in note for note in watcher.notes)


def test_429s_narrow_the_window(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.settings(max_selects=2, retry_after_s=0.1, bytes_per_s=4_000_000)
    watcher = Watcher()
    run_load(load_of(source(server, streams=16), tmp_path, partitions=MANY), client, observer=watcher)
    assert whole(tmp_path)
    assert server.counters()["selects"]["peak"] <= 2
    assert any("asks for fewer requests: at most 8 partitions at once" in note for note in watcher.notes)


def test_streams_bound_the_requests_at_once(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.settings(latency_s=0.05)
    run_load(load_of(source(server, streams=2), tmp_path, partitions=MANY), client)
    assert server.counters()["selects"]["peak"] <= 2


def test_a_storm_of_everything_and_a_killed_worker(server: OdpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    server.settings(close_delimited=True, latency_s=0.05)
    for kind in (
        {"kind": "status", "status": 429, "times": 3},
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "cut", "rows": 2048, "inside": False, "times": 3, "every": 2},
        {"kind": "cut", "rows": 2048, "inside": True, "times": 1, "skip": 7},
        {"kind": "error", "rows": 2048, "message": "gone", "times": 2, "skip": 3},
    ):
        server.fault(**kind, requests=["select"], matching="$")  # type: ignore[arg-type]
    server.settings(bytes_per_s=2_000_000)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        victim = next(iter(cluster.workers.values())).pid
        killer = threading.Thread(target=kill_when, args=(lambda: server.counters()["selects"]["running"] > 2, victim))
        killer.start()
        result = run_load(load_of(source(server), tmp_path, partitions=MANY), client)
        killer.join()
    assert result.rows_read == result.rows_written == result.rows_expected == 194400
    assert whole(tmp_path)
    assert len(list((tmp_path / "data").iterdir())) == result.files


def kill_when(condition: Callable[[], bool], victim: int, *, deadline_s: float = 60) -> None:
    """SIGKILL a process as soon as a condition holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)


def test_a_partition_that_kills_its_workers_is_named_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deadly.py").write_text("import os, signal\n\ndef strike(frame):\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.syspath_prepend(tmp_path)  # which the workers inherit
    harmless = types.ModuleType("deadly")  # what the driver probes with
    harmless.strike = lambda frame: frame  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "deadly", harmless)
    load = load_of({"synthetic": {"rows": 100}}, tmp_path / "out", transform={"map": "deadly:strike"}, partitions={"maximum": 1})
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
        pytest.raises(LoadError, match=r"partition 0 .* lost 2 workers in a row, most likely to their memory limit") as failure,
    ):
        run_load(load, client)
    assert failure.value.retryable


def test_a_scheduler_that_goes_away_ends_the_run_and_the_next_one_goes_on(
    server: OdpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    server.settings(bytes_per_s=2_000_000)
    load = load_of(source(server, streams=2), tmp_path, partitions=MANY)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        client = distributed.Client(cluster)
        receipts = tmp_path / "receipts"
        stopper = threading.Thread(
            target=lambda: (wait_for(lambda: len(list(receipts.glob("*/*.json"))) >= 2), cluster.close(timeout=5)), daemon=True
        )
        stopper.start()
        with pytest.raises(Transient, match="scheduler"):
            run_load(load, client)
        stopper.join()
        client.close()
    kept = len(list(receipts.glob("*/*.json")))
    assert kept >= 2
    server.reset()
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert run_load(load, client).resumed_partitions == kept
    assert whole(tmp_path)


def wait_for(condition: Callable[[], bool], *, deadline_s: float = 60) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)


class TestKey:
    def test_a_client_cannot_be_sent_anywhere(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("ODP_API_KEY", API_KEY)
        with pytest.raises(TypeError, match="never sent"):
            pickle.dumps(OdpClient("http://127.0.0.1:1"))

    @pytest.mark.parametrize(
        ("fields", "key"),
        [
            ({}, "a-key-that-is-wrong"),
            ({"dataset": "nowhere"}, API_KEY),
            ({"filter": "h3(lat, 3) = 1"}, API_KEY),
            ({"base_url": "http://127.0.0.1:1"}, API_KEY),
        ],
    )
    def test_no_error_of_a_request_holds_it(
        self, server: OdpServer, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], key: str
    ):
        monkeypatch.setenv("ODP_API_KEY", key)
        monkeypatch.setattr("odp_loader.patience.LONGEST_WAIT_S", 0)
        table = OdpTable(OdpSource(**{"dataset": server.table_id("coads"), "base_url": server.url, **fields}))
        with pytest.raises(LoadError) as failure:
            list(table.read(Predicate("everything")))
        raised: BaseException | None = failure.value
        while raised is not None:
            assert key not in repr(raised)
            assert key.encode() not in pickle.dumps(raised)
            assert not hasattr(raised, "request")
            raised = raised.__cause__

    def test_it_is_in_nothing_that_a_load_leaves_or_shows(
        self, server: OdpServer, client: distributed.Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level("DEBUG")
        server.fault("error", rows=2048, message="gone", requests=["select"], matching="$", times=2)
        watcher = Watcher()
        run_load(load_of(source(server), tmp_path, partitions=MANY), client, observer=watcher, report=True)
        for path in tmp_path.rglob("*"):
            assert path.is_dir() or API_KEY.encode() not in path.read_bytes(), path
        assert API_KEY not in caplog.text
        assert not any(API_KEY in note for note in watcher.notes)
        assert not any(API_KEY in repr(progress) for progress in watcher.seen)
        assert API_KEY not in repr(client.get_scheduler_logs()) + repr(client.get_worker_logs())
        story = client.run_on_scheduler(lambda dask_scheduler: repr([dask_scheduler.transition_log, dask_scheduler.tasks]))
        story += repr(client.get_events())
        dashboard = client.dashboard_link.removesuffix("/status")
        for page in ("status", "tasks", "graph", "info/main/workers.html", "info/main/logs.html", "metrics", "json/counts.json"):
            reply = requests.get(f"{dashboard}/{page}", timeout=30)
            assert reply.status_code == 200, page
            story += reply.text
        assert API_KEY not in story


def test_a_graph_holds_no_key_and_is_small(server: OdpServer, monkeypatch: pytest.MonkeyPatch):
    import cloudpickle

    from odp_loader.partition import Partition, Predicate
    from odp_loader.task import Context

    monkeypatch.setenv("ODP_API_KEY", API_KEY)
    load = load_of(source(server), "/somewhere")
    schema = pq.read_schema(COADS).serialize().to_pybytes()
    context = cloudpickle.dumps(Context(load, "0123abcd", schema=schema, output=schema))
    assert API_KEY.encode() not in context
    low, high = (pa.scalar(value, pa.timestamp("us")).as_py() for value in (10**15, 2 * 10**15))
    partition = Partition(99_999, Predicate("range", "time", low, high), 1_000_000)
    assert len(cloudpickle.dumps(partition)) < 1024
