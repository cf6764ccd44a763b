"""Measures the plan of a huge table: a terabyte cut into 100 000 partitions, written and read back; prints a table.

    python benchmarks/planning.py                          three kinds of key, 3 rounds, half a minute
    python benchmarks/planning.py --partitions 10000

Every plan is made in a process of its own. No server takes part: the answers to the histogram's questions are computed, so
that planning alone is measured.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

# Run as a script, Python looks for modules beside it; what it needs are modules of the package.
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measure import peak_bytes
from odp_loader.planning import Buckets, ColumnStatistics, Plan, divide
from odp_loader.spec import Partitions

TERABYTE = 10**12
BYTES_PER_ROW = 50
_START = datetime.datetime(2015, 1, 1)
_SPAN = datetime.timedelta(days=3650)
_LATE, _LATE_ROWS = 0.98, 0.1
"""Below this share of the span lies this share of the rows of a skewed table."""
_SECONDS, _PEAK_MB, _BYTES = 5.0, 300.0, 1000.0
"""What a plan may take: CPU time with writing or with reading, memory of the whole process, JSON per partition."""


def share_before(moment: datetime.datetime, *, skewed: bool) -> float:
    """The share of the rows whose time is earlier."""
    passed = min(max((moment - _START) / _SPAN, 0.0), 1.0)
    if not skewed:
        return passed
    late = _LATE_ROWS + (passed - _LATE) / (1 - _LATE) * (1 - _LATE_ROWS)
    return late if passed > _LATE else passed / _LATE * _LATE_ROWS


def counter(*, skewed: bool) -> Callable[[Sequence[Buckets]], list[list[int]]]:
    """A server's answers to the questions of a histogram."""

    def rows_before(bound: Any, otherwise: float) -> int:
        return int(TERABYTE / BYTES_PER_ROW * (otherwise if bound is None else share_before(bound, skewed=skewed)))

    def count(questions: Sequence[Buckets]) -> list[list[int]]:
        answers = []
        for question in questions:
            inner = [rows_before(edge, 0.0) for edge in question.edges]
            ranks = [rows_before(question.predicate.low, 0.0), *inner, rows_before(question.predicate.high, 1.0)]
            answers.append([high - low for low, high in pairwise(ranks)])
        return answers

    return count


TIME = ColumnStatistics("timestamp", "timestamp[us]", _START, _START + _SPAN, 0)
KEYS: dict[str, tuple[ColumnStatistics, Callable[[Sequence[Buckets]], list[list[int]]] | None]] = {
    "time, even": (TIME, counter(skewed=False)),
    "time, 90 % in the last 2 %": (TIME, counter(skewed=True)),
    "string, by its bounds": (ColumnStatistics("station", "string", "AA-0000000", "ZZ-9999999", 0), None),
}


def plan_once(kind: str, partitions: int) -> dict[str, float]:
    """Plan, write and read back; what it took. All of it runs on one core."""
    key, count_buckets = KEYS[kind]
    started = time.process_time()
    division = divide(
        [key],
        rows=TERABYTE // BYTES_PER_ROW,
        bytes_per_row=BYTES_PER_ROW,
        partitions=Partitions(target_bytes=TERABYTE // partitions, maximum=partitions),
        count_buckets=count_buckets,
    )
    divided = time.process_time()
    plan = Plan("0" * 8, "0" * 64, 1, division.partitions, b"schema", b"output", TERABYTE // BYTES_PER_ROW, BYTES_PER_ROW, {})
    document = plan.encode()
    encoded = time.process_time()
    write_peak = peak_bytes(os.getpid())
    del division, plan
    restarted = time.process_time()
    partitions_read = len(Plan.decode(document).partitions)
    return {
        "partitions": partitions_read,
        "divide_s": divided - started,
        "encode_s": encoded - divided,
        "decode_s": time.process_time() - restarted,
        "write_peak_mb": write_peak / 1e6,
        "peak_mb": peak_bytes(os.getpid()) / 1e6,
        "bytes_per_partition": len(document) / partitions_read,
    }


def main() -> int:
    """Measure all kinds of keys and print a table; 1 when a limit is exceeded."""
    parser = argparse.ArgumentParser(description="Measure the plan of a terabyte.")
    parser.add_argument("--partitions", type=int, default=100_000, help="default: 100 000")
    parser.add_argument("--rounds", type=int, default=3, help="new processes per kind of key (default: 3)")
    parser.add_argument("--once", choices=KEYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(plan_once(arguments.once, arguments.partitions)))
        return 0
    exceeded = False
    print("key | partitions | divide + write, CPU-s | read, CPU-s | peak after writing, MB | after reading | JSON bytes/partition")
    for kind in KEYS:
        command = [sys.executable, str(Path(__file__)), "--once", kind, "--partitions", str(arguments.partitions)]
        runs = [
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(arguments.rounds)
        ]
        median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        write_s = median["divide_s"] + median["encode_s"]
        print(
            f"{kind} | {median['partitions']:,.0f} | {median['divide_s']:.2f} + {median['encode_s']:.2f} | {median['decode_s']:.2f}"
            f" | {median['write_peak_mb']:.0f} | {median['peak_mb']:.0f} | {median['bytes_per_partition']:.0f}"
        )
        slow = write_s > _SECONDS or median["decode_s"] > _SECONDS
        exceeded |= slow or median["peak_mb"] > _PEAK_MB or median["bytes_per_partition"] > _BYTES
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
