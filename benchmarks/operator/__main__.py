"""Measures the operator beside DaskJob of dask-kubernetes; `make bench-operator` runs it. Writes benchmarks/OPERATOR.md.

    python -m benchmarks.operator                              everything with 1000 jobs: about an hour on two cores
    python -m benchmarks.operator --jobs 50 --only burst       a look

Needs Linux, whose /proc tells memory and CPU time, and kube-apiserver, etcd and kube-controller-manager as tests/contract does.
"""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import results
from benchmarks.operator import burst, life, steady
from benchmarks.operator.settings import Settings

FILE = Path(__file__).parents[1] / "OPERATOR.md"
SECTIONS: Mapping[str, Callable[[Settings], results.Section]] = {
    "burst": burst.burst,
    "steady": steady.steady,
    "life": life.life,
    "idle": life.idle,
}
TITLE = """# What was measured of the operator

Written by `make bench-operator`; do not edit. Both operators run as processes against a real kube-apiserver and etcd on the same
machine, ours in an environment that has its requirements.lock and nothing else. Each contestant of a pair meets an empty API server
of its own, started the same way. Requests and moments are read from the audit log, by service account; CPU time and
memory from /proc. A job has two workers. MiB are 2^20 bytes.
"""
PACKAGES = ("kopf", "kubernetes", "dask-kubernetes")


def main() -> int:
    """Run the sections asked for; 1 when a claim is not met."""
    parser = argparse.ArgumentParser(prog="benchmarks.operator", description="Measure the operator beside DaskJob.")
    parser.add_argument("--jobs", type=int, default=1000, help="at once (default: 1000)")
    parser.add_argument("--rounds", type=int, default=1, help="of the bursts (default: 1)")
    parser.add_argument("--same-pods", action="store_true", help="in the bursts, also a DaskJob with the pods of our jobs")
    parser.add_argument("--bare", action="store_true", help="in the bursts, also a client that only creates our children")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section; may be given more than once")
    parser.add_argument("--output", type=Path, default=FILE, help="default: benchmarks/OPERATOR.md")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of all `finally`: no server outlives the run
    settings = Settings(jobs=arguments.jobs, rounds=arguments.rounds, same_pods=arguments.same_pods, bare=arguments.bare)
    short = 0
    command = shlex.join(["python", "-m", "benchmarks.operator", *sys.argv[1:]])
    for name in arguments.only or SECTIONS:
        begun = time.monotonic()
        section = SECTIONS[name](settings)
        results.write(section, command=command, file=arguments.output, title=TITLE, packages=PACKAGES)
        print(f"{name}: took {time.monotonic() - begun:.0f} s")
        for claim in section.claims:
            short += not claim.met
            print(f"{name}: {claim.what}: {claim.measured}, {claim.target}: {'met' if claim.met else 'SHORT'}", flush=True)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
