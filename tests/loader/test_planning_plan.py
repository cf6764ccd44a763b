"""A plan survives its document, and a document that is no plan says what is wrong with it."""

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_loader.errors import OutputExists
from odp_loader.partition import FileSlice, FileSlices, Partition, Predicate, RowRange
from odp_loader.planning import Plan
from odp_loader.planning.text import LONGEST_CUT

UTC = datetime.UTC
PLAN = Plan(
    id="0123abcd",
    load_hash="ff" * 32,
    generation=2,
    partitions=(
        Partition(0, Predicate("range", "t", high=datetime.datetime(2024, 1, 1, 0, 0, 0, 1, UTC)), 7),
        Partition(1, Predicate("range", "t", low=datetime.datetime(2024, 1, 1, 0, 0, 0, 1, UTC))),
        Partition(2, Predicate("null", "t")),
        Partition(3, FileSlices((FileSlice("a/b.parquet", 0, 3), FileSlice("é.csv")))),
        Partition(4, RowRange(1, 10, 20), 10),
    ),
    schema=b"\x00\xff schema",
    output=b"\xffoutput",
    expected=1_234_567,
    bytes_per_row=50.25,
    statistics={"num_rows": 3, "columns": [{"name": "t", "min": None}]},
    notes=("Because.",),
    versions={"python": "3.11.7"},
)
bounds = st.one_of(
    st.integers(-(2**64), 2**64),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.dates(),
)


def test_a_plan_comes_back_as_it_was() -> None:
    assert Plan.decode(PLAN.encode()) == PLAN
    assert Plan.from_json(json.loads(PLAN.encode())) == PLAN


def test_a_plan_is_written_one_partition_a_line() -> None:
    lines = PLAN.encode().decode().splitlines()
    first = next(i for i, line in enumerate(lines) if '"partitions"' in line)
    assert [json.loads(line.removesuffix(","))["index"] for line in lines[first + 1 : -1]] == [0, 1, 2, 3, 4]
    assert PLAN.encode() == PLAN.encode()


@given(st.lists(st.tuples(bounds, bounds), min_size=1, max_size=5))
def test_bounds_come_back_with_their_types(drawn: list[tuple[Any, Any]]) -> None:
    partitions = tuple(Partition(i, Predicate("range", "t", low, high)) for i, (low, high) in enumerate(drawn))
    plan = Plan("i", "h", 1, partitions, b"", b"", 0, 0.0, {})
    back = Plan.decode(plan.encode())
    assert back == plan
    for before, after in zip(plan.partitions, back.partitions, strict=True):
        assert type(after.selection.low) is type(before.selection.low)  # type: ignore[union-attr]


def test_a_partition_takes_at_most_a_kilobyte() -> None:
    longest = "x" * LONGEST_CUT
    predicate = Predicate("range", "c" * 64, low=longest, high=longest)
    plan = Plan("i", "h", 1, (Partition(0, predicate, 10**12),), b"", b"", 0, 0.0, {})
    assert max(map(len, plan.encode().splitlines())) <= 1000


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda document: {key: value for key, value in document.items() if key != name}


def having(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document | fields


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (having(format=2), "its format is 2, this version reads format 1"),
        (without("format"), "its format is None"),
        (without("loadHash"), "'loadHash' is missing"),
        (without("versions"), "'versions' is missing"),
        (having(expected="many"), "'expected' is a str"),
        (having(expected=True), "'expected' is a bool"),
        (having(bytesPerRow=None), "'bytesPerRow' is a NoneType"),
        (having(partitions={}), "'partitions' is a dict"),
        (having(partitions=[]), "its partitions are not numbered"),
        (having(partitions=[3]), "not subscriptable"),
        (having(partitions=[{}]), "'kind' is missing"),
        (having(partitions=[{"index": 1, "kind": "everything", "rows": None}]), "its partitions are not numbered"),
        (having(partitions=[{"index": 0, "kind": "sideways", "rows": None}]), "unknown kind of partition: 'sideways'"),
        (having(partitions=[{"index": 0, "kind": "range", "rows": 1, "low": {"type": "datetime", "value": "x"}}]), "'x'"),
        (having(partitions=[{"index": 0, "kind": "files", "rows": 1, "slices": [1]}]), "iterable"),
        (having(schema="not base64"), "base64"),
        (having(statistics=None), "'statistics' is a NoneType"),
        (lambda _: [], "it is no object"),
        (lambda _: None, "it is no object"),
    ],
)
def test_a_damaged_plan_says_what_is_wrong(damage: Callable[[dict[str, Any]], Any], why: str) -> None:
    with pytest.raises(OutputExists) as raised:
        Plan.from_json(damage(json.loads(PLAN.encode())))
    assert str(raised.value).startswith("plan.json cannot be read, ")
    assert why in str(raised.value)
    assert "choose another url" in str(raised.value)


@pytest.mark.parametrize("cut", [0, 1, 50, -3])
def test_a_cut_plan_is_no_plan(cut: int) -> None:
    with pytest.raises(OutputExists, match="it is no JSON"):
        Plan.decode(PLAN.encode()[:cut])


def test_no_plan_in_another_encoding() -> None:
    with pytest.raises(OutputExists, match="it is no JSON"):
        Plan.decode(b"\xff\xfe{")
