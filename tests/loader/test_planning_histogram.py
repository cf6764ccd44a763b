"""Partitions come out even for keys that are not, with a server that only counts buckets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_loader.partition import Predicate
from odp_loader.planning import Buckets, ColumnStatistics, Division, divide
from odp_loader.planning.axis import Axis, axis_of
from odp_loader.planning.balance import Bin, balanced
from odp_loader.planning.histogram import EDGES_PER_REQUEST, ROUNDS, coarse_histogram
from odp_loader.spec import Partitions

ROWS = 300_000
YEAR_US = 31_536_000_000_000
START_US = 1_577_836_800_000_000
US = "timestamp[us, tz=UTC]"


@dataclass
class CountingServer:
    """Holds sorted keys, as numbers, and counts how it is asked."""

    keys: np.ndarray[Any, Any]
    axis: Axis
    rounds: list[int] = field(default_factory=list)

    def rank(self, bound: Any, default: int) -> int:
        if bound is None:
            return default
        return int(np.searchsorted(self.keys, bound if isinstance(bound, float) else self.axis.position(bound)))

    def rows(self, predicate: Predicate) -> slice:
        return slice(self.rank(predicate.low, 0), self.rank(predicate.high, len(self.keys)))

    def count(self, questions: Sequence[Buckets]) -> list[list[int]]:
        self.rounds.append(len(questions))
        answers = []
        for question in questions:
            assert 1 <= len(question.edges) <= EDGES_PER_REQUEST
            assert all(low < high for low, high in pairwise(question.edges))  # type: ignore[operator]
            rows = self.rows(question.predicate)
            ranks = [rows.start, *(self.rank(edge, 0) for edge in question.edges), rows.stop]
            answers.append([high - low for low, high in pairwise(ranks)])
        return answers


def divided(
    keys: np.ndarray[Any, Any], type_: str, parts: int, *, low: Any = None, high: Any = None
) -> tuple[Division, CountingServer]:
    """Divide a table whose statistics say `low` and `high`, by default the truth."""
    axis = axis_of(type_)
    assert axis is not None
    keys = np.sort(keys)
    value = float if type_ in ("float", "double") else lambda position: axis.value(int(position))
    key = ColumnStatistics("key", type_, value(keys[0]) if low is None else low, value(keys[-1]) if high is None else high)
    server = CountingServer(keys, axis)
    division = divide(
        [key],
        rows=len(keys),
        bytes_per_row=parts * 2**20 / len(keys),
        partitions=Partitions(target_bytes=2**20 if parts > 16 else 8 * 2**20),
        split_by="key",
        count_buckets=server.count,
    )
    return division, server


def ranges(division: Division, server: CountingServer) -> list[slice]:
    """The server's rows in each range, which are all of them."""
    predicates = [p.selection for p in division.partitions if isinstance(p.selection, Predicate)]
    found = [server.rows(predicate) for predicate in predicates if predicate.kind == "range"]
    assert [rows.start for rows in found] == [0, *(rows.stop for rows in found[:-1])]
    assert found[-1].stop == len(server.keys)
    return found


def sizes(division: Division, server: CountingServer) -> np.ndarray[Any, Any]:
    """Rows of the partitions that could have been cut: those of a single value could not."""
    found = ranges(division, server)
    divisible = [rows for rows in found if rows.stop > rows.start and server.keys[rows][0] != server.keys[rows][-1]]
    return np.array([rows.stop - rows.start for rows in divisible])


