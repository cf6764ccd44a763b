"""What pandas is shown of Arrow, and what comes back: no value, type or attribute changes on the way."""

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_loader.transform.frames import UnfitFrame, fitted, frame_of, rows_of

UTC = datetime.UTC
BIG = 2**60 + 1
KINDS: dict[pa.DataType, Any] = {
    pa.int8(): -5,
    pa.int64(): BIG,
    pa.uint64(): 2**64 - 1,
    pa.float32(): 1.5,
    pa.float64(): 0.1,
    pa.bool_(): True,
    pa.string(): "Ålesund",
    pa.large_string(): "x",
    pa.binary(): b"\x00\xff",
    pa.date32(): datetime.date(1, 1, 1),
    pa.date64(): datetime.date(2024, 2, 29),
    pa.time32("ms"): datetime.time(23, 59, 59, 999_000),
    pa.time64("us"): datetime.time(1, 2, 3, 4),
    pa.decimal128(20, 4): decimal.Decimal("12345.6789"),
    pa.timestamp("s"): datetime.datetime(9999, 12, 31),
    pa.timestamp("us"): datetime.datetime(1, 1, 1, 0, 0, 0, 1),
    pa.timestamp("ns", "UTC"): datetime.datetime(2024, 1, 1, tzinfo=UTC),
    pa.timestamp("us", "Europe/Oslo"): datetime.datetime(2024, 7, 1, tzinfo=UTC),
    pa.timestamp("ms", "+02:00"): datetime.datetime(2024, 7, 1, tzinfo=UTC),
}


def one(values: list[Any], kind: pa.DataType) -> pa.RecordBatch:
    schema = pa.schema([pa.field("x", kind, metadata={"unit": "m"})], metadata={"title": "t", "pandas": "{}"})
    return pa.RecordBatch.from_arrays([pa.array(values, kind)], schema=schema)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("nulls", ["none", "some", "all", "empty"])
def test_every_type_comes_back_as_it_was(kind: pa.DataType, nulls: str) -> None:
    value = KINDS[kind]
    rows = one({"none": [value, value], "some": [None, value], "all": [None, None], "empty": []}[nulls], kind)
    again = rows_of(frame_of(rows), rows.schema)
    assert again.columns == rows.columns
    assert again.schema.field("x").equals(rows.schema.field("x"), check_metadata=True)
    assert again.schema.metadata == {b"title": b"t"}


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_never_rounded(values: list[int | None]) -> None:
    rows = one(values, pa.int64())
    frame = frame_of(rows)
    assert frame["x"].dtype == ("Int64" if None in values else "int64")
    assert rows_of(frame, rows.schema).column("x").to_pylist() == values


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        ([1, 2], pa.int32(), "int32"),
        ([1, None], pa.int32(), "Int32"),
        ([True], pa.bool_(), "bool"),
        ([True, None], pa.bool_(), "boolean"),
        ([1.5, None], pa.float32(), "float32"),
        (["a", None], pa.string(), "object"),
        ([datetime.date(2024, 1, 1)], pa.date32(), "object"),
        ([None], pa.timestamp("us", "UTC"), "datetime64[us, UTC]"),
        ([0], pa.timestamp("ms"), "datetime64[ms]"),
    ],
)
def test_pandas_sees_its_plain_types_where_they_can_hold_the_values(values: list[Any], kind: pa.DataType, dtype: str) -> None:
    assert str(frame_of(one(values, kind))["x"].dtype) == dtype


def test_a_dictionary_is_its_values() -> None:
    rows = one(["a", None, "a"], pa.dictionary(pa.int8(), pa.string()))
    again = rows_of(frame_of(rows), rows.schema)
    assert frame_of(rows)["x"].tolist() == ["a", None, "a"]
    assert again.column("x") == pa.array(["a", None, "a"])


def test_nan_and_null_of_a_float_are_one_in_pandas_and_come_back_as_null() -> None:
    rows = one([1.0, float("nan"), None], pa.float64())
    assert rows_of(frame_of(rows), rows.schema).column("x").to_pylist() == [1.0, None, None]


def test_a_frame_may_be_written_to_without_changing_the_rows() -> None:
    rows = pa.record_batch({"x": pa.array([1.0, 2.0])})
    frame = frame_of(rows)
    frame.loc[0, "x"] = 9.0
    frame["x"].to_numpy()[1] = 8.0
    assert rows.column("x").to_pylist() == [1.0, 2.0]


def test_metadata_of_pandas_in_a_schema_makes_no_index() -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"x": [1, 2]}, index=pd.Index([5, 6], name="station")))
    rows = table.to_batches()[0]
    assert list(frame_of(rows).columns) == ["x", "station"]


