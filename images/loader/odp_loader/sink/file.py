"""One Parquet file as it is written: opened at its first row group, begun again at a column's first NaN, then summed up."""

import errno
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from odp_loader.errors import LoadError
from odp_loader.receipt import FileReceipt
from odp_loader.sink import geometry
from odp_loader.sink.encoding import Encodings, choose_encodings
from odp_loader.sink.folders import Folder
from odp_loader.sink.summary import Summaries, constant
from odp_loader.sink.trail import Trail
from odp_loader.spec import Compression

_ADVICE = {
    errno.ENOSPC: "make room there, or write elsewhere",
    errno.EDQUOT: "raise the quota, or write elsewhere",
    errno.EACCES: "let this user write there, or write elsewhere",
    errno.EROFS: "write elsewhere",
    errno.ENAMETOOLONG: "write to a folder with a shorter path",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or use fewer threads",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a LoadError that says what to do about it."""
    try:
        yield
    except OSError as error:
        code = error.errno or 0
        why = os.strerror(code) if code else str(error)
        raise LoadError(f"{path} cannot be written: {why}; {_ADVICE.get(code, 'look after the file system')}") from error


class FileWriter:
    """Writes one file, row group by row group. Holds none of them in memory once it is written."""

    def __init__(
        self,
        root: Path,
        name: str,
        folder: Folder,
        *,
        schema: pa.Schema,
        compression: Compression,
        nan_columns: Collection[str],
        durable: bool,
    ) -> None:
        self._relative = f"{folder.path}/{name}" if folder.path else name
        self._path = root / folder.path / name
        self._folder = folder
        self._schema = schema
        self._compression = compression
        self._durable = durable
        self._floats = [field.name for field in schema if pa.types.is_floating(field.type)]
        self._without_statistics = {name for name in self._floats if name in nan_columns}
        self._encodings = Encodings()
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._trail = Trail(durable=durable)
        self._summaries = Summaries()
        self._extents = geometry.extents(schema)

    def write(self, rows: pa.Table) -> frozenset[str]:
        """Write a row group; returns the columns in which this file has its first NaN."""
        rows = self._stored(rows)
        found = frozenset(name for name in self._floats if name not in self._without_statistics and has_nan(rows[name]))
        self._without_statistics |= found
        with explained(self._path):
            if self._writer is None:
                self._encodings = choose_encodings(rows)
                self._writer = self._open(self._path)
            elif found:
                self._begin_again(found)
            self._writer.write_table(rows, row_group_size=max(1, rows.num_rows))
            self._trail.follow(self._path)
        self._rows += rows.num_rows
        self._summaries.add(rows, self._without_statistics)
        return found

    def close(self) -> FileReceipt:
        """Finish the file; it may not be on the disk yet."""
        footer = self._finish(geometry.footer(self._schema, self._extents))
        with explained(self._path):
            self._trail.follow(self._path)
        columns = self._summaries.finish(footer, self._schema)
        return FileReceipt(
            path=self._relative,
            rows=self._rows,
            bytes=self._trail.bytes,
            sha256=self._trail.sha256,
            columns=columns | {name: constant(value, self._rows) for name, value in self._folder.values},
        )

    def discard(self) -> None:
        """Remove what was written. Raises nothing, so that the reason for it is what people see."""
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError:  # a full disk refuses the footer too
                self._writer.is_open = False
        for path in (self._path, self._successor):
            with suppress(OSError):
                path.unlink()

    @property
    def _successor(self) -> Path:
        """Where the file is begun again while the rows are read back from what it was."""
        return self._path.with_name(f".{self._path.name}.again")

    def _open(self, path: Path) -> pq.ParquetWriter:
        path.parent.mkdir(parents=True, exist_ok=True)
        return pq.ParquetWriter(
            str(path),
            self._schema,
            compression=self._compression.value,
            use_dictionary=self._encodings.use_dictionary,
            column_encoding=self._encodings.column_encoding or None,
            write_statistics=[name for name in self._schema.names if name not in self._without_statistics],
        )

    def _finish(self, footer: Mapping[bytes, bytes]) -> pq.FileMetaData:
        """Write the footer and let go of the file."""
        assert self._writer is not None
        if footer:
            self._writer.add_key_value_metadata(footer)
        with explained(self._path):
            self._writer.close()
        metadata = self._writer.writer.metadata
        self._writer = None
        return metadata

    def _begin_again(self, found: Collection[str]) -> None:
        """Copy what is written into a file without statistics for `found`: DuckDB and pyarrow would prune NaN away by them.

        https://github.com/duckdb/duckdb/issues/25521; pyarrow fixes `write_statistics` when a file is opened.
        """
        footer = self._finish({})
        for name in found:
            self._summaries.keep(footer, name)
        self._writer = self._open(self._successor)
        with pq.ParquetFile(self._path) as written:
            for i in range(written.num_row_groups):
                rows = written.read_row_group(i, use_threads=False)
                self._writer.write_table(rows, row_group_size=rows.num_rows)
        self._successor.replace(self._path)
        self._trail = Trail(durable=self._durable)

    def _stored(self, rows: pa.Table) -> pa.Table:
        """Rows with the file's schema; geometries become WKB here, where it is known which file they are in."""
        columns = {field.name: rows[field.name] for field in self._schema}
        for name, extent in self._extents.items():
            columns[name] = geometry.to_wkb(columns[name], name, extent)
        return pa.Table.from_arrays(list(columns.values()), schema=self._schema)


def has_nan(column: pa.ChunkedArray) -> bool:
    """Whether a NaN is among the values. numpy's `min` passes NaN on and is four times as fast as looking for one."""
    for chunk in column.chunks:
        if len(chunk) > chunk.null_count:
            found = pc.any(pc.is_nan(chunk)).as_py() if chunk.null_count else np.isnan(chunk.to_numpy().min())
            if found:
                return True
    return False
