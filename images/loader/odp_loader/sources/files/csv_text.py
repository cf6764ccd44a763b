"""Reads CSV files as texts, and gives the texts the types that all files agree on."""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pacsv

from odp_loader.errors import InvalidLoad
from odp_loader.partition import FileSlice
from odp_loader.sources.files.bounds import Sieve
from odp_loader.sources.files.profile import Chunk, Profile, in_chunks
from odp_loader.sources.files.streams import decompressed
from odp_loader.sources.files.text import Meaning, Misfit, convert, meaning, spoiler
from odp_loader.store import Entry, Store

_BLOCK_BYTES = 2**20
"""The parser reads 32 blocks ahead, which makes about 40 MB for each file that is open."""
_LARGE_BLOCK_BYTES = 16 * 2**20
"""For files with a row that is longer than a block. None can be longer than this."""
_DELIMITERS = ",;\t|"
_TOO_LONG = "straddles two block boundaries"


class CsvFiles:
    """The format CSV: a header, then one record for each row, in UTF-8; quoted fields may hold anything."""

    at_once = 4

    def profile(self, store: Store, entry: Entry) -> Profile:
        """Read the whole file, in blocks: about 200 MB a second and core."""
        known: dict[str, Meaning] = {}
        remarks: dict[str, str] = {}
        rows = 0
        for texts in self._texts(store, entry.path, None):
            for name, column in zip(texts.schema.names, texts.columns, strict=True):
                before = known.get(name, Meaning(pa.null()))
                known[name] = meaning(column, before)
                if pa.types.is_string(known[name].type) and not (pa.types.is_null(before.type) or before == known[name]):
                    remarks[name] = _remark(column, before.type, rows)
            rows += texts.num_rows
        return Profile(rows, known or self._empty(store, entry.path), remarks=remarks)

    def join(self, one: Meaning, other: Meaning) -> Meaning | None:
        """What all texts are; text, if nothing else."""
        return one | other

    def read(self, store: Store, piece: FileSlice, schema: pa.Schema, sieve: Sieve | None) -> Iterator[Chunk]:  # noqa: ARG002 # protocol
        """Parse and convert a block at a time."""
        rows = 0
        for texts in self._texts(store, piece.path, schema.names):
            columns = []
            for field in schema:
                try:
                    columns.append(
                        convert(texts.column(field.name), field.type)
                        if field.name in texts.schema.names
                        else pa.nulls(texts.num_rows, field.type)
                    )
                except Misfit as misfit:
                    raise InvalidLoad(
                        f"{store.join(piece.path)}, row {rows + misfit.place + 2}: {misfit.text!r} is no {field.type}, which column"
                        f" {field.name!r} was when the load was planned: the file was changed; start the load anew"
                    ) from None
            rows += texts.num_rows
            yield from in_chunks(texts.num_rows, columns)

    def _texts(self, store: Store, path: str, wanted: list[str] | None) -> Iterator[pa.RecordBatch]:
        """The rows, all columns or the wanted ones that are there, as texts. At least one column is read, to count the rows."""
        with _csv_errors(store, path), store.translated(path):
            header = _header(store, path)
            if header.alone:
                return
            names = header.names
            chosen = [index for index, name in enumerate(names) if wanted is None or name in wanted] or [0]
            rows = 0
            try:
                for batch in _parsed(store, path, header, chosen, _BLOCK_BYTES):
                    yield batch.rename_columns([names[index] for index in chosen])
                    rows += batch.num_rows
            except pa.ArrowInvalid as error:
                if _TOO_LONG not in str(error):
                    raise
                for batch in _parsed(store, path, header, chosen, _LARGE_BLOCK_BYTES):
                    left = batch.slice(rows)  # without those that were there before
                    rows -= batch.num_rows - left.num_rows
                    yield left.rename_columns([names[index] for index in chosen])

    def _empty(self, store: Store, path: str) -> dict[str, Meaning]:
        """The columns of a file without rows."""
        with _csv_errors(store, path), store.translated(path):
            return dict.fromkeys(_header(store, path).names, Meaning(pa.null()))


@dataclass(frozen=True)
class _Header:
    """What the beginning of a file says."""

    names: list[str]
    """Of the columns; none for an empty file."""
    delimiter: str
    alone: bool
    """No row follows."""


def _parsed(store: Store, path: str, header: _Header, chosen: list[int], block_bytes: int) -> Iterator[pa.RecordBatch]:
    """The rows as texts; columns are named by their place, because the file's own names may be padded or quoted."""
    names = [str(index) for index in range(len(header.names))]
    with decompressed(store, path) as stream:
        yield from pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(
                use_threads=False,  # else errors do not say in which row they are
                block_size=block_bytes,
                column_names=names,
                skip_rows_after_names=1,
            ),
            parse_options=pacsv.ParseOptions(delimiter=header.delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[names[index] for index in chosen],
                strings_can_be_null=False,
            ),
        )


def _header(store: Store, path: str) -> _Header:
    with decompressed(store, path) as stream:
        start = stream.read(_BLOCK_BYTES).decode("utf-8-sig", errors="replace").lstrip("\r\n")
        whole = stream.read(1) == b""
    line = re.sub('"[^"]*"', "", start).split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=lambda each: (each == "," and each in line, line.count(each)))
    records = csv.reader(io.StringIO(start), delimiter=delimiter)
    names = [name.strip() for name in next(records, [])]
    if any("\N{REPLACEMENT CHARACTER}" in name for name in names):
        raise InvalidLoad(f"{store.join(path)} is no proper CSV: the first line is not UTF-8: convert the file to it")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidLoad(f"{store.join(path)}: column {doubled[0]!r} is there twice: the first line must name the columns")
    return _Header(names, delimiter, alone=whole and not start.partition("\n")[2].strip())


def _remark(texts: pa.StringArray, before: pa.DataType, rows: int) -> str:
    misfit = spoiler(texts, before)
    return f"{misfit.text!r} in row {rows + misfit.place + 2}"


@contextmanager
def _csv_errors(store: Store, path: str) -> Iterator[None]:
    """Whatever is wrong with a file's contents becomes InvalidLoad, with its row; the header is row 1."""
    try:
        yield
    except (OSError, pa.ArrowException, csv.Error) as error:
        words = str(error).splitlines()[0]
        if _TOO_LONG in words:
            words = f"a row is longer than {_LARGE_BLOCK_BYTES // 2**20} MiB, or a quote is never closed"
        elif "UTF8" in words:
            words = re.sub(r".*Row #(\d+).*", r"row \1 is not UTF-8: convert the file to it", words)
        else:
            words = re.sub(r".*Row #(\d+)", r"row \1", words)
        raise InvalidLoad(f"{store.join(path)} is no proper CSV: {words}") from None
