"""Divides files into partitions of about the same size: pure decisions over what the footers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from odp_loader import spec
from odp_loader.partition import FileSlice, FileSlices, Partition
from odp_loader.sources import Cut


@dataclass(frozen=True, slots=True)
class Piece:
    """The least that can be read alone: a row group of a file, or a whole file where `group` is None."""

    path: str
    group: int | None
    rows: int
    bytes: int


def divide(pieces: Sequence[Piece], partitions: spec.Partitions, *, rows_known: bool) -> Cut:
    """Put pieces together, in their order, into partitions of about `target_bytes`; a piece without rows belongs to none.

    A piece goes to the partition into which its middle falls when the whole is cut into equal parts, so that none but a piece
    that is larger itself exceeds the target by much, and there are never more than `maximum`.
    """
    pieces = [piece for piece in pieces if piece.rows]
    if not pieces:
        return Cut((), ("there are no rows",))
    total = sum(piece.bytes for piece in pieces)
    number = max(1, min(partitions.maximum, round(total / partitions.target_bytes)))
    ends = [0]
    for piece in pieces:
        ends.append(ends[-1] + piece.bytes)
    places = [min(number - 1, int((start + stop) / 2 * number / max(total, 1))) for start, stop in pairwise(ends)]
    made: list[Partition] = []
    for _, members in groupby(zip(places, pieces, strict=True), key=lambda pair: pair[0]):
        together = [piece for _, piece in members]
        rows = sum(piece.rows for piece in together) if rows_known else None
        made.append(Partition(len(made), FileSlices(_slices(together)), rows))
    return Cut(tuple(made), _notes(pieces, len(made), total, partitions))


def _slices(pieces: Sequence[Piece]) -> tuple[FileSlice, ...]:
    """Neighbouring row groups of a file become one slice."""
    slices: list[FileSlice] = []
    for piece in pieces:
        last = slices[-1] if slices else None
        if piece.group is None:
            slices.append(FileSlice(piece.path))
        elif last is not None and last.path == piece.path and last.stop == piece.group:
            slices[-1] = FileSlice(piece.path, last.start, piece.group + 1)
        else:
            slices.append(FileSlice(piece.path, piece.group, piece.group + 1))
    return tuple(slices)


def _notes(pieces: Sequence[Piece], made: int, total: int, partitions: spec.Partitions) -> tuple[str, ...]:
    files = len({piece.path for piece in pieces})
    notes = [f"files: {files}, about {total / 2**20:,.0f} MiB in memory; partitions: {made}"]
    largest = max(pieces, key=lambda piece: piece.bytes)
    if largest.bytes > 2 * partitions.target_bytes:
        which = "a file of text" if largest.group is None else f"row group {largest.group} of a file"
        size = f"{largest.bytes / 2**20:,.0f} MiB"
        notes.append(f"a partition has about {size}, because {which} is read as a whole: {largest.path}".removesuffix(": "))
    return tuple(notes)
