"""How a table's rows are spread along its key: which buckets to have counted, round after round, until they can be cut evenly.

Pure and resumable: a histogram names its questions, takes the answers and becomes the next histogram. Round 1 is one
request over the whole line. Later rounds look only into bins that are heavy and not as dense as their neighbours.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from odp_loader.partition import Predicate, Scalar
from odp_loader.planning.axis import Axis
from odp_loader.planning.balance import Bin, Piece, balanced
from odp_loader.planning.columns import ColumnStatistics

ROUNDS = 3
EDGES_PER_REQUEST = 64
_EDGES_PER_ROUND = 4096
_FINE = 4
"""A bin of at most this part of a partition needs no closer look: whole, it upsets no balance."""
_LAST_ROUND_FROM = 0.5
"""Partitions in a bin that is in doubt, for which the last round is still asked; a round is a round trip and a scan."""
_EDGES_PER_PARTITION = 5
_EDGES_AT_LEAST = 31
_EDGES_AT_MOST = 63
_LAST_CHANCE = 4
"""So many times the edges for a bin that is heavier than a partition before the last round."""
_CLOSING_AT_LEAST = 4
_COMPARABLE = 64
_ATOM = 100
"""A bin this many times as dense as all around it is taken for a single value."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A question: how many rows of `predicate` lie below the first edge, between each two (the lower one included), above the last.

    The answer has one count more than there are edges. Nulls and NaN belong to no bucket. The first question spans the whole
    line: its predicate is `everything`, with the column's name.
    """

    predicate: Predicate
    edges: tuple[Scalar, ...]
    """Strictly increasing, strictly inside the predicate's range, at most 64."""


