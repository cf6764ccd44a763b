"""Lets contestants take turns, A B A B ..., each time in a new process, so that whatever slows the machine slows them all."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measure import QUIET_CORES, wait_for_quiet
from benchmarks.work import Account, Work
from tests.support.odp_server import API_KEY

ROOT = Path(__file__).parent.parent
_REPETITIONS = 4
_LONGEST_S = 900
_SETTLE_S = 10.0
"""For the processes of a cluster to have begun: they do for a while after it says that it has."""


@dataclass(frozen=True)
class Entry:
    """A contestant with its work, under the name that results show."""

    name: str
    contestant: str
    work: Work


@dataclass
class Results:
    """What came out, by entry."""

    accounts: dict[str, list[Account]] = field(default_factory=dict)
    disturbed: int = 0
    """Runs that were done again because the machine was busy with something else."""
    noisy: int = 0
    """Runs that were counted all the same, because it stayed busy."""

    def median(self, name: str, of: Callable[[Account], float] = lambda account: account.seconds) -> float:
        """The median over all rounds."""
        return statistics.median(of(account) for account in self.accounts[name])

    def ratio(self, slower: str, faster: str) -> float:
        """How many times as long `slower` took; the median over the pairs of each round."""
        pairs = zip(self.accounts[slower], self.accounts[faster], strict=True)
        return statistics.median(one.seconds / other.seconds for one, other in pairs)


def race(entries: Sequence[Entry], *, rounds: int, rows: int, patience_s: float, report: Callable[[str], None]) -> Results:
    """Run all entries `rounds` times in turn, each after at most `patience_s` of waiting for a quiet machine.

    Raises RuntimeError when one fails or leaves another number of rows.
    """
    results = Results({entry.name: [] for entry in entries})
    run(entries[0])  # the first to read a table pays for the server's page faults
    for number in range(1, rounds + 1):
        for entry in entries:
            account = _undisturbed(entry, results, patience_s)
            if account.rows != rows:
                raise RuntimeError(f"{entry.name} wrote {account.rows} of {rows} rows")
            results.accounts[entry.name].append(account)
            report(f"round {number}: {entry.name} {account.seconds:.2f} s, {account.foreign_cores:.2f} cores busy elsewhere")
    return results


def _undisturbed(entry: Entry, results: Results, patience_s: float) -> Account:
    for _ in range(_REPETITIONS if patience_s else 1):
        wait_for_quiet(patience_s)
        account = run(entry, settle_s=min(patience_s, _SETTLE_S))
        if account.foreign_cores <= QUIET_CORES:
            return account
        results.disturbed += 1
    results.disturbed -= 1
    results.noisy += 1
    return account


def run(entry: Entry, *, go_on: bool = False, settle_s: float = _SETTLE_S) -> Account:
    """Run an entry once, and remove what it wrote. Raises RuntimeError with its last words when it fails.

    With `go_on`, it finds what an earlier run left. It is timed from when the machine is quiet, or has not been for `settle_s`.
    """
    if not go_on:
        shutil.rmtree(entry.work.output, ignore_errors=True)
    Path(entry.work.output).parent.mkdir(parents=True, exist_ok=True)
    os.sync()  # what the run before left to be written is not this one's load
    try:
        finished = subprocess.run(
            command(entry, settle_s=settle_s),
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    finally:
        shutil.rmtree(entry.work.output, ignore_errors=True)
    if finished.returncode:
        raise RuntimeError(f"{entry.name} failed:\n{finished.stderr[-4000:]}")
    return Account.from_json(finished.stdout.splitlines()[-1])


def command(entry: Entry, *, settle_s: float = 0) -> list[str]:
    """How a contestant is started."""
    return [sys.executable, "-m", "benchmarks.child", entry.contestant, json.dumps(asdict(entry.work)), f"--settle={settle_s}"]


def environment() -> Mapping[str, str]:
    """What it finds there."""
    return {**os.environ, "ODP_API_KEY": API_KEY, "PYTHONWARNINGS": "ignore"}


def wait_until(condition: Callable[[], bool], *, what: str, deadline_s: float) -> None:
    """Wait for `condition`. Raises TimeoutError, saying for `what`, after the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline_s:.0f} s")
        time.sleep(0.02)
