"""The files of one partition: what is buffered, how rows become row groups, and how many files are open at once."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from odp_loader.errors import InvalidLoad
from odp_loader.receipt import FileReceipt
from odp_loader.sink.file import FileWriter, explained
from odp_loader.sink.folders import Folder, split
from odp_loader.sink.schema import check_schema, conform
from odp_loader.sink.trail import settle
from odp_loader.spec import Compression

ROW_GROUP_ROWS = 122_880
"""A multiple of the 2048 rows that DuckDB works on at once."""
BUFFER_BYTES = 32 * 2**20
"""Arrow bytes that a partition holds in memory. Beyond it row groups come out smaller."""
OPEN_FILES = 32
"""Files of a partition that are open at once: 16 threads with as many stay below the usual 1024 descriptors."""
MOST_FOLDERS = 10_000
"""Folders of one partition; more of them would be mostly files of a few rows."""


@dataclass
class _Pending:
    """Rows of one folder that are not written yet."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def take(self, rows: int) -> pa.Table:
        """Remove the first `rows` rows."""
        table = pa.Table.from_batches(self.batches)
        rest = table.slice(rows)
        self.batches, self.rows, self.bytes = rest.to_batches(), rest.num_rows, rest.nbytes
        return table.slice(0, rows)


class PartitionWriter:
    """Writes the rows of one partition below `root`, a local folder that is this writer's own.

    Memory is bounded by BUFFER_BYTES, one chunk and the row group being encoded, however many rows and folders there are.
    Files are named `<stem>.parquet` in each folder, and `<stem>-1.parquet` and so on where a folder's file was closed to
    keep within OPEN_FILES and more rows came. A partition without rows becomes no file.

    Used as a context manager it removes all its files unless `finish` was reached.
    """

    def __init__(
        self,
        root: Path,
        *,
        stem: str,
        schema: pa.Schema,
        compression: Compression = Compression.ZSTD,
        partition_on: Sequence[str] = (),
        nan_columns: frozenset[str] = frozenset(),
        durable: bool = True,
    ) -> None:
        """Prepare to write rows of `schema`; nothing is touched before the first of them.

        `nan_columns` are float columns that are known to hold NaN: files begin without statistics for them. With `durable`
        a finished file survives a power failure; files that are uploaded and deleted need not.
        Raises InvalidLoad as `check_schema` does.
        """
        self._root = root
        self._stem = stem
        self._schema = check_schema(schema, partition_on)
        self._file_schema = pa.schema([f for f in self._schema if f.name not in partition_on], self._schema.metadata)
        self._compression = compression
        self._partition_on = tuple(partition_on)
        self._known = nan_columns
        self._found: set[str] = set()
        self._durable = durable
        self._pending: dict[str, _Pending] = {}
        self._folders: dict[str, Folder] = {}
        self._open: OrderedDict[str, FileWriter] = OrderedDict()
        self._begun: dict[str, int] = {}
        self._closed: list[FileReceipt] = []
        self._finished = False

    @property
    def nan_columns(self) -> frozenset[str]:
        """Columns in which a NaN was seen that were not known to hold one."""
        return frozenset(self._found)

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows of the schema. Raises InvalidLoad for values that cannot be stored, LoadError when the disk fails."""
        for piece in _pieces(batch):
            for folder, rows in split(conform(piece, self._schema), self._partition_on):
                self._add(folder, rows)
            if sum(pending.bytes for pending in self._pending.values()) > BUFFER_BYTES:
                self._make_room()

    def close(self) -> None:
        """Encode what is left and close all files, so that `finish` has nothing to do but to wait for the disk."""
        for path, pending in self._pending.items():
            if pending.rows:
                self._flush(path, pending.rows)
        while self._open:
            self._close_oldest()

    def finish(self) -> tuple[FileReceipt, ...]:
        """Write what is left and close all files; returns them in the order of their paths."""
        self.close()
        if self._durable:
            for file in self._closed:
                with explained(self._root / file.path):
                    settle(self._root / file.path)
        self._finished = True
        return tuple(sorted(self._closed, key=lambda file: file.path))

    def abort(self) -> None:
        """Remove all files, also after `finish`. Raises nothing."""
        for writer in self._open.values():
            writer.discard()
        for file in self._closed:
            with suppress(OSError):
                (self._root / file.path).unlink()
        self._open.clear()
        self._pending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._finished:
            self.abort()

    def _add(self, folder: Folder, rows: pa.RecordBatch) -> None:
        if folder.path not in self._folders:
            if len(self._folders) == MOST_FOLDERS:
                raise InvalidLoad(
                    f"partitionOn: {', '.join(self._partition_on)} would make more than {MOST_FOLDERS:,} folders of one partition: "
                    "choose columns with fewer values, or `derive` one, such as year(time)"
                )
            self._folders[folder.path] = folder
            self._pending[folder.path] = _Pending()
        pending = self._pending[folder.path]
        pending.add(rows)
        while pending.rows >= ROW_GROUP_ROWS:
            self._flush(folder.path, ROW_GROUP_ROWS)

    def _make_room(self) -> None:
        """Flush the fullest folders until half of the buffer is free, so that this is not done again for each chunk."""
        fullest = sorted(self._pending.items(), key=lambda item: item[1].bytes, reverse=True)
        held = sum(pending.bytes for _, pending in fullest)
        for path, pending in fullest:
            if held <= BUFFER_BYTES // 2:
                return
            held -= pending.bytes
            self._flush(path, pending.rows)

    def _flush(self, path: str, rows: int) -> None:
        """Write the first `rows` rows of a folder as a row group."""
        table = self._pending[path].take(rows)
        if path not in self._open:
            if len(self._open) == OPEN_FILES:
                self._close_oldest()
            self._open[path] = self._new_file(path)
        self._open.move_to_end(path)
        self._found |= self._open[path].write(table)

    def _new_file(self, path: str) -> FileWriter:
        number = self._begun[path] = self._begun.get(path, -1) + 1
        return FileWriter(
            self._root,
            f"{self._stem}-{number}.parquet" if number else f"{self._stem}.parquet",
            self._folders[path],
            schema=self._file_schema,
            compression=self._compression,
            nan_columns=self._known | self._found,
            durable=self._durable,
        )

    def _close_oldest(self) -> None:
        """Close the file that was written to longest ago; it stays in reach of `abort` until it is whole."""
        path = next(iter(self._open))
        self._closed.append(self._open[path].close())
        del self._open[path]


def write_empty(
    root: Path,
    *,
    stem: str,
    schema: pa.Schema,
    compression: Compression = Compression.ZSTD,
    partition_on: Sequence[str] = (),
    durable: bool = True,
) -> FileReceipt:
    """Write the one file of a dataset without rows. It has the partitionOn columns too: there is no folder to say them.

    Raises InvalidLoad as `check_schema` does.
    """
    stored = check_schema(schema, partition_on)
    writer = FileWriter(
        root, f"{stem}.parquet", Folder(), schema=stored, compression=compression, nan_columns=frozenset(), durable=durable
    )
    try:
        writer.write(stored.empty_table())
        receipt = writer.close()
        if durable:
            settle(root / receipt.path)
        return receipt
    except BaseException:
        writer.discard()
        raise


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A chunk in pieces that fit into the buffer with some before them; most do as they are."""
    step = max(1, batch.num_rows * (BUFFER_BYTES // 4) // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)
