"""Reads JSON lines: one object a line, its members the columns; times are recognised in strings."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.json as pajson

from odp_loader.errors import InvalidLoad
from odp_loader.partition import FileSlice
from odp_loader.sources.files.bounds import Sieve
from odp_loader.sources.files.profile import Chunk, Profile, in_chunks
from odp_loader.sources.files.streams import decompressed
from odp_loader.sources.files.text import Meaning, parse_exactly
from odp_loader.sources.files.types import widen
from odp_loader.store import Entry, Store

_BLOCK_BYTES = 4 * 2**20
_LONGEST_LINE_BYTES = 64 * 2**20
_TIMES = (pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC"))


class JsonLinesFiles:
    """The format JSON lines. Numbers are integers, or floats where one has a point or an exponent."""

    at_once = 4

    def profile(self, store: Store, entry: Entry) -> Profile:
        """Read the whole file, in blocks: about 100 MB a second and core."""
        known: dict[str, Meaning] = {}
        rows = 0
        with _json_errors(store, entry.path) as position:
            for block in _blocks(store, entry.path):
                position.rows = rows
                found = _inferred(block, known)
                for name, column in zip(found.schema.names, found.columns, strict=True):
                    before = known.get(name, Meaning(pa.null()))
                    now = _meaning(column, before)
                    if (joined := self.join(before, now)) is None:
                        raise InvalidLoad(
                            f"{store.join(entry.path)}: column {name!r} is {before.type} up to row {rows} and {now.type} after it:"
                            " one member must have one type"
                        )
                    known[name] = joined
                rows += found.num_rows
        return Profile(rows, known)

    def join(self, one: Meaning, other: Meaning) -> Meaning | None:
        """Numbers with numbers, texts and times with texts and times."""
        pair = {one.type, other.type}
        if pair == {pa.int64(), pa.float64()}:  # to JSON they are the same
            return Meaning(pa.float64())
        texts = (pa.string(), *_TIMES)
        if one.type in texts and other.type in texts:
            return one | other
        joined = widen(one.type, other.type)
        return None if joined is None else Meaning(joined)

    def read(self, store: Store, piece: FileSlice, schema: pa.Schema, sieve: Sieve | None) -> Iterator[Chunk]:  # noqa: ARG002 # protocol
        """Parse a block at a time."""
        raw = pa.schema([pa.field(field.name, pa.string() if field.type in _TIMES else field.type) for field in schema])
        rows = 0
        with _json_errors(store, piece.path) as position:
            for block in _blocks(store, piece.path):
                position.rows = rows
                batch = _parsed(block, raw, unexpected="ignore")
                columns = [
                    parse_exactly(column, field.type) if field.type in _TIMES else column
                    for field, column in zip(schema, batch.columns, strict=True)
                ]
                rows += batch.num_rows
                yield from in_chunks(batch.num_rows, columns)


@dataclass
class _Position:
    """How many rows precede the block that is being parsed."""

    rows: int = 0


def _blocks(store: Store, path: str) -> Iterator[bytes]:
    """The file in pieces that end with a line."""
    with store.translated(path), decompressed(store, path) as stream:
        rest = b""
        while data := stream.read(_BLOCK_BYTES):
            lines, newline, begun = data.rpartition(b"\n")
            if newline and (block := rest + lines).strip():
                yield block
            rest = begun if newline else rest + begun
            if len(rest) > _LONGEST_LINE_BYTES:
                raise InvalidLoad(
                    f"{store.join(path)}: a line is longer than {_LONGEST_LINE_BYTES // 2**20} MiB: write one object a line"
                )
        if rest.strip():
            yield rest


def _inferred(block: bytes, known: Mapping[str, Meaning]) -> pa.RecordBatch:
    """The rows of a block with Arrow's own types, except that no string is taken for a time. Columns stand as in the block."""
    texts = {name: pa.string() for name, found in known.items() if found.type in (pa.string(), *_TIMES)}
    batch = _parsed(block, pa.schema(texts.items()), unexpected="infer")
    times = {field.name: text for field in batch.schema if (text := _without_times(field.type)) != field.type}
    return _parsed(block, pa.schema((texts | times).items()), unexpected="infer").select(batch.schema.names) if times else batch


def _parsed(block: bytes, schema: pa.Schema, *, unexpected: str) -> pa.RecordBatch:
    table = pajson.read_json(
        pa.BufferReader(block),
        read_options=pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),  # one piece: rows are numbered in it
        parse_options=pajson.ParseOptions(explicit_schema=schema, unexpected_field_behavior=unexpected),
    )
    table.validate(full=True)  # the parser does not look at the encoding
    return table.to_batches()[0]


def _meaning(column: pa.Array, before: Meaning) -> Meaning:
    """What a column of a block is; strings are times when all of them are."""
    if column.null_count == len(column):
        return Meaning(pa.null())
    if not pa.types.is_string(column.type) or pa.types.is_string(before.type):
        return Meaning(column.type)
    for kind in (before.type, *_TIMES) if before.type in _TIMES else _TIMES:
        try:
            parse_exactly(column, kind)
        except pa.ArrowInvalid:
            continue
        return Meaning(kind)
    return Meaning(pa.string())


def _without_times(kind: pa.DataType) -> pa.DataType:
    """The same type with strings in place of the times that Arrow sees in strings."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_times(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_times(field.type)) for field in kind])
    return kind


@contextmanager
def _json_errors(store: Store, path: str) -> Iterator[_Position]:
    """Whatever is wrong with a file's contents becomes InvalidLoad, with its row; the first object is row 1."""
    position = _Position()
    try:
        yield position
    except (OSError, pa.ArrowException) as error:
        words = str(error).splitlines()[0].removeprefix("JSON parse error: ")
        if found := re.search(r"(.*) in row (\d+)$", words):
            words = f"row {position.rows + int(found[2]) + 1}: {found[1]}"
        else:
            words = f"after row {position.rows}: {words}"
        raise InvalidLoad(f"{store.join(path)} is no proper JSON lines, one object a line: {words}") from None
