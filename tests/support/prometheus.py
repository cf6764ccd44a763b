"""A real Prometheus that scrapes one process, from Debian's package."""

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import free_port, running

_CONFIG = """global: {{scrape_interval: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: odp-dask-operator-metrics
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{namespace: odp-dask-system, pod: operator}}}}]
"""


@dataclass(frozen=True)
class Prometheus:
    """A server that runs."""

    port: int

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; the test fails when it is no query."""
        question = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{question}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
        return found

    def ready(self) -> bool:
        """It answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False


def program(name: str) -> str:
    """Prometheus or its tool; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install --yes --no-install-recommends prometheus`")
    return found


@contextmanager
def prometheus(folder: Path, *, scrapes: int) -> Iterator[Prometheus]:
    """One that scrapes a port of this machine every second and keeps everything below `folder`."""
    (folder / "prometheus.yml").write_text(_CONFIG.format(port=scrapes))
    server = Prometheus(free_port())
    command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{server.port}", "--log.level=warn"]
    with running(command, folder / "prometheus.log") as started:
        started.await_(server.ready)
        yield server