def generated(name: str) -> tuple[np.ndarray[Any, Any], str]:
    random = np.random.default_rng(42)
    share = random.random(ROWS)
    match name:
        case "even":
            return START_US + (YEAR_US * share).astype(np.int64), US
        case "90 % in the last 2 %":
            late = np.where(random.random(ROWS) < 0.9, 0.98 + 0.02 * share, 0.98 * share)
            return START_US + (YEAR_US * late).astype(np.int64), US
        case "growing":
            return START_US + (YEAR_US * np.sqrt(share)).astype(np.int64), US
        case "dates at a few years' ends":
            return 10_000 + 365 * random.integers(0, 30, ROWS) + random.integers(0, 20, ROWS), "date32[day]"
        case "exponential":
            return random.exponential(1e6, ROWS).astype(np.int64), "int64"
        case "zipf":
            return np.minimum(random.zipf(1.5, ROWS), 2**62), "int64"
        case "outliers at both ends":
            inner = random.integers(0, 10**6, ROWS - 2)
            return np.concatenate([inner, [-(2**63), 2**63 - 1]]), "int64"
        case "unsigned beyond 2**63":
            return (np.uint64(2**63) + random.integers(0, 10**9, ROWS).astype(np.uint64)), "uint64"
        case "normal":
            return random.normal(0, 1, ROWS), "double"
        case "lognormal":
            return random.lognormal(0, 5, ROWS), "double"
        case "single precision":
            return random.normal(0, 1, ROWS).astype(np.float32).astype(np.float64), "float"
        case "two clusters far apart":
            return np.concatenate([random.normal(0, 1, ROWS // 2), random.normal(1e9, 1, ROWS // 2)]), "double"
        case "half of it a fill value":
            return np.where(share < 0.5, -999.0, random.normal(10, 3, ROWS)), "double"
    raise ValueError(name)


SKEWED = [
    "90 % in the last 2 %",
    "growing",
    "dates at a few years' ends",
    "exponential",
    "zipf",
    "outliers at both ends",
    "unsigned beyond 2**63",
    "normal",
    "lognormal",
    "single precision",
    "two clusters far apart",
    "half of it a fill value",
]


@pytest.mark.parametrize("parts", [8, 16, 50])
@pytest.mark.parametrize("name", ["even", *SKEWED])
def test_partitions_are_even(name: str, parts: int) -> None:
    division, server = divided(*generated(name), parts)
    found = sizes(division, server)
    assert found.max() <= 1.3 * max(np.median(found), ROWS / parts / 4)
    assert found.max() <= 1.3 * ROWS / parts
    assert len(division.partitions) <= parts + 2
    assert len(server.rounds) <= ROUNDS
    assert max(server.rounds) <= 64


@pytest.mark.parametrize("parts", [8, 16, 40])
def test_an_even_key_takes_one_request(parts: int) -> None:
    division, server = divided(*generated("even"), parts)
    assert server.rounds == [1]
    assert len(sizes(division, server)) == parts


def test_the_benchmark_of_skew_takes_few_requests() -> None:
    division, server = divided(*generated("90 % in the last 2 %"), 16)
    assert len(server.rounds) == 2
    assert sum(server.rounds) <= 4
    assert max(sizes(division, server)) <= 1.05 * np.median(sizes(division, server))


def test_a_value_heavier_than_a_partition_stays_alone_and_is_noted() -> None:
    keys, type_ = generated("half of it a fill value")
    division, server = divided(keys, type_, 16)
    heavy = [p for p in division.partitions if (p.rows or 0) > ROWS / 4]
    assert len(heavy) == 1
    assert set(server.keys[server.rows(heavy[0].selection)]) == {-999.0}  # type: ignore[arg-type]
    assert heavy[0].rows == int((keys == -999).sum())
    assert "1 of them larger" in division.notes[1]


@pytest.mark.parametrize(("months", "parts"), [(12, 40), (12, 16), (48, 100), (48, 200)])
def test_keys_with_fewer_values_than_partitions_get_one_each(months: int, parts: int) -> None:
    """Bins that hold one value each look like an even key at first."""
    keys = START_US + np.arange(ROWS) % months * (YEAR_US // months)
    division, server = divided(keys, US, parts)
    assert [rows.stop - rows.start for rows in ranges(division, server)] == [ROWS // months] * months


def test_what_the_planner_thinks_is_near_what_there_is() -> None:
    division, server = divided(*generated("exponential"), 16)
    for partition, rows in zip(division.partitions, ranges(division, server), strict=False):
        assert partition.rows == pytest.approx(rows.stop - rows.start, rel=0.05)


def test_statistics_of_a_table_that_has_grown_since() -> None:
    axis = axis_of(US)
    assert axis is not None
    division, server = divided(*generated("even"), 16, high=axis.value(START_US + YEAR_US // 10))
    found = sizes(division, server)
    assert found.max() <= 1.3 * np.median(found)


def test_a_filter_that_leaves_one_day_of_a_century() -> None:
    axis = axis_of(US)
    assert axis is not None
    random = np.random.default_rng(1)
    day = START_US + random.integers(0, 86_400_000_000, ROWS)
    division, server = divided(day, US, 16, low=axis.value(START_US - 50 * YEAR_US), high=axis.value(START_US + 50 * YEAR_US))
    found = sizes(division, server)
    assert found.max() <= 1.3 * np.median(found)
    assert len(found) == 16


def test_bounds_may_be_unknown() -> None:
    key = ColumnStatistics("key", "int32")
    histogram = coarse_histogram(key, 16)
    assert histogram is not None
    (question,) = histogram.questions
    assert question.predicate == Predicate("everything", "key")
    assert len(question.edges) > 50
    server = CountingServer(np.arange(1000), histogram.axis)
    while histogram.questions:
        histogram = histogram.answered(server.count(histogram.questions))
    assert histogram.rows == 1000
    assert max(piece.rows for piece in histogram.pieces()) <= 1.3 * 1000 / 16


def test_strings_have_no_histogram() -> None:
    assert coarse_histogram(ColumnStatistics("key", "string", "a", "z"), 16) is None


def test_an_answer_of_another_shape_is_refused() -> None:
    histogram = coarse_histogram(ColumnStatistics("key", "int32", 0, 100), 16)
    assert histogram is not None
    with pytest.raises(ValueError, match="zip"):
        histogram.answered([[1, 2, 3]])


@pytest.mark.parametrize(
    ("rows", "parts", "expected"),
    [
        ([1] * 8, 4, [2, 2, 2, 2]),
        ([100, 1, 1, 1, 1], 4, [100, 4]),
        ([1, 1, 100, 1, 1], 4, [2, 100, 2]),
        ([8, 8, 8, 8, 8, 8, 1], 3, [16, 16, 17]),
        ([0, 0, 5, 0], 3, [5]),
        ([0, 0], 3, []),
    ],
)
def test_bins_that_must_stay_whole(rows: list[int], parts: int, expected: list[int]) -> None:
    pieces = balanced([Bin(i, i + 1, count) for i, count in enumerate(rows)], parts)
    assert [piece.rows for piece in pieces] == expected


def test_what_is_left_beside_a_heavy_value_is_cut_evenly() -> None:
    pieces = balanced([Bin(0, 1, 500), Bin(1, 101, 510, divisible=True)], 10)
    assert [piece.rows for piece in pieces] == [500, 85, 85, 85, 85, 85, 85]
    assert [piece.low for piece in pieces] == [0, 1, 17, 34, 51, 67, 84]


bins = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 1000), st.booleans()), max_size=60)


@given(bins, st.integers(1, 20))
def test_pieces_are_as_even_as_bins_allow(drawn: list[tuple[int, int, bool]], parts: int) -> None:
    edges = np.cumsum([0, *(width for width, _, _ in drawn)]).tolist()
    line = [Bin(edges[i], edges[i + 1], rows, divisible) for i, (_, rows, divisible) in enumerate(drawn)]
    pieces = balanced(line, parts)
    total = sum(each.rows for each in line)
    assert sum(piece.rows for piece in pieces) == total
    assert len(pieces) <= parts
    assert all(piece.rows > 0 for piece in pieces)
    whole = [each.rows for each in line if not each.divisible]
    assert all(piece.rows <= -(-total // parts) + max(whole, default=0) for piece in pieces)
