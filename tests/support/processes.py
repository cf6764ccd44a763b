"""Programs that tests start: they are waited for, what they say is kept, and none outlives its test."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Program:
    """A command line that may be started, stopped and started again."""

    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] | None
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Begin; what it says is added to the log."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def stop(self, *, patience_s: float = 10) -> None:
        """Ask it to end, and end it."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        self.process.kill()
        self.process.wait()

    def await_(self, condition: Callable[[], bool], *, seconds: float = 240) -> None:
        """Wait until it is of use. Raises RuntimeError with its last words when it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log.stem} did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)


@contextmanager
def running(
    command: Sequence[Path | str], log: Path, *, environment: Mapping[str, str] | None = None, patience_s: float = 10
) -> Iterator[Program]:
    """Start it, and stop it in the end; `patience_s` is how long it may take to obey."""
    log.write_bytes(b"")
    started = Program([str(word) for word in command], log, environment)
    started.start()
    try:
        yield started
    finally:
        started.stop(patience_s=patience_s)


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does now."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
