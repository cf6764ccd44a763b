"""Runs the two operators as processes: ours in an environment of its own, the Dask operator in this one."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import cpu_s, peak_bytes, resident_bytes
from benchmarks.operator.environment import operator_python, variables
from tests.support.processes import free_port

OURS, DASK = "odp-dask-operator", "dask-operator"
"""Their service accounts, which the audit log knows them by."""
SYSTEM = "odp-dask-system"


@dataclass(frozen=True)
class Program:
    """An operator that runs."""

    process: subprocess.Popen[bytes]
    log: Path
    health: str
    """The address of its liveness or readiness."""
    metrics: str = ""

    @property
    def cpu_s(self) -> float:
        """CPU seconds since it was started."""
        return cpu_s(self.process.pid)

    @property
    def resident_bytes(self) -> int:
        """What it has in memory now."""
        return resident_bytes(self.process.pid)

    @property
    def peak_bytes(self) -> int:
        """The most it has had in memory."""
        return peak_bytes(self.process.pid)

    @property
    def ready(self) -> bool:
        """Whether it says so. Raises RuntimeError when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.log.stem} has ended: {self.log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(self.health, timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """A sample by its name and labels; 0 when there is none."""
        with urllib.request.urlopen(self.metrics, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)

    def end(self, number: signal.Signals) -> None:
        """Sends a signal, and waits for what comes of it."""
        self.process.send_signal(number)
        self.process.wait(timeout=60)


@contextmanager
def our_operator(kubeconfig: Path, folder: Path, *, name: str = "ours", flags: Sequence[str] = ()) -> Iterator[Program]:
    """Ours, as its Deployment runs it. It is ready when it leads and knows of everything."""
    health, metrics = free_port(), free_port()
    command = [str(operator_python()), "-m", "odp_dask_operator", "--default-image=example.org/odp-loader:1"]
    command += [f"--health-port={health}", f"--metrics-port={metrics}", f"--identity={name}", f"--operator-namespace={SYSTEM}"]
    environment = {**variables(), "KUBECONFIG": str(kubeconfig)}
    with _process([*command, *flags], environment, folder / f"{name}.log") as process:
        yield Program(process, folder / f"{name}.log", f"http://127.0.0.1:{health}/readyz", f"http://127.0.0.1:{metrics}/metrics")


@contextmanager
def dask_operator(kubeconfig: Path, folder: Path) -> Iterator[Program]:
    """That of dask-kubernetes, as its chart runs it, without --verbose."""
    health = f"http://127.0.0.1:{free_port()}/healthz"
    command = [sys.executable, "-m", "kopf", "run", "-m", "dask_kubernetes.operator.controller", "--all-namespaces"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    log = folder / "dask.log"
    with _process([*command, f"--liveness={health}"], {**environment, "KUBECONFIG": str(kubeconfig)}, log) as process:
        yield Program(process, log, health)


@contextmanager
def _process(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_ready(program: Program, *, seconds: float = 120.0) -> None:
    """Until it is. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not program.ready:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{program.log.stem} is not ready after {seconds:.0f} s: {program.log.read_text()[-2000:]}")
        time.sleep(0.05)