def test_named_levels_of_an_index_become_columns_and_others_are_dropped() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "station": ["a", "b", "a"], "year": [1, 1, 2]})
    assert rows_of(frame[frame["x"] > 1], pa.schema({})).schema.names == ["x", "station", "year"]
    grouped = frame.groupby(["station", "year"])[["x"]].mean()
    assert rows_of(grouped, pa.schema({})).to_pydict() == {"station": ["a", "a", "b"], "year": [1, 2, 1], "x": [1.0, 3.0, 2.0]}
    assert rows_of(frame.set_index("station", drop=False), pa.schema({})).schema.names == ["x", "station", "year"]
    assert rows_of(frame.set_index([pd.Index([7, 8, 9]), "station"]), pa.schema({})).schema.names == ["station", "x", "year"]


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        (pd.Series(pd.Categorical(["a", None])), pa.string()),
        (pd.Series(["a"], dtype="string"), pa.string()),
        (pd.Series([1, None], dtype="Int16"), pa.int16()),
        (pd.Series([1.5, None], dtype="Float32"), pa.float32()),
        (pd.Series([1], dtype=pd.ArrowDtype(pa.uint8())), pa.uint8()),
        (pd.to_datetime(pd.Series(["2024-01-01"])), pa.timestamp("ns")),
        (pd.Series([np.timedelta64(1, "s")]), pa.duration("ns")),
        (pd.Series([{"a": 1}]), pa.struct({"a": pa.int64()})),
    ],
)
def test_columns_of_a_new_name_have_the_type_that_pandas_gave_them(series: "pd.Series[Any]", kind: pa.DataType) -> None:
    assert rows_of(pd.DataFrame({"new": series}), pa.schema({"x": pa.int8()})).schema.field("new").type == kind


def test_a_changed_column_keeps_its_new_type() -> None:
    like = pa.schema({"number": pa.int32(), "day": pa.timestamp("us"), "text": pa.string()})
    frame = pd.DataFrame({"number": [0.5], "day": [datetime.date(2024, 1, 1)], "text": [7]})
    assert rows_of(frame, like).schema.types == [pa.float64(), pa.date32(), pa.int64()]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({0: [1]}), "a column whose name is not text: 0"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of the name 'a'"),
        (pd.DataFrame({"a": [1]}).groupby("a").agg({"a": ["min"]}), "columns with several levels"),
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame({"a": [1, "b"]}), "a column 'a' of type object that is no Arrow column: .*'b'"),
        (pd.DataFrame({"a": pd.period_range("2024", periods=2, freq="M")}), r"a column 'a' of type period\[M\] .* no such type"),
    ],
)
def test_a_frame_that_is_no_table_is_refused(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(UnfitFrame, match=message):
        rows_of(frame, pa.schema({}))


@pytest.mark.parametrize(
    ("values", "found", "wanted", "expected"),
    [
        ([1, None], pa.int64(), pa.float64(), [1.0, None]),
        ([7], pa.int16(), pa.int64(), [7]),
        ([0.5], pa.float32(), pa.float64(), [0.5]),
        ([None, None], pa.null(), pa.timestamp("us", "UTC"), [None, None]),
        ([None], pa.float64(), pa.string(), [None]),
        ([], pa.float64(), pa.string(), []),
        ([datetime.datetime(2024, 1, 1)], pa.timestamp("ns"), pa.timestamp("us"), [datetime.datetime(2024, 1, 1)]),
        ([decimal.Decimal("1.5")], pa.decimal128(2, 1), pa.decimal128(10, 2), [decimal.Decimal("1.50")]),
        (["a"], pa.large_string(), pa.string(), ["a"]),
    ],
)
def test_what_fits_the_first_schema_is_converted(
    values: list[Any], found: pa.DataType, wanted: pa.DataType, expected: list[Any]
) -> None:
    result = fitted(one(values, found), pa.schema({"x": wanted}))
    assert (result.schema.field("x").type, result.column("x").to_pylist()) == (wanted, expected)


@pytest.mark.parametrize(
    ("values", "found", "wanted"),
    [
        ([1.0], pa.float64(), pa.int64()),
        ([BIG], pa.int64(), pa.float64()),
        ([300], pa.int64(), pa.int8()),
        (["1"], pa.string(), pa.int64()),
        ([1], pa.int64(), pa.string()),
        ([True], pa.bool_(), pa.int64()),
        ([1], pa.timestamp("ns"), pa.timestamp("us")),
        ([1], pa.timestamp("us"), pa.timestamp("us", "UTC")),
    ],
)
def test_what_would_change_a_value_or_its_meaning_is_refused(values: list[Any], found: pa.DataType, wanted: pa.DataType) -> None:
    with pytest.raises(UnfitFrame) as refused:
        fitted(one(values, found), pa.schema({"x": wanted}))
    assert str(refused.value).startswith(f"other types than the first result: 'x' is {found}, it was {wanted}")
    assert ("as Int64" in str(refused.value)) == (wanted == pa.int64() and found == pa.float64())


def test_columns_are_put_in_order_and_others_are_named() -> None:
    rows = pa.record_batch({"b": [1], "a": ["x"], "c": [True]})
    assert fitted(rows, pa.schema({"a": pa.string(), "b": pa.int64(), "c": pa.bool_()})).schema.names == ["a", "b", "c"]
    with pytest.raises(UnfitFrame, match=r"other columns than the first result: it lacks d; it has besides b, c$"):
        fitted(rows, pa.schema({"a": pa.string(), "d": pa.int64()}))
