"""The two races: CPU-bound on loopback, and against a server that gives each stream only so much."""

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.race import Entry, Results, race
from benchmarks.results import RACE_HEADER, Claim, Section, at_least, race_rows
from benchmarks.tables import CACHE, arrow_bytes, table_file
from benchmarks.work import Work
from tests.support.odp_server import OdpServer, odp_server

OUTPUT = CACHE / "output"
BYTES_PER_S = 40e6
FAR_AWAY = {"bytes_per_s": BYTES_PER_S, "latency_s": 0.05}
"""Settings of a server whose streams are slower than one core."""
FAR_AWAY_TEXT = "streams of 40 MB/s and 50 ms"
OURS = "ours"


@dataclass(frozen=True)
class Settings:
    """What the command line asked for."""

    rows: int
    rounds: int
    patience_s: float = 120.0
    """How long a run waits for the machine to be quiet; 0: no run waits or is repeated."""


def say(line: str) -> None:
    """Tell whoever waits."""
    print(line, flush=True)


def work(server: OdpServer, table: Path, *, threads: int = 1, target_bytes: int | None = None) -> Work:
    """Work on one table of the server, with 2 workers for those who use Dask."""
    return Work(
        base_url=server.url,
        table=server.table_id(table.stem),
        output=str(OUTPUT / "load"),
        server_pid=server.process.pid,
        threads=threads,
        target_bytes=target_bytes,
    )


def loopback(settings: Settings) -> Section:
    """Everybody as fast as two cores go."""
    table = table_file(settings.rows)
    with odp_server({table.stem: table}) as server:
        entries = [
            Entry(OURS, "ours", work(server, table, threads=8)),
            Entry("today's way", "today's way", work(server, table)),
            Entry("partitioned through pandas", "through pandas", work(server, table)),
            Entry("default single stream", "default stream", work(server, table)),
            Entry("tuned single stream", "tuned stream", work(server, table)),
            Entry("tuned, with a reading thread", "prefetching stream", work(server, table)),
        ]
        results = race(entries, rounds=settings.rounds, rows=settings.rows, patience_s=settings.patience_s, report=say)
    ceiling_s = _ceiling_s(results)
    return Section(
        name="loopback",
        title=f"Loopback: {settings.rows:,} rows, as fast as the machine goes",
        text=_text(results)
        + f" The ceiling is what the work of the tuned single stream, client and server, would take on all {os.cpu_count()} cores:"
        f" {ceiling_s:.2f} s. Dask has 2 workers, for ours of 8 threads, as `odp-dask run` makes them, for others of 1, Dask's"
        " default here. For pandas the table is cut into 16 ranges.",
        header=RACE_HEADER,
        rows=race_rows(results, settings.rows, arrow_bytes(settings.rows)),
        claims=(
            at_least("times today's way", results.ratio("today's way", OURS), 6),
            at_least("times a default single stream", results.ratio("default single stream", OURS), 2),
            at_least("times a tuned single stream", results.ratio("tuned single stream", OURS), 1.3),
            at_least("share of the ceiling", ceiling_s / results.median(OURS), 0.70),
        ),
    )


def _ceiling_s(results: Results) -> float:
    cpu_s = results.median("tuned single stream", lambda account: account.client_cpu_s + account.server_cpu_s)
    return cpu_s / (os.cpu_count() or 1)


def streams(settings: Settings) -> Section:
    """A server that is far away: bandwidth for each stream, latency for each request."""
    table = table_file(settings.rows)
    size = arrow_bytes(settings.rows)
    with odp_server({table.stem: table}) as server:
        server.settings(**FAR_AWAY)
        ours = {
            f"{OURS}, {2 * threads} streams": Entry(
                f"{OURS}, {2 * threads} streams",
                "ours",
                work(server, table, threads=threads),
            )
            for threads in (8, 4, 2)
        }
        entries = [
            *ours.values(),
            Entry("today's way", "today's way", work(server, table)),
            Entry("tuned single stream", "tuned stream", work(server, table)),
            Entry("tuned, with a reading thread", "prefetching stream", work(server, table)),
        ]
        results = race(entries, rounds=settings.rounds, rows=settings.rows, patience_s=settings.patience_s, report=say)
    most = f"{OURS}, 16 streams"
    return Section(
        name="streams",
        title=f"{FAR_AWAY_TEXT[0].upper()}{FAR_AWAY_TEXT[1:]}: {settings.rows:,} rows",
        text=_text(results) + " Use of the streams is Arrow bytes / (streams x bandwidth x time). Dask has 2 workers.",
        header=RACE_HEADER,
        rows=race_rows(results, settings.rows, size),
        claims=(
            at_least("times today's way, 16 streams", results.ratio("today's way", most), 11),
            at_least("times a tuned single stream, 16 streams", results.ratio("tuned single stream", most), 8),
            *(claim for name, entry in ours.items() for claim in _uses(results, name, 2 * entry.work.threads, size)),
        ),
    )


def _uses(results: Results, name: str, number: int, size: int) -> tuple[Claim, Claim]:
    """How much of the streams' bandwidth is used, over the whole load and while partitions are read."""
    rate = number * BYTES_PER_S
    reading_s = results.median(name, lambda account: account.seconds - account.details["planned_s"])
    return (
        at_least(f"use of {number} streams, from planning to manifest", size / (rate * results.median(name)), 0.85),
        at_least(f"use of {number} streams, without planning", size / (rate * reading_s), 0.85),
    )


def _text(results: Results) -> str:
    rounds = len(next(iter(results.accounts.values())))
    noisy = f" {results.noisy} were counted although the machine stayed busy." if results.noisy else ""
    return f"{rounds} rounds; {results.disturbed} runs were repeated.{noisy}"
