"""`odp-dask run` as a whole: real Dask, the real SDK against a server, the program in a process of its own."""

import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import dask
import dask.dataframe as dd
import distributed
import pyarrow as pa
import pytest
from distributed.security import Security

from odp_dask_operator.cli.session import Flags, run_session
from odp_dask_operator.local import scheduler as schedulers
from odp_dask_operator.spec import JobStatus
from tests.support.command_line import DEADLINE_S, PROGRAM, SCRATCH, SLOW_PROGRAM, odp_dask
from tests.support.odp_server import API_KEY, OdpServer, odp_server

ROWS = 4000
JOB = """\
apiVersion: odpdask.dev/v1alpha1
kind: OdpDaskJob
metadata: {name: stations}
spec:
  scale: small
  credentials: {secretName: odp-api-key}
  load:
    source: {odp: {dataset: stations}}
    partitions: {targetBytes: 64Ki}
    sink: {parquet: {url: out}}
"""
SYNTHETIC = """\
apiVersion: odpdask.dev/v1alpha1
kind: OdpDaskJob
metadata: {name: made-up}
spec: {scale: small, load: {source: {synthetic: {rows: 100}}, sink: {parquet: {url: out}}}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[OdpServer]:
    key = pa.field("id", pa.int64(), metadata={"index": "1"})
    table = pa.table(
        [pa.array(range(ROWS)), pa.array([f"station {i % 50:>80}" for i in range(ROWS)])],
        schema=pa.schema([key, ("name", pa.string())]),
    )
    with odp_server({"stations": table}, "--batch-rows", "100") as running:
        yield running


@pytest.fixture
def job(tmp_path: Path, server: OdpServer) -> Iterator[Path]:
    (tmp_path / "job.yaml").write_text(JOB.replace("dataset: stations", f"dataset: stations, baseURL: '{server.url}'"))
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ODP_API_KEY").write_text(f"{API_KEY}\n")
    yield tmp_path
    server.reset()


RUN = ("run", "job.yaml", "--secret", "odp-api-key=keys")


def status_in(lines: list[str]) -> JobStatus:
    return JobStatus.model_validate_json(lines[-1], strict=True)


def test_a_table_becomes_a_dataset_and_the_second_run_finds_it_complete(job: Path) -> None:
    with odp_dask(*RUN, cwd=job) as run:
        assert run.finish() == 0, run.err
    assert run.out[:2] == ["Complete and verified", "  rows      4,000 read = 4,000 expected; 4,000 rows written"]
    assert run.out[-1] == f'  read it   dd.read_parquet("{job}/out/data")'
    assert run.err[0] == "small: 1 worker with 4 threads and 2 GiB, in this process"
    assert run.err[1].startswith("dashboard: http://127.0.0.1:")
    assert run.err[-1].startswith("Finished 100 %: ")
    with dask.config.set(scheduler="synchronous"):
        assert len(dd.read_parquet(job / "out" / "data")) == ROWS

    with odp_dask(*RUN, "--output", "json", cwd=job) as again:
        assert again.finish() == 0, again.err
    assert len(again.out) == 1
    status = status_in(again.out)
    assert status.phase == "Succeeded"
    assert status.result is not None
    assert (status.result.rows, status.result.data_url) == (ROWS, f"{job}/out/data")
    assert status.progress is not None
    assert status.progress.percent == 100
    assert "Complete and verified; an earlier run had done all of it" in again.err
    assert again.left_over() == []
    assert list((job / SCRATCH).iterdir()) == []


def test_worker_processes_a_report_and_a_dashboard_behind_jupyterhub(job: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # somebody else's dashboard will do
            taken.bind(("127.0.0.1", 8787))
        environment = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
        arguments = ("--set", "spec.scale=medium", "--report", "report.html", "-o", "json")
        with odp_dask(*RUN, *arguments, cwd=job, environment=environment) as run:
            assert run.finish() == 0, run.err
    status = status_in(run.out)
    assert status.workers is not None
    assert status.workers.desired in (1, 2)
    assert status.dashboard_url is not None
    prefix, _, port = status.dashboard_url.removesuffix("/status").rpartition("/")
    assert (prefix, status.dashboard_url.endswith("/status")) == ("/user/ada/proxy", True)
    assert int(port) != 8787
    assert "Dask Performance Report" in (job / "report.html").read_text()
    noise = ("Warning", "WARNING", "Traceback", "distributed", "8787")
    assert [line for line in run.err if any(word in line for word in noise)] == []
    assert run.left_over() == []
    assert list((job / SCRATCH).iterdir()) == []


@pytest.mark.parametrize(
    ("scale", "number", "everyone", "code"),
    [("small", signal.SIGTERM, False, 143), ("medium", signal.SIGINT, True, 130)],
)
def test_a_stopped_load_says_what_is_kept_leaves_nothing_and_goes_on(
    job: Path, server: OdpServer, scale: str, number: int, everyone: bool, code: int
) -> None:
    server.fault("stall", rows=100, seconds=3600, requests=["select"], skip=4, times=1)
    with odp_dask(*RUN, "--set", f"spec.scale={scale}", "-o", "json", cwd=job) as run:
        run.wait_for("Loading")
        _wait_for_receipts(job)
        run.interrupt(number, everyone=everyone)
        assert run.finish() == code, run.err
        assert run.left_over() == []
    assert list((job / SCRATCH).iterdir()) == []
    assert run.err[-1].startswith("Stopped. ")
    assert "Traceback" not in "\n".join(run.err)
    status = status_in(run.out)
    assert (status.phase, status.reason, status.result) == ("Suspended", "Interrupted", None)
    assert not (job / "out" / "manifest.json").exists()

    server.reset()
    with odp_dask(*RUN, cwd=job) as again:
        assert again.finish() == 0, again.err
    assert again.out[0].startswith("Complete and verified; an earlier run had done ")
    assert again.out[1] == "  rows      4,000 read = 4,000 expected; 4,000 rows written"


def _wait_for_receipts(job: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with suppress(FileNotFoundError):  # a folder of the load may go while it is looked into
            if any((job / "out").rglob("receipts/*/*.json")):
                return
        threading.Event().wait(0.02)
    pytest.fail("no partition was finished")


def test_a_second_interrupt_quits_at_once(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(SYNTHETIC)
    with odp_dask("run", "job.yaml", "--set", "spec.scale=medium", cwd=tmp_path, program=SLOW_PROGRAM) as run:
        run.wait_for("waiting")
        run.interrupt(signal.SIGINT, everyone=False)
        run.wait_for("first interrupt")
        run.interrupt(signal.SIGINT, everyone=False)
        assert run.finish() == 130
        assert run.left_over() == []


SCRIPT = """\
kind: ConfigMap
metadata: {name: code}
data:
  main.py: |
    import os, sys
    from distributed import Client
    with Client() as client:
        print("sum", client.submit(sum, [1, 2, 3]).result(), os.environ["GREETING"], *sys.argv[1:])
    sys.exit(int(sys.argv[1]))
