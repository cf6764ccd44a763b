"""Reads Parquet files, row group by row group, in bounded memory."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from odp_loader.errors import InvalidLoad
from odp_loader.partition import FileSlice
from odp_loader.sources.files.bounds import Sieve
from odp_loader.sources.files.profile import CHUNK_ROWS, Chunk, Profile
from odp_loader.sources.files.text import Meaning
from odp_loader.sources.files.types import plain, widen
from odp_loader.store import Entry, Store

_BUFFER_BYTES = 2 * 2**20
"""Read of a column at once; without it a whole column of a row group would be, however large."""
_CHUNK_BYTES = 64 * 2**20


class ParquetFiles:
    """The format Parquet."""

    at_once = 16

    def profile(self, store: Store, entry: Entry) -> Profile:
        """Read the footer."""
        with _opened(store, entry.path) as file:
            metadata, schema = file.metadata, file.schema_arrow
            groups = tuple(
                (group.num_rows, group.total_byte_size) for group in map(metadata.row_group, range(metadata.num_row_groups))
            )
            if doubled := sorted({name for name in schema.names if schema.names.count(name) > 1}):
                raise InvalidLoad(f"{store.join(entry.path)}: column {doubled[0]!r} is there twice: rename one of them")
            columns = {field.name: Meaning(plain(field.type)) for field in schema}
            return Profile(metadata.num_rows, columns, schema, groups)

    def join(self, one: Meaning, other: Meaning) -> Meaning | None:
        """The narrowest type that holds the values of both."""
        joined = widen(one.type, other.type)
        return None if joined is None else Meaning(joined)

    def read(self, store: Store, piece: FileSlice, schema: pa.Schema, sieve: Sieve | None) -> Iterator[Chunk]:
        """Decode a chunk at a time; not a byte of a row group whose statistics say that the filter drops all its rows."""
        with _opened(store, piece.path) as file:
            metadata = file.metadata
            stop = metadata.num_row_groups if piece.stop is None else piece.stop
            if stop > metadata.num_row_groups:
                raise InvalidLoad(f"{store.join(piece.path)} was changed since the load was planned: start it anew")
            groups = list(range(piece.start or 0, stop))
            if sieve is not None:
                groups = sieve.row_groups(file, groups, schema)
            if not groups:
                return
            there = [name for name in schema.names if name in file.schema_arrow.names]
            size = sum(metadata.row_group(group).total_byte_size for group in groups)
            rows = sum(metadata.row_group(group).num_rows for group in groups)
            chunk = max(1, min(CHUNK_ROWS, _CHUNK_BYTES * rows // max(size, 1)))
            for batch in file.iter_batches(chunk, row_groups=groups, columns=there, use_threads=False):
                yield Chunk(batch.num_rows, [_fitted(batch, field, store.join(piece.path)) for field in schema])


def _fitted(batch: pa.RecordBatch, field: pa.Field, url: str) -> pa.Array:
    if field.name not in batch.schema.names:
        return pa.nulls(batch.num_rows, field.type)
    column = batch.column(field.name)
    try:
        return column if column.type == field.type else column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidLoad(
            f"{url}: column {field.name!r} does not fit {field.type}, its type in the whole table: {str(error).splitlines()[0]}"
        ) from None


@contextmanager
def _opened(store: Store, path: str) -> Iterator[pq.ParquetFile]:
    """A file for reading; whatever is wrong with its contents becomes InvalidLoad."""
    try:
        with store.translated(path), store.open_file(path) as raw:
            # INT96 times come from old writers and would be nanoseconds, which end in 1677 and 2262
            yield pq.ParquetFile(raw, buffer_size=_BUFFER_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us")
    except (OSError, pa.ArrowException) as error:
        raise InvalidLoad(f"{store.join(path)} is no whole Parquet file: {str(error).splitlines()[0]}") from None
