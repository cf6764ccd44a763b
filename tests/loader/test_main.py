"""The loader as its pod runs it: found by environment, watched by HTTP, judged by exit status and last words."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import distributed
import pytest
import requests

from odp_loader.__main__ import termination_message
from odp_loader.errors import InvalidLoad
from odp_loader.progress import Result
from tests.support.odp_server import API_KEY, OdpServer, odp_server
from tests.support.processes import free_port, running

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
DEADLINE_S = 120


@pytest.fixture(scope="module")
def server() -> Iterator[OdpServer]:
    with odp_server({"coads": COADS}, "--batch-rows", "4096") as running:
        yield running


class Loader:
    """Starts the loader against the shared cluster."""

    def __init__(self, client: distributed.Client, folder: Path) -> None:
        self.address = client.scheduler.address
        self.folder = folder
        self.last_words = folder / "termination-log"

    def start(self, job: Mapping[str, Any], *flags: str, key: str = API_KEY) -> subprocess.Popen[str]:
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        command = [sys.executable, "-m", "odp_loader", str(path), "--termination-log", str(self.last_words), *flags]
        environment = {**os.environ, "DASK_SCHEDULER_ADDRESS": self.address, "ODP_API_KEY": key}
        return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def run(self, job: Mapping[str, Any], *, key: str = API_KEY) -> tuple[int, dict[str, Any]]:
        with self.start(job, "--port", "0", key=key) as process:
            _, log = process.communicate(timeout=DEADLINE_S)
        assert key not in log
        return process.returncode, json.loads(self.last_words.read_bytes())


@pytest.fixture
def loader(client: distributed.Client, tmp_path: Path) -> Loader:
    return Loader(client, tmp_path)


def load(server: OdpServer, url: Path, **fields: Any) -> dict[str, Any]:
    odp = {"dataset": server.table_id("coads"), "baseURL": server.url, **fields}
    return {"load": {"source": {"odp": odp}, "sink": {"parquet": {"url": str(url)}}}}


def test_a_load_ends_with_0_and_its_result(server: OdpServer, loader: Loader, tmp_path: Path):
    status, words = loader.run(load(server, tmp_path / "out"))
    assert (status, words["reason"]) == (0, "LoadVerified")
    assert (words["result"]["rows_written"], words["result"]["rows_expected"]) == (194400, 194400)
    assert words["result"]["data_url"] == str(tmp_path / "out" / "data")
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000


@pytest.mark.parametrize(
    ("change", "key", "status", "reason"),
    [
        ({"dataset": "nowhere"}, API_KEY, 2, "InvalidLoad"),
        ({"filter": "sst >"}, API_KEY, 2, "InvalidLoad"),
        ({}, "a-wrong-key-of-mine", 3, "CredentialsRefused"),
    ],
)
def test_a_failure_has_its_exit_status_and_reason(
    server: OdpServer, loader: Loader, tmp_path: Path, change: dict[str, str], key: str, status: int, reason: str
):
    code, words = loader.run(load(server, tmp_path / "out", **change), key=key)
    assert (code, words["reason"]) == (status, reason)
    assert words["message"]


def test_an_output_that_exists_and_code_that_raises(loader: Loader, tmp_path: Path):
    source = {"synthetic": {"rows": 10}}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("mine")
    assert loader.run({"load": {"source": source, "sink": {"parquet": {"url": str(tmp_path)}}}})[0] == 5
    transform = {"map": "json:dumps"}
    code, words = loader.run(
        {"load": {"source": source, "transform": transform, "sink": {"parquet": {"url": str(tmp_path / "o")}}}}
    )
    assert (code, words["reason"]) == (6, "UserCodeFailed")


def test_a_file_that_describes_nothing(loader: Loader):
    code, words = loader.run({"neither": 1})
    assert (code, words["reason"]) == (2, "InvalidLoad")


def test_a_fault_that_nobody_foresaw_is_told_without_the_key(loader: Loader, tmp_path: Path):
    """Here it is Dask's, about an address that it does not know how to use."""
    loader.address = f"{API_KEY}://127.0.0.1:1"
    code, words = loader.run({"load": {"source": {"synthetic": {"rows": 10}}, "sink": {"parquet": {"url": str(tmp_path / "out")}}}})
    assert (code, words["reason"]) == (1, "LoadFailed")
    assert words["message"].startswith("ValueError: unknown address scheme '***'")


def test_progress_is_served_while_it_loads(server: OdpServer, loader: Loader, tmp_path: Path, unused_tcp_port: int):
    server.settings(bytes_per_s=4_000_000)
    job = load(server, tmp_path / "out")
    job["load"]["partitions"] = {"targetBytes": "1Mi"}
    seen: list[dict[str, Any]] = []
    with loader.start(job, "--port", str(unused_tcp_port)) as process:
        end = time.monotonic() + DEADLINE_S
        while process.poll() is None:
            assert time.monotonic() < end
            try:
                seen.append(requests.get(f"http://127.0.0.1:{unused_tcp_port}/progress", timeout=5).json())
                metrics = requests.get(f"http://127.0.0.1:{unused_tcp_port}/metrics", timeout=5).text
            except requests.ConnectionError:
                time.sleep(0.05)
        process.communicate()
    server.reset()
    assert process.returncode == 0
    rows = [each["rows"] for each in seen]
    assert rows == sorted(rows)
    assert 0 < max(each["partitions"]["done"] for each in seen) <= seen[-1]["partitions"]["total"] == 12
    assert "odp_load_rows" in metrics


