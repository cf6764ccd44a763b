"""Decides which messages answer a select: the stored one where a batch matches whole, a new one where it matches in part."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

import pyarrow as pa

from odp_loader.expression import Verdict
from odp_server.filters import RowFilter, kept
from odp_server.messages import batch_message, empty_batch, note_message, read_batch
from odp_server.protocol import Cursor, Query, Refusal, expired_cursor
from odp_server.tables import Batch, Snapshot, Table


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an Arrow stream, in memory or still in the table's file."""

    rows: int
    data: pa.Buffer | Batch
    outcome: Literal["paged", "error"] | None = None
    """How the reply ends, where this message says so in its metadata."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.data.length if isinstance(self.data, Batch) else self.data.size


@dataclass(frozen=True, slots=True)
class Paging:
    """When a page ends."""

    rows: int | None
    """With the batch that reaches so many rows; None: only time ends it."""
    cursor_s: float
    """How long a cursor is good for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A select that was understood: what to read, from where, of which moment's table."""

    snapshot: Snapshot
    schema: pa.Schema
    rows: RowFilter
    timeout_s: float
    paging: Paging
    place: Cursor
    """Where to begin."""

    @classmethod
    def parse(cls, table: Table, query: Query, paging: Paging) -> "Selection":
        """Check a select against its table. Raises Refusal (400)."""
        snapshot = table.snapshot
        rows = RowFilter.parse(query.query, query.vars, snapshot.schema)
        place = Cursor(table.id, query.digest, 0, time.time())
        if query.cursor:
            start, place = place, Cursor.decode(query.cursor)
            if not (place.continues(start) and place.batch <= len(snapshot.batches)):
                raise Refusal(HTTPStatus.BAD_REQUEST, "this cursor belongs to another query: start the query again without one")
            if start.issued_at - place.issued_at > paging.cursor_s:
                raise expired_cursor()
        return cls(snapshot, _projected(snapshot.schema, query.cols), rows, query.timeout_s, paging, place)

    def messages(self) -> Iterator[Message]:
        """Everything between the schema and the end of the stream; at least one batch, if need be of no rows."""
        batches, ends_at, rows, empty = self.snapshot.batches, time.monotonic() + self.timeout_s, 0, True
        for index, batch, verdict in self.snapshot.judged(self.rows, self.place.batch):
            if (message := self._message(batch, verdict)) is not None:
                yield message
                rows, empty = rows + message.rows, False
            over = time.monotonic() >= ends_at or (self.paging.rows is not None and rows >= self.paging.rows)
            if over and index + 1 < len(batches):
                place = replace(self.place, batch=index + 1, issued_at=time.time())
                yield Message(0, note_message(self.schema, {"cursor": place.encode()}), "paged")
                return
        if empty:
            yield Message(0, batch_message(empty_batch(self.schema)))

    def read(self, message: Message) -> pa.RecordBatch:
        """The rows a message holds."""
        data = self.snapshot.message(message.data) if isinstance(message.data, Batch) else message.data
        return read_batch(data, self.schema)

    def _message(self, batch: Batch, verdict: Verdict) -> Message | None:
        if verdict == "none":
            return None
        if verdict == "all" and self.schema is self.snapshot.schema:
            return Message(batch.rows, batch)
        whole = self.snapshot.read(batch)
        wanted = whole if self.schema is self.snapshot.schema else whole.select(self.schema.names)
        rows = wanted if verdict == "all" else kept(wanted, self.rows.mask(whole))
        return Message(rows.num_rows, batch_message(rows)) if rows.num_rows else None


def _projected(schema: pa.Schema, cols: Sequence[str] | None) -> pa.Schema:
    """The schema of these columns, or `schema` itself when they are all of it. Raises Refusal (400)."""
    if cols is None or list(cols) == schema.names:
        return schema
    for name in cols:
        if name not in schema.names:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"there is no column {name!r}; there are {', '.join(schema.names)}")
    return pa.schema([schema.field(name) for name in cols], schema.metadata)
