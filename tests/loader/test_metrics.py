"""Progress over real HTTP: what is answered, what is refused, and that a load never depends on it."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from odp_loader.metrics import ProgressServer, progress_to_json
from odp_loader.progress import Observer, Progress, Stage

HALFWAY = Progress(
    stage=Stage.LOADING,
    partitions_done=3,
    partitions_total=8,
    rows=500_000,
    rows_expected=1_000_000,
    bytes=25_000_000,
    bytes_expected=50_000_000,
    rows_per_second=123_456.7,
    bytes_per_second=6_172_835.0,
    eta_seconds=4.05,
    elapsed_seconds=4.4,
    failures={"worker-0": 2, "worker-1": 1},
    throttled=7,
    workers=2,
    updated_at=1_700_000_000.9,
)


@pytest.fixture
def server() -> Iterator[ProgressServer]:
    with ProgressServer(port=0) as server:
        yield server


def get(server: ProgressServer, path: str, **headers: str) -> tuple[str, str]:
    request = urllib.request.Request(f"{server.address}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.headers["Content-Type"], response.read().decode()


def test_progress_is_the_status_of_the_job_and_more(server: ProgressServer) -> None:
    observer: Observer = server
    observer.progress(HALFWAY)
    content_type, body = get(server, "/progress?pretty")
    assert content_type == "application/json"
    assert json.loads(body) == {
        "percent": 50,
        "partitions": {"done": 3, "total": 8},
        "rows": 500_000,
        "bytes": 25_000_000,
        "rowsPerSecond": 123_457,
        "etaSeconds": 4,
        "updatedAt": "2023-11-14T22:13:20Z",
        "stage": "Loading",
        "table": {"rows": 1_000_000, "bytes": 50_000_000},
        "rowsExpected": 1_000_000,
        "bytesPerSecond": 6_172_835,
        "elapsedSeconds": 4,
        "failures": {"worker-0": 2, "worker-1": 1},
        "throttled": 7,
        "workers": 2,
    }


def test_what_cannot_be_told_yet_is_null(server: ProgressServer) -> None:
    document = json.loads(get(server, "/progress")[1])
    assert document["stage"] == "Planning"
    assert [document[name] for name in ("etaSeconds", "rowsExpected", "updatedAt", "table")] == [None] * 4


@pytest.mark.parametrize(("accept", "parse"), [("text/plain", parse_text), ("application/openmetrics-text", parse_openmetrics)])
def test_metrics_are_read_by_prometheus(server: ProgressServer, accept: str, parse: Callable[[str], Iterable[Metric]]) -> None:
    server.progress(HALFWAY)
    content_type, body = get(server, "/metrics", Accept=accept)
    assert content_type.startswith(accept)
    samples = {(sample.name, *sample.labels.values()): sample.value for family in parse(body) for sample in family.samples}
    assert samples == {
        ("odp_load_partitions",): 8,
        ("odp_load_partitions_done",): 3,
        ("odp_load_rows",): 500_000,
        ("odp_load_rows_expected",): 1_000_000,
        ("odp_load_bytes",): 25_000_000,
        ("odp_load_rows_per_second",): 123_456.7,
        ("odp_load_bytes_per_second",): 6_172_835.0,
        ("odp_load_eta_seconds",): 4.05,
        ("odp_load_workers",): 2,
        ("odp_load_stage", "Planning"): 0,
        ("odp_load_stage", "Loading"): 1,
        ("odp_load_stage", "Verifying"): 0,
        ("odp_load_stage", "Finished"): 0,
        ("odp_load_failures_total", "worker-0"): 2,
        ("odp_load_failures_total", "worker-1"): 1,
        ("odp_load_throttled_total",): 7,
    }


def test_metrics_leave_out_what_cannot_be_told(server: ProgressServer) -> None:
    assert "odp_load_eta_seconds" not in get(server, "/metrics")[1]


def test_healthz_answers(server: ProgressServer) -> None:
    assert get(server, "/healthz")[1] == "ok\n"


def test_other_paths_and_methods_are_refused(server: ProgressServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as missing:
        get(server, "/etc/passwd")
    assert missing.value.code == 404
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.address}/progress", data=b"{}", timeout=10)
    assert refused.value.code == 501


def test_a_taken_port_is_noted_and_does_not_stop_the_load() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with ProgressServer(port=port) as server:
            assert server.address is None
            assert f"port {port} of 127.0.0.1: Address already in use" in server.notice
            server.progress(HALFWAY)
        server.close()


@pytest.mark.parametrize(("port", "host"), [(70_000, "127.0.0.1"), (0, "no such host.invalid")])
def test_a_port_or_host_that_cannot_be_is_noted(port: int, host: str) -> None:
    with ProgressServer(port, host) as server:
        assert server.address is None
        assert "the load goes on" in server.notice


def test_a_closed_server_frees_its_port_and_its_thread() -> None:
    server = ProgressServer(port=0)
    server.start()
    assert server.address is not None
    assert server.address in server.notice
    port = int(server.address.rpartition(":")[2])
    server.close()
    assert server.address is None
    assert "progress-server" not in {thread.name for thread in threading.enumerate()}
    with ProgressServer(port) as again:
        assert again.address is not None


def test_idle_connections_cannot_pile_up(server: ProgressServer) -> None:
    address = ("127.0.0.1", int(str(server.address).rpartition(":")[2]))
    idle = [socket.create_connection(address, timeout=10) for _ in range(17)]
    try:
        assert idle[-1].recv(1) == b""  # the one too many is hung up on, long before the others time out
    finally:
        for connection in idle:
            connection.close()


def test_an_ipv6_host_is_served() -> None:
    with ProgressServer(0, "::1") as server:
        if server.address is None:
            pytest.skip("this machine has no IPv6 loopback")
        assert get(server, "/healthz")[1] == "ok\n"


def test_failures_of_very_many_workers_stay_bounded() -> None:
    failures = {f"worker-{i:04d}": 1 for i in range(1_000)} | {"worker-0999": 5}
    told = progress_to_json(Progress(failures=failures))["failures"]
    assert len(told) == 101
    assert told["worker-0999"] == 5
    assert sum(told.values()) == sum(failures.values())
