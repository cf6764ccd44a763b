"""Record batches as pandas frames and back, without losing what pandas has no plain type for."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa

NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
"""With nulls, pandas would turn these into floats, which corrupts integers above 2**53, or into objects."""


class UnfitFrame(Exception):
    """A frame that is no table of named, typed columns; the message says why, for whoever wrote the function that made it."""


def frame_of(rows: pa.RecordBatch) -> pd.DataFrame:
    """The rows as a frame of its own memory, which may be written to.

    Types are pandas' plain ones; integers and booleans that hold nulls are its nullable ones (`Int64`, `boolean`). Strings,
    dates, times of day, decimals and binaries are Python objects, None for null. Timestamps keep unit and zone. A float's null
    is NaN. Categories are their values.
    """
    return pd.DataFrame({name: _series(column) for name, column in zip(rows.schema.names, rows.columns, strict=True)}, copy=True)


def rows_of(frame: pd.DataFrame, like: pa.Schema) -> pa.RecordBatch:
    """The frame's columns, and the named levels of its index, as Arrow; an unnamed index is dropped.

    pandas keeps several Arrow types as the same objects (decimals of any precision, strings, dates, ...): a column takes the
    type it has in `like` where both are of such a family. It keeps its attributes there too. A plain NaN comes back as null,
    as pandas writes it to Parquet. Raises UnfitFrame.
    """
    frame = _without_index(frame)
    fields, arrays = [], []
    for name, series in frame.items():
        known = like.field(name) if name in like.names else None
        array = _array(str(name), series)
        if known is not None and _same_objects(array.type, known.type):
            array = _cast(array, known.type)
        fields.append(pa.field(str(name), array.type, metadata=known.metadata if known is not None else None))
        arrays.append(array)
    attributes = {key: value for key, value in (like.metadata or {}).items() if key != b"pandas"}
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, attributes or None))


def fitted(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows with exactly this schema, in its order of columns.

    Values are converted within a family only and only without loss: integers to floats or to wider integers, units of time,
    nothing but nulls to anything. Raises UnfitFrame with the columns and both types.
    """
    missing = [name for name in schema.names if name not in rows.schema.names]
    unknown = [name for name in rows.schema.names if name not in schema.names]
    if missing or unknown:
        said = [f"{words} {', '.join(names)}" for words, names in (("it lacks", missing), ("it has besides", unknown)) if names]
        raise UnfitFrame(f"other columns than the first result: {'; '.join(said)}")
    arrays, changed = [], []
    for field in schema:
        array = rows.column(field.name)
        if array.null_count == len(array):
            array = pa.nulls(len(array), field.type)
        elif _converts(array.type, field.type):
            array = _cast(array, field.type)
        if array.type != field.type:
            floats = _types.is_floating(array.type) and _types.is_integer(field.type)
            hint = " (pandas makes floats of integers with missing values; return them as Int64)" if floats else ""
            changed.append(f"'{field.name}' is {array.type}, it was {field.type}{hint}")
        arrays.append(array)
    if changed:
        raise UnfitFrame(f"other types than the first result: {'; '.join(changed)}")
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _series(column: pa.Array) -> "pd.Series[Any]":
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    mapper = NULLABLE.get if column.null_count else None
    series: pd.Series[Any] = column.to_pandas(types_mapper=mapper)
    return series


def _without_index(frame: pd.DataFrame) -> pd.DataFrame:
    if isinstance(frame.columns, pd.MultiIndex):
        raise UnfitFrame("columns with several levels; join their names into one, as in frame.columns.map('_'.join)")
    if odd := [name for name in frame.columns if not isinstance(name, str)]:
        raise UnfitFrame(f"a column whose name is not text: {odd[0]!r}")
    if frame.columns.has_duplicates:
        raise UnfitFrame(f"two columns of the name '{frame.columns[frame.columns.duplicated()][0]}'")
    named = [name for name in frame.index.names if isinstance(name, str) and name not in frame.columns]
    if named:
        frame = frame.reset_index(level=named)
    if frame.columns.empty:
        raise UnfitFrame("no columns")
    return frame


def _array(name: str, series: "pd.Series[Any]") -> pa.Array:
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        words = str(error)[:300]
    else:
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if not isinstance(array.type, pa.BaseExtensionType):
            return array
        words = "Arrow has no such type"
    raise UnfitFrame(f"a column '{name}' of type {series.dtype} that is no Arrow column: {words}")


def _cast(array: pa.Array, to: pa.DataType) -> pa.Array:
    try:
        return array.cast(to)
    except pa.ArrowInvalid:  # it would lose something; whoever compares the types says so
        return array


_types = pa.types
_OBJECTS: tuple[Callable[[pa.DataType], bool], ...] = (
    _types.is_decimal,
    lambda kind: _types.is_string(kind) or _types.is_large_string(kind) or _types.is_string_view(kind),
    lambda kind: _types.is_binary(kind) or _types.is_large_binary(kind) or _types.is_fixed_size_binary(kind),
    _types.is_date,
    _types.is_time,
)


def _same_objects(found: pa.DataType, known: pa.DataType) -> bool:
    """Whether pandas holds both types as the same Python objects, so that it cannot tell one from the other."""
    return _types.is_null(found) or any(family(found) and family(known) for family in _OBJECTS)


def _converts(found: pa.DataType, known: pa.DataType) -> bool:
    numbers = _types.is_integer(found) and (_types.is_integer(known) or _types.is_floating(known))
    floats = _types.is_floating(found) and _types.is_floating(known)
    times = _types.is_timestamp(found) and _types.is_timestamp(known) and found.tz == known.tz
    return numbers or floats or times or _same_objects(found, known)
