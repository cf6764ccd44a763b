"""What the processes of one run have in common (`make e2e ARGS="-n 2 --dist loadfile"`): one cluster and one release on it.

The first process that comes makes a thing, the last that goes removes it. Each has its own servers and namespaces. A test that
changes the release itself runs while no other process has a job.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "gw0")


def share_of(millicores: int) -> str:
    """What a pod may ask for, so that the jobs of all processes find room at once."""
    return f"{millicores // PROCESSES}m"


@dataclass(frozen=True)
class Shared:
    """One thing, and in a file how many processes have it. A process that is killed leaves it to whoever removes the cluster."""

    file: Path

    @contextmanager
    def coming(self) -> Iterator[bool]:
        """Whether this process is the first and has to make it; others wait until this block has ended."""
        with _locked(self.file) as file:
            users = int(file.read() or 0)
            yield users == 0
            _write(file, users + 1)

    @contextmanager
    def going(self) -> Iterator[bool]:
        """Whether this process is the last and has to remove it."""
        with _locked(self.file) as file:
            users = int(file.read()) - 1
            _write(file, users)
            yield users == 0


@dataclass(frozen=True)
class Turns:
    """Who may use the release: all processes at once, or one of them alone."""

    folder: Path

    @contextmanager
    def taken(self, *, alone: bool) -> Iterator[None]:
        """Waits for a turn. Who waits to be alone lets nobody pass."""
        with ExitStack() as turn:
            with _locked(self.folder / "turns.gate"):
                turn.enter_context(_locked(self.folder / "turns", shared=not alone))
            yield


@contextmanager
def _locked(path: Path, *, shared: bool = False) -> Iterator[IO[str]]:
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _write(file: IO[str], number: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(str(number))
    file.flush()
