"""Answers requests: knows the tables, the key, the limits and the faults in force, and nothing of sockets."""

import hmac
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pyarrow as pa

from odp_loader.errors import LoadError
from odp_server.aggregate import Aggregation
from odp_server.counters import Counters, SelectRecord
from odp_server.disturb import Step, Stream
from odp_server.faults import Asked, ExpireCursor, Faults, RequestKind, Status, StreamFault
from odp_server.messages import batch_message, empty_batch, note_message, read_batch
from odp_server.protocol import Query, Refusal, expired_cursor
from odp_server.scan import Message, Paging, Selection
from odp_server.settings import Settings
from odp_server.tables import Catalog, Table


@dataclass(frozen=True, slots=True)
class Options:
    """What is said once, when the server starts."""

    paging: Paging
    aggregate_rows: int | None
    """An aggregate sends a partial result of every so many rows of the table; None: one result."""
    key: str | None
    """None accepts every key that is not empty."""


@dataclass(frozen=True, slots=True)
class Json:
    """A reply that is a JSON document."""

    document: Any


@dataclass(frozen=True, slots=True)
class ArrowStream:
    """A reply that is an Arrow IPC stream."""

    schema: pa.Schema
    steps: Iterator[Step]
    fd: int = -1
    """The file that stored messages are in, if there are such."""
    record: SelectRecord | None = None
    """Of a select, which has been begun and must be ended."""


Reply = Json | ArrowStream


@dataclass(slots=True, eq=False)
class _Growth:
    """Rows that a table gets when so many more of its selects with a piece of text have begun."""

    table: Table
    rows: Sequence[pa.RecordBatch]
    after_selects: int
    matching: str


