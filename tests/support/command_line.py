"""Runs `odp-dask` in a session of its own, listens to it, and finds what it leaves behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

DEADLINE_S = 240
SCRATCH = "scratch"
"""Below the working directory: the temporary folder of what is started, to see what stays in it."""
PROGRAM = ("-c", "from odp_dask_operator.cli import main; main()")
SLOW_PROGRAM = (str(Path(__file__).with_name("slow_run.py")),)


@dataclass
class Run:
    """A started command; `out` and `err` grow while it runs."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _listeners: list[threading.Thread] = field(default_factory=list)

    def wait_for(self, text: str) -> str:
        """The first line of standard error with this text, as soon as it is there."""
        end = time.monotonic() + DEADLINE_S
        with self._news:
            while True:
                if found := next((line for line in self.err if text in line), None):
                    return found
                assert self._news.wait(end - time.monotonic()), f"no {text!r} in {self.err}"

    def interrupt(self, number: int, *, everyone: bool) -> None:
        """Send a signal to the command, or to all of its group as a terminal does."""
        (os.killpg if everyone else os.kill)(self.process.pid, number)

    def finish(self) -> int:
        """The exit status, once it is over and all it said was read."""
        status = self.process.wait(DEADLINE_S)
        for listener in self._listeners:
            listener.join(DEADLINE_S)
        return status

    def left_over(self) -> list[int]:
        """Processes of its session that outlive it; waits for those that are about to end."""
        end = time.monotonic() + DEADLINE_S
        while (pids := _session(self.process.pid)) and time.monotonic() < end:
            threading.Event().wait(0.05)
        return pids

    def _listen(self, stream: Iterator[str], lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()


def _session(leader: int) -> list[int]:
    """The living processes of a session (Linux: from /proc)."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if fields[3] == str(leader) and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@contextmanager
def odp_dask(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, program: tuple[str, ...] = PROGRAM
) -> Iterator[Run]:
    """Start it; whatever is left of it when the block ends is killed."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("ODP_API_KEY", "JUPYTERHUB_SERVICE_PREFIX")}
    (cwd / SCRATCH).mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        env={**inherited, "NO_COLOR": "1", "TMPDIR": str(cwd / SCRATCH), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = Run(process)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        for stream, lines in ((process.stdout, run.out), (process.stderr, run.err)):
            thread = threading.Thread(target=run._listen, args=(stream, lines), daemon=True)
            thread.start()
            run._listeners.append(thread)
        try:
            yield run
        finally:
            for pid in _session(process.pid):
                os.kill(pid, signal.SIGKILL)
            run.finish()
