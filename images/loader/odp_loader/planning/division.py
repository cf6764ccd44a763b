"""The division of a table: from what is known of it to partitions that hold every row exactly once, however wrong that is."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from odp_loader.partition import Partition, Predicate, Scalar
from odp_loader.planning.balance import Bin, Piece, balanced
from odp_loader.planning.columns import ColumnStatistics, Kind
from odp_loader.planning.histogram import Buckets, coarse_histogram
from odp_loader.planning.key import choose_key
from odp_loader.planning.size import partition_count
from odp_loader.planning.text import LONGEST_CUT, text_cuts
from odp_loader.spec import Partitions

HISTOGRAM_FROM = 8
"""Partitions from which a histogram is worth its requests; fewer are small, and one that is too large costs little."""

CountBuckets = Callable[[Sequence[Buckets]], Sequence[Sequence[int]] | None]
"""Answers one round of questions, at once if it can; None when the source cannot count buckets."""
CountValues = Callable[[str], Mapping[str, int] | None]
"""Values of a string column and how often each occurs in the query, nulls left out; None when the source cannot say."""


@dataclass(frozen=True, slots=True)
class Division:
    """How a table is divided, and why."""

    partitions: tuple[Partition, ...]
    """Numbered from 0: the ranges in the order of the key, then nulls, then NaN."""
    notes: tuple[str, ...]
    """Sentences for the person who reads the plan."""
    key: str | None = None
    """The column; None when the table is read as one."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a key is cut: `values[i]` starts range i + 1; `rows` are those of each range, where they are known."""

    values: tuple[Scalar, ...]
    rows: tuple[int | None, ...]
    note: str


def divide(
    columns: Sequence[ColumnStatistics],
    *,
    rows: int,
    bytes_per_row: float,
    partitions: Partitions,
    split_by: str | None = None,
    count_buckets: CountBuckets | None = None,
    count_values: CountValues | None = None,
) -> Division:
    """Plan the partitions of a query that has about `rows` rows.

    `columns` are all of the table's, not only those that are read. The callbacks are asked only when the answer matters:
    `count_buckets` at most three times. The result depends on nothing but the arguments and the answers.
    Raises InvalidLoad for a `split_by` that cannot be used.
    """
    choice = choose_key(columns, split_by=split_by, rows=rows)
    parts = partition_count(rows, bytes_per_row, partitions)
    if parts == 1:
        return _everything(rows, f"{rows:,} rows of {bytes_per_row:.0f} bytes are no more than one")
    if choice.column is None:
        return _everything(rows, choice.why)
    key = choice.column
    ranges = min(parts, partitions.maximum - len(_beside(key)))
    if ranges < 2:
        return _everything(rows, f"{partitions.maximum} are allowed, which leaves no second range beside nulls")
    cuts = _cuts(key, ranges, count_buckets, count_values)
    if not cuts.values:
        return _everything(rows, f'"{key.name}" cannot be cut {cuts.note}')
    return Division(tile(key, cuts), (choice.why, f"{len(cuts.rows)} ranges {cuts.note}"), key.name)


def first_questions(
    columns: Sequence[ColumnStatistics],
    *,
    rows: int,
    least_bytes_per_row: float,
    partitions: Partitions,
    split_by: str | None = None,
) -> tuple[Buckets, ...]:
    """What `divide` asks of `count_buckets` first, as far as that is sure when rows are no narrower than this.

    So it can be asked before the width is known. Raises as `divide` does.
    """
    key = choose_key(columns, split_by=split_by, rows=rows).column
    if key is None or key.kind is Kind.STRING:
        return ()
    ranges = min(partition_count(rows, least_bytes_per_row, partitions), partitions.maximum - len(_beside(key)))
    histogram = coarse_histogram(key, ranges) if ranges >= HISTOGRAM_FROM else None
    return () if histogram is None else histogram.questions


