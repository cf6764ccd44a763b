"""What a Dask worker does with a partition: read it as a stream, transform it, write its files, commit its receipt."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from dask.system import CPU_COUNT

from odp_loader.cores import Cores
from odp_loader.errors import Transient
from odp_loader.guard import alone
from odp_loader.ledger import Ledger, file_stem
from odp_loader.partition import Partition
from odp_loader.patience import wait_s
from odp_loader.receipt import FileReceipt, Receipt
from odp_loader.sink import PartitionWriter, write_empty
from odp_loader.sources import Source
from odp_loader.sources.open import open_source
from odp_loader.spec import Load
from odp_loader.staging import put_in_place, scratch_folder, table_to_bytes
from odp_loader.store import Store
from odp_loader.transform import Chain, compile_chain
from odp_loader.transform.aggregate import Partial

ATTEMPTS = 6
_REPORT_EVERY_S = 0.5
_CORES = Cores(CPU_COUNT)
"""A worker has more threads than cores, so that some wait for the network while others encode; more of them encoding than there
are cores would only take each other's caches and the interpreter's lock. The lower number goes first: where cores are what is
short, partitions then end one after another, and the disk takes one in while others are encoded."""


@dataclass(frozen=True)
class Context:
    """What all tasks of a load share; sent to each worker once."""

    load: Load
    id: str
    schema: bytes
    """Of the source, as an Arrow IPC schema message."""
    output: bytes
    """Of the rows after the transform's `map`, likewise."""
    pushed_down: bool = False
    """Whether the server groups the rows itself."""
    ends_marked: bool = False
    """Whether the source was seen to mark the end of its streams."""


@dataclass(frozen=True)
class Signal:
    """What a task tells the driver while it works."""

    partition: int
    rows: int = 0
    """Rows that this attempt has read."""
    bytes: int = 0
    """Arrow bytes that this attempt has read."""
    throttled: bool = False
    """Whether the server just answered 429."""
    failed: str = ""
    """Why an attempt failed; empty otherwise."""
    read: bool = False
    """Whether all rows have arrived, and only writing is left."""


Emit = Callable[[Signal], None]


def read_schema(message: bytes) -> pa.Schema:
    """The inverse of `schema.serialize().to_pybytes()`."""
    return pa.ipc.read_schema(pa.py_buffer(message))


def load_partition(context: Context, partition: Partition, nan_columns: frozenset[str], emit: Emit, worker: str) -> Receipt:
    """Bring one partition to the output and commit it.

    Reads the whole partition again, at most ATTEMPTS times, when it comes out incomplete. Doing it twice, even at the same
    time, does no harm: names are a function of the plan, and files appear whole.
    Raises errors of `odp_loader.errors` only, so that none that Dask ships between processes holds a request or a key.
    """
    started = time.monotonic()
    throttled = 0

    def note_throttled() -> None:
        nonlocal throttled
        throttled += 1
        emit(Signal(partition.index, throttled=True))

    def read() -> Receipt:
        source = open_source(
            context.load.source,
            schema=read_schema(context.schema),
            ends_marked=context.ends_marked,
            on_throttled=note_throttled,
        )
        for attempt in range(1, ATTEMPTS + 1):
            once = _Attempt(context, partition, source, nan_columns, emit)
            try:
                receipt = once.run()
                break
            except Transient as error:
                emit(Signal(partition.index, failed=str(error)))
                if attempt == ATTEMPTS:
                    raise
                time.sleep(wait_s(attempt, error))
        seconds = round(time.monotonic() - started, 3)
        receipt = replace(receipt, attempts=attempt, throttled=throttled, seconds=seconds, worker=worker)
        once.ledger.record(receipt)
        return receipt

    return alone(partition.index, read)


