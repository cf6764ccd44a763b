"""Groups and aggregates a table batch by batch, with the results and the column names of ODP's aggregate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import pyarrow as pa

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
        partials: list[pa.Table] = []
        seen, limit, sent = 0, _MERGE_ROWS, False
        for _, batch, verdict in self.snapshot.judged(self.rows):
            if verdict == "all" and (known := self._counted(batch)) is not None:
                partials.append(known)
            elif verdict != "none":
                whole = self.snapshot.read(batch)
                partials.append(self.partial(whole if verdict == "all" else kept(whole, self.rows.mask(whole))))
            seen += batch.rows
            if rows_each is not None and seen >= rows_each:
                yield self._merged(partials)
                partials, seen, sent = [], 0, True
            elif sum(partial.num_rows for partial in partials) > limit:
                partials = [pa.Table.from_batches([self._merged(partials)])]
                limit = max(limit, 2 * partials[0].num_rows)
        if partials or not sent:
            yield self._merged(partials)

    def partial(self, rows: pa.RecordBatch) -> pa.Table:
        """The result for these rows alone."""
        columns = dict.fromkeys(column for column, _ in self.parts)
        table = pa.table([self.key.of(rows), *(rows[column] for column in columns)], [KEY, *columns])
        grouped = table.group_by(KEY, use_threads=False).aggregate([([], "count_all"), *self.parts])
        return grouped.select([KEY, "count_all", *self._names]).rename_columns([KEY, ROWS, *self._names])

    def _counted(self, batch: Batch) -> pa.Table | None:
        """The result for all rows of a batch, without looking at each of them; None where that cannot be done."""
        if any(part != "count" for _, part in self.parts):
            return None
        known = counted(self.snapshot, batch, self.key, [column for column, _ in self.parts])
        return None if known is None else pa.table(known, [KEY, ROWS, *self._names])

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
