"""What two cores allow at most: the CPU time that no load can do without, part by part, and the figures that follow from it."""

import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.measure import busy_s, cpu_s
from benchmarks.race import Entry, Results, race, run, wait_until
from benchmarks.races import BYTES_PER_S, FAR_AWAY, OURS, OUTPUT, Settings, say, work
from benchmarks.results import MB, Section
from benchmarks.tables import arrow_bytes, table_file
from benchmarks.work import Account
from tests.support.odp_server import odp_server

_FEW_ROWS = 10_000
_SMALL_TARGET = 64 * 1024
"""With it, a table of so few rows becomes as many partitions as one of 10 million, so that Dask and the ledger do as much."""
_PARTITIONS = 16
"""Of the table; those that are read one after another over the same stream make its waves."""
_STREAMS = (16, 8, 4)
_QUESTIONS_IN_A_ROW = 2
"""Statistics with the schema, then a histogram's counts; all others run beside these, or while the last files are written."""
_HASHED_BYTES = 1 << 26
_WARM_S = 0.1
_CORES = os.cpu_count() or 1
_TODAY, _DEFAULT, _TUNED, _TWO = "today's way", "default single stream", "tuned single stream", "two tuned streams"
_TIMES = {_TODAY: 6.0, _DEFAULT: 2.0, _TUNED: 1.3}
_SHARE = 0.70
"""What is asked of the loopback race."""
_OF_SLOW_STREAMS = (
    f"Of slow streams, that use is possible which is left by waiting: {FAR_AWAY['latency_s'] * 1000:.0f} ms for each of"
    f" {_QUESTIONS_IN_A_ROW} questions of the plan, and as much for the first row of each of the {_PARTITIONS}"
    " partitions, where a stream reads some of them in a row; and by the cores, which a load needs however slow its streams are."
)


