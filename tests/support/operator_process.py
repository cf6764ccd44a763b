"""The operator as a process of its own, against an API server of the tests."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.apiserver import until
from tests.support.processes import free_port


@dataclass
class OperatorProcess:
    """A replica that runs."""

    process: subprocess.Popen[bytes]
    health_port: int
    metrics_port: int
    log: Path

    def probe(self, name: str) -> int:
        """The HTTP status of a probe; 0 without an answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/{name}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metric(self, name: str) -> float:
        """A sample by its name and labels; 0 when there is none."""
        return next((value for sample, value in self._samples() if sample == name), 0.0)

    def written(self) -> float:
        """How often it asked the API server to change something, beside its Lease."""
        verbs = [f'verb="{verb}"' for verb in ("create", "apply", "patch", "delete")]
        calls = [(name, value) for name, value in self._samples() if name.startswith("odp_dask_api_calls_total{")]
        return sum(value for name, value in calls if any(verb in name for verb in verbs) and 'resource="leases"' not in name)

    def metrics(self) -> str:
        """All samples, as Prometheus reads them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def _samples(self) -> list[tuple[str, float]]:
        pairs = (line.rpartition(" ") for line in self.metrics().splitlines() if not line.startswith("#"))
        return [(name, float(value)) for name, _, value in pairs]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and says with which code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=120)


@contextmanager
def operator(
    kubeconfig: Path,
    folder: Path,
    *,
    operator_namespace: str,
    namespaces: Sequence[str],
    name: str = "operator",
    lease: str = "odp-dask-operator",
    ready: bool = True,
    prelude: str = "",
) -> Iterator[OperatorProcess]:
    """A replica; killed in the end if it still runs. `prelude` is Python to be run before its own."""
    health, metrics = (free_port() for _ in range(2))
    program = f"{prelude}\nfrom odp_dask_operator.shell.main import main; main()"
    command = [sys.executable, "-c", program, "--default-image=example/loader:1", "--resync-seconds=5", "--verbose"]
    command += [f"--operator-namespace={operator_namespace}", f"--health-port={health}", f"--metrics-port={metrics}"]
    command += [f"--identity={name}", f"--lease-name={lease}", *(f"--namespace={namespace}" for namespace in namespaces)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")} | {
        "KUBECONFIG": str(kubeconfig)
    }
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    running = OperatorProcess(process, health, metrics, log)
    try:
        if ready:
            until(lambda: process.poll() is not None or running.probe("readyz") == 200, "the operator is ready", seconds=120)
            assert process.poll() is None, log.read_text()[-3000:]
        yield running
    finally:
        process.kill()
        process.wait()
