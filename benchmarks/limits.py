"""What must stay small: memory, whatever the table's size, and the largest partition of a table whose key is skewed."""

import statistics

from benchmarks.race import Entry, run
from benchmarks.races import FAR_AWAY, FAR_AWAY_TEXT, Settings, say, work
from benchmarks.results import MB, Claim, Section, at_most, spread
from benchmarks.tables import Shape, table_file
from tests.support.odp_server import odp_server

_SCALES = (0.01, 0.1, 1.0)


def memory(settings: Settings) -> Section:
    """Driver and workers at three sizes of the table."""
    sizes = [int(settings.rows * scale) for scale in _SCALES]
    tables = {rows: table_file(rows) for rows in sizes}
    rows_of_table, claims = [], []
    with odp_server({table.stem: table for table in tables.values()}) as server:
        for rows, table in tables.items():
            for threads in (1, 8):
                entry = Entry("ours", "ours", work(server, table, threads=threads))
                accounts = [run(entry) for _ in range(settings.rounds)]
                grown = statistics.median((a.driver_peak - a.driver_base) / MB for a in accounts)
                peak = statistics.median(a.worker_peak / MB for a in accounts)
                say(f"memory: {rows} rows, 2 x {threads}: driver +{grown:.0f} MB, worker {peak:.0f} MB")
                rows_of_table.append(
                    (
                        f"{rows:,}",
                        f"2 x {threads}",
                        spread((a.driver_base / MB for a in accounts), "{:.0f}"),
                        spread((a.driver_peak / MB for a in accounts), "{:.0f}"),
                        spread((a.worker_base / MB for a in accounts), "{:.0f}"),
                        spread((a.worker_peak / MB for a in accounts), "{:.0f}"),
                    )
                )
                claims.append(at_most(f"driver growth in MB, {rows:,} rows, 2 x {threads}", grown, 25, "{:.0f}"))
                claims.append(at_most(f"largest worker in MB, {rows:,} rows, 2 x {threads}", peak, 200 + 60 * threads, "{:.0f}"))
    return Section(
        name="memory",
        title="Memory",
        text=f"{settings.rounds} runs each, on loopback. The driver holds Dask's scheduler too."
        " Before: after imports and the start of the cluster.",
        header=("rows", "workers x threads", "driver before", "driver peak", "largest worker before", "largest worker peak, MB"),
        rows=tuple(rows_of_table),
        claims=tuple(claims),
    )


def skew(settings: Settings) -> Section:
    """A table whose last 2 % of the key hold 90 % of the rows."""
    table = table_file(settings.rows, Shape.SKEWED)
    rows_of_table: list[tuple[str, ...]] = []
    claims: list[Claim] = []
    with odp_server({table.stem: table}) as server:
        for name, conditions in {"loopback": {}, FAR_AWAY_TEXT: FAR_AWAY}.items():
            server.reset()
            server.settings(**conditions)
            entry = Entry("ours", "ours", work(server, table, threads=8))
            accounts = [run(entry) for _ in range(settings.rounds)]
            partitions = [[rows for rows in account.details["partition_rows"] if rows] for account in accounts]
            balance = [max(rows) / statistics.median(rows) for rows in partitions]
            shares = [account.details["planned_s"] / account.seconds for account in accounts]
            say(f"skew, {name}: max/median {statistics.median(balance):.2f}, planning {statistics.median(shares):.0%}")
            rows_of_table.append(
                (
                    name,
                    str(len(partitions[0])),
                    f"{min(partitions[0]):,} - {max(partitions[0]):,}",
                    spread(account.details["planned_s"] for account in accounts),
                    spread(account.seconds for account in accounts),
                )
            )
            claims.append(at_most(f"largest partition / median, {name}", statistics.median(balance), 1.3))
            claims.append(at_most(f"planning / load, {name}", statistics.median(shares), 0.10))
    return Section(
        name="skew",
        title=f"A skewed key: {settings.rows:,} rows, 90 % of them in the last 2 % of the key",
        text=f"{settings.rounds} runs each; Dask has 2 workers of 8 threads. Partitions that turned out empty are not counted.",
        header=("server", "partitions", "rows in each", "planning, s", "load with planning, s"),
        rows=tuple(rows_of_table),
        claims=tuple(claims),
    )
