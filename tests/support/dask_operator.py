"""The operator of dask-kubernetes as its chart runs it, in a process of its own, against an API server of the tests."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Program, free_port, running

FINALIZER = "kopf.zalando.org/KopfFinalizerMarker"


@contextmanager
def dask_operator(kubeconfig: Path, folder: Path, *, namespaces: Sequence[str]) -> Iterator[Program]:
    """It serves these namespaces. `dask_kubernetes.operator` alone, which older charts name, registers no handler."""
    health = f"http://127.0.0.1:{free_port()}/healthz"
    command = [sys.executable, "-m", "kopf", "run", "-m", "dask_kubernetes.operator.controller", f"--liveness={health}"]
    command += ["--standalone", *(f"--namespace={namespace}" for namespace in namespaces)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    environment["KUBECONFIG"] = str(kubeconfig)
    with running(command, folder / "dask-operator.log", environment=environment) as process:
        process.await_(lambda: _answers(health), seconds=120)
        yield process


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False
