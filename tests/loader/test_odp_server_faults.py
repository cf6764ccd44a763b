"""Every fault of the ODP-compatible server, as the unmodified odp-sdk meets it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import requests
import urllib3

from odp_server import reply as reply_module
from odp_server.faults import FAULTS, Asked, Faults
from odp_server.messages import END_OF_STREAM
from odp_server.reply import Pacer
from tests.support.odp_server import OdpServer, odp_server

ROWS, BATCH_ROWS = 1000, 100
TABLE = pa.table({"n": pa.array(range(ROWS)), "x": np.random.default_rng(1).random(ROWS)})


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    with odp_server({"t": TABLE, "other": TABLE}, "--batch-rows", str(BATCH_ROWS)) as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> Iterator[OdpServer]:
    running.reset()
    yield running
    running.reset()


def read(server: OdpServer, table: str = "t", **select: Any) -> pa.Table:
    return server.client().dataset(table).select(**select).all().table()


def read_until_it_fails(server: OdpServer, failure: type[Exception] | tuple[type[Exception], ...], match: str | None = None) -> int:
    """Read with the SDK; the rows that came before the failure."""
    counts: list[int] = []
    with pytest.raises(failure, match=match):
        counts.extend(batch.num_rows for batch in server.client().dataset("t").select().batches())
    return sum(counts)


def post(
    server: OdpServer, body: object = None, path: str = "sdk/select", *, timeout: float = 10, stream: bool = False
) -> requests.Response:
    return requests.post(
        f"{server.url}/api/table/v2/{path}?table_id=t",
        json={} if body is None else body,
        headers={"Authorization": f"ApiKey {server.api_key}"},
        timeout=timeout,
        stream=stream,
    )


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again_by_the_sdk(server: OdpServer, status: int) -> None:
    server.fault("status", status=status)
    assert read(server).equals(TABLE)
    counters = server.counters()
    assert counters["requests"]["select"] == 2
    assert counters["statuses"] == {"200": 2, str(status): 1}
    assert counters["faults"] == {"status": 1}
    assert counters["selects"]["started"] == 1


def test_an_internal_error_is_final_for_the_sdk(server: OdpServer) -> None:
    server.fault("status", status=500)
    with pytest.raises(requests.HTTPError) as failed:
        read(server)
    assert failed.value.response.status_code == 500
    assert read(server).equals(TABLE)


def test_too_many_requests_say_when_to_come_back_if_asked_to(server: OdpServer) -> None:
    server.fault("status", status=429, retry_after_s=2, requests=["stats", "aggregate"], times=2)
    for path in ("stats", "sdk/aggregate"):
        assert post(server, path=path).headers["Retry-After"] == "2"
    server.fault("status", status=429)
    assert "Retry-After" not in post(server).headers


def test_an_error_inside_the_stream_comes_after_its_rows(server: OdpServer) -> None:
    server.fault("error", rows=250, message="disk on fire")
    assert read_until_it_fails(server, ValueError, "server error: disk on fire") == 250
    (select,) = server.counters()["selects"]["each"]
    assert (select["rows"], select["outcome"]) == (250, "error")


def test_a_chunked_stream_that_is_cut_raises(server: OdpServer) -> None:
    for inside in (False, True):
        server.fault("cut", rows=250, inside=inside)
        assert read_until_it_fails(server, urllib3.exceptions.ProtocolError) <= 250
    assert [select["outcome"] for select in server.counters()["selects"]["each"]] == ["cut", "cut"]


def test_a_close_delimited_stream_cut_between_messages_looks_whole(server: OdpServer) -> None:
    server.settings(close_delimited=True)
    server.fault("cut", rows=300)
    assert read(server).equals(TABLE.slice(0, 300))  # the silent loss that a loader must find
    assert server.counters()["selects"]["each"][0]["outcome"] == "cut"
    assert read(server).equals(TABLE)


def test_a_close_delimited_stream_cut_inside_a_message_raises(server: OdpServer) -> None:
    server.settings(close_delimited=True)
    server.fault("cut", rows=300, inside=True)
    assert read_until_it_fails(server, (pa.ArrowInvalid, OSError)) == 300


def test_a_cut_before_the_first_row_and_one_after_the_last(server: OdpServer) -> None:
    server.settings(close_delimited=True)
    server.fault("cut", rows=0)
    server.fault("cut", rows=ROWS, skip=1)
    assert list(server.client().dataset("t").select().batches()) == []
    reply = post(server).content
    assert not reply.endswith(END_OF_STREAM)
    assert pa.ipc.open_stream(reply).read_all().equals(TABLE)


def test_streams_can_end_without_the_marker_all_of_them(server: OdpServer) -> None:
    assert post(server).content.endswith(END_OF_STREAM)
    server.settings(end_of_stream=False, close_delimited=True)
    for body in ({}, {"query": '"fetch" == "schema"'}):
        assert not post(server, body).content.endswith(END_OF_STREAM)
    assert not post(server, path="sdk/aggregate").content.endswith(END_OF_STREAM)
    assert read(server).equals(TABLE)


def test_a_stall_is_not_noticed_by_the_sdk_and_is_by_a_timeout(server: OdpServer) -> None:
    server.fault("stall", rows=150, seconds=0.1)
    assert read(server).equals(TABLE)
    server.fault("stall", rows=150, seconds=30)
    with pytest.raises((requests.ConnectionError, requests.Timeout), match="timed out"):
        post(server, timeout=1)
    assert server.counters()["faults"] == {"stall": 2}


def test_rows_can_be_withheld_and_sent_twice_in_a_reply_that_looks_whole(server: OdpServer) -> None:
    server.fault("omit", rows=130)
    assert read(server).equals(TABLE.slice(0, 130))
    server.fault("repeat", rows=130)
    again = pa.concat_tables([TABLE.slice(0, 200), TABLE.slice(130, 70), TABLE.slice(200)])
    assert read(server).combine_chunks().equals(again.combine_chunks())


def test_faults_of_one_stream_happen_in_the_order_of_their_rows(server: OdpServer) -> None:
    server.fault("error", rows=260, message="last")
    server.fault("stall", rows=20, seconds=0.01)
    server.fault("repeat", rows=200)
    assert read_until_it_fails(server, ValueError, "last") == 200 + 100 + 60
    assert server.counters()["faults"] == {"error": 1, "stall": 1, "repeat": 1}


def test_a_cursor_can_expire() -> None:
    with odp_server({"t": TABLE}, "--batch-rows", "100", "--page-rows", "300") as server:
        server.fault("expire", skip=1)
        assert read_until_it_fails(server, ValueError, "cursor expired") == 600
        assert server.counters()["requests"]["select"] == 3
        assert read(server).equals(TABLE)


def test_a_fault_meets_only_the_requests_it_is_meant_for(server: OdpServer) -> None:
    server.fault("status", status=500, matching='"value": 7', times=None)
    server.fault("status", status=500, table="other", times=None)
    server.fault("status", status=500, requests=["stats"])
    for value, status in ((6, 200), (7, 500), (7, 500)):
        assert post(server, {"query": "n > $a", "vars": {"a": {"type": "integer", "value": value}}}).status_code == status
    with pytest.raises(requests.HTTPError):
        read(server, "other")
    with pytest.raises(requests.HTTPError):
        server.client().dataset("t").table.stats()
    assert server.client().dataset("t").table.stats().num_rows == ROWS


def happens(fault: dict[str, Any], count: int) -> list[int]:
    """Which of so many requests a fault happens to."""
    faults = Faults()
    faults.add(FAULTS.validate_python([{"kind": "cut", **fault}]))
    return [number for number in range(1, count + 1) if faults.meeting(Asked("select"))]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({}, [1]),
        ({"times": 2}, [1, 2]),
        ({"times": None}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"skip": 3}, [4]),
        ({"every": 3, "times": None}, [3, 6]),
        ({"skip": 1, "every": 2, "times": 2}, [3, 5]),
        ({"probability": 0.0, "times": None}, []),
    ],
)
def test_when_a_fault_happens(fault: dict[str, Any], expected: list[int]) -> None:
    assert happens(fault, 8) == expected


def test_a_probable_fault_happens_to_the_same_requests_for_the_same_seed() -> None:
    often = {"probability": 0.3, "times": None}
    first = happens({**often, "seed": 1}, 1000)
    assert first == happens({**often, "seed": 1}, 1000)
    assert first != happens({**often, "seed": 2}, 1000)
    assert 250 < len(first) < 350


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("faults", [{"kind": "flood"}], "'status', 'expire', 'error', 'cut', 'stall', 'omit', 'repeat'"),
        ("faults", [{"kind": "cut", "row": 3}], "0.cut.row\n  Extra inputs are not permitted"),
        ("faults", [{"kind": "status"}], "0.status.status\n  Field required"),
        ("faults", [{"kind": "status", "status": 200}], "greater than or equal to 400"),
        ("faults", [{"kind": "cut", "requests": ["insert"]}], "0.cut.requests.0"),
        ("faults", [{"kind": "cut", "every": 0}], "0.cut.every"),
        ("faults", {"kind": "cut"}, "a valid array"),
        ("settings", {"speed": 3}, "speed\n  Extra inputs are not permitted"),
        ("settings", {"bytes_per_s": 0}, "bytes_per_s\n  Input should be greater than 0"),
        ("settings", {"latency_s": None}, "latency_s\n  Input should be a valid number"),
        ("settings", {"end_of_stream": "perhaps"}, "end_of_stream\n  Input should be a valid boolean"),
        ("settings", [], "JSON object"),
        ("statistics?table_id=t", {"rows": 3}, "statistics have no 'rows'"),
        ("statistics?table_id=u", {}, "name a table"),
        ("append?table_id=t", {}, ""),
    ],
)
def test_what_the_control_endpoint_does_not_understand_it_says(server: OdpServer, path: str, document: object, words: str) -> None:
    headers = {"Authorization": f"ApiKey {server.api_key}"}
    reply = requests.post(f"{server.url}/control/{path}", json=document, headers=headers, timeout=10)
    assert reply.status_code == 400
    assert words in reply.text


def test_there_is_no_control_endpoint_unless_asked_for() -> None:
    with odp_server({"t": TABLE}, control=False) as server:
        headers = {"Authorization": f"ApiKey {server.api_key}"}
        assert requests.get(f"{server.url}/control/counters", headers=headers, timeout=10).status_code == 404
        assert requests.post(f"{server.url}/control/reset", headers=headers, timeout=10).status_code == 404


def test_selects_above_the_limit_are_turned_away(server: OdpServer) -> None:
    server.settings(max_selects=2, retry_after_s=1)
    server.fault("stall", rows=100, seconds=30, times=2)
    with post(server, stream=True) as first, post(server, stream=True) as second:
        assert (first.status_code, second.status_code) == (200, 200)
        third = post(server)
        assert (third.status_code, third.headers["Retry-After"]) == (429, "1")
        assert server.client().dataset("t").table.schema() is not None
        counters = server.counters()
    assert counters["selects"]["running"] == counters["selects"]["peak"] == 2
    assert counters["statuses"]["429"] == 1


def test_a_select_that_was_read_makes_room_for_the_next(server: OdpServer) -> None:
    server.settings(max_selects=1)
    for _ in range(20):
        assert post(server).status_code == 200
    counters = server.counters()["selects"]
    assert (counters["started"], counters["finished"], counters["running"], counters["peak"]) == (20, 20, 0, 1)


def test_the_counters_say_what_was_read(server: OdpServer) -> None:
    read(server, columns=["x"])
    post(server, {"query": "n >= $a", "vars": {"a": {"type": "integer", "value": 700}}})
    server.client().dataset("t").table.stats()
    counters = server.counters()
    assert counters["requests"] == {"schema": 1, "select": 2, "stats": 1}
    assert counters["statuses"] == {"200": 4}
    first, second = counters["selects"]["each"]
    assert 8 * ROWS < first.pop("bytes") < 12 * ROWS
    assert 16 * 300 < second.pop("bytes") < 24 * 300
    common = {"table": "t", "page": False, "outcome": "finished"}
    sent_vars = {"a": {"type": "integer", "value": 700}}
    assert first == {**common, "query": "", "vars": None, "cols": ["x"], "rows": ROWS}
    assert second == {**common, "query": "n >= $a", "vars": sent_vars, "cols": None, "rows": 300}
    server.reset()
    assert server.counters()["requests"] == server.counters()["statuses"] == {}


def test_a_client_that_leaves_is_counted_so(server: OdpServer) -> None:
    server.settings(bytes_per_s=1000)
    with post(server, stream=True) as reply:
        assert reply.raw.read(100)
    deadline = time.monotonic() + 20
    while (select := server.counters()["selects"]["each"][0])["outcome"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert select["outcome"] == "left"
    assert select["rows"] < ROWS


def test_a_table_grows_after_so_many_selects_saw_it_as_it_was(server: OdpServer) -> None:
    rows = TABLE.slice(0, 7)
    server.append("t", rows, after_selects=2)
    stats = server.client().dataset("t").table.stats
    assert [read(server).num_rows for _ in range(2)] == [ROWS, ROWS]
    assert stats().num_rows == ROWS + 7
    assert read(server).equals(pa.concat_tables([TABLE, rows]))
    server.append("t", rows)
    assert stats().num_rows == read(server).num_rows == ROWS + 14
    assert server.client().dataset("other").table.stats().num_rows == ROWS
    server.append("t", rows, after_selects=1, matching="n >= 3")
    assert read(server).num_rows == read(server).num_rows == ROWS + 14
    assert read(server, query="n >= 3").num_rows < ROWS + 14
    assert read(server).num_rows == ROWS + 21
    server.reset()
    assert stats().num_rows == read(server).num_rows == ROWS
    with pytest.raises(AssertionError, match="has the columns n, x"):
        server.append("t", rows.select(["n"]), after_selects=3)


def test_a_select_goes_on_with_the_table_as_it_was_when_it_began(server: OdpServer) -> None:
    server.fault("stall", rows=100, seconds=0.5)
    with post(server, stream=True) as reply:
        server.append("t", TABLE)
        assert pa.ipc.open_stream(reply.raw).read_all().equals(TABLE)
    assert read(server).num_rows == 2 * ROWS


def test_statistics_can_be_stale(server: OdpServer) -> None:
    server.claim("t", num_rows=3, columns={"n": {"min": None, "max": 5}})
    stats = server.client().dataset("t").table.stats()
    n, x = stats.columns
    assert stats.num_rows == 3
    assert (n.min, n.max, n.null_count) == (None, 5, 0)
    assert x.min is not None
    server.reset()
    assert server.client().dataset("t").table.stats().num_rows == ROWS


def test_latency_and_bandwidth_are_never_less_than_asked(server: OdpServer) -> None:
    size = len(post(server).content)
    server.settings(latency_s=0.05, bytes_per_s=size * 5)
    started = time.monotonic()
    assert pa.ipc.open_stream(post(server).content).read_all().equals(TABLE)
    assert time.monotonic() - started >= 0.05 + 0.2 - 0.001
    with ThreadPoolExecutor(8) as pool:
        assert all(table.equals(TABLE) for table in pool.map(lambda _: read(server), range(8)))


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_paced_stream_takes_its_time_and_catches_up_only_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(reply_module, "time", clock)
    pacer = Pacer(40e6)
    for _ in range(80):
        pacer.sent(pacer.piece_bytes)
    assert clock.now == pytest.approx(80 * pacer.piece_bytes / 40e6)
    held_up_at = clock.now = clock.now + 10
    for _ in range(80):
        pacer.sent(pacer.piece_bytes)
    assert clock.now - held_up_at == pytest.approx(80 * pacer.piece_bytes / 40e6 - 0.05)
