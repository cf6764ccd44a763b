"""Aggregates in the server's words: when they are possible, what is asked, and that the replies give the same groups."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_loader import spec
from odp_loader.errors import InvalidExpression, InvalidLoad, LoadError, Transient
from odp_loader.expression import evaluate, parse
from odp_loader.odp import wire
from odp_loader.odp.client import OdpClient
from odp_loader.spec import Aggregate, OdpSource, Transform
from odp_loader.transform import compile_chain
from odp_loader.transform.aggregate import Partial, Reduction
from odp_loader.transform.pushdown import NotExpressible, ServerAggregate, server_aggregate
from odp_loader.transform.server_text import server_text
from tests.support.odp_server import API_KEY, odp_server

SCHEMA = pa.schema(
    {
        "station": pa.string(),
        "level": pa.int32(),
        "temperature": pa.float64(),
        "fish": pa.int64(),
        "time": pa.timestamp("us", "UTC"),
        "tagged": pa.bool_(),
        "weird name": pa.string(),
        "x.y": pa.int64(),
        "weight": pa.decimal128(8, 2),
    }
)
SOURCE = OdpSource(dataset="casts")
ALL = ("sum", "mean", "min", "max", "count")


def asked(columns: Mapping[str, Any], *, by: str = "station", source: OdpSource = SOURCE, **transform: Any) -> ServerAggregate:
    found = server_aggregate(source, Transform(aggregate=Aggregate(by=(by,), columns=columns), **transform), SCHEMA)
    assert isinstance(found, ServerAggregate), found
    return found


@pytest.mark.parametrize(
    ("columns", "requests"),
    [
        ({"temperature": ("mean",)}, [{"temperature": "mean"}]),
        ({"temperature": ("sum", "count", "mean")}, [{"temperature": "mean"}]),
        ({"temperature": ("sum",)}, [{"temperature": "mean"}]),
        ({"fish": ("count",), "tagged": ("count",)}, [{"fish": "count", "tagged": "count"}]),
        ({"fish": ("min", "max")}, [{"fish": "min"}, {"fish": "max"}]),
        (
            {"temperature": ALL, "fish": ("count",), "time": ("max", "min")},
            [
                {"temperature": "mean", "fish": "count", "time": "min"},
                {"temperature": "min", "time": "max"},
                {"temperature": "max"},
            ],
        ),
    ],
)
def test_requests_are_as_few_as_one_function_for_a_column_allows(columns: dict[str, Any], requests: list[dict[str, str]]) -> None:
    found = asked(columns)
    assert [dict(request) for request in found.requests] == requests
    assert (found.by, found.filter) == ("station", None)
    assert found.reason.startswith("the server groups by station itself, in ")


def test_float_columns_are_named_because_nobody_knows_the_servers_nan() -> None:
    assert asked({"temperature": ("min",), "fish": ("sum",)}).nan_columns == ("temperature",)
    assert asked({"temperature": ("count",)}).nan_columns == ()


def test_the_filter_is_written_in_parentheses_with_typed_values() -> None:
    source = OdpSource(dataset="casts", filter="fish > $constant0", vars={"constant0": 1})
    text = "(temperature > -2.5e0 or fish == 3) and time >= '2024-01-01T00:00:00Z' and not tagged and level is not null"
    found = asked({"fish": ("sum",)}, source=source, filter=text)
    assert found.filter is not None
    assert found.filter.text == (
        "(((temperature > $constant0_) or (fish == $constant1)) and (time >= $constant2) and (not tagged) and (level is not null))"
    )
    assert set(found.filter.vars) == {"constant0_", "constant1", "constant2"}
    assert found.filter.vars["constant0_"] == -2.5
    assert str(found.filter.vars["constant2"]).startswith("2024-01-01")


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        ({"map": "json:loads"}, "the server cannot call `map`"),
        ({"derive": {"year": "year(time)"}, "by": ("year",)}, "the server has no derived columns"),
        ({"map": "json:loads", "columns": {"made": ("sum",)}}, "the server cannot call `map`"),
        ({"by": ("station", "level")}, "the server groups by one column, not by 2"),
        ({"by": ("time",)}, r"'time' is timestamp\[us, tz=UTC\], and only strings and integers are sure to come back"),
        ({"by": ("temperature",)}, "'temperature' is double, and only"),
        ({"by": ("weird name",)}, "the server's language has no such name as 'weird name'"),
        ({"columns": {"tagged": ("sum",)}}, "how the server takes the sum of 'tagged', which is bool"),
        ({"columns": {"weight": ("mean",)}}, r"the mean of 'weight', which is decimal128\(8, 2\)"),
        ({"columns": {"weird name": ("min",)}}, "the min of 'weird name', which is string"),
        ({"filter": "month(time) == 1"}, r"the function month\(\)"),
        ({"filter": "fish / 2 > 1"}, "arithmetic"),
        ({"filter": "-fish > 1"}, "arithmetic"),
        ({"filter": "weight > 1.5"}, r"decimal values, and 'weight' is decimal128\(8, 2\)"),
        ({"filter": "time > '2024-01-01T00:00:00.0000001Z'"}, "cannot be put into the server's language: is finer than a micro"),
        ({"filter": "tagged == true"}, "the constant true"),
        ({"filter": "`weird name` == 'a'"}, "such a name as 'weird name'"),
        ({"filter": "`x.y` == 1"}, "such a name as 'x.y'"),
    ],
)
def test_what_the_server_cannot_do_is_told(transform: dict[str, Any], reason: str) -> None:
    others = {name: value for name, value in transform.items() if name not in ("by", "columns")}
    aggregate = Aggregate(by=transform.get("by", ("station",)), columns=transform.get("columns", {"fish": ("sum",)}))
    found = server_aggregate(SOURCE, Transform(aggregate=aggregate, **others), SCHEMA)
    assert isinstance(found, NotExpressible)
    with pytest.raises(AssertionError, match=f"the rows are read and grouped by the workers: .*{reason}"):
        raise AssertionError(found.reason)


def test_no_aggregate_is_nothing_to_push_down() -> None:
    assert server_aggregate(SOURCE, Transform(), SCHEMA) == NotExpressible("the load does not aggregate")


def test_what_is_wrong_anyway_is_an_invalid_load() -> None:
    with pytest.raises(InvalidLoad, match="there is no column 'fsh'"):
        asked({"fsh": ("sum",)})
    with pytest.raises(InvalidExpression, match="fsh"):
        asked({"fish": ("sum",)}, filter="fsh > 1")


CONDITIONS = st.recursive(
    st.sampled_from(
        [
            "temperature > -1.5",
            "fish == 2",
            "fish != -1",
            "3 <= fish",
            "level is null",
            "station is not null",
            "station == 'it\\'s'",
            'station >= "a"',
            "temperature < fish",
            "time < '2024-06-01'",
            "tagged",
        ]
    ),
    lambda part: st.one_of(
        st.builds("({} and {})".format, part, part),
        st.builds("({} or {})".format, part, part),
        st.builds("(not ({}))".format, part),
        st.builds("({} == ({}))".format, st.just("tagged"), part),
    ),
    max_leaves=6,
)
NAN = float("nan")
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "station": st.none() | st.sampled_from(["a", "it's", "", "$x"]),
            "level": st.none() | st.integers(-1, 1),
            "temperature": st.none() | st.just(NAN) | st.integers(-12, 12).map(lambda number: number / 4),
            "fish": st.none() | st.integers(-3, 3),
            "time": st.none() | st.integers(1_700_000_000_000_000, 1_730_000_000_000_000),
            "tagged": st.none() | st.booleans(),
        }
    ),
    max_size=12,
)


@given(CONDITIONS, ROWS)
def test_a_written_filter_read_by_odps_rule_keeps_the_same_rows(text: str, rows: list[dict[str, Any]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    written = server_text(text, SCHEMA, taken=frozenset())
    again = evaluate(parse(written.text, precedence="odp"), batch, written.vars)
    assert again.to_pylist() == evaluate(parse(text), batch, {}).to_pylist()


def reply(**columns: Any) -> pa.Table:
    return pa.table({{"key": "", "rows": "*"}.get(name, name): values for name, values in columns.items()})


def test_groups_that_come_in_several_messages_and_replies_are_one() -> None:
    found = asked({"temperature": ("mean", "max"), "fish": ("count",)})
    keys = ["a", None, "a"]
    replies = [
        reply(key=keys, rows=[2, 1, 3], temperature_sum=[1.0, 7.0, 2.0], temperature_count=[2, 1, 1], fish_count=[0, 1, 2]),
        reply(key=keys, rows=[2, 1, 3], temperature_max=[0.5, 7.0, 2.0]),
    ]
    merged = found.merge(replies)
    assert merged.rows == 6
    reduction = Reduction(Aggregate(by=("station",), columns={"temperature": ("mean", "max"), "fish": ("count",)}), SCHEMA)
    assert merged.table.schema.equals(reduction.partial_schema)
    assert reduction.finish(merged.table).to_pylist() == [
        {"station": "a", "temperature_mean": 1.0, "temperature_max": 2.0, "fish_count": 2},
        {"station": None, "temperature_mean": 7.0, "temperature_max": 7.0, "fish_count": 1},
    ]


def test_a_group_without_values_has_no_sum_even_if_the_server_says_zero() -> None:
    found = asked({"fish": ("sum",)})
    merged = found.merge([reply(key=["a", "b"], rows=[1, 1], fish_sum=[0, 0], fish_count=[0, 1])])
    assert merged.table["sum(fish)"].to_pylist() == [None, 0]


def test_integer_sums_may_come_as_floats_while_they_are_exact() -> None:
    found = asked({"fish": ("sum",)})
    assert found.merge([reply(key=["a"], rows=[1], fish_sum=[12.0], fish_count=[2])]).table["sum(fish)"].to_pylist() == [12]
    for inexact in (0.5, 2.0**53):
        with pytest.raises(LoadError, match="has double in 'fish_sum'"):
            found.merge([reply(key=["a"], rows=[1], fish_sum=[inexact], fish_count=[2])])


def test_a_table_that_changed_between_two_requests_is_asked_again() -> None:
    found = asked({"fish": ("min", "max")})
    with pytest.raises(Transient, match="changed between two requests of one aggregate: 1 and 2 rows"):
        found.merge([reply(key=["a"], rows=[1], fish_min=[0]), reply(key=["a"], rows=[2], fish_max=[3])])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"key": ["a"], "fish_count": [1]}, r"has no column '\*', only '', 'fish_count'"),
        ({"key": ["a"], "rows": [1]}, "has no column 'fish_count'"),
        ({"key": [1], "rows": [1], "fish_count": [1]}, "has int64 in '', which is no string"),
        ({"key": ["a"], "rows": [1], "fish_count": ["1"]}, "has string in 'fish_count', which is no int64"),
    ],
)
def test_an_unexpected_reply_is_an_error(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        asked({"fish": ("count",)}).merge([reply(**columns)])


def test_an_empty_table_has_no_groups() -> None:
    nothing = pa.table({"": pa.array([], pa.string()), "*": pa.array([], pa.int64()), "fish_count": pa.array([], pa.int64())})
    merged = asked({"fish": ("count",)}).merge([nothing])
    assert (merged.rows, merged.table.num_rows) == (0, 0)


CASTS = pa.Table.from_pylist(
    [
        {
            "station": [None, "a", "b", "it's"][i % 4],
            "level": i % 3 - 1,
            "temperature": None if i % 5 == 0 else i / 8,
            "fish": None if i % 7 == 0 else i - 500,
            "time": 1_700_000_000_000_000 + i,
            "tagged": i % 2 == 0,
        }
        for i in range(1_000)
    ],
    schema=SCHEMA,
)


@pytest.fixture(scope="module")
def client() -> Iterator[tuple[OdpClient, str]]:
    with odp_server({"casts": CASTS}) as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "ODP_API_KEY", API_KEY)
        yield OdpClient(server.url), server.table_id("casts")


@pytest.mark.parametrize("by", ["station", "level"])
@pytest.mark.parametrize("condition", [None, "(temperature > 3 or fish < -400) and station != 'b' and time >= '2023-11-14'"])
def test_the_server_and_the_workers_come_to_the_same(client: tuple[OdpClient, str], by: str, condition: str | None) -> None:
    columns = {"temperature": ALL, "fish": ALL, "time": ("min", "max"), "tagged": ("count",)}
    transform = spec.Transform(filter=condition, aggregate=Aggregate(by=(by,), columns=columns))
    found = server_aggregate(SOURCE, transform, SCHEMA)
    assert isinstance(found, ServerAggregate)
    query, values = (found.filter.text, found.filter.vars) if found.filter else (None, {})
    replies = [
        wire.groups(client[0], client[1], query=query, values=values, by=found.by, reduce=request) for request in found.requests
    ]
    client[0].finish()
    chain, partial = compile_chain(transform, SCHEMA), Partial(transform.aggregate, SCHEMA)
    for batch in CASTS.to_batches(max_chunksize=300):
        for chunk in chain.apply(batch):
            partial.add(chunk)
    merged = found.merge(replies)
    assert merged.rows == chain.rows_out
    reduction = Reduction(transform.aggregate, SCHEMA)
    assert reduction.finish(merged.table).to_pylist() == reduction.finish(partial.table()).to_pylist()
