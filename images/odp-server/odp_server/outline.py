"""Counts groups from the summaries of batches where that is enough: a large server does not look at each row to count them."""

from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from odp_server.filters import GroupKey
from odp_server.tables import Batch, Snapshot

_STRIDE = 256
"""In an ascending batch so many rows are in one group when the first of them and the first of the next stride are."""


def counted(
    snapshot: Snapshot, batches: Sequence[Batch], key: GroupKey, columns: Sequence[str]
) -> tuple[list[pa.Array], list[Batch]]:
    """Keys, how many rows each has, and how many values of each of `columns`; a key may come several times.

    With them the batches that are not counted, as their rows themselves must be looked at: the key does not follow the order of
    a column, there are nulls or NaN in that column, or the rows are in no order and lie in more groups than one.
    All batches are counted at once, since the key is worked out for a thousand values as fast as for two.
    """
    if key.constant:
        return [key.of(pa.record_batch([pa.nulls(len(batches))], [""])), *_whole(batches, columns)], []
    usable = [batch for batch in batches if key.follows is not None and _is_bounded(batch, key.follows)]
    ends = _ends(snapshot, usable, key)
    whole = [batch for batch, (low, high) in zip(usable, ends, strict=True) if low == high]
    divided = [batch for batch, (low, high) in zip(usable, ends, strict=True) if low != high and _is_ascending(batch, key, columns)]
    counts = [pa.array([low for low, high in ends if low == high], key.value.type), *_whole(whole, columns)]
    if divided:
        keys, rows = _in_strides([snapshot.read(batch).column(key.follows) for batch in divided], key)
        counts = [pa.concat_arrays(pair) for pair in zip(counts, [keys, *[rows] * (1 + len(columns))], strict=True)]
    known = {batch.offset for batch in (*whole, *divided)}
    return counts, [batch for batch in batches if batch.offset not in known]


def _whole(batches: Sequence[Batch], columns: Sequence[str]) -> list[pa.Array]:
    """The rows of each batch, and its values in each column."""
    numbers = [[batch.rows for batch in batches], *([batch.columns[name].values for batch in batches] for name in columns)]
    return [_integers(each) for each in numbers]


def _is_bounded(batch: Batch, column: str) -> bool:
    summary = batch.columns[column]
    return not (summary.nulls or summary.nans or summary.low is None)


def _is_ascending(batch: Batch, key: GroupKey, columns: Sequence[str]) -> bool:
    assert key.follows is not None
    return batch.columns[key.follows].ascending and not any(batch.columns[name].nulls for name in columns)


def _ends(snapshot: Snapshot, batches: Sequence[Batch], key: GroupKey) -> list[tuple[object, object]]:
    """The groups of the least and the greatest value of each batch."""
    if not batches:
        return []
    assert key.follows is not None
    summaries = [batch.columns[key.follows] for batch in batches]
    bounds = [bound for summary in summaries for bound in (summary.low, summary.high)]
    groups = _of(pa.array(bounds, snapshot.schema.field(key.follows).type), key).to_pylist()
    return list(zip(groups[::2], groups[1::2], strict=True))


def _in_strides(ascending: Sequence[pa.Array], key: GroupKey) -> tuple[pa.Array, pa.Array]:
    """Keys and numbers of rows; only strides between whose ends the key differs are looked into."""
    starts = [[*range(0, len(values), _STRIDE), len(values)] for values in ascending]
    sampled = _of(
        pa.concat_arrays(
            [values.take(pa.array([*at[:-1], len(values) - 1])) for values, at in zip(ascending, starts, strict=True)]
        ),
        key,
    )
    keys: list[pa.Array] = []
    counts: list[int] = []
    looked_into: list[pa.Array] = []
    first = 0
    for values, at in zip(ascending, starts, strict=True):
        runs = pc.run_end_encode(sampled.slice(first, len(at)))
        first += len(at)
        ends = [0, *runs.run_ends.to_pylist()]
        keys.append(runs.values)
        counts += [at[end - 1] - at[start] for start, end in pairwise(ends)]
        looked_into += [values.slice(at[end - 1], at[end] - at[end - 1]) for end in ends[1:-1]]
    inside = _of(pa.concat_arrays(looked_into), key)
    return pa.concat_arrays([*keys, inside]), pa.concat_arrays([_integers(counts), _integers([1] * len(inside))])


def _of(values: pa.Array, key: GroupKey) -> pa.Array:
    """The groups of these values of the column that the key follows."""
    return key.of(pa.record_batch([values], [key.follows]))


def _integers(values: Sequence[int]) -> pa.Array:
    return pa.array(values, pa.int64())