class _Attempt:
    """One reading of one partition."""

    def __init__(self, context: Context, partition: Partition, source: Source, nan_columns: frozenset[str], emit: Emit) -> None:
        sink = context.load.sink.parquet
        assert sink is not None
        self.rows = 0
        self.bytes = 0
        self.ledger = Ledger(Store.open(sink.url, sink.storage), context.id)
        self._context = context
        self._partition = partition
        self._source = source
        self._sink = sink
        self._nan_columns = nan_columns
        self._emit = emit
        self._signalled_at = time.monotonic()

    def run(self) -> Receipt:
        context = self._context
        if context.pushed_down:
            return self._ask_for_groups()
        chain = compile_chain(context.load.transform, read_schema(context.schema), output=read_schema(context.output))
        aggregate = context.load.transform.aggregate
        files: tuple[FileReceipt, ...] = ()
        nan_columns: frozenset[str] = frozenset()
        if aggregate is not None:
            written = self._reduce(chain, Partial(aggregate, chain.output))
        else:
            files, nan_columns = self._write(chain)
            written = sum(file.rows for file in files)
        return Receipt(
            partition=self._partition.index,
            rows_read=self.rows,
            rows_dropped=chain.dropped,
            rows_written=written,
            bytes_read=self.bytes,
            files=files,
            nan_columns=tuple(sorted(nan_columns)),
        )

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.read(self._partition.selection):
            self.rows += batch.num_rows
            self.bytes += batch.nbytes
            if (now := time.monotonic()) - self._signalled_at > _REPORT_EVERY_S:
                self._signalled_at = now
                self._emit(Signal(self._partition.index, rows=self.rows, bytes=self.bytes))
            yield batch
        self._emit(Signal(self._partition.index, rows=self.rows, bytes=self.bytes, read=True))

    def _reduce(self, chain: Chain, partial: Partial) -> int:
        """Keep the groups of this partition as an Arrow file beside its receipt; returns how many there are."""
        for batch in self._batches():
            for chunk in chain.apply(batch):
                partial.add(chunk)
        table = partial.table()
        self.ledger.store.write(self.ledger.receipt_path(self._partition.index, "arrow"), table_to_bytes(table))
        return int(table.num_rows)

    def _ask_for_groups(self) -> Receipt:
        """Let the server group the rows, and keep its groups as the partial result."""
        from odp_loader.sources.odp import OdpTable

        assert isinstance(self._source, OdpTable)
        merged, self.rows = self._source.aggregate(self._context.load.transform)
        self.bytes = merged.table.nbytes
        self.ledger.store.write(self.ledger.receipt_path(self._partition.index, "arrow"), table_to_bytes(merged.table))
        return Receipt(
            partition=self._partition.index,
            rows_read=self.rows,
            rows_dropped=self.rows - merged.rows,
            rows_written=merged.table.num_rows,
            bytes_read=self.bytes,
            files=(),
        )

    def _write(self, chain: Chain) -> tuple[tuple[FileReceipt, ...], frozenset[str]]:
        """Write the rows into a folder of this attempt's own, then put the finished files where they belong."""
        turn = self._partition.index
        with (
            scratch_folder(self.ledger) as scratch,
            PartitionWriter(
                scratch,
                stem=file_stem(self._context.id, self._partition.index),
                schema=chain.output,
                compression=self._sink.compression,
                partition_on=self._sink.partition_on,
                nan_columns=self._nan_columns,
                durable=self.ledger.store.is_local,
            ) as writer,
        ):
            for batch in self._batches():
                with _CORES.held(turn=turn):
                    for chunk in chain.apply(batch):
                        writer.write(chunk)
            with _CORES.held(turn=turn):
                writer.close()
            files = writer.finish()
            put_in_place(self.ledger, scratch, files)
            return files, writer.nan_columns


def write_rows(context: Context, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> tuple[FileReceipt, ...]:
    """Write rows that come from no one partition: the groups of an aggregate, or none at all so that the dataset has a schema."""
    sink = context.load.sink.parquet
    assert sink is not None
    ledger = Ledger(Store.open(sink.url, sink.storage), context.id)
    with scratch_folder(ledger) as scratch:
        form: dict[str, Any] = {
            "stem": file_stem(context.id, 0),
            "schema": schema,
            "compression": sink.compression,
            "partition_on": sink.partition_on,
            "durable": ledger.store.is_local,
        }
        writer = PartitionWriter(scratch, **form)
        for batch in batches:
            writer.write(batch)
        files = writer.finish() or (write_empty(scratch, **form),)
        put_in_place(ledger, scratch, files)
        return files