@dataclass(slots=True)
class Service:
    """Everything a request can be about. Safe to use from many threads; every method raises Refusal."""

    catalog: Catalog
    options: Options
    counters: Counters = field(default_factory=Counters)
    faults: Faults = field(default_factory=Faults)
    settings: Settings = field(default_factory=Settings)
    stale_statistics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By table id: what the statistics claim instead of the truth."""
    _growth: list[_Growth] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check_key(self, authorization: str) -> None:
        """Refuse (401) a request without the key."""
        scheme, _, secret = authorization.partition(" ")
        if scheme not in ("ApiKey", "Bearer") or not secret.strip():
            raise Refusal(HTTPStatus.UNAUTHORIZED, "send a key: Authorization: ApiKey <key>")
        if self.options.key is not None and not hmac.compare_digest(secret.strip().encode(), self.options.key.encode()):
            raise Refusal(HTTPStatus.UNAUTHORIZED, "this key is not known")

    def datasets(self) -> Json:
        """Answer with the catalogue."""
        self._arrive(Asked("catalog"))
        return Json([_dataset(table) for table in self.catalog.tables])

    def dataset(self, key: str) -> Json:
        """Answer with one entry of the catalogue, or 404."""
        self._arrive(Asked("catalog"))
        if (table := self.catalog.find(key)) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no dataset {key!r}")
        return Json(_dataset(table))

    def statistics(self, key: str) -> Json:
        """Answer with a table's statistics, or what a test claims they are."""
        table = self.table(key)
        self._arrive(Asked("stats", (table.name, table.id)))
        document = table.statistics()
        claimed = self.stale_statistics.get(table.id, {})
        columns = claimed.get("columns", {})
        document.update({name: value for name, value in claimed.items() if name != "columns"})
        for column in document["columns"]:
            column.update(columns.get(column["name"], {}))
        return Json(document)

    def select(self, key: str, body: bytes) -> ArrowStream:
        """Answer with rows, or with the schema when that is all that is asked for."""
        table = self.table(key)
        query = Query.parse(body)
        if query.asks_for_schema:
            faults = self._arrive(_asked("schema", table, query))
            return _in_memory(table.schema, [empty_batch(table.schema)], faults)
        asked = _asked("select", table, query)
        faults = self._arrive(asked)
        selection = Selection.parse(table, query, self.options.paging)
        record = SelectRecord(table.name, query.query, query.sent_vars, query.cols, page=bool(query.cursor))
        if not self.counters.begin(record, self.settings.max_selects):
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many selects at once", _retry_after(self.settings.retry_after_s))
        self._begun(table, asked)
        messages = _reporting(selection.messages(), selection.schema)
        steps = Stream(selection.schema, messages, selection.read).disturbed(faults)
        return ArrowStream(selection.schema, steps, selection.snapshot.fd, record)

    def aggregate(self, key: str, body: bytes) -> ArrowStream:
        """Answer with the groups of a table."""
        table = self.table(key)
        query = Query.parse(body)
        faults = self._arrive(_asked("aggregate", table, query))
        aggregation = Aggregation.parse(table, query)
        return _in_memory(aggregation.schema, aggregation.replies(self.options.aggregate_rows), faults)

    def table(self, key: str) -> Table:
        """The table with this id or name; 204 without one, which the SDK takes for a table that does not exist."""
        if not key:
            raise Refusal(HTTPStatus.BAD_REQUEST, "name a table: ?table_id=<dataset id>")
        if (table := self.catalog.find(key)) is None:
            raise Refusal(HTTPStatus.NO_CONTENT, "")
        return table

    def grow(self, table: Table, rows: Sequence[pa.RecordBatch], after_selects: int, matching: str) -> None:
        """Append rows that fit as soon as so many more selects of the table have taken their snapshot; at once for 0.

        Those count that have the text `matching` in their filter and variables, as for faults.
        """
        if after_selects <= 0:
            table.append(rows)
            return
        with self._lock:
            self._growth.append(_Growth(table, rows, after_selects, matching))

    def reset(self) -> None:
        """Undo whatever the control endpoint did, and count from zero."""
        self.faults.clear()
        self.settings = Settings()
        self.stale_statistics.clear()
        with self._lock:
            self._growth.clear()
        for table in self.catalog.tables:
            table.restore()
        self.counters.reset()

    def _begun(self, table: Table, asked: Asked) -> None:
        """A select of the table has its snapshot: what was waiting for it is appended."""
        with self._lock:
            for growth in [each for each in self._growth if each.table is table and each.matching in asked.text]:
                growth.after_selects -= 1
                if growth.after_selects == 0:
                    self._growth.remove(growth)
                    table.append(growth.rows)

    def _arrive(self, asked: Asked) -> list[StreamFault]:
        """Count a request, delay it, and refuse it or say what shall happen to its stream."""
        self.counters.requested(asked.kind)
        if self.settings.latency_s:
            time.sleep(self.settings.latency_s)
        in_stream: list[StreamFault] = []
        for fault in self.faults.meeting(asked):
            match fault:
                case Status():
                    raise Refusal(fault.status, "a fault that was asked for", _retry_after(fault.retry_after_s))
                case ExpireCursor():
                    raise expired_cursor()
                case _:
                    in_stream.append(fault)
        return in_stream


def _in_memory(schema: pa.Schema, batches: Iterable[pa.RecordBatch], faults: Sequence[StreamFault]) -> ArrowStream:
    """A reply of which nothing comes from a file."""
    messages = _reporting((Message(batch.num_rows, batch_message(batch)) for batch in batches), schema)
    return ArrowStream(schema, Stream(schema, messages, lambda message: read_batch(message.data, schema)).disturbed(faults))


def _dataset(table: Table) -> dict[str, str]:
    return {"id": table.id, "name": table.name, "description": table.description}


def _asked(kind: RequestKind, table: Table, query: Query) -> Asked:
    text = f"{query.query} {json.dumps(query.sent_vars)}"
    return Asked(kind, (table.name, table.id), text, with_cursor=bool(query.cursor))


def _retry_after(seconds: float | None) -> Mapping[str, str]:
    return {} if seconds is None else {"Retry-After": f"{seconds:g}"}


def _reporting(messages: Iterable[Message], schema: pa.Schema) -> Iterator[Message]:
    """The same messages; what goes wrong on the way is told inside the stream, as its status was sent long ago."""
    try:
        yield from messages
    except (LoadError, pa.ArrowException) as error:
        yield Message(0, note_message(schema, {"error": str(error)}), "error")