---
kind: OdpDaskJob
apiVersion: odpdask.dev/v1alpha1
metadata: {name: a}
spec:
  scale: small
  env: [{name: GREETING, value: hello}]
  script: {configMap: {name: code, key: main.py}, args: ["7"]}
"""


def test_a_script_runs_with_the_config_map_of_its_file_and_its_status_is_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(SCRIPT)
    with odp_dask("run", "job.yaml", "-o", "json", cwd=tmp_path) as failed:
        assert failed.finish() == 7
        assert failed.left_over() == []
    assert len(failed.out) == 1
    assert status_in(failed.out).reason == "ScriptFailed"
    assert "sum 6 hello 7" in failed.err
    assert failed.err[-1] == "Error: the script ended with exit status 7; its own output above says why"


def test_a_script_is_stopped_with_its_cluster(tmp_path: Path) -> None:
    waiting = "print('waiting', file=sys.stderr, flush=True); import time; time.sleep(3600)"
    (tmp_path / "job.yaml").write_text(SCRIPT.replace("sys.exit(int(sys.argv[1]))", waiting))
    with odp_dask("run", "job.yaml", cwd=tmp_path) as run:
        run.wait_for("waiting")
        run.interrupt(signal.SIGINT, everyone=True)
        assert run.finish() == 130, run.err
        assert run.left_over() == []
    assert run.err[-1] == "Stopped. Nothing was finished; run the same command again to start over."


def test_a_run_that_could_not_close_its_cluster_leaves_no_trace_of_it() -> None:
    program = "from multiprocessing import get_context; from odp_dask_operator.cli.run import leave"
    program += "; left = get_context('spawn').Queue(); print('said'); leave(3)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\n", "")


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(SYNTHETIC)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ.update(TERM="xterm", COLUMNS="100")
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, *PROGRAM, "run", "job.yaml"])
    shown = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while chunk := os.read(terminal, 65536):
            shown += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = shown.decode()
    assert "━" in text
    assert "Finished" in text
    assert "100 %  4/4  100 rows" in text
    assert text.index("Finished") < text.index("Complete and verified")


def session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, environment: Mapping[str, str] | None = None, **flags: str
) -> int:
    """A run in this process, for ends that come early."""
    monkeypatch.chdir(tmp_path)
    for name in ("ODP_API_KEY", "JUPYTERHUB_SERVICE_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (environment or {}).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "job.yaml").write_text(text)
    return run_session(Flags(**{"file": "job.yaml", **flags}), as_json=False)  # type: ignore[arg-type]


def test_a_missing_key_ends_before_a_cluster_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session(tmp_path, monkeypatch, JOB) == 3
    assert capsys.readouterr().err == (
        "Error: no API key for https://api.hubocean.earth/: export ODP_API_KEY=...,"
        " or bind the job's Secret: --secret odp-api-key=DIR (a folder with a file ODP_API_KEY)\n"
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (SYNTHETIC.replace("small", "smal"), "spec.scale: there is no preset 'smal'; did you mean \"small\"?"),
        (JOB.replace("small", "smal"), "spec.scale: there is no preset 'smal'; did you mean \"small\"?"),  # before the key
        (
            SYNTHETIC.replace("rows", "row"),
            "job.yaml:4: spec.load.source.synthetic.rows: is required (how many rows)\n"
            'job.yaml:4: spec.load.source.synthetic.row: unknown field; did you mean "rows"?',
        ),
        ("a: [", "job.yaml:1: expected the node content, but found '<stream end>' (while parsing a flow node)"),
    ],
)
def test_an_invalid_job_is_told_without_a_stack_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, error: str
) -> None:
    assert session(tmp_path, monkeypatch, text) == 2
    assert capsys.readouterr().err == f"Error: {error}\n"


def test_auto_asks_the_table_how_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session(tmp_path, monkeypatch, SYNTHETIC.replace("small", "auto")) == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        "auto is small: the table has 100 rows, less than 1 MiB",
        "small: 1 worker with 4 threads and 2 GiB, in this process",
    ]


def test_map_may_name_a_module_beside_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "every_other.py").write_text("def row(frame):\n    return frame.iloc[::2]\n")
    text = SYNTHETIC.replace("load: {", 'load: {transform: {map: "every_other:row"}, ')
    assert session(tmp_path, monkeypatch, text) == 0
    assert "100 read = 100 expected, 48 dropped; 52 rows written" in capsys.readouterr().out
    assert str(tmp_path) not in sys.path


def test_a_fault_of_ours_is_one_line_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("Authorization: ApiKey the-key")

    monkeypatch.setattr("odp_dask_operator.local.run.run_load", broken)
    assert session(tmp_path, monkeypatch, SYNTHETIC, {"ODP_API_KEY": "the-key"}) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("Error: unexpected KeyError: 'Authorization: ApiKey ***'; this is a fault of odp-dask")


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_a_scheduler_that_is_there_already_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], protocol: str
) -> None:
    security = Security.temporary()
    certificates = {"ca-file": security.tls_ca_file, "client.cert": security.tls_client_cert, "client.key": security.tls_client_key}
    options = {"protocol": protocol, **({"security": security} if protocol == "tls" else {})}
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", **options) as cluster,
        dask.config.set({f"distributed.comm.tls.{name}": value for name, value in certificates.items()}),
    ):
        assert session(tmp_path, monkeypatch, SYNTHETIC, scheduler=cluster.scheduler_address) == 0
        assert cluster.scheduler.status == distributed.Status.running
    assert "100 rows written" in capsys.readouterr().out


def test_a_job_comes_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SYNTHETIC.replace("small", "5").encode())))
    assert session(tmp_path, monkeypatch, "", file="-") == 2
    assert capsys.readouterr().err == 'Error: standard input:4: spec.scale: 5 is not text; write "5" in quotes\n'


def test_a_scheduler_with_other_software_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schedulers, "_EQUAL", ("a-package-that-nobody-has", "odp-loader"))
    monkeypatch.setattr(
        distributed.versions, "_version_cached", lambda package: {"odp-loader": str(os.urandom(2).hex())}.get(package)
    )
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        assert session(tmp_path, monkeypatch, SYNTHETIC, scheduler=address) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"Error: the cluster at {address} cannot run this load:\n  odp-loader: this machine has ")


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("tcp://127.0.0.1:1", 1, "Error: the scheduler at tcp://127.0.0.1:1 does not answer within 0 s"),
        ("tls://127.0.0.1:1", 2, "Error: --scheduler tls://127.0.0.1:1: "),
        ("nonsense://x", 2, "Error: --scheduler nonsense://x: "),
    ],
)
def test_a_scheduler_out_of_reach_is_told_with_what_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str, code: int, message: str
) -> None:
    monkeypatch.setattr(schedulers, "_CONNECT_S", 0.2)
    assert session(tmp_path, monkeypatch, SYNTHETIC, scheduler=address) == code
    assert capsys.readouterr().err.startswith(message)


def test_a_status_is_json_for_every_end(tmp_path: Path) -> None:
    with odp_dask("run", "missing.yaml", "-o", "json", cwd=tmp_path) as run:
        assert run.finish() == 2
    assert json.loads(run.out[-1])["phase"] == "Failed"
    assert run.err == ["Error: missing.yaml: no such file or directory; name the job's YAML file, or - for standard input"]
