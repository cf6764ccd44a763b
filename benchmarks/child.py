"""Runs one contestant in a process of its own, so that its memory is its own, and prints one line of JSON about it."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.competitors import COMPETITORS
from benchmarks.measure import CpuTimes, forget_peak, peak_bytes, resident_bytes, wait_for_quiet
from benchmarks.ours import ours
from benchmarks.work import Account, Contestant, Work

CONTESTANTS: dict[str, Contestant] = {"ours": ours, **COMPETITORS}


def account(contestant: Contestant, work: Work, *, settle_s: float) -> Account:
    """Let the contestant do the work, after at most `settle_s` in which its processes come to rest, and measure it."""
    driver = os.getpid()
    with contestant(work) as ready:
        everyone = (driver, *ready.worker_pids)
        wait_for_quiet(settle_s)
        base = {pid: resident_bytes(pid) for pid in everyone}
        for pid in everyone:
            forget_peak(pid)
        before, started = CpuTimes.read(everyone, work.server_pid), time.perf_counter()
        ready.load()
        seconds = time.perf_counter() - started
        used = CpuTimes.read(everyone, work.server_pid) - before
        peak = {pid: peak_bytes(pid) for pid in everyone}
    files = list(Path(work.output).rglob("*.parquet"))
    return Account(
        seconds=seconds,
        rows=sum(pq.read_metadata(file).num_rows for file in files),
        file_bytes=sum(file.stat().st_size for file in files),
        client_cpu_s=used.client,
        server_cpu_s=used.server,
        foreign_cores=used.foreign / seconds,
        driver_base=base[driver],
        driver_peak=peak[driver],
        worker_base=max((base[pid] for pid in ready.worker_pids), default=0),
        worker_peak=max((peak[pid] for pid in ready.worker_pids), default=0),
        details=ready.details,
    )


def main() -> None:
    """Contestant and work from the command line."""
    parser = argparse.ArgumentParser(description="Run one contestant of the benchmark.")
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("work", help="JSON, see benchmarks/work.py")
    parser.add_argument("--settle", type=float, default=0.0, help="seconds to wait for the machine to be quiet, at most")
    arguments = parser.parse_args()
    result = account(CONTESTANTS[arguments.contestant], Work(**json.loads(arguments.work)), settle_s=arguments.settle)
    sys.stdout.write(result.to_json() + "\n")


if __name__ == "__main__":
    main()
