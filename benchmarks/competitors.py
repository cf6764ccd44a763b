"""The other ways to bring an ODP table into Parquet files with the unmodified SDK, written as well as their users would.

Each is a context manager: what it does before `yield` is not timed, so imports and the start of a cluster cost nobody anything.
All write snappy, which is what pandas' and Dask's `to_parquet` do by default.
"""

import datetime
import itertools
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.work import Contestant, Prepared, Ready, Work

ENCODINGS = {
    "timestamp": "DELTA_BINARY_PACKED",
    "lat": "BYTE_STREAM_SPLIT",
    "lon": "BYTE_STREAM_SPLIT",
    "temp": "BYTE_STREAM_SPLIT",
}
"""The fastest for the columns of benchmarks/tables.py; the others are best as dictionaries."""
DICTIONARIES = ["station_id", "platform"]
KEY = "timestamp"


@contextmanager
def dask_cluster(
    work: Work, environment: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
) -> Iterator[tuple[int, ...]]:
    """A local cluster with the SDK imported on all workers, as the default client; yields the workers' process ids."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(settings or {}),
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in (environment or {}).items()}),
        LocalCluster(n_workers=work.workers, threads_per_worker=work.threads, dashboard_address=None, memory_limit=0) as cluster,
        Client(cluster) as client,
    ):
        client.run(_warm)
        yield tuple(client.run(os.getpid).values())


def _warm() -> None:
    import odp.client
    import odp.dataset  # noqa: F401 # imports geopandas, which takes longer than a small load


def _dataset(work: Work) -> Any:
    from odp.client import Client

    return Client(base_url=work.base_url).dataset(work.table)


@contextmanager
def todays_way(work: Work) -> Prepared:
    """The whole table as a list of batches in the notebook, then one delayed object per batch."""
    import dask.dataframe as dd
    from dask import delayed

    def load() -> None:
        batches = list(_dataset(work).table.select().batches())
        frames = [delayed(_to_pandas)(batch) for batch in batches]
        dd.from_delayed(frames, meta=batches[0].to_pandas().head(0)).to_parquet(work.output, write_index=False)

    with dask_cluster(work) as pids:
        _warm()
        yield Ready(load, pids)


def _to_pandas(batch: pa.RecordBatch) -> Any:
    return batch.to_pandas()


@contextmanager
def through_pandas(work: Work) -> Prepared:
    """Ranges of time, cut evenly between the statistics' bounds, each read by a worker into a pandas frame."""
    import dask.dataframe as dd

    def load() -> None:
        table = _dataset(work).table
        meta = table.schema().empty_table().to_pandas()
        statistics = next(column for column in table.stats().columns if column.name == KEY)
        ranges = _even_ranges(str(statistics.min), str(statistics.max), work.ranges)
        frame = dd.from_map(_read_range, ranges, base_url=work.base_url, table=work.table, meta=meta)
        frame.to_parquet(work.output, write_index=False)

    with dask_cluster(work) as pids:
        _warm()
        yield Ready(load, pids)


def _even_ranges(low: str, high: str, number: int) -> list[tuple[datetime.datetime | None, datetime.datetime | None]]:
    first, last = datetime.datetime.fromisoformat(low), datetime.datetime.fromisoformat(high)
    cuts = [first + (last - first) * index / number for index in range(1, number)]
    return list(itertools.pairwise([None, *cuts, None]))


def _read_range(bounds: Sequence[datetime.datetime | None], *, base_url: str, table: str) -> Any:
    from odp.client import Client

    condition, variables = _condition(bounds)
    cursor = Client(base_url=base_url).dataset(table).table.select(condition, vars=variables)
    return pa.Table.from_batches(cursor.batches(), cursor.schema).to_pandas()


def _condition(bounds: Sequence[datetime.datetime | None]) -> tuple[str, dict[str, datetime.datetime]]:
    variables = {name: bound for name, bound in zip(("low", "high"), bounds, strict=True) if bound is not None}
    terms = {"low": f"{KEY} >= $low", "high": f"{KEY} < $high"}
    return " and ".join(terms[name] for name in variables), variables


@contextmanager
def default_stream(work: Work) -> Prepared:
    """One process with pyarrow's defaults, its row groups of 2^20 rows included."""
    _warm()

    def load() -> None:
        cursor = _dataset(work).table.select()
        with pq.ParquetWriter(_single_file(work), cursor.schema) as writer:
            for table in _row_groups(cursor.batches(), rows=2**20):
                writer.write_table(table)

    yield Ready(load)


def _row_groups(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    for batch in batches:
        gathered.append(batch)
        if sum(each.num_rows for each in gathered) >= rows:
            yield pa.Table.from_batches(gathered)
            gathered.clear()
    if gathered:
        yield pa.Table.from_batches(gathered)


@contextmanager
def tuned_stream(work: Work) -> Prepared:
    """One process with the encodings that suit the columns, and a row group for each batch: the fastest of the sizes tried."""
    _warm()

    def load() -> None:
        cursor = _dataset(work).table.select()
        with _tuned_writer(work, cursor.schema) as writer:
            for batch in cursor.batches():
                writer.write_batch(batch)

    yield Ready(load)


@contextmanager
def prefetching_stream(work: Work) -> Prepared:
    """The tuned process with a second thread that reads ahead."""
    _warm()

    def load() -> None:
        cursor = _dataset(work).table.select()
        ahead: queue.Queue[pa.RecordBatch | None] = queue.Queue(maxsize=8)

        def read() -> None:
            try:
                for batch in cursor.batches():
                    ahead.put(batch)
            finally:
                ahead.put(None)

        reader = threading.Thread(target=read)
        reader.start()
        with _tuned_writer(work, cursor.schema) as writer:
            while (batch := ahead.get()) is not None:
                writer.write_batch(batch)
        reader.join()

    yield Ready(load)


@contextmanager
def two_streams(work: Work) -> Prepared:
    """Two tuned processes side by side, each with half of the time span: nobody gets more out of two cores with this writer."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"), initializer=_warm) as pool:
        pids = set(pool.map(_own_pid, range(8)))
        while len(pids) < 2:  # a process may have been done with all before the other had begun
            pids |= set(pool.map(_own_pid, range(8)))

        def load() -> None:
            bounds = next(column for column in _dataset(work).table.stats().columns if column.name == KEY)
            Path(work.output).mkdir(parents=True)
            halves = _even_ranges(str(bounds.min), str(bounds.max), 2)
            list(pool.map(_write_range, halves, itertools.repeat(work), range(2)))

        _warm()
        yield Ready(load, tuple(pids))


def _own_pid(_: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def _write_range(bounds: Sequence[datetime.datetime | None], work: Work, number: int) -> None:
    condition, variables = _condition(bounds)
    cursor = _dataset(work).table.select(condition, vars=variables)
    path = Path(work.output) / f"part-{number}.parquet"
    with pq.ParquetWriter(path, cursor.schema, use_dictionary=DICTIONARIES, column_encoding=ENCODINGS) as writer:
        for batch in cursor.batches():
            writer.write_batch(batch)


def _tuned_writer(work: Work, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(_single_file(work), schema, use_dictionary=DICTIONARIES, column_encoding=ENCODINGS)


def _single_file(work: Work) -> str:
    Path(work.output).mkdir(parents=True)
    return str(Path(work.output) / "part-0.parquet")


COMPETITORS: Mapping[str, Contestant] = {
    "today's way": todays_way,
    "through pandas": through_pandas,
    "default stream": default_stream,
    "tuned stream": tuned_stream,
    "prefetching stream": prefetching_stream,
    "two tuned streams": two_streams,
}