def bound(settings: Settings) -> Section:
    """Everything a load must do, measured alone; what that makes of the targets."""
    table, small = table_file(settings.rows), table_file(_FEW_ROWS)
    with odp_server({table.stem: table, small.stem: small}) as server:
        entries = [
            Entry(OURS, "ours", work(server, table, threads=8)),
            Entry(_TODAY, _TODAY, work(server, table)),
            Entry(_DEFAULT, "default stream", work(server, table)),
            Entry(_TUNED, "tuned stream", work(server, table)),
            Entry(_TWO, "two tuned streams", work(server, table)),
        ]
        results = race(entries, rounds=settings.rounds, rows=settings.rows, patience_s=settings.patience_s, report=say)
        little = Entry(OURS, "ours", work(server, small, threads=8, target_bytes=_SMALL_TARGET))
        fixed = [run(little) for _ in range(settings.rounds)]
    file_bytes = int(results.median(OURS, lambda account: float(account.file_bytes)))
    parts = {
        "reading, decoding, encoding and writing, as one tuned stream": results.median(_TUNED, _cpu_s),
        "the same on both cores at once (two tuned streams), more by": max(
            0.0, results.median(_TWO, _cpu_s) - results.median(_TUNED, _cpu_s)
        ),
        "SHA-256 of the files": _sha256_cpu_s() * file_bytes,
        "fsync, which nobody else waits for: what it takes the system and the machine's host": _stored_cpu_s(file_bytes),
        f"planning, Dask, ledger, verification, as in a load of {_FEW_ROWS:,} rows in as many partitions": statistics.median(
            map(_cpu_s, fixed)
        ),
    }
    limits = Limits(
        cpu_s=sum(parts.values()),
        busy=results.median(_TWO, _busy),
        seconds_of={name: results.median(name) for name in _TIMES},
        tuned_cpu_s=results.median(_TUNED, _cpu_s),
    )
    return Section(
        name="bound",
        title=f"What {_CORES} cores allow: {settings.rows:,} rows",
        text=f"{settings.rounds} rounds. Server, loader and Dask share the cores. What a load costs at least, in CPU seconds:\n\n"
        + "\n".join(f"- {name}: {cpu_s:.2f}" for name, cpu_s in parts.items())
        + f"\n\n{conclusion(limits)} {_reached(results)}\n\n{_OF_SLOW_STREAMS}",
        header=(
            "figure",
            "asked",
            "possible on cores that never wait",
            "possible on cores as busy as two streams keep them",
            "reached",
        ),
        rows=(
            *_loopback(limits, reached_s=results.median(OURS)),
            *(_far_away(settings.rows, limits, streams, planning=planning) for streams in _STREAMS for planning in (True, False)),
        ),
        claims=(),
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What was measured of the parts."""

    cpu_s: float
    """That no load can do without, all parts together."""
    busy: float
    """Cores that two tuned streams keep busy, who have nothing to do but to read, encode and write."""
    seconds_of: Mapping[str, float]
    """What the others take, by name."""
    tuned_cpu_s: float

    @property
    def seconds(self) -> tuple[float, float]:
        """What a load takes at least: on cores that never wait, and on cores that are as busy as two tuned streams keep them."""
        return self.cpu_s / _CORES, self.cpu_s / min(self.busy, _CORES)


def conclusion(limits: Limits) -> str:
    """Whether what is asked of the loopback race can be had."""
    ideal, likely = limits.seconds
    asked = min(limits.seconds_of[_TUNED] / _TIMES[_TUNED], limits.tuned_cpu_s / _CORES / _SHARE)
    verdict = "possible" if likely <= asked else "possible only without a moment's wait" if ideal <= asked else "not possible"
    return (
        f"Together {limits.cpu_s:.2f}: {ideal:.2f} s on {_CORES} cores that never wait, {likely:.2f} s on cores that are as busy as"
        f" two tuned streams keep them ({limits.busy:.2f} of {_CORES}). {_TIMES[_TUNED]:.1f} times a tuned single stream and"
        f" {_SHARE:.0%} of the ceiling ask for {asked:.2f} s: {verdict} on this machine, with this much to prove and to keep."
    )


def _reached(results: Results) -> str:
    return (
        f"Ours took {results.median(OURS):.2f} s and {results.median(OURS, _cpu_s):.2f} CPU seconds, and kept"
        f" {results.median(OURS, _busy):.2f} cores busy. Two tuned streams without Dask, each with half of the table, are"
        f" {results.ratio(_TUNED, _TWO):.2f} times as fast as one."
    )


def _loopback(limits: Limits, *, reached_s: float) -> tuple[tuple[str, ...], ...]:
    """The figures of the loopback race, each of which compares with somebody's time."""
    figures = [(f"times {name}, loopback", asked, limits.seconds_of[name]) for name, asked in _TIMES.items()]
    figures.append(("share of the ceiling, loopback", _SHARE, limits.tuned_cpu_s / _CORES))
    return tuple(
        (what, f"{asked:.2f}", *(f"{base_s / seconds:.2f}" for seconds in (*limits.seconds, reached_s)))
        for what, asked, base_s in figures
    )


def _far_away(rows: int, limits: Limits, streams: int, *, planning: bool) -> tuple[str, ...]:
    """Use of the streams when each has a bandwidth: the cores may be too slow for so many of them, and questions take time."""
    sending_s = arrow_bytes(rows) / (streams * BYTES_PER_S)
    waves = -(-_PARTITIONS // streams)
    waiting_s = (waves + planning * _QUESTIONS_IN_A_ROW) * FAR_AWAY["latency_s"]
    possible = (sending_s / (waiting_s + max(sending_s, seconds)) for seconds in limits.seconds)
    rate = streams * BYTES_PER_S / MB
    what = f"use of {streams} streams ({rate:.0f} MB/s), {'from planning to manifest' if planning else 'without planning'}"
    return (what, "0.85", *(f"{share:.2f}" for share in possible), "see above")


def _cpu_s(account: Account) -> float:
    return account.client_cpu_s + account.server_cpu_s


def _busy(account: Account) -> float:
    return _cpu_s(account) / account.seconds


def _sha256_cpu_s() -> float:
    """CPU seconds for a byte."""
    block = os.urandom(_HASHED_BYTES)
    return min(_cpu_of(lambda: hashlib.sha256(block).digest()) for _ in range(3)) / _HASHED_BYTES


def _stored_cpu_s(file_bytes: int) -> float:
    """CPU seconds that busy cores lose, to the kernel and to the machine's host, while so many bytes go from memory to the disk."""
    return min(_lost_while_stored(file_bytes) for _ in range(3))


def _lost_while_stored(file_bytes: int) -> float:
    """What the host takes is seen only on cores that would have had work: so they are given some."""
    with tempfile.TemporaryFile(dir=OUTPUT.parent) as file, ExitStack() as stack:
        for start in range(0, file_bytes, _HASHED_BYTES):
            file.write(os.urandom(min(_HASHED_BYTES, file_bytes - start)))
        file.flush()
        spinning = [stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"])) for _ in range(_CORES)]
        for process in spinning:
            stack.callback(process.kill)
        wait_until(lambda: all(cpu_s(process.pid) > _WARM_S for process in spinning), what="all cores are busy", deadline_s=10)
        before = busy_s() - _cpu_of_all(spinning)
        os.fsync(file.fileno())
        return busy_s() - _cpu_of_all(spinning) - before


def _cpu_of_all(processes: Iterable[subprocess.Popen[bytes]]) -> float:
    return sum(cpu_s(process.pid) for process in processes)


def _cpu_of(work_: Callable[[], object]) -> float:
    started = time.process_time()
    work_()
    return time.process_time() - started