def test_a_load_is_planned_and_says_how_large_it_is_before_there_is_a_cluster(
    server: OdpServer, tmp_path: Path, client: distributed.Client, unused_tcp_port: int
):
    loader = Loader(client, tmp_path)
    host, _, _ = loader.address.removeprefix("tcp://").rpartition(":")
    with socket.create_server((host, 0)) as reserved:
        loader.address = f"tcp://{host}:{reserved.getsockname()[1]}"
    job = load(server, tmp_path / "out", filter="lat < 0")
    with loader.start(job, "--port", str(unused_tcp_port)) as process:
        try:
            progress = f"http://127.0.0.1:{unused_tcp_port}/progress"
            table, end = None, time.monotonic() + DEADLINE_S
            while table is None:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
                with contextlib.suppress(requests.ConnectionError):
                    table = requests.get(progress, timeout=5).json()["table"]
            assert table["rows"] == 194400 // 2
            assert 16 <= table["bytes"] / table["rows"] <= 100
            with distributed.LocalCluster(
                n_workers=1,
                processes=False,
                host=host,
                scheduler_port=int(loader.address.rpartition(":")[2]),
                dashboard_address=":0",
            ):
                process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == 0
    assert json.loads(loader.last_words.read_bytes())["result"]["rows_written"] == 194400 // 2


def test_an_invalid_load_needs_no_cluster_to_fail(server: OdpServer, loader: Loader, tmp_path: Path):
    loader.address = "tcp://127.0.0.1:1"
    status, words = loader.run(load(server, tmp_path / "out", columns=["sstt"]))
    assert (status, words["reason"]) == (2, "InvalidLoad")


def slow_load(server: OdpServer, url: Path) -> dict[str, Any]:
    server.settings(bytes_per_s=2_000_000)
    job = load(server, url, streams=2)
    job["load"]["partitions"] = {"targetBytes": "1Mi"}
    return job


def await_receipts(url: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while len(list(url.glob("receipts/*/*.json"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_sigterm_ends_it_though_its_scheduler_answers_no_more(server: OdpServer, loader: Loader, tmp_path: Path):
    """The scheduler of a job that is deleted goes at the same moment."""
    dask, port = [sys.executable, "-m", "dask"], free_port()
    loader.address = f"tcp://127.0.0.1:{port}"
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [*dask, "worker", loader.address, "--nthreads", "2", "--no-nanny", "--no-dashboard"]
    with (
        running(scheduler, tmp_path / "scheduler.log", patience_s=0) as paused,
        running(worker, tmp_path / "worker.log", patience_s=0),
        loader.start(slow_load(server, tmp_path / "out"), "--port", "0") as process,
    ):
        try:
            await_receipts(tmp_path / "out")
            paused.process.send_signal(signal.SIGSTOP)
            process.terminate()
            process.communicate(timeout=15)
        finally:
            process.kill()
    server.reset()
    assert process.returncode == 143


def test_sigterm_ends_it_at_once_and_the_next_one_goes_on(server: OdpServer, loader: Loader, tmp_path: Path):
    job = slow_load(server, tmp_path / "out")
    with loader.start(job, "--port", "0") as process:
        await_receipts(tmp_path / "out")
        process.terminate()
        process.communicate(timeout=15)
    server.reset()
    assert process.returncode == 143
    assert not (tmp_path / "out" / "manifest.json").exists()
    status, words = loader.run(job)
    assert (status, words["result"]["rows_written"]) == (0, 194400)
    assert words["result"]["resumed_partitions"] >= 2


def test_last_words_that_cannot_be_said_change_no_outcome(loader: Loader, tmp_path: Path):
    loader.last_words = tmp_path / "nowhere" / "log"
    job = {"load": {"source": {"synthetic": {"rows": 10}}, "sink": {"parquet": {"url": str(tmp_path / "out")}}}}
    with loader.start(job, "--port", "0") as process:
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_a_script_runs_unchanged_and_its_status_is_the_jobs(loader: Loader, tmp_path: Path):
    folder = tmp_path / "config-maps" / "code"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(
        "import sys\nfrom dask.distributed import Client\nsys.exit(Client().submit(sum, [3, 4]).result())\n"
    )
    job = {"script": {"configMap": {"name": "code", "key": "main.py"}}}
    with loader.start(job, "--config-maps", str(folder.parent)) as process:
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 7


def test_a_script_begins_when_the_scheduler_answers(loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "100ms")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "program.py").write_text("from dask.distributed import Client\nClient(timeout='100s').submit(sum, [3]).result()\n")
    host, _, _ = loader.address.removeprefix("tcp://").rpartition(":")
    with socket.create_server((host, 0)) as reserved:
        port = reserved.getsockname()[1]
    loader.address = f"tcp://{host}:{port}"
    with loader.start({"script": {"module": "program"}}) as process:
        assert process.stderr is not None
        assert "waits for the Dask scheduler" in process.stderr.readline()
        with distributed.LocalCluster(n_workers=1, processes=False, host=host, scheduler_port=port, dashboard_address=":0"):
            process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0


def test_last_words_fit_into_a_termination_message():
    long = "x" * 100_000
    assert len(termination_message(error=InvalidLoad(long))) <= 4096
    result = Result(1, 1, 0, 1, 1, 1, "s3://" + long, "s3://" + long, "0" * 64, 1.0, 1, 0)
    assert len(termination_message(result=result)) <= 4096
    assert json.loads(termination_message(result=result))["reason"] == "LoadVerified"


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
