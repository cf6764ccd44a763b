"""A table of the Ocean Data Platform, read through the official SDK by predicates."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import cached_property
from typing import TypeVar

import pyarrow as pa

from odp_loader import spec
from odp_loader.errors import InvalidExpression, InvalidLoad, LoadError, Transient
from odp_loader.expression import bind, parse
from odp_loader.odp import wire
from odp_loader.odp.client import ATTEMPTS, OdpClient
from odp_loader.partition import Predicate, Scalar, Selection
from odp_loader.patience import patiently
from odp_loader.planning import Buckets, OdpQuery, columns_of, divide, first_questions, odp_buckets, odp_filter
from odp_loader.sources import Cut, TableDescription
from odp_loader.transform.pushdown import Merged, ServerAggregate, server_aggregate

EVERYTHING = Predicate("everything")
_PARALLEL_QUESTIONS = 8
_GROUPS_AT_MOST = 100_000
"""A string key with more values than this is cut by its alphabet, not by how often each value occurs."""
Answer = TypeVar("Answer")


class OdpTable:
    """One table behind the protocol of `odp_loader.sources`. Makes its clients itself, so it holds no key until it reads."""

    def __init__(
        self,
        source: spec.OdpSource,
        *,
        schema: pa.Schema | None = None,
        ends_marked: bool = False,
        on_throttled: Callable[[], None] = lambda: None,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Stand for a table; `schema` and `ends_marked` are what `describe` said of it, where it was asked before.

        `note` is told, once, why an answer takes long.
        """
        self._spec = source
        self._described = schema
        self._ends_marked = ends_marked
        self._on_throttled = on_throttled
        self._note, self._noted = note, set[str]()
        self._foreseen: tuple[Sequence[Buckets], Sequence[Sequence[int]] | None] = ((), None)

    def _client(self, *, attempts: int = ATTEMPTS, known: pa.Schema | None = None) -> OdpClient:
        return OdpClient(self._spec.base_url, attempts=attempts, known=known, on_throttled=self._on_throttled)

    def _ask(self, question: Callable[[OdpClient], Answer]) -> Answer:
        """Ask something whose answer is small: after a failure from the start, at most as often as any request."""

        def ask() -> Answer:
            client = self._client(attempts=1)
            try:
                return question(client)
            finally:
                client.finish()

        return patiently(ask, attempts=ATTEMPTS, tell=self._tell)

    def _tell(self, trouble: Transient) -> None:
        words = str(trouble)
        if words not in self._noted:
            self._noted.add(words)
            self._note(f"{words}; trying again")

    @cached_property
    def _table_schema(self) -> pa.Schema:
        """All columns of the table."""

        def schema(client: OdpClient) -> pa.Schema:
            with wire.translated():
                found = client.dataset(self._spec.dataset).table.schema()
            client.finish()
            self._ends_marked = client.marker_proved
            return found

        return self._ask(schema)

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns that the load reads."""
        if self._described is not None:
            return self._described
        schema = self._table_schema
        if self._spec.columns is None:
            return schema
        for name in self._spec.columns:
            if name not in schema.names:
                hint = "".join(f"; did you mean {near!r}?" for near in get_close_matches(name, schema.names, 1))
                raise InvalidLoad(f"the table has no column {name!r}{hint} It has: {', '.join(schema.names[:50])}")
        return pa.schema([schema.field(name) for name in self._spec.columns], schema.metadata)

    @cached_property
    def _vars(self) -> Mapping[str, Scalar | bool]:
        """The filter's values, cast to the types of the columns they are compared with."""
        if self._spec.filter is None or (self._described is not None and not self._spec.vars):
            return {}
        try:
            return bind(parse(self._spec.filter), self._table_schema, self._spec.vars)
        except InvalidExpression as error:
            raise InvalidLoad(f"source.odp.filter: {error}") from None

    def describe(self) -> TableDescription:
        """Ask for schema and statistics; two requests at once."""
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._ask, lambda client: wire.statistics(client, self._spec.dataset))
            self.schema  # noqa: B018 # asks, where nobody has yet
            statistics = asked.result()
        rows = statistics.get("num_rows") if self._spec.filter is None else None
        return TableDescription(self.schema, rows if isinstance(rows, int) else None, statistics, self._ends_marked)

    def preview(self, columns: Sequence[str] | None = None) -> pa.RecordBatch | None:
        """The first chunk of the query; its connection is thrown away with the rest of the reply."""
        schema = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns])
        return patiently(lambda: next(self._read(EVERYTHING, schema, attempts=1), None), attempts=ATTEMPTS, tell=self._tell)

    def foresee(self, description: TableDescription, partitions: spec.Partitions, *, least_bytes_per_row: float) -> None:
        """Ask the first round of a histogram that `divide` is sure to want."""
        if description.rows is None:
            return
        questions = first_questions(
            columns_of(self._table_schema, description.statistics),
            rows=description.rows,
            least_bytes_per_row=least_bytes_per_row,
            partitions=partitions,
            split_by=self._spec.split_by,
        )
        if questions:
            self._foreseen = (questions, self._count_buckets(questions))

    def divide(self, description: TableDescription, partitions: spec.Partitions, *, bytes_per_row: float) -> Cut:
        """Cut the table by the ranges of its key. Raises InvalidLoad for a `splitBy` that cannot be used."""
        division = divide(
            columns_of(self._table_schema, description.statistics),
            rows=description.rows if description.rows is not None else self.count(None),
            bytes_per_row=bytes_per_row,
            partitions=partitions,
            split_by=self._spec.split_by,
            count_buckets=self._count_buckets,
            count_values=self._count_values,
        )
        return Cut(division.partitions, division.notes)

    def count(self, selection: Selection | None) -> int:
        """The server's count of the query's rows in `selection`. Raises Transient, InvalidLoad, CredentialsRefused."""
        return self._rows(self._query(selection or EVERYTHING))

    def _rows(self, query: OdpQuery) -> int:
        found = self._groups(query, by=wire.TOTAL, reduce={self.schema.names[0]: "count"})
        return sum(found["*"].to_pylist())

    def aggregate(self, transform: spec.Transform) -> tuple[Merged, int]:
        """Have the server carry out a transform that `server_aggregate` can express; returns its groups, and the rows it read.

        Without a filter in `transform` the rows read are the rows grouped; with one they are those the source query counts.
        Raises Transient when the groups do not hold the rows that the server counts, or the table changed meanwhile.
        """
        server = server_aggregate(self._spec, transform, self.schema)
        assert isinstance(server, ServerAggregate)
        condition = self._spec.filter
        values: dict[str, object] = dict(self._vars)
        if server.filter is not None:
            condition = server.filter.text if condition is None else f"({condition}) and ({server.filter.text})"
            values |= server.filter.vars
        query = OdpQuery(condition, values)
        merged = server.merge([self._groups(query, by=server.by, reduce=request) for request in server.requests])
        if server.filter is None:
            return merged, merged.rows
        if merged.rows != (counted := self._rows(query)):
            raise Transient(f"the server grouped {merged.rows:,} rows and counts {counted:,}")
        return merged, self.count(None)

    def _query(self, selection: Selection) -> OdpQuery:
        assert isinstance(selection, Predicate)
        return odp_filter(selection, self._spec.filter, self._vars)

    def _count_buckets(self, questions: Sequence[Buckets]) -> Sequence[Sequence[int]] | None:
        """One round of a histogram, its questions asked at once; None where the server has no answer, as balance is no must."""
        if questions == self._foreseen[0]:
            return self._foreseen[1]
        with ThreadPoolExecutor(min(_PARALLEL_QUESTIONS, self._spec.streams)) as pool:
            try:
                return list(pool.map(self._count_bucket, questions))
            except (InvalidLoad, ValueError, IndexError):
                return None

    def _count_bucket(self, buckets: Buckets) -> Sequence[int]:
        query = odp_buckets(buckets, self._spec.filter, self._vars)
        found = self._groups(query, by=query.group_by or "", reduce={buckets.predicate.column or "": "count"})
        counts = [0] * (len(buckets.edges) + 1)
        for key, rows in zip(found[""].to_pylist(), found["*"].to_pylist(), strict=True):
            if key is not None:
                counts[int(key)] += rows
        return counts

    def _count_values(self, column: str) -> Mapping[str, int] | None:
        """How often each value of a string column occurs; None when there are too many to be worth it."""
        query = self._query(EVERYTHING)
        try:
            found = self._groups(query, by=column, reduce={column: "count"}, at_most=_GROUPS_AT_MOST)
        except InvalidLoad:
            return None
        counts: Counter[str] = Counter()
        for key, rows in zip(found[""].to_pylist(), found["*"].to_pylist(), strict=True):
            if key is not None:
                counts[key] += rows
        return counts if found.num_rows <= _GROUPS_AT_MOST else None

    def _groups(self, query: OdpQuery, *, by: str, reduce: Mapping[str, str], at_most: int | None = None) -> pa.Table:
        """The server's groups: column `""` is the key, `*` the rows; a key may stand in several rows."""
        return self._ask(
            lambda client: wire.groups(
                client, self._spec.dataset, query=query.filter, values=query.vars, by=by, reduce=reduce, at_most=at_most
            )
        )

    def read(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """The query's rows in `selection`, as the server chunks them.

        Where the server does not end its streams with Arrow's marker, a cut cannot be told from the end, so the rows are
        compared with the server's count. Raises Transient, Throttled, InvalidLoad, CredentialsRefused.
        """
        return self._read(selection, self.schema)

    def _read(self, selection: Selection, schema: pa.Schema, *, attempts: int = ATTEMPTS) -> Iterator[pa.RecordBatch]:
        """As `read`. The schema is asked for first unless ends are known to be marked; after a failure that is known no more."""
        query = self._query(selection)
        client = self._client(attempts=attempts, known=schema if self._ends_marked else None)
        rows = 0
        try:
            with wire.translated():
                table = client.dataset(self._spec.dataset).table
                for batch in table.select(query.filter or "", columns=schema.names, vars=dict(query.vars)).batches():
                    rows += batch.num_rows
                    yield _fitted(batch, schema)
        except Transient:
            self._ends_marked = False
            raise
        finally:
            client.finish()
        if not client.marker_proved and rows != (counted := self.count(selection)):
            raise Transient(f"{rows:,} rows arrived, the server counts {counted:,}")


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly the described schema. Raises LoadError when the table was altered meanwhile."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    if batch.schema.names != schema.names or batch.schema.types != schema.types:
        raise LoadError(
            "the table's columns changed while it was read: run the load again into a new url, or with ifExists: Overwrite"
        )
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)