def tile(key: ColumnStatistics, cuts: Cuts) -> tuple[Partition, ...]:
    """Half-open ranges between the cuts, open at both ends, and beside them the partitions of null and NaN.

    Nulls have their partition even when the statistics count none: they may be stale, and a row that no predicate matches
    is lost. Only a column whose schema forbids nulls goes without.
    """
    lows, highs = (None, *cuts.values), (*cuts.values, None)
    predicates = [Predicate("range", key.name, low, high) for low, high in zip(lows, highs, strict=True)]
    counted = [*cuts.rows, *(key.nulls if predicate.kind == "null" else None for predicate in _beside(key))]
    every = enumerate(zip([*predicates, *_beside(key)], counted, strict=True))
    return tuple(Partition(index, predicate, count) for index, (predicate, count) in every)


def even_cuts(key: ColumnStatistics, parts: int) -> tuple[Scalar, ...]:
    """At most `parts - 1` values above the key's minimum and up to its maximum, strictly increasing, evenly far apart.

    Empty when a bound is unknown or the two are equal.
    """
    if key.minimum is None or key.maximum is None:
        return ()
    axis = key.axis
    if axis is None:
        return text_cuts(str(key.minimum), str(key.maximum), parts)
    low, high = axis.position(key.minimum), axis.position(key.maximum)
    positions = [low + (high + 1 - low) * i // parts for i in range(1, parts)]
    cuts = dict.fromkeys(axis.value(min(position, high)) for position in positions)
    return tuple(cut for cut in cuts if axis.position(cut) > low)


def _beside(key: ColumnStatistics) -> list[Predicate]:
    """The partitions of what lies in no range."""
    null = [Predicate("null", key.name)] if key.nullable else []
    return null + ([Predicate("nan", key.name)] if key.kind is Kind.FLOAT else [])


def _everything(rows: int, note: str) -> Division:
    return Division((Partition(0, Predicate("everything"), rows),), (f"one partition: {note}",))


def _cuts(key: ColumnStatistics, parts: int, count_buckets: CountBuckets | None, count_values: CountValues | None) -> Cuts:
    if key.kind is Kind.STRING:
        if count_values is not None and (counts := count_values(key.name)):
            return _cuts_by_values(counts, parts)
    elif parts >= HISTOGRAM_FROM and count_buckets is not None and (cuts := _cuts_by_histogram(key, parts, count_buckets)):
        return cuts
    values = even_cuts(key, parts)
    return Cuts(values, (None,) * (len(values) + 1), "into equal steps between the bounds that the statistics give")


def _cuts_by_histogram(key: ColumnStatistics, parts: int, count_buckets: CountBuckets) -> Cuts | None:
    """None when the source cannot count, or counts nothing."""
    histogram = coarse_histogram(key, parts)
    asked = 0
    while histogram is not None and (questions := histogram.questions):
        counts = count_buckets(questions)
        if counts is None:
            break
        asked += len(questions)
        histogram = histogram.answered(counts)
    if histogram is None or not histogram.rows:
        return None
    source = f"into nearly equal numbers of rows, by a histogram (requests: {asked}, rounds: {histogram.rounds})"
    return _from_pieces(histogram.pieces(), histogram.axis.value, source)


def _cuts_by_values(counts: Mapping[str, int], parts: int) -> Cuts:
    values = sorted(counts)
    bins = [Bin(i, i + 1, counts[value]) for i, value in enumerate(values)]
    return _from_pieces(balanced(bins, parts), lambda i: values[i][:LONGEST_CUT], f"by how often its {len(values):,} values occur")


def _from_pieces(pieces: Sequence[Piece], value: Callable[[int], Scalar], source: str) -> Cuts:
    """Pieces that start at the same value, as neighbouring positions of a coarse type may, are one."""
    values: list[Scalar] = []
    rows: list[int] = []
    for piece in pieces:
        start = value(piece.low)
        if values and start == values[-1]:
            rows[-1] += piece.rows
        else:
            values.append(start)
            rows.append(piece.rows)
    usual = statistics.median(rows)
    heavy = sum(count > 1.5 * usual for count in rows)
    alone = f"; {heavy} of them larger than the others, where single values are that frequent" if heavy else ""
    return Cuts(tuple(values[1:]), tuple(rows), source + alone)
