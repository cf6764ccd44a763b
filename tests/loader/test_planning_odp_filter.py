"""Predicates in ODP's language: what they say, and that they mean what pyarrow says the predicate means."""

import datetime
import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odp.tabular_v2.util import json_to_vars, vars_to_json

from odp_loader.errors import InvalidLoad
from odp_loader.expression import evaluate, filter_batch, parse
from odp_loader.partition import Predicate
from odp_loader.planning import Buckets, OdpQuery, odp_buckets, odp_filter
from odp_loader.planning.axis import axis_of
from odp_loader.planning.columns import ColumnStatistics
from odp_loader.planning.division import Cuts, tile
from tests.support.key_tables import KEY_TYPES, bucket_counts, columns, matching, values_of

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (Predicate("everything"), OdpQuery(None, {})),
        (Predicate("range", "t", low=1, high=2), OdpQuery("t >= $low and t < $high", {"low": 1, "high": 2})),
        (Predicate("range", "t", low="x$y'\""), OdpQuery("t >= $low", {"low": "x$y'\""})),
        (Predicate("range", "t", high=1.5), OdpQuery("t < $high", {"high": 1.5})),
        (Predicate("null", "t"), OdpQuery("t is null", {})),
        (Predicate("nan", "t"), OdpQuery("not (t < $zero or t >= $zero)", {"zero": 0.0})),
    ],
    ids=str,
)
def test_what_is_said(predicate: Predicate, expected: OdpQuery) -> None:
    assert odp_filter(predicate) == expected


def test_the_users_filter_stands_in_parentheses() -> None:
    query = odp_filter(Predicate("range", "t", high=5), "a == 1 or b == $b", {"b": True})
    assert query == OdpQuery("(a == 1 or b == $b) and (t < $high)", {"b": True, "high": 5})
    assert odp_filter(Predicate("everything"), "a == 1 or b == 2") == OdpQuery("a == 1 or b == 2", {})
    assert odp_filter(Predicate("nan", "t"), "a == 1").filter == "(a == 1) and (not (t < $zero or t >= $zero))"


def test_names_that_the_user_has_taken_are_left_alone() -> None:
    query = odp_filter(Predicate("range", "t", low=1, high=2), "t > $low and x == $low_", {"low": 7, "low_": 8, "high": 9})
    assert query.vars == {"low": 7, "low_": 8, "high": 9, "low__": 1, "high_": 2}
    assert query.filter == "(t > $low and x == $low_) and (t >= $low__ and t < $high_)"


@pytest.mark.parametrize("text", ["t > ?", "name == 'it\\'s ?' and t > ?"])
def test_a_filter_with_nameless_values_is_refused(text: str) -> None:
    with pytest.raises(InvalidLoad, match=r"write a \$name"):
        odp_filter(Predicate("null", "t"), text)


@pytest.mark.parametrize("text", ["name == 'why?'", 'name == "why?"', "name == 'it\\'s?'"])
def test_a_question_mark_in_a_string_is_no_variable(text: str) -> None:
    assert odp_filter(Predicate("null", "t"), text).filter == f"({text}) and (t is null)"


@pytest.mark.parametrize(
    "bound", [True, np.int64(1), np.float64(1.5), pd.Timestamp(0), math.nan, b"x", np.datetime64(0, "s")], ids=repr
)
def test_bounds_that_the_sdk_would_send_wrongly_are_refused(bound: Any) -> None:
    with pytest.raises(TypeError, match="a bound must be a plain"):
        odp_filter(Predicate("range", "t", low=bound))


def test_a_range_without_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="would hold nulls too"):
        odp_filter(Predicate("range", "t"))


