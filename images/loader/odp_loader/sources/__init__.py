"""Where rows come from: one module per kind of source, behind one protocol."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from odp_loader.partition import Partition, Selection
from odp_loader.spec import Partitions

FILTER_COLUMNS = b"odp_loader.filter_columns"
"""Key of a described schema's metadata. What stands there is for the source's own use when it reads, and no part of the table."""


@dataclass(frozen=True)
class TableDescription:
    """What a source knows about its table without reading a row."""

    schema: pa.Schema
    """The columns that the load reads, in the order it reads them, with the source's own metadata."""
    rows: int | None
    """Rows of the source query; None when it takes a count to know (there is a filter)."""
    statistics: Mapping[str, Any]
    """JSON: all that the source says about the table. Kept in the manifest, and compared with what it says after the load."""
    ends_marked: bool = False
    """Whether the source was seen to mark the end of its streams, so that one that was cut is told by what it lacks."""


@dataclass(frozen=True)
class Cut:
    """How a table is divided: partitions that together hold every row of the query exactly once."""

    partitions: tuple[Partition, ...]
    notes: tuple[str, ...] = ()
    """Why it was divided like this, in sentences for the person who reads the plan."""


class Source(Protocol):
    """A table that can be described, divided and read. Instances hold no key and are made anew where they are used."""

    def describe(self) -> TableDescription:
        """Ask for schema and statistics; reads no row."""
        ...

    def preview(self, columns: Sequence[str] | None = None) -> pa.RecordBatch | None:
        """Some first rows of the query, at most one chunk; None when there are none. A source may leave out all but `columns`."""
        ...

    def foresee(self, description: TableDescription, partitions: Partitions, *, least_bytes_per_row: float) -> None:
        """Find out already, while others do something else, what `divide` will need however wide the rows are; may do nothing."""
        ...

    def divide(self, description: TableDescription, partitions: Partitions, *, bytes_per_row: float) -> Cut:
        """Plan the partitions. The result depends on the table and `partitions` only."""
        ...

    def count(self, selection: Selection | None) -> int:
        """How many rows the source says `selection` has; None means the whole query."""
        ...

    def read(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """The rows of `selection`, in chunks with exactly the described schema.

        Raises Transient (or Throttled) at any point when the whole selection should be read again, InvalidLoad,
        CredentialsRefused when it should not.
        """
        ...
