"""Holds each table as encoded Arrow messages in an unnamed temporary file, with a summary of every batch."""

import mmap
import os
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from odp_loader.expression import ColumnRange, Verdict
from odp_server.files import TableFiles, UnusableData, read_batches, served_schema, split
from odp_server.filters import RowFilter
from odp_server.messages import batch_message, read_batch
from odp_server.summaries import ColumnSummary, column_statistics, decoded

_NAMESPACE = uuid.UUID("6f64702d-7365-7276-6572-2d7461626c65")
_ALIGNMENT = 64
_BLOCK_BATCHES = 16
_NOTHING = pa.py_buffer(b"")


def table_id(name: str) -> str:
    """The dataset id a table of this name has on every server: a UUID made from the name."""
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a batch's message lies in the table's file, and what is in it."""

    offset: int
    length: int
    rows: int
    columns: Mapping[str, ColumnSummary]
    ranges: Mapping[str, ColumnRange]
    """The same as a filter judges it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Batches `start <= i < stop`, summarised together."""

    start: int
    stop: int
    ranges: Mapping[str, ColumnRange]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A table as it was at one moment; it can be read for as long as it is held."""

    schema: pa.Schema
    fd: int
    content: pa.Buffer
    """The file, mapped: nothing of it is in memory twice."""
    batches: tuple[Batch, ...]
    blocks: tuple[Block, ...]

    def judged(self, rows: RowFilter, first: int = 0) -> Iterator[tuple[int, Batch, Verdict]]:
        """The batches from number `first` on, and whether their rows are kept; a verdict on a block spares those on its batches."""
        for block in self.blocks:
            start = max(first, block.start)
            verdict = rows.verdict(block.ranges) if start < block.stop else "none"
            for index in range(start, block.stop):
                batch = self.batches[index]
                yield index, batch, rows.verdict(batch.ranges) if verdict == "some" else verdict

    def message(self, batch: Batch) -> pa.Buffer:
        """The encoded batch, not copied."""
        return self.content.slice(batch.offset, batch.length)

    def read(self, batch: Batch) -> pa.RecordBatch:
        """The batch, not copied."""
        return read_batch(self.message(batch), self.schema)


class Table:
    """One table; it may grow while it is read."""

    def __init__(self, files: TableFiles, *, batch_rows: int) -> None:
        """Read and encode the files. Raises UnusableData."""
        self.name = files.name
        self.id = table_id(files.name)
        self.schema = served_schema(files.paths)
        self.description = decoded(self.schema.metadata).get("description", "")
        self._batch_rows = batch_rows
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="odp-server-")  # noqa: SIM115 # lives as long as the table
        self._original_bytes = self._stored_bytes = sum(path.stat().st_size for path in files.paths)
        self._snapshot = Snapshot(self.schema, self._file.fileno(), _NOTHING, (), ())
        self._extend(read_batches(files.paths, self.schema, batch_rows))
        self._original = self._snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The table as it is now."""
        return self._snapshot

    def fitted(self, rows: pa.Table) -> tuple[pa.RecordBatch, ...]:
        """Rows as this table can take them up. Raises ValueError when they have other columns or types."""
        if rows.schema.names != self.schema.names:
            raise ValueError(f"table {self.name!r} has the columns {', '.join(self.schema.names)}")
        return tuple(piece for batch in rows.to_batches() for piece in split(batch, self.schema, self._batch_rows))

    def append(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Add rows that fit at the end, all at once for readers."""
        self._extend(batches)
        self._stored_bytes += sum(batch.nbytes for batch in batches)

    def restore(self) -> None:
        """Forget what was appended."""
        with self._lock:
            self._snapshot, self._stored_bytes = self._original, self._original_bytes

    def statistics(self) -> dict[str, Any]:
        """The statistics reply. `size` is stored bytes, as ODP counts it, not Arrow bytes."""
        batches = self._snapshot.batches
        columns = [column_statistics(field, _total(batches, field.name)) for field in self.schema]
        return {"num_rows": sum(batch.rows for batch in batches), "size": self._stored_bytes, "columns": columns}

    def _extend(self, added: Iterable[pa.RecordBatch]) -> None:
        with self._lock:
            batches = list(self._snapshot.batches)
            self._file.seek(0, os.SEEK_END)
            for batch in added:
                batches.append(self._encode(batch))
            content = pa.py_buffer(mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ)) if batches else _NOTHING
            self._snapshot = Snapshot(self.schema, self._file.fileno(), content, tuple(batches), self._blocks(batches))

    def _blocks(self, batches: Sequence[Batch]) -> tuple[Block, ...]:
        blocks = []
        for start in range(0, len(batches), _BLOCK_BATCHES):
            block = batches[start : start + _BLOCK_BATCHES]
            blocks.append(Block(start, start + len(block), {name: _total(block, name).range for name in self.schema.names}))
        return tuple(blocks)

    def _encode(self, batch: pa.RecordBatch) -> Batch:
        message = batch_message(batch)
        try:
            self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
            offset = self._file.tell()
            self._file.write(message)
            self._file.flush()
        except OSError as error:
            reason = f"{tempfile.gettempdir()} cannot hold table {self.name!r}: {error.strerror}"
            raise UnusableData(f"{reason}; set TMPDIR to a folder with more room") from error
        columns = {name: ColumnSummary.of(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        ranges = {name: summary.range for name, summary in columns.items()}
        return Batch(offset, message.size, batch.num_rows, columns, ranges)


def _total(batches: Iterable[Batch], column: str) -> ColumnSummary:
    return ColumnSummary.total(batch.columns[column] for batch in batches)


class Catalog:
    """The tables of a server, found by id or by name."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = tuple(tables)
        self._by_key = {key: table for table in self.tables for key in (table.name, table.id)}

    def find(self, key: str) -> Table | None:
        """The table with this id or name."""
        return self._by_key.get(key)
