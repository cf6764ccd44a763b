"""Many files as one table: which columns it has, and of which type each is over all files."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.errors import InvalidLoad
from odp_loader.sources import FILTER_COLUMNS
from odp_loader.sources.files.listing import Listing, folder_keys
from odp_loader.sources.files.profile import Format, Profile
from odp_loader.sources.files.text import Meaning
from odp_loader.spec import FileFormat

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


def unite(
    listing: Listing, profiles: Sequence[Profile], form: Format, *, only: frozenset[str] | None
) -> tuple[pa.Schema, tuple[str, ...]]:
    """The schema of all files together, and what a person should know about it.

    Columns stand in the order in which the files bring them. One in the name of a folder is a column of the files below it,
    whatever these hold. Raises InvalidLoad for a column of `only` (default: any) whose types no type holds; another column
    like that is left out.
    """
    keys = _key_types(listing)
    columns: dict[str, _Column] = {}
    for entry, profile in zip(listing.files, profiles, strict=True):
        of_folders = {name: Meaning(keys[name]) for name in folder_keys(entry.path)}
        for name, meaning in {**profile.columns, **of_folders}.items():
            columns.setdefault(name, _Column(name)).add(meaning, entry.path, form)
        for name, what in profile.remarks.items():
            columns[name].remark = columns[name].remark or f"{what} of {entry.path or listing.store.url}"
    for column in columns.values():
        if column.clash is not None and (only is None or column.name in only):
            raise InvalidLoad(column.clash)
    empty = pa.null() if listing.format is FileFormat.PARQUET else pa.string()
    fields = [column.field(empty) for column in columns.values() if column.clash is None]
    rows_in = sum(bool(profile.columns) for profile in profiles)
    notes = [note for column in columns.values() if only is None or column.name in only for note in column.notes(rows_in)]
    return _with_metadata(fields, profiles), (*listing.notes, *notes)


@dataclass
class _Column:
    """One column, as file after file tells what it is."""

    name: str
    meaning: Meaning = field(default_factory=lambda: Meaning(pa.null()))
    files: int = 0
    first: dict[pa.DataType, str] = field(default_factory=dict)
    """The first file with each type."""
    remark: str = ""
    clash: str | None = None

    def add(self, meaning: Meaning, path: str, form: Format) -> None:
        self.files += 1
        if self.clash is not None:
            return
        joined = form.join(self.meaning, meaning)
        if joined is None:
            kind, where = next((kind, where) for kind, where in self.first.items() if form.join(Meaning(kind), meaning) is None)
            self.clash = (
                f"column {self.name!r} is {kind} in {where} and {meaning.type} in {path}, and no type holds both without loss:"
                " leave it out with source.files.columns, or load the files apart, with a pattern for each kind"
            )
            return
        self.meaning = joined
        if not pa.types.is_null(meaning.type):
            self.first.setdefault(meaning.type, path)

    def field(self, empty: pa.DataType) -> pa.Field:
        return pa.field(self.name, empty if pa.types.is_null(self.meaning.type) else self.meaning.type)

    def notes(self, files: int) -> Iterator[str]:
        if self.remark:
            yield f"column {self.name!r} is read as text, because of {self.remark}"
        elif len(self.first) > 1:
            kinds = ", ".join(f"{kind} in {path}" for kind, path in self.first.items())
            yield f"column {self.name!r} is read as {self.meaning.type}: it is {kinds}"
        if self.files < files:
            yield f"column {self.name!r} is null in {files - self.files} of {files} files, which lack it"


def _key_types(listing: Listing) -> dict[str, pa.DataType]:
    """The types of the columns in the folders' names: what a manifest says, else int64 or string.

    They are int64 when all are whole numbers, no two of them the same one (`7` and `07`).
    """
    texts: dict[str, set[str]] = {}
    for entry in listing.files:
        for name, text in folder_keys(entry.path).items():
            texts.setdefault(name, set()).update(() if text is None else (text,))
    return {name: listing.key_types.get(name) or _key_type(values) for name, values in texts.items()}


def _key_type(texts: set[str]) -> pa.DataType:
    whole = texts and all(_WHOLE_NUMBER.fullmatch(text) for text in texts)
    return pa.int64() if whole and len({int(text) for text in texts}) == len(texts) else pa.string()


def key_column(text: str | None, kind: pa.DataType, rows: int) -> pa.Array:
    """A column of a folder's value. Raises InvalidLoad when it is none of its type."""
    if text is None:
        return pa.nulls(rows, kind)
    if pa.types.is_string(kind):
        return pa.repeat(pa.scalar(text, kind), rows)
    try:
        return pa.repeat(pc.cast(pa.array([text]), kind)[0], rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InvalidLoad(
            f"the folder name {text!r} is no {kind}, which it was when the load was planned: start the load anew"
        ) from None


def select(table: pa.Schema, columns: Sequence[str] | None, filtered: Sequence[str]) -> pa.Schema:
    """The columns that the load reads, with those that its filter needs besides them hidden in the metadata.

    Raises InvalidLoad for a column that does not exist.
    """
    names = table.names if columns is None else columns
    for name in names:
        if name not in table.names:
            hint = "".join(f"; did you mean {near!r}?" for near in get_close_matches(name, table.names, 1))
            raise InvalidLoad(f"source.files.columns: no file has a column {name!r}{hint} There are: {', '.join(table.names[:50])}")
    metadata = dict(table.metadata or {})
    if hidden := [table.field(name) for name in filtered if name in table.names and name not in names]:
        metadata[FILTER_COLUMNS] = base64.b64encode(pa.schema(hidden).serialize())
    return pa.schema([table.field(name) for name in names], metadata or None)


def needed(selected: pa.Schema) -> pa.Schema:
    """The columns to read: the selected ones, then those that only the filter needs."""
    hidden = (selected.metadata or {}).get(FILTER_COLUMNS)
    more = [] if hidden is None else pa.ipc.read_schema(pa.py_buffer(base64.b64decode(hidden)))
    return pa.schema([*selected, *more])


def _with_metadata(fields: Sequence[pa.Field], profiles: Sequence[Profile]) -> pa.Schema:
    """The fields with the metadata of the first file that has them; lists of columns, such as pandas', do not fit any more."""
    schemas = [profile.schema for profile in profiles if profile.schema is not None]
    described: dict[str, Any] = {}
    for schema in reversed(schemas):
        described |= {field.name: field.metadata for field in schema}
    metadata = dict(schemas[0].metadata or {}) if schemas else {}
    for key in (b"pandas", b"ARROW:schema", FILTER_COLUMNS):
        metadata.pop(key, None)
    return pa.schema([field.with_metadata(described.get(field.name)) for field in fields], metadata or None)