@pytest.mark.parametrize(
    "bound",
    [
        2**63,
        -(2**63),
        5e-324,
        1.7976931348623157e308,
        "é\n'\"$",
        datetime.date(1, 1, 1),
        datetime.datetime(2024, 1, 1, 0, 0, 0, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
    ],
    ids=repr,
)
def test_the_sdk_carries_bounds_unchanged(bound: Any) -> None:
    sent = odp_filter(Predicate("range", "t", low=bound)).vars
    assert json_to_vars(vars_to_json(dict(sent))) == {"low": bound}


def test_buckets_are_a_group() -> None:
    question = Buckets(Predicate("range", "t", low=0, high=9), (3, 6))
    assert odp_buckets(question, "x > $edge1", {"edge1": 5}) == OdpQuery(
        "(x > $edge1) and (t >= $low and t < $high)",
        {"edge1": 5, "low": 0, "high": 9, "edge0": 3, "edge1_": 6},
        "bucket(t, $edge0, $edge1_)",
    )
    assert odp_buckets(Buckets(Predicate("everything", "t"), (3,))) == OdpQuery(None, {"edge0": 3}, "bucket(t, $edge0)")


def bounds(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Values that may be bounds, as the axis of the type gives them."""
    axis = axis_of(str(type_))
    if axis is None:
        return values_of(type_)
    inside = st.integers(axis.least, axis.greatest)
    near_zero = st.integers(max(axis.least, -50), min(axis.greatest, 50))
    return (inside | near_zero).map(axis.value)


@pytest.mark.parametrize("type_", KEY_TYPES, ids=str)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_it_selects_the_rows_of_the_predicate(type_: pa.DataType, data: st.DataObject) -> None:
    """Over the partitions of arbitrary cuts: each filter selects its rows, so together they select every row once."""
    keys = data.draw(columns(type_))
    cuts = sorted(set(data.draw(st.lists(bounds(type_), min_size=1, max_size=4))))
    key = ColumnStatistics("key", str(type_))
    batch = pa.RecordBatch.from_arrays([keys, pa.array(range(len(keys)), pa.int64())], names=["key", "row"])
    seen: list[int] = []
    for partition in tile(key, Cuts(tuple(cuts), (None,) * (len(cuts) + 1), "")):
        assert isinstance(partition.selection, Predicate)
        query = odp_filter(partition.selection)
        assert query.filter is not None
        selected = filter_batch(parse(query.filter, precedence="odp"), batch, query.vars).column("row").to_pylist()
        assert selected == list(np.flatnonzero(matching(partition.selection, keys)))
        seen += selected
    assert sorted(seen) == list(range(len(keys)))


def test_a_users_filter_of_or_does_not_leak_through_the_one_precedence() -> None:
    batch = pa.RecordBatch.from_pydict({"key": [1, 5, 9], "a": [1, 1, 0], "b": [0, 0, 2]})
    query = odp_filter(Predicate("range", "key", high=4), "a == 1 or b == 2")
    assert query.filter is not None
    assert filter_batch(parse(query.filter, precedence="odp"), batch, query.vars).column("key").to_pylist() == [1]


def test_nan_and_null_are_told_apart() -> None:
    """Comparisons with null are null, and so is their negation: the filter of NaN leaves nulls out."""
    keys = pa.array([math.nan, None, 0.0, -0.0, math.inf, -math.inf, 5e-324], pa.float64())
    batch = pa.RecordBatch.from_arrays([keys, pa.array(range(7), pa.int64())], names=["key", "row"])
    for kind, expected in [("nan", [0]), ("null", [1])]:
        query = odp_filter(Predicate(kind, "key"))  # type: ignore[arg-type]
        assert query.filter is not None
        assert filter_batch(parse(query.filter, precedence="odp"), batch, query.vars).column("row").to_pylist() == expected


def test_buckets_of_the_expression_language_are_those_that_are_asked_for() -> None:
    keys = pa.array([0, 3, 4, 6, 8, 9, None, 2], pa.int64())
    question = Buckets(Predicate("range", "key", low=2, high=9), (3, 6))
    query = odp_buckets(question)
    assert query.filter is not None
    assert query.group_by is not None
    rows = filter_batch(parse(query.filter, precedence="odp"), pa.RecordBatch.from_arrays([keys], names=["key"]), query.vars)
    groups = evaluate(parse(query.group_by, precedence="odp"), rows, query.vars).to_pylist()
    assert [groups.count(i) for i in range(3)] == bucket_counts([question], keys)[0] == [1, 2, 2]
