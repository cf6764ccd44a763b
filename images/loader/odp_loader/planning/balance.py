"""How counted bins become partitions of nearly equal size."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bin:
    """The positions `low <= p < high` of an axis, and how many rows lie there."""

    low: int
    high: int
    rows: int
    divisible: bool = False
    """Whether it may be cut inside, as if its rows lay evenly in it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A partition to be: it starts at `low` and ends where the next one starts."""

    low: int
    rows: int


def balanced(bins: Sequence[Bin], parts: int) -> tuple[Piece, ...]:
    """At most `parts` pieces of consecutive bins, the largest as small as it can be.

    A bin that is indivisible and heavier than a fair share becomes a piece of its own; there are fewer pieces then, as the
    others are not made smaller than a fair share for it. Where indivisible bins have at most a quarter of the largest other
    piece, all but the last and those before a heavy one hold at least three quarters of it.
    """
    filled = [counted for counted in bins if counted.rows > 0]
    fair = -(-sum(counted.rows for counted in filled) // parts)
    pieces = _needed(filled, max(fair, _least_capacity(filled, parts)))
    return _filled(filled, _least_capacity(filled, pieces))


def _least_capacity(bins: Sequence[Bin], pieces: int) -> int:
    """The least number of rows that a piece must be allowed for that many to be enough."""
    low, high = 1, max(1, sum(counted.rows for counted in bins))
    while low < high:
        capacity = (low + high) // 2
        if _needed(bins, capacity) <= pieces:
            high = capacity
        else:
            low = capacity + 1
    return low


def _needed(bins: Sequence[Bin], capacity: int) -> int:
    """How many pieces of at most `capacity` rows the bins need, heavy ones aside."""
    needed, room = 0, 0
    for counted in bins:
        if counted.rows <= room:
            room -= counted.rows
        elif counted.divisible:
            opened = -(-(counted.rows - room) // capacity)
            needed += opened
            room += opened * capacity - counted.rows
        else:
            needed += 1
            room = max(0, capacity - counted.rows)
    return needed


def _filled(bins: Sequence[Bin], capacity: int) -> tuple[Piece, ...]:
    """The same walk, remembering where pieces start."""
    starts: list[int] = []
    rows: list[int] = []
    room = 0
    for counted in bins:
        left = counted.rows
        while left > room:
            if counted.divisible and rows:
                rows[-1] += room
                left -= room
            starts.append(counted.low + (counted.high - counted.low) * (counted.rows - left) // counted.rows)
            rows.append(0)
            room = capacity if counted.divisible else max(capacity, left)
        rows[-1] += left
        room -= left
    return tuple(Piece(start, count) for start, count in zip(starts, rows, strict=True))
