"""Measures what the ODP-compatible server itself costs, so that no other benchmark is limited by it without anyone knowing.

    .venv/bin/python -m benchmarks.odp_server [--rows 10000000]

Prints the processor seconds of the server's process for 500 MB of Arrow data that the real odp-sdk reads: whole, in disjoint
ranges of the sorted column, projected, and filtered row by row. Then how exact its pacing is for 1, 8 and 16 streams.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from benchmarks.tables import table_file
from tests.support.odp_server import OdpServer, start

MEASURED_BYTES = 500e6
PACED_BYTES_PER_S = 40e6
Query = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    rows: int
    bytes: int
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Subject:
    """The server and the one table it serves."""

    server: OdpServer
    name: str

    def ranges(self, parts: int) -> list[Query]:
        """Disjoint filters over all times, of equal width."""
        (column,) = (column for column in self._table().stats().columns if column.name == "timestamp")
        times = pa.array([column.min, column.max]).cast(pa.timestamp("us"))
        least, greatest = times.to_pylist()
        cuts = [least + (greatest - least) * part / parts for part in range(1, parts)]
        first: Query = ("timestamp < $high", {"high": cuts[0]})
        inner: list[Query] = [
            ("timestamp >= $low and timestamp < $high", {"low": low, "high": high}) for low, high in itertools.pairwise(cuts)
        ]
        return [first, *inner, ("timestamp >= $low", {"low": cuts[-1]})]

    def read(self, query: Query = ("", {}), columns: Sequence[str] | None = None) -> int:
        """Read one query to its end; the rows."""
        return sum(batch.num_rows for batch in self._table().select(query[0], columns, query[1]).batches())

    def read_at_once(self, queries: Sequence[Query]) -> int:
        """Read queries side by side, each in a thread of its own; the rows."""
        with ThreadPoolExecutor(len(queries)) as pool:
            return sum(pool.map(self.read, queries))

    def rate(self, least_bytes: float) -> float:
        """Bytes a second from the first batch on, until so many have come."""
        batches = self._table().select().batches()
        next(batches)
        started, size = time.perf_counter(), 0
        while size < least_bytes:
            size += next(batches).nbytes
        return size / (time.perf_counter() - started)

    def _table(self) -> Any:
        return self.server.client().dataset(self.name).table


def median_cost(server: OdpServer, run: Callable[[], int], repeats: int) -> Cost:
    """The run with the median processor time of `repeats`."""
    costs = []
    for _ in range(repeats):
        server.reset()
        cpu_s, started = server.cpu_s(), time.perf_counter()
        rows = run()
        wall_s = time.perf_counter() - started
        costs.append(Cost(rows, server.counters()["selects"]["bytes"], wall_s, server.cpu_s() - cpu_s))
    return sorted(costs, key=lambda cost: cost.cpu_s)[len(costs) // 2]


def print_costs(subject: Subject, repeats: int) -> None:
    """One line for each way to read."""
    eight, many = subject.ranges(8), subject.ranges(64)
    ways: dict[str, Callable[[], int]] = {
        "whole": lambda: subject.read(),
        "8 ranges at once": lambda: subject.read_at_once(eight),
        "64 ranges in turn": lambda: sum(subject.read(query) for query in many),
        "3 of 6 columns": lambda: subject.read(columns=["timestamp", "lat", "temp"]),
        "a third of the rows, scattered": lambda: subject.read(("temp > 15.5", {})),
    }
    print(f"{'read':32} {'rows':>12} {'MB':>6} {'wall s':>7} {'CPU s':>6} {'CPU s per 500 MB':>17}")
    for name, run in ways.items():
        cost = median_cost(subject.server, run, repeats)
        each = cost.cpu_s * MEASURED_BYTES / cost.bytes
        print(f"{name:32} {cost.rows:12,} {cost.bytes / 1e6:6.0f} {cost.wall_s:7.2f} {cost.cpu_s:6.2f} {each:17.2f}", flush=True)


def print_pacing(subject: Subject, streams: int, seconds: float) -> None:
    """How near each of several paced streams comes to its bandwidth."""
    subject.server.reset()
    subject.server.settings(bytes_per_s=PACED_BYTES_PER_S)
    cpu_s, started = subject.server.cpu_s(), time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        rates = [rate / 1e6 for rate in pool.map(subject.rate, [PACED_BYTES_PER_S * seconds] * streams)]
    cores = (subject.server.cpu_s() - cpu_s) / (time.perf_counter() - started)
    print(
        f"{streams:2} streams paced at {PACED_BYTES_PER_S / 1e6:.0f} MB/s: {min(rates):.1f} to {max(rates):.1f},"
        f" median {statistics.median(rates):.1f} MB/s each; {cores:.2f} cores",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    path = table_file(asked.rows)
    started = time.perf_counter()
    server = start([path], "--control")
    try:
        print(f"ready after {time.perf_counter() - started:.1f} s and {server.cpu_s():.1f} CPU-s: {asked.rows:,} rows", flush=True)
        subject = Subject(server, path.stem)
        print_costs(subject, asked.repeats)
        for streams in (1, 8, 16):
            print_pacing(subject, streams, seconds=3)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
