"""Which types an output may have, how others become one of these without losing a value, and which metadata stays.

Kept: signed integers, float and double, bool, string, binary, date, decimal up to 38 digits, and times of day and timestamps
in milli- or microseconds. Unsigned integers up to 32 bits become the next wider signed type, seconds become milliseconds,
half floats become floats; dictionaries, large and fixed-size types become the plain type of their values.
Nanoseconds become microseconds: Delta and Iceberg tables have nothing finer. A value that is finer is an error, never cut off.
Refused: uint64, which no signed type holds, and what has no counterpart in a Parquet or SQL table.
"""

import json
from collections.abc import Sequence

import pyarrow as pa

from odp_loader.errors import InvalidLoad
from odp_loader.sink import folders, geometry
from odp_loader.sources import FILTER_COLUMNS

_REPLACED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.large_string(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
    pa.time64("ns"): pa.time64("us"),
}
_UNITS = {"s": "ms", "ms": "ms", "us": "us", "ns": "us"}
_NUMBERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64())
_KEPT = frozenset([*_NUMBERS, pa.bool_(), pa.string(), pa.binary(), pa.date32(), pa.time32("ms"), pa.time64("us")])
_MOST_DIGITS = 38

PANDAS_ATTRS = b"PANDAS_ATTRS"
"""The key of the schema's metadata from which pandas fills `DataFrame.attrs` (pandas/io/parquet.py)."""
_NOT_ATTRIBUTES = frozenset([PANDAS_ATTRS, geometry.KEY, b"pandas", b"ARROW:schema", FILTER_COLUMNS])
_FIELD_ID = b"PARQUET:field_id"
"""Numbers of another file's columns. PyIceberg refuses to add files that have some."""


def check_schema(schema: pa.Schema, partition_on: Sequence[str] = ()) -> pa.Schema:
    """The schema of the dataset that rows of `schema` become, partitionOn columns included.

    Columns are nullable, because no source vouches for the opposite. Text that is marked as geometry becomes WKB. The
    metadata of columns and table is kept, once more as PANDAS_ATTRS, and GeoParquet's `geo` is brought up to date. Checking
    a checked schema changes nothing.
    Raises InvalidLoad with one line for each column that cannot be stored.
    """
    problems = [_problem(field) for field in schema if stored_type(field.type) is None]
    problems += [f"column {name!r} exists {n} times: give each another name" for name, n in _repeated(schema.names).items()]
    if "" in schema.names:
        problems.append("a column has an empty name: give it one")
    if problems:
        raise InvalidLoad("\n".join(problems))
    fields = [pa.field(field.name, stored_type(field.type), metadata=_field_metadata(field)) for field in schema]
    geo = geometry.describe(pa.schema(fields, metadata=schema.metadata))
    if geo is not None:
        fields = [field.with_type(pa.binary()) if field.name in geo["columns"] else field for field in fields]
    stored = pa.schema(fields)
    folders.check_columns(stored, partition_on)
    return stored.with_metadata(_metadata(schema, fields, geo))


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The columns of `schema` with the types it says, without copying those that have them; geometries may stay text.

    Raises InvalidLoad when a value does not survive the conversion.
    """
    geometries = geometry.extents(schema)
    columns = []
    for field in schema:
        column = batch.column(field.name)
        target = stored_type(column.type) if field.name in geometries else field.type
        columns.append(column if column.type == target else _cast(column, target, field.name))
    return pa.RecordBatch.from_arrays(columns, names=schema.names)


def stored_type(given: pa.DataType) -> pa.DataType | None:
    """The type that values of type `given` are stored as; None when there is none that holds them all."""
    types = pa.types
    if types.is_dictionary(given):
        return stored_type(given.value_type)
    if types.is_timestamp(given):
        return pa.timestamp(_UNITS[given.unit], given.tz)
    if types.is_decimal(given):
        fits = given.precision <= _MOST_DIGITS and 0 <= given.scale <= given.precision
        return pa.decimal128(given.precision, given.scale) if fits else None
    if types.is_fixed_size_binary(given):
        return pa.binary()
    return given if given in _KEPT else _REPLACED.get(given)


def _problem(field: pa.Field) -> str:
    types = pa.types
    if types.is_null(field.type):
        why = "has no type, because none of its values is known"
    elif types.is_uint64(field.type):
        why = "is uint64, whose largest values fit into no type that table formats share"
    elif types.is_nested(field.type):
        why = f"is nested ({field.type}); an output holds plain columns"
    else:
        why = f"is {field.type}, which Parquet readers do not share"
    return f"column {field.name!r} {why}: leave it out with `columns`, or give it another type with `map`"


def _repeated(names: Sequence[str]) -> dict[str, int]:
    return {name: count for name in dict.fromkeys(names) if (count := names.count(name)) > 1}


def _cast(column: pa.Array, target: pa.DataType, name: str) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.cast(target)
    except pa.ArrowInvalid as error:
        advice = f"df[{name!r}].dt.floor('us')" if pa.types.is_temporal(target) else "another type"
        raise InvalidLoad(
            f"column {name!r} does not fit into {target} without loss ({error}): change it with `map`, to {advice} for example"
        ) from None


def _field_metadata(field: pa.Field) -> dict[bytes, bytes] | None:
    return {key: value for key, value in (field.metadata or {}).items() if key != _FIELD_ID} or None


def _metadata(schema: pa.Schema, fields: Sequence[pa.Field], geo: geometry.Document | None) -> dict[bytes, bytes] | None:
    """What the footer says about the table. The `pandas` entry of a file that was read goes: it describes that file's index."""
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key not in _NOT_ATTRIBUTES}
    attributes = {**_attributes(schema), **_decoded(metadata)}
    if columns := {field.name: _decoded(field.metadata) for field in fields if field.metadata}:
        attributes["columns"] = columns
    if attributes:
        metadata[PANDAS_ATTRS] = json.dumps(attributes).encode()
    if geo is not None:
        metadata[geometry.KEY] = json.dumps(geo).encode()
    return metadata or None


def _attributes(schema: pa.Schema) -> dict[str, object]:
    """The `DataFrame.attrs` that the source had already."""
    try:
        found = json.loads((schema.metadata or {}).get(PANDAS_ATTRS, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _decoded(metadata: dict[bytes, bytes]) -> dict[str, str]:
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}
