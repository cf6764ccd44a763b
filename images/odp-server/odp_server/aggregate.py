"""Groups and aggregates a table batch by batch, with the results and the column names of ODP's aggregate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain

import pyarrow as pa

from odp_loader.expression import Verdict
from odp_server.filters import GroupKey, RowFilter, kept
from odp_server.messages import empty_batch
from odp_server.outline import counted
from odp_server.protocol import Query, Refusal
from odp_server.tables import Batch, Snapshot, Table

KEY, ROWS = "", "*"
"""The columns of a reply that hold the group's key and its number of rows (odp-sdk 0.28.10, Table.aggregate)."""
_PARTS: Mapping[str, tuple[str, ...]] = {
    "mean": ("sum", "count"),
    "avg": ("sum", "count"),
    "sum": ("sum",),
    "count": ("count",),
    "min": ("min",),
    "max": ("max",),
}
"""What each function is sent as: parts that can be merged; the client divides."""
_MERGE_ROWS = 1_000_000
"""Partial results are merged when there are more rows of them."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregate request that was understood."""

    snapshot: Snapshot
    rows: RowFilter
    key: GroupKey
    parts: tuple[tuple[str, str], ...]
    """(column, sum | count | min | max); a reply's column is called `column_part`."""

    @classmethod
    def parse(cls, table: Table, query: Query) -> "Aggregation":
        """Check an aggregate against its table. Raises Refusal (400)."""
        snapshot = table.snapshot
        names = snapshot.schema.names
        for column, function in query.aggr.items():
            if column == ROWS:
                raise Refusal(HTTPStatus.BAD_REQUEST, "'*' is no column: every reply has a column '*', the number of rows")
            if column not in names:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"there is no column {column!r}; there are {', '.join(names)}")
            if function not in _PARTS:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"there is no aggregation {function!r}; there are {', '.join(_PARTS)}")
        rows = RowFilter.parse(query.query, query.vars, snapshot.schema)
        key = GroupKey.parse(query.by, query.vars, snapshot.schema)
        parts = tuple((column, part) for column, function in query.aggr.items() for part in _PARTS[function])
        aggregation = cls(snapshot, rows, key, parts)
        try:
            aggregation.partial(empty_batch(snapshot.schema))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"a column cannot be aggregated so: {error}") from None
        return aggregation

    @property
    def schema(self) -> pa.Schema:
        """The reply's columns."""
        return self.partial(empty_batch(self.snapshot.schema)).schema

    def replies(self, rows_each: int | None) -> Iterator[pa.RecordBatch]:
        """The result, or a partial result of every `rows_each` rows of the table: a key may then come more than once."""
        judged: list[tuple[Batch, Verdict]] = []
        seen, sent = 0, False
        for _, batch, verdict in self.snapshot.judged(self.rows):
            judged.append((batch, verdict))
            seen += batch.rows
            if rows_each is not None and seen >= rows_each:
                yield self._reply(judged)
                judged, seen, sent = [], 0, True
        if judged or not sent:
            yield self._reply(judged)

    def _reply(self, judged: Sequence[tuple[Batch, Verdict]]) -> pa.RecordBatch:
        """The result for these batches, as far as their rows are kept."""
        whole = [batch for batch, verdict in judged if verdict == "all"]
        partials, others = self._counted(whole)
        limit = _MERGE_ROWS
        for rows in chain(map(self.snapshot.read, others), self._kept(judged)):
            partials.append(self.partial(rows))
            if sum(partial.num_rows for partial in partials) > limit:
                partials = [pa.Table.from_batches([self._merged(partials)])]
                limit = max(limit, 2 * partials[0].num_rows)
        return self._merged(partials)

    def partial(self, rows: pa.RecordBatch) -> pa.Table:
        """The result for these rows alone."""
        columns = dict.fromkeys(column for column, _ in self.parts)
        table = pa.table([self.key.of(rows), *(rows[column] for column in columns)], [KEY, *columns])
        grouped = table.group_by(KEY, use_threads=False).aggregate([([], "count_all"), *self.parts])
        return grouped.select([KEY, "count_all", *self._names]).rename_columns([KEY, ROWS, *self._names])

    def _kept(self, judged: Sequence[tuple[Batch, Verdict]]) -> Iterator[pa.RecordBatch]:
        """The rows that are kept of batches of which some are."""
        for batch, verdict in judged:
            if verdict == "some":
                rows = self.snapshot.read(batch)
                yield kept(rows, self.rows.mask(rows))

    def _counted(self, batches: list[Batch]) -> tuple[list[pa.Table], list[Batch]]:
        """The result for all rows of those batches that need not be looked into, and the others."""
        if not batches or any(part != "count" for _, part in self.parts):
            return [], batches
        known, others = counted(self.snapshot, batches, self.key, [column for column, _ in self.parts])
        return [pa.table(known, [KEY, ROWS, *self._names])], others

    @property
    def _names(self) -> list[str]:
        return [f"{column}_{part}" for column, part in self.parts]

    def _merged(self, partials: list[pa.Table]) -> pa.RecordBatch:
        """One row per key."""
        table = pa.concat_tables(partials or [self.partial(empty_batch(self.snapshot.schema))])
        functions = ["sum", *("sum" if part == "count" else part for _, part in self.parts)]
        merges = list(zip([ROWS, *self._names], functions, strict=True))
        grouped = table.group_by(KEY, use_threads=False).aggregate(merges)
        table = grouped.select([KEY, *(f"{name}_{function}" for name, function in merges)]).rename_columns(table.schema.names)
        return table.combine_chunks().to_batches()[0] if table.num_rows else empty_batch(table.schema)
