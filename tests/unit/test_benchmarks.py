"""The benchmark's tables are what they claim, its figures are computed right, and its contestants lose no row."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks import bound, results
from benchmarks.race import Entry, Results, run
from benchmarks.tables import BATCH_ROWS, SCHEMA, Shape, arrow_bytes, batches, table_file
from benchmarks.work import Account, Work
from tests.support.odp_server import odp_server

ACCOUNT = Account(
    seconds=1.0, rows=10, file_bytes=5, client_cpu_s=0.5, server_cpu_s=0.1, foreign_cores=0.0, driver_base=1, driver_peak=2
)


def accounts(*seconds: float) -> list[Account]:
    return [replace(ACCOUNT, seconds=each) for each in seconds]


@pytest.mark.parametrize("shape", Shape)
def test_a_table_is_seeded_sorted_and_fifty_bytes_a_row(shape: Shape) -> None:
    rows = 3 * BATCH_ROWS + 1
    table = pa.Table.from_batches(batches(rows, shape), SCHEMA)
    assert table.num_rows == rows
    assert table.nbytes == pytest.approx(arrow_bytes(rows), rel=0.01)
    times = table["timestamp"].cast(pa.int64()).combine_chunks()
    assert pc.all(pc.greater_equal(times.slice(1), times.slice(0, rows - 1))).as_py()
    assert table.equals(pa.Table.from_batches(batches(rows, shape), SCHEMA))
    assert not table.equals(pa.Table.from_batches(batches(rows, shape, seed=1), SCHEMA))


@pytest.mark.parametrize(("shape", "late"), [(Shape.EVEN, 0.02), (Shape.SKEWED, 0.90)])
def test_how_many_rows_lie_in_the_last_two_percent_of_the_key(shape: Shape, late: float) -> None:
    times = pa.Table.from_batches(batches(200_000, shape), SCHEMA)["timestamp"].cast(pa.int64())
    first, last = times[0].as_py(), times[-1].as_py()
    assert pc.mean(pc.greater(times, int(first + 0.98 * (last - first)))).as_py() == pytest.approx(late, abs=0.02)


def test_a_table_is_written_once(tmp_path: Path) -> None:
    path = table_file(100, cache=tmp_path)
    written = path.stat().st_mtime_ns
    assert table_file(100, cache=tmp_path) == path
    assert path.stat().st_mtime_ns == written
    assert table_file(100, Shape.SKEWED, cache=tmp_path) != path
    assert pa.ipc.open_file(path).read_all().num_rows == 100
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    measured = Results({"slow": accounts(10, 30, 8), "fast": accounts(1, 10, 2)})
    assert measured.ratio("slow", "fast") == 4
    assert measured.median("slow") == 10


@pytest.mark.parametrize(
    ("cpu_s", "verdict"),
    [(0.7, ": possible on"), (1.3, "possible only without a moment's wait"), (1.5, "not possible")],
)
def test_a_bound_compares_what_is_asked_with_what_the_cores_can_give(
    monkeypatch: pytest.MonkeyPatch, cpu_s: float, verdict: str
) -> None:
    monkeypatch.setattr(bound, "_CORES", 2)
    limits = bound.Limits(cpu_s=cpu_s, busy=1.5, seconds_of={"tuned single stream": 0.9}, tuned_cpu_s=1.0)
    assert limits.seconds == (cpu_s / 2, cpu_s / 1.5)
    assert verdict in bound.conclusion(limits)


def test_results_replace_their_own_section_only(tmp_path: Path) -> None:
    file = tmp_path / "RESULTS.md"
    claim = results.at_least("times the other", 1.25, 1.3)
    section = results.Section("one", "First", "Text.", ("a", "b"), (("1", "2"),), (claim,))
    results.write(section, command="python benchmarks/loader.py", file=file)
    results.write(replace(section, name="two", title="Second", claims=()), command="x", file=file)
    results.write(replace(section, title="First again"), command="x", file=file)
    text = file.read_text()
    assert text.count("## ") == 2
    assert text.index("## First again") < text.index("## Second")
    assert "| times the other | 1.25 | at least 1.30 | **short** |" in text


def test_contestants_bring_every_row(tmp_path: Path) -> None:
    rows = 2 * BATCH_ROWS + 7
    table = table_file(rows, cache=tmp_path / "cache")
    with odp_server({table.stem: table}) as server:
        for name in ("default stream", "tuned stream", "two tuned streams", "prefetching stream", "ours"):
            server.reset()
            work = Work(
                base_url=server.url,
                table=server.table_id(table.stem),
                output=str(tmp_path / "output"),
                server_pid=server.process.pid,
            )
            account = run(Entry(name, name, work), settle_s=0)
            assert account.rows == rows
            assert server.counters()["selects"]["rows"] >= rows  # ours looks at the first ones before it plans
            assert 0 < account.seconds < 60
            assert account.driver_peak >= account.driver_base > 0
    assert not (tmp_path / "output").exists()
