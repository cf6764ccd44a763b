"""Kills a load half-way, with all its processes, and measures what it takes to go on."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.race import ROOT, Entry, command, environment, run, wait_until
from benchmarks.races import FAR_AWAY, FAR_AWAY_TEXT, Settings, say, work
from benchmarks.results import Claim, Section, spread
from benchmarks.tables import arrow_bytes, table_file
from benchmarks.work import Account
from tests.support.odp_server import OdpServer, odp_server

_PARTITIONS = 64
_THREADS = 4


@dataclass(frozen=True)
class Resumed:
    """A load that was killed and run again."""

    kept: int
    """Partitions that were finished when it was killed."""
    twice: int
    """Rows that the server sent beyond what it sends to a load that is not disturbed."""
    second: Account


def resume(settings: Settings) -> Section:
    """How long the second half takes, and what is read again."""
    table = table_file(settings.rows)
    with odp_server({table.stem: table}) as server:
        server.settings(**FAR_AWAY)
        entry = Entry("ours", "ours", work(server, table, threads=_THREADS, target_bytes=arrow_bytes(settings.rows) // _PARTITIONS))
        whole, resumed = [], []
        for _ in range(settings.rounds):
            sent = _rows_sent(server)
            whole.append(run(entry))
            resumed.append(_killed_and_resumed(entry, server, usual=_rows_sent(server) - sent))
            again = resumed[-1]
            say(f"resume: {whole[-1].seconds:.2f} s whole, {again.second.seconds:.2f} s after the kill, {again.twice} rows twice")
    complete = all(outcome.second.rows == settings.rows for outcome in resumed)
    return Section(
        name="resume",
        title=f"Killed half-way: {settings.rows:,} rows",
        text=f"{settings.rounds} rounds; {FAR_AWAY_TEXT}, 2 workers of {_THREADS}"
        f" threads. SIGKILL to the driver and all workers as soon as half of the receipts are there; then the same load again."
        " Rows are counted at the server, which counts what it sent, arrived or not.",
        header=("", "median [least - greatest]"),
        rows=(
            ("a load that is not disturbed, s", spread(account.seconds for account in whole)),
            ("going on after the kill, s", spread(outcome.second.seconds for outcome in resumed)),
            (
                "going on / whole load",
                spread(outcome.second.seconds / account.seconds for account, outcome in zip(whole, resumed, strict=True)),
            ),
            (
                f"partitions kept, of {len(whole[0].details['partition_rows'])}",
                spread((outcome.kept for outcome in resumed), "{:.0f}"),
            ),
            ("rows read twice", spread((outcome.twice for outcome in resumed), "{:,.0f}")),
            ("of the table", spread((100 * outcome.twice / settings.rows for outcome in resumed), "{:.1f} %")),
        ),
        claims=(Claim("every row in the output once", "yes" if complete else "no", "yes", complete),),
    )


def _killed_and_resumed(entry: Entry, server: OdpServer, *, usual: int) -> Resumed:
    output = Path(entry.work.output)
    shutil.rmtree(output, ignore_errors=True)
    sent_before = _rows_sent(server)
    first = subprocess.Popen(
        command(entry), cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until(lambda: _receipts(output) >= _PARTITIONS // 2, what="half of the receipts", deadline_s=300)
        if first.poll() is not None:
            raise RuntimeError("the load ended before it was killed")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    kept = _receipts(output)
    wait_until(lambda: server.counters()["selects"]["running"] == 0, what="the server's streams to end", deadline_s=60)
    second = run(entry, go_on=True)
    return Resumed(kept=kept, twice=_rows_sent(server) - sent_before - usual, second=second)


def _rows_sent(server: OdpServer) -> int:
    return int(server.counters()["selects"]["rows"])


def _receipts(output: Path) -> int:
    return len(list(output.glob("receipts/*/*.json")))
