"""Counts the groups of a batch from its summary where that is enough: a large server does not look at each row to count them."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from odp_server.filters import GroupKey
from odp_server.tables import Batch, Snapshot

_STRIDE = 256
"""In an ascending batch so many rows are in one group when the first of them and the first of the next stride are."""


def counted(snapshot: Snapshot, batch: Batch, key: GroupKey, columns: Sequence[str]) -> list[pa.Array] | None:
    """Keys, how many rows of the batch each has, and how many values of each of `columns`; a key may come several times.

    None where the rows themselves must be looked at: a key that does not follow the order of a column, nulls or NaN in that
    column, rows in no order that lie in more groups than one.
    """
    whole = [[batch.rows], *([batch.columns[name].values] for name in columns)]
    if key.constant:
        return [key.of(pa.record_batch([pa.nulls(1)], [""])), *map(_integers, whole)]
    if key.follows is None:
        return None
    summary = batch.columns[key.follows]
    if summary.nulls or summary.nans or summary.low is None:
        return None
    bounds = pa.array([summary.low, summary.high], snapshot.schema.field(key.follows).type)
    ends = key.of(pa.record_batch([bounds], [key.follows]))
    if ends[0] == ends[1]:
        return [ends[:1], *map(_integers, whole)]
    if summary.ascending and not any(batch.columns[name].nulls for name in columns):
        keys, rows = _in_strides(snapshot.read(batch).select([key.follows]), key)
        return [keys, *[rows] * (1 + len(columns))]
    return None


def _in_strides(rows: pa.RecordBatch, key: GroupKey) -> tuple[pa.Array, pa.Array]:
    """Keys and numbers of rows; only strides between whose ends the key differs are looked into."""
    starts = [*range(0, rows.num_rows, _STRIDE), rows.num_rows]
    sampled = key.of(rows.take(pa.array([*starts[:-1], rows.num_rows - 1])))
    runs = pc.run_end_encode(sampled)
    keys: list[pa.Array] = [runs.values]
    counts: list[int] = []
    first = 0
    for last in (end - 1 for end in runs.run_ends.to_pylist()):
        counts.append(starts[last] - starts[first])
        first = last + 1
    looked_into = [(starts[end - 1], starts[end]) for end in runs.run_ends.to_pylist()[:-1]]
    for start, end in looked_into:
        keys.append(key.of(rows.slice(start, end - start)))
        counts += [1] * (end - start)
    return pa.concat_arrays(keys), _integers(counts)


def _integers(values: Sequence[int]) -> pa.Array:
    return pa.array(values, pa.int64())
