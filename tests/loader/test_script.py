"""The user's own program: where it is found, what reaches it, and how its end comes back."""

import os
import runpy
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster
from distributed.security import Security

from odp_loader.errors import InvalidLoad
from odp_loader.script import run_script
from odp_loader.spec import Script

EXAMPLES = Path(__file__).parents[1] / "data" / "scripts"
RUN_IN_A_PROCESS = """
import sys
from pathlib import Path
from odp_loader.script import run_script
from odp_loader.spec import Script
script = Script.model_validate({"configMap": {"name": "code", "key": "main.py"}})
sys.exit(run_script(script, scheduler_address=None, config_maps={"code": Path(sys.argv[1])}))
"""


def script(key: str = "main.py", *args: str) -> Script:
    return Script.model_validate({"configMap": {"name": "code", "key": key}, "args": args})


def run(folder: Path, text: str, *args: str) -> int:
    (folder / "main.py").write_text(text)
    return run_script(script("main.py", *args), scheduler_address=None, config_maps={"code": folder})


def thread_cluster(**options: object) -> LocalCluster:
    return LocalCluster(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None, **options)


def eventually(condition: Callable[[], bool], deadline_s: float = 30) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_dask_program_finds_the_cluster_by_itself(capfd: pytest.CaptureFixture[str]) -> None:
    station_mean = runpy.run_path(str(EXAMPLES / "running_statistics.py"))["station_mean"]
    mean = statistics.fmean(station_mean(station, hours=24)[1] for station in range(20))
    with thread_cluster(protocol="tcp") as cluster:
        status = run_script(
            script("running_statistics.py", "20"), scheduler_address=cluster.scheduler_address, config_maps={"code": EXAMPLES}
        )
        assert status == 0
        assert capfd.readouterr().out.splitlines() == [
            f"connected to {cluster.scheduler_address}",
            f"20 stations, mean height {mean:.3f} m",
        ]


def test_a_dask_program_reaches_a_cluster_that_speaks_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    security = Security.temporary()
    for name, variable in (
        ("tls_ca_file", "CA_FILE"),
        ("tls_client_cert", "CLIENT__CERT"),
        ("tls_client_key", "CLIENT__KEY"),
    ):
        (tmp_path / name).write_text(getattr(security, name))
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{variable}", str(tmp_path / name))
    with thread_cluster(protocol="tls", security=security) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        status = run_script(
            script("running_statistics.py", "1"), scheduler_address=cluster.scheduler_address, config_maps={"code": EXAMPLES}
        )
    assert (status, capfd.readouterr().out.startswith("connected to tls://")) == (0, True)


def test_arguments_environment_and_output_are_passed_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ODP_API_KEY", "kept-in-the-environment")
    program = "import os, sys; print(sys.argv[1:], os.environ['ODP_API_KEY'][:4], sys.stdin.read()); print('oh', file=sys.stderr)"
    assert run(tmp_path, program, "--year", "20 24", "$HOME") == 0
    captured = capfd.readouterr()
    assert captured.out == "['--year', '20 24', '$HOME'] kept \n"
    assert captured.err == "oh\n"


def test_a_module_runs_as_python_m_would(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_script(Script(module="calendar", args=("2024", "2")), scheduler_address=None, config_maps={}) == 0
    assert "February 2024" in capfd.readouterr().out


def test_files_of_one_config_map_import_each_other(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "..2024_06_01"
    data.mkdir()
    (data / "constants.py").write_text("DEPTH = 11\n")
    (data / "main.py").write_text("import constants; print(constants.DEPTH)")
    (tmp_path / "..data").symlink_to(data.name)
    for key in ("constants.py", "main.py"):
        (tmp_path / key).symlink_to(f"..data/{key}")
    assert run_script(script(), scheduler_address=None, config_maps={"code": tmp_path}) == 0
    assert capfd.readouterr().out == "11\n"
    with pytest.raises(InvalidLoad, match=r"no key 'other\.py'; it has constants\.py, main\.py$"):
        run_script(script("other.py"), scheduler_address=None, config_maps={"code": tmp_path})


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("raise SystemExit(7)", 7),
        ("1 / 0", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
)
def test_the_exit_status_is_the_programs_own(tmp_path: Path, program: str, status: int) -> None:
    assert run(tmp_path, program) == status


@pytest.mark.parametrize(
    ("config_maps", "message"),
    [
        ({}, r"script\.configMap\.name: no folder stands for the ConfigMap 'code' \(bound are: none\).*--config-map code=DIR"),
        ({"other": Path("x")}, r"\(bound are: other\)"),
        ({"code": Path("/nowhere")}, r"script\.configMap\.key: .* no key 'main\.py'; there is no file in /nowhere"),
    ],
)
def test_a_missing_program_is_an_invalid_load(config_maps: Mapping[str, Path], message: str) -> None:
    with pytest.raises(InvalidLoad, match=message):
        run_script(script(), scheduler_address=None, config_maps=config_maps)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts `run_script` in a process of its own, as an operator's or a user's signals meet it."""
    started = []

    def start(program: str) -> subprocess.Popen[str]:
        (tmp_path / "main.py").write_text(program)
        command = [sys.executable, "-c", RUN_IN_A_PROCESS, str(tmp_path)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:  # its program is in a process group of its own
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program_which_ends_as_it_likes(
    runner: Callable[[str], subprocess.Popen[str]], signum: signal.Signals
) -> None:
    process = runner(
        "import signal, sys, time\n"
        f"signal.signal({int(signum)}, lambda *_: sys.exit(print('saved') or 9))\n"
        "print('ready')\n"
        "while True: time.sleep(1)\n"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signum)
    assert process.communicate(timeout=120)[0] == "saved\n"
    assert process.returncode == 9


def test_ctrl_c_interrupts_the_program_once_and_leaves_no_process(runner: Callable[[str], subprocess.Popen[str]]) -> None:
    process = runner(
        "import os, time\n"
        "try:\n"
        "    print(os.getpid())\n"
        "    while True: time.sleep(1)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(0.3)\n"  # a second interrupt would end this
        "    print('cleaned up')\n"
        "    raise\n"
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)  # a terminal interrupts the whole group
    assert process.communicate(timeout=120)[0] == "cleaned up\n"
    assert process.returncode == 130
    eventually(lambda: not Path(f"/proc/{child}").exists())


def test_handlers_are_as_they_were_afterwards(tmp_path: Path) -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    run(tmp_path, "")
    assert [signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before