@dataclass(frozen=True)
class Histogram:
    """Bins that tile the whole axis, and how many rows each one holds."""

    column: str
    axis: Axis
    parts: int
    """How many partitions are wanted."""
    bins: tuple[Bin, ...]
    pending: tuple[tuple[int, ...], ...]
    """Positions of the questions that are open: where each one's range starts, its edges, where it ends."""
    rounds: int = 0
    """Answered so far."""

    @property
    def questions(self) -> tuple[Buckets, ...]:
        """What to have counted next, at once if possible; empty when the cuts are as good as they get."""
        return tuple(
            Buckets(self._range(positions[0], positions[-1]), tuple(self.axis.value(position) for position in positions[1:-1]))
            for positions in self.pending
        )

    def answered(self, counts: Sequence[Sequence[int]]) -> "Histogram":
        """The histogram after this round; `counts` in the order of `questions`. Raises ValueError when the shapes differ."""
        fresh = [
            Bin(low, high, int(count))
            for positions, answer in zip(self.pending, counts, strict=True)
            for (low, high), count in zip(pairwise(positions), answer, strict=True)
        ]
        seen = [(positions[0], positions[-1]) for positions in self.pending]
        kept = [old for old in self.bins if not any(low <= old.low < high for low, high in seen)]
        bins = tuple(sorted(kept + fresh, key=lambda counted: counted.low))
        following = dataclasses.replace(self, bins=bins, pending=(), rounds=self.rounds + 1)
        return dataclasses.replace(following, pending=following._closer()) if following._is_worth_a_round() else following

    def _is_worth_a_round(self) -> bool:
        """The last one is not for bins that cannot make a partition half as large again."""
        last = self.rounds == ROUNDS - 1
        return self.rounds < ROUNDS and (
            not last or any(self._partitions(i) > _LAST_ROUND_FROM and self._needs_a_closer_look(i) for i in range(len(self.bins)))
        )

    @cached_property
    def rows(self) -> int:
        """All rows counted."""
        return sum(counted.rows for counted in self.bins)

    def pieces(self) -> tuple[Piece, ...]:
        """The partitions: at most `parts`, as even as the bins allow."""
        bins = [dataclasses.replace(counted, divisible=self._divisible(i)) for i, counted in enumerate(self.bins)]
        return balanced(bins, self.parts)

    def _range(self, low: int, high: int) -> Predicate:
        """The ends of the axis are no bounds: beyond them lie at most infinities."""
        bounds = {"low": low} if low > self.axis.least else {}
        bounds |= {"high": high} if high <= self.axis.greatest else {}
        values = {side: self.axis.value(position) for side, position in bounds.items()}
        return Predicate("range" if values else "everything", self.column, **values)

    def _closer(self) -> tuple[tuple[int, ...], ...]:
        """The questions of the next round. Bins share them that are neighbours, or between which next to nothing lies."""
        edges = self._new_edges()
        runs: list[list[int]] = []
        between = 0.0
        for i, counted in enumerate(self.bins):
            if i not in edges:
                between += self._partitions(i)
                continue
            if not runs or between * _FINE > 1:
                runs.append([counted.low])
            elif runs[-1][-1] != counted.low:
                runs[-1].append(counted.low)
            runs[-1] += [*edges[i], counted.high]
            between = 0.0
        return tuple(question for run in runs for question in _split(run))

    def _new_edges(self) -> dict[int, list[int]]:
        """Where to divide which bins, the heaviest first if there are too many. The last round makes the most of its chance."""
        closer = sorted(filter(self._needs_a_closer_look, range(len(self.bins))), key=lambda i: -self.bins[i].rows)
        wanted = {i: math.ceil(_EDGES_PER_PARTITION * self._partitions(i)) for i in closer}
        counts = {i: min(max(count, _EDGES_AT_LEAST), _EDGES_AT_MOST) for i, count in wanted.items()}
        if self.rounds == ROUNDS - 1:
            generosity = min(max(1, _EDGES_PER_ROUND // max(1, sum(counts.values()))), _LAST_CHANCE)
            counts = {i: count * (generosity if self._partitions(i) > 1 else 1) for i, count in counts.items()}
        affordable = [i for i, spent in zip(counts, accumulate(counts.values()), strict=True) if spent <= _EDGES_PER_ROUND]
        edges = {i: edges_between(self.axis, self.bins[i].low, self.bins[i].high, counts[i]) for i in affordable}
        return {i: inside for i, inside in edges.items() if inside}

    def _partitions(self, i: int) -> float:
        """A bin's rows as a number of partitions of fair size."""
        return self.bins[i].rows * self.parts / max(1, self.rows)

    def _needs_a_closer_look(self, i: int) -> bool:
        """A bin heavier than a partition is always looked into once: single values side by side may look even."""
        if self._partitions(i) * _FINE <= 1 or not self._has_inside(i):
            return False
        return not self._is_even(i) or (self.rounds == 1 and self._partitions(i) > 1)

    def _divisible(self, i: int) -> bool:
        return self._has_inside(i) and (self._is_even(i) or (self._partitions(i) > 1 and not self._is_atom(i)))

    def _has_inside(self, i: int) -> bool:
        return self.bins[i].high - self.bins[i].low > self.axis.step(self.bins[i].low)

    def _is_even(self, i: int) -> bool:
        """Whether the neighbours of comparable width are about as dense, chance allowed for; one must be comparable."""
        own = self.bins[i]
        width = own.high - own.low
        telling = [other for other in self._neighbours(i) if width <= 2 * (other.high - other.low) <= _COMPARABLE * width]
        likely = [(other.rows, own.rows * (other.high - other.low) / width) for other in telling]
        return bool(likely) and all(abs(rows - mean) <= mean / 4 + 3 * math.sqrt(mean) + 3 for rows, mean in likely)

    def _is_atom(self, i: int) -> bool:
        """Whether next to nothing lies beside it, where much would if it were as dense there."""
        own = self.bins[i]
        means = [(other.rows, own.rows * (other.high - other.low) // (own.high - own.low)) for other in self._neighbours(i)]
        telling = [rows * _ATOM < mean for rows, mean in means if mean >= _ATOM]
        return bool(telling) and all(telling)

    def _neighbours(self, i: int) -> list[Bin]:
        """The bins beside, but not the endless ones beyond the first and the last edge."""
        return [self.bins[j] for j in (i - 1, i + 1) if 0 < j < len(self.bins) - 1]


def coarse_histogram(column: ColumnStatistics, parts: int) -> Histogram | None:
    """A histogram whose first question spans the whole axis; None for a column without arithmetic, such as a string.

    Unknown bounds are replaced by the type's own.
    """
    axis = column.axis
    if axis is None:
        return None
    low, high = axis.least, axis.greatest + 1
    known: list[int] = []
    if column.minimum is not None:
        low = axis.position(column.minimum)
        known.append(low)
    if column.maximum is not None:
        highest = axis.position(column.maximum)
        high = _snapped(axis, highest + axis.step(highest)) if axis.holds(highest + axis.step(highest)) else axis.greatest + 1
        known.append(high)
    edges = {*known, *edges_between(axis, low, high, EDGES_PER_REQUEST - 2)}
    inner = sorted(edge for edge in edges if axis.least < edge <= axis.greatest)
    ends = (axis.least, axis.greatest + 1)
    return Histogram(column.name, axis, parts, bins=(Bin(*ends, rows=0),), pending=((ends[0], *inner, ends[1]),))


def edges_between(axis: Axis, low: int, high: int, count: int) -> list[int]:
    """At most `count` positions strictly between two others, most of them evenly spaced.

    The rest close in on both ends, and on zero where it lies between, each nearer by a constant factor: keys crowd at the
    latest time, at the least number, at zero, and outliers lie far off at the other end.
    """
    anchors = [(low, high), (high, low)]
    if low < 0 < high:
        anchors += [(0, high), (0, low)]
    closing = max(_CLOSING_AT_LEAST, count // 8)
    edges = {0} if low < 0 < high else set()
    for start, end in anchors:
        edges.update(_closing_in(axis, start, end, closing))
    evenly = count - closing * len(anchors) - 1
    edges.update(low + (high - low) * i // (evenly + 1) for i in range(1, evenly + 1))
    return sorted(edge for edge in {_snapped(axis, edge) for edge in edges} if low < edge < high)


def _closing_in(axis: Axis, start: int, end: int, count: int) -> list[int]:
    """From one step beside `start` outwards, in equal ratios."""
    first = axis.step(min(start, axis.greatest))
    doublings = max(0, (abs(end - start) // first).bit_length() - 1)
    sign = 1 if end > start else -1
    return [start + sign * (first << doublings * i // count) for i in range(count)]


def _split(run: Sequence[int]) -> list[tuple[int, ...]]:
    """Questions of about equal length, each starting where the one before ends."""
    intervals = len(run) - 1
    questions = -(-intervals // (EDGES_PER_REQUEST + 1))
    starts = [intervals * i // questions for i in range(questions + 1)]
    return [tuple(run[start : end + 1]) for start, end in pairwise(starts)]


def _snapped(axis: Axis, position: int) -> int:
    return axis.position(axis.value(min(max(position, axis.least), axis.greatest)))
