"""The containers of a job as processes of this machine: same commands, same arguments, same environment, over TLS."""

import contextlib
import datetime
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from odp_dask_operator.core.desired import manifest
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.record import read_job
from odp_dask_operator.shell.certificates import new_certificate
from tests.support.operator_jobs import SETTINGS, job, presets

DEADLINE_S = 240.0


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Pod:
    """One container, with its ports, folders and the scheduler's name replaced by this machine's."""

    def __init__(self, spec: dict[str, Any], *, replaced: dict[str, str], log: Path, **environment: str) -> None:
        container = spec["containers"][0]

        there = re.compile(rf"({'|'.join(map(re.escape, replaced))})(?![0-9])")

        def here(text: str) -> str:
            text = there.sub(lambda found: replaced[found[1]], text)
            return re.sub(r"\$\((\w+)\)", lambda found: environment[found[1]], text)

        own = {variable["name"]: here(variable["value"]) for variable in container["env"] if "value" in variable}
        command = [here(word) for word in (*container["command"], *container["args"])]
        command[0] = sys.executable
        inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "TMPDIR": str(log.parent)}
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            command, env={**inherited, **own, **environment}, stdout=self._log, stderr=subprocess.STDOUT, cwd=log.parent
        )

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()


def eventually(what: Callable[[], Any], *, pods: list[Pod], folder: Path) -> Any:
    """The first true answer, within the deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if answer := what():
                return answer
        if any(pod.process.poll() not in (None, 0) for pod in pods):
            break
        time.sleep(0.1)
    logs = "\n".join(f"{log.name}:\n{log.read_text()[-3000:]}" for log in folder.glob("*.log"))
    raise AssertionError(f"not within {DEADLINE_S} s\n{logs}")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        body: bytes = response.read()
        return body


def has_arrow(process: psutil.Process) -> bool:
    return any("pyarrow" in mapped.path for mapped in process.memory_maps())


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    load = {"source": {"synthetic": {"rows": 1000}}, "sink": {"parquet": {"url": str(tmp_path / "out")}}}
    comm = "DASK_DISTRIBUTED__COMM__"
    careless = [{"name": f"{comm}DEFAULT_SCHEME", "value": "tcp"}, {"name": f"{comm}REQUIRE_ENCRYPTION", "value": "False"}]
    raw = job(load=load, workers={"minimum": 1, "maximum": 2}, env=careless)
    made = make_plan(read_job(raw), presets=presets(), settings=SETTINGS)
    assert isinstance(made, Plan)
    return made


@pytest.fixture
def started(plan: Plan, tmp_path: Path) -> Iterator[tuple[list[Pod], dict[str, int], Path]]:
    tls = tmp_path / "tls"
    tls.mkdir()
    certificate = new_certificate(plan.names.scheduler, now=datetime.datetime.now(datetime.UTC))
    for name, content in (("ca.crt", certificate.ca), ("tls.crt", certificate.certificate), ("tls.key", certificate.key)):
        (tls / name).write_bytes(content)
    (tmp_path / "job.json").write_text(manifest(Child.CONFIG_MAP, plan)["data"]["job.json"])
    ports = dict(zip(("8786", "8787", "8788", "8080"), free_ports(4), strict=True))
    folders = {"/etc/odp-dask/tls": str(tls), "/etc/odp-dask/job": str(tmp_path), "/tmp": str(tmp_path)}
    address = {f"{plan.names.scheduler}.ocean.svc": "127.0.0.1"}
    replaced = {**folders, **address, **{port: str(free) for port, free in ports.items()}}
    cluster = manifest(Child.CLUSTER, plan)["spec"]
    loader = manifest(Child.JOB, plan)["spec"]["template"]["spec"]
    pods: list[Pod] = []
    try:
        pods.append(Pod(cluster["scheduler"]["spec"], replaced=replaced, log=tmp_path / "scheduler.log"))
        pods.append(Pod(cluster["worker"]["spec"], replaced=replaced, log=tmp_path / "worker.log", DASK_WORKER_NAME="w-0"))
        loader["containers"][0]["args"] += ["--termination-log", "last-word"]  # relative to its folder
        pods.append(Pod(loader, replaced=replaced, log=tmp_path / "loader.log"))
        yield pods, ports, tmp_path
    finally:
        for pod in reversed(pods):
            pod.close()


def test_scheduler_worker_and_loader_find_each_other_over_tls(started: tuple[list[Pod], dict[str, int], Path]) -> None:
    pods, ports, folder = started
    loader = pods.pop()
    for port in ("8787", "8788"):
        health = f"http://127.0.0.1:{ports[port]}/health"
        assert eventually(lambda url=health: get(url), pods=pods, folder=folder) == b"ok"
    scheduler = f"http://127.0.0.1:{ports['8787']}"
    workers = eventually(lambda: json.loads(get(f"{scheduler}/api/v1/get_workers"))["workers"], pods=pods, folder=folder)
    assert [worker["name"] for worker in workers] == ["w-0"]
    (known,) = json.loads(get(f"{scheduler}/json/identity.json"))["workers"].values()
    assert (known["nthreads"], known["memory_limit"]) == (4, 2 * 2**30)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"http://127.0.0.1:{ports['8788']}/status")
    nanny = psutil.Process(pods[1].process.pid)
    for process in nanny.children():
        assert process.environ()["MALLOC_MMAP_THRESHOLD_"] == "67108864", "the worker itself, not only its nanny"
    assert any(has_arrow(process) for process in nanny.children()), "before the first task comes"
    assert not has_arrow(nanny), "which runs no tasks"
    try:
        assert loader.process.wait(DEADLINE_S) == 0, (folder / "loader.log").read_text()
    finally:
        loader.close()
    assert json.loads((folder / "last-word").read_text())["result"]["rows_written"] == 1000
    assert (folder / "out" / "manifest.json").exists()
    authority = ssl.create_default_context(cafile=folder / "tls" / "ca.crt")
    authority.check_hostname = False
    with socket.create_connection(("127.0.0.1", ports["8786"])) as plain, authority.wrap_socket(plain) as stranger:
        stranger.settimeout(DEADLINE_S)
        with pytest.raises(ssl.SSLError, match="certificate required"):
            stranger.recv(1)
