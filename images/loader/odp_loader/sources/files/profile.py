"""What is known of one file without its rows, and what a format must be able to do."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pyarrow as pa

from odp_loader.partition import FileSlice
from odp_loader.sources.files.bounds import Sieve
from odp_loader.sources.files.text import Meaning
from odp_loader.store import Entry, Store

CHUNK_ROWS = 120_000
"""No chunk of rows is longer."""


class Chunk(NamedTuple):
    """Some rows as columns without names; the number of rows stands beside them, because there may be no column."""

    rows: int
    columns: list[pa.Array]


@dataclass(frozen=True, slots=True)
class Profile:
    """One file."""

    rows: int
    columns: Mapping[str, Meaning]
    """By name, in the order of the file."""
    schema: pa.Schema | None = None
    """Where the format has one: the file's own, for the metadata in it."""
    groups: tuple[tuple[int, int], ...] = ()
    """Rows and uncompressed bytes of the pieces that can be read alone; empty when the file is read as a whole."""
    remarks: Mapping[str, str] = field(default_factory=dict)
    """By column: which value made it text, and in which row."""


class Format(Protocol):
    """How the files of one format are read."""

    at_once: int
    """How many files `profile` may look at at the same time."""

    def profile(self, store: Store, entry: Entry) -> Profile:
        """Look at a file. Raises InvalidLoad when it is damaged, or not of this format."""
        ...

    def join(self, one: Meaning, other: Meaning) -> Meaning | None:
        """What a column is that is `one` in a file and `other` in another; None when that cannot be."""
        ...

    def read(self, store: Store, piece: FileSlice, schema: pa.Schema, sieve: Sieve | None) -> Iterator[Chunk]:
        """The rows of a piece with the columns of `schema`, null where the file lacks them; at most CHUNK_ROWS at once.

        Rows may be left out that `sieve` surely drops. Raises InvalidLoad for a value that does not fit the schema: the file was
        changed, or is another's.
        """
        ...


def in_chunks(rows: int, columns: list[pa.Array]) -> Iterator[Chunk]:
    """The same rows, at most CHUNK_ROWS at once."""
    for start in range(0, rows, CHUNK_ROWS):
        yield Chunk(min(CHUNK_ROWS, rows - start), [column.slice(start, CHUNK_ROWS) for column in columns])
