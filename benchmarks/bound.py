"""What two cores allow at most: the CPU time that no load can do without, part by part, and the figures that follow from it."""

import hashlib
import os
import statistics
import time
from collections.abc import Callable

from benchmarks.race import Entry, Results, race, run
from benchmarks.races import BYTES_PER_S, FAR_AWAY, OURS, Settings, say, work
from benchmarks.results import MB, Section
from benchmarks.tables import arrow_bytes, table_file
from benchmarks.work import Account
from tests.support.odp_server import odp_server

_FEW_ROWS = 10_000
_SMALL_TARGET = 64 * 1024
"""With it, a table of so few rows becomes as many partitions as one of 10 million, so that Dask and the ledger do as much."""
_STREAMS = 16
_REQUESTS_IN_A_ROW = 4
"""Statistics, then a histogram's counts, then the first rows, and statistics again at the end; all others run beside these."""
_HASHED_BYTES = 1 << 26
_CORES = os.cpu_count() or 1


def bound(settings: Settings) -> Section:
    """Everything a load must do, measured alone; what that makes of the targets."""
    table, small = table_file(settings.rows), table_file(_FEW_ROWS)
    with odp_server({table.stem: table, small.stem: small}) as server:
        entries = [
            Entry(OURS, "ours", work(server, table, threads=8)),
            Entry("tuned single stream", "tuned stream", work(server, table)),
            Entry("two tuned streams", "two tuned streams", work(server, table)),
        ]
        results = race(entries, rounds=settings.rounds, rows=settings.rows, patience_s=settings.patience_s, report=say)
        little = Entry(OURS, "ours", work(server, small, threads=8, target_bytes=_SMALL_TARGET))
        fixed = [run(little) for _ in range(settings.rounds)]
    parts = {
        "reading, decoding, encoding and writing, as one tuned stream": results.median("tuned single stream", _cpu_s),
        "the same on both cores at once (two tuned streams), more by": max(
            0.0, results.median("two tuned streams", _cpu_s) - results.median("tuned single stream", _cpu_s)
        ),
        "SHA-256 of the files": _sha256_cpu_s() * results.median(OURS, lambda account: float(account.file_bytes)),
        f"planning, Dask, ledger, verification, as in a load of {_FEW_ROWS:,} rows in as many partitions": statistics.median(
            map(_cpu_s, fixed)
        ),
    }
    least_s = sum(parts.values()) / _CORES
    return Section(
        name="bound",
        title=f"What {_CORES} cores allow: {settings.rows:,} rows",
        text=f"{settings.rounds} rounds. Server, loader and Dask share the cores. What a load costs at least, in CPU seconds:\n\n"
        + "\n".join(f"- {name}: {cpu_s:.2f}" for name, cpu_s in parts.items())
        + f"\n\nTogether {sum(parts.values()):.2f}, which keeps {_CORES} cores busy for {least_s:.2f} s without a moment's wait."
        f" Ours took {results.median(OURS):.2f} s and {results.median(OURS, _cpu_s):.2f} CPU seconds.",
        header=("figure", "asked", "possible at most", "reached"),
        rows=(*_loopback(results, least_s), _far_away(settings.rows, least_s)),
        claims=(),
    )


def _loopback(results: Results, least_s: float) -> tuple[tuple[str, ...], ...]:
    """The two figures of the loopback race that compare with the tuned stream."""
    tuned_s = results.median("tuned single stream")
    ceiling_s = results.median("tuned single stream", _cpu_s) / _CORES
    reached_s = results.median(OURS)
    return (
        ("times a tuned single stream, loopback", "1.30", f"{tuned_s / least_s:.2f}", f"{tuned_s / reached_s:.2f}"),
        ("share of the ceiling, loopback", "0.70", f"{ceiling_s / least_s:.2f}", f"{ceiling_s / reached_s:.2f}"),
        (
            "times a tuned single stream, of two of them",
            "",
            "",
            f"{results.ratio('tuned single stream', 'two tuned streams'):.2f}",
        ),
    )


def _far_away(rows: int, least_s: float) -> tuple[str, ...]:
    """Use of the streams when each has a bandwidth: the cores may be too slow for so many of them, and questions take time."""
    sending_s = arrow_bytes(rows) / (_STREAMS * BYTES_PER_S)
    waiting_s = _REQUESTS_IN_A_ROW * FAR_AWAY["latency_s"]
    possible = sending_s / (waiting_s + max(sending_s, least_s))
    rate = _STREAMS * BYTES_PER_S / MB
    return (f"use of {_STREAMS} streams ({rate:.0f} MB/s), from planning to manifest", "0.85", f"{possible:.2f}", "see above")


def _cpu_s(account: Account) -> float:
    return account.client_cpu_s + account.server_cpu_s


def _sha256_cpu_s() -> float:
    """CPU seconds for a byte."""
    block = os.urandom(_HASHED_BYTES)
    return min(_cpu_of(lambda: hashlib.sha256(block).digest()) for _ in range(3)) / _HASHED_BYTES


def _cpu_of(work_: Callable[[], object]) -> float:
    started = time.process_time()
    work_()
    return time.process_time() - started
