"""Arrow types as the expression language sees them: what kind each is, and in which type its values are computed."""

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.functions import Kind

_EXAMPLES: dict[Kind, tuple[pa.DataType, ...]] = {
    Kind.NULL: (pa.null(),),
    Kind.BOOLEAN: (pa.bool_(),),
    Kind.INTEGER: (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    Kind.FLOAT: (pa.float32(), pa.float64()),
    Kind.DECIMAL: (pa.decimal128(1), pa.decimal256(1)),
    Kind.STRING: (pa.string(), pa.large_string()),
    Kind.BINARY: (pa.binary(), pa.large_binary(), pa.binary(1)),
    Kind.TIMESTAMP: (pa.timestamp("s"),),
    Kind.DATE: (pa.date32(),),
    Kind.TIME: (pa.time32("s"), pa.time64("us")),
}
_KINDS = {type_.id: kind for kind, types in _EXAMPLES.items() for type_ in types}

INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
"""Decimal digits that hold any integer of so many bits."""


def kind_of(type_: pa.DataType) -> Kind:
    """What a computed value of this type is."""
    return _KINDS.get(type_.id, Kind.OTHER)


def computed_type(stored: pa.DataType) -> pa.DataType:
    """The type that a column is computed in: without dictionary, view or extension, which no kernel or not every one knows."""
    if isinstance(stored, pa.BaseExtensionType):
        return computed_type(stored.storage_type)
    if pa.types.is_dictionary(stored) or pa.types.is_run_end_encoded(stored):
        return computed_type(stored.value_type)
    if stored == pa.string_view():
        return pa.string()
    if stored == pa.binary_view():
        return pa.binary()
    if pa.types.is_float16(stored):
        return pa.float32()
    return pa.date32() if pa.types.is_date64(stored) else stored


def computed(column: pa.Array) -> pa.Array:
    """A column in its `computed_type`."""
    if isinstance(column.type, pa.BaseExtensionType):
        return computed(column.storage)
    if pa.types.is_run_end_encoded(column.type):
        return computed(pc.run_end_decode(column))
    if pa.types.is_dictionary(column.type):
        return computed(column.dictionary_decode())
    wanted = computed_type(column.type)
    return column if column.type == wanted else column.cast(wanted)


def decimal_type(precision: int, scale: int) -> pa.DataType:
    """A decimal of at least so many digits. Raises ValueError beyond 76."""
    if precision > 76:
        raise ValueError(f"needs {precision} digits, and a decimal has at most 76")
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)


def decimal_of(type_: pa.DataType) -> pa.DataType:
    """The decimal type that holds any value of an integer or decimal type."""
    return type_ if pa.types.is_decimal(type_) else decimal_type(INTEGER_DIGITS[type_.bit_width], 0)
