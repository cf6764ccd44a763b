"""Measures the loader beside other ways to do the same; `make bench` runs it. Writes benchmarks/RESULTS.md.

    python benchmarks/loader.py                                         everything, 10 million rows, 5 rounds: about half an hour
    python benchmarks/loader.py --rows 1000000 --rounds 3 --only loopback

Needs Linux, whose /proc tells memory and CPU time, and about 4 GB of disk in .cache/ and the temporary folder.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

# Run as a script, Python looks for modules beside it; the benchmark's processes are modules of the package.
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import bound, limits, races, results, resume

SECTIONS: Mapping[str, Callable[[races.Settings], results.Section]] = {
    "loopback": races.loopback,
    "streams": races.streams,
    "memory": limits.memory,
    "skew": limits.skew,
    "resume": resume.resume,
    "bound": bound.bound,
}


def main() -> int:
    """Run the sections asked for; 1 when a claim is not met."""
    parser = argparse.ArgumentParser(description="Measure the loader beside other ways to do the same.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the tables (default: 10 million)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody has a turn (default: 5)")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section; may be given more than once")
    parser.add_argument("--output", type=Path, default=results.FILE, help="default: benchmarks/RESULTS.md")
    parser.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="S",
        help="wait so long for a quiet machine before a run (default: 120); 0: never",
    )
    arguments = parser.parse_args()
    settings = races.Settings(rows=arguments.rows, rounds=arguments.rounds, patience_s=arguments.patience)
    short = 0
    for name in arguments.only or SECTIONS:
        section = SECTIONS[name](settings)
        results.write(section, command=shlex.join(["python", "benchmarks/loader.py", *sys.argv[1:]]), file=arguments.output)
        for claim in section.claims:
            short += not claim.met
            print(f"{name}: {claim.what}: {claim.measured}, {claim.target}: {'met' if claim.met else 'SHORT'}")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
