"""The type that holds the values of two others without losing any, where there is one."""

import pyarrow as pa

_UNITS = ("s", "ms", "us", "ns")
_EXACT_IN_FLOAT = {16: 8, 32: 16, 64: 32}
"""Bits of the widest integer of which a float of so many bits holds every value; for powers of two."""


def widen(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The narrowest such type; None when there is none. Dictionaries count as the type of their values."""
    if one == other:
        return one
    kinds = pa.types
    for kind, rest in ((one, other), (other, one)):
        if kinds.is_dictionary(kind):
            return widen(kind.value_type, rest)
        if kinds.is_null(kind):
            return rest
        if kinds.is_date(kind) and kinds.is_timestamp(rest) and rest.tz is None:
            return rest
        if kinds.is_integer(kind) and kinds.is_floating(rest):
            return rest if kind.bit_width <= _EXACT_IN_FLOAT[rest.bit_width] else None
    if kinds.is_integer(one) and kinds.is_integer(other):
        return _integers(one, other)
    if kinds.is_floating(one) and kinds.is_floating(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    if _is_text(one) and _is_text(other):
        return pa.large_string()
    if _is_bytes(one) and _is_bytes(other):
        return pa.large_binary()
    if kinds.is_date(one) and kinds.is_date(other):
        return pa.date32()
    if kinds.is_timestamp(one) and kinds.is_timestamp(other) and (one.tz is None) == (other.tz is None):
        return pa.timestamp(_finer(one, other), one.tz if one.tz == other.tz else "UTC")
    if kinds.is_time(one) and kinds.is_time(other):
        unit = _finer(one, other)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if kinds.is_decimal(one) and kinds.is_decimal(other):
        return _decimals(one, other)
    return _nested(one, other)


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of a dictionary's values; any other type is itself."""
    return plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def _integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_signed_integer(one) == pa.types.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    signed, unsigned = (one, other) if pa.types.is_signed_integer(one) else (other, one)
    bits = max(signed.bit_width, 2 * unsigned.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)


def _decimals(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    scale = max(one.scale, other.scale)
    precision = max(one.precision - one.scale, other.precision - other.scale) + scale
    return pa.decimal128(precision, scale) if precision <= 38 else None


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = pa.types
    if kinds.is_list(one) and kinds.is_list(other):
        item = widen(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    if not (kinds.is_struct(one) and kinds.is_struct(other)):
        return None
    fields: dict[str, pa.DataType] = {}
    for each in (*one, *other):
        joined = widen(fields.get(each.name, pa.null()), each.type)
        if joined is None:
            return None
        fields[each.name] = joined
    return pa.struct(list(fields.items()))


def _finer(one: pa.DataType, other: pa.DataType) -> str:
    return _UNITS[max(_UNITS.index(one.unit), _UNITS.index(other.unit))]


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind) or types.is_fixed_size_binary(kind)
    )
