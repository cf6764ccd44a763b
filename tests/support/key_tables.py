"""Key columns of all types, what a server may say about them, and which of their rows a predicate means, by pyarrow alone."""

import datetime
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import strategies as st

from odp_loader.partition import Predicate
from odp_loader.planning import Buckets

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float32(), pa.float64()]
TIMESTAMPS = [pa.timestamp(unit, zone) for unit, zone in [("s", None), ("ms", "UTC"), ("us", None), ("us", "UTC"), ("ns", None)]]
TIMESTAMPS += [pa.timestamp("ns", "Europe/Oslo")]
DATES = [pa.date32(), pa.date64()]
STRINGS = [pa.string(), pa.large_string()]
KEY_TYPES = INTEGERS + FLOATS + TIMESTAMPS + DATES + STRINGS
_DAYS = (datetime.date.min - datetime.date(1970, 1, 1)).days, (datetime.date.max - datetime.date(1970, 1, 1)).days
_SPECIAL_TEXT = ["", "'", '"', ".", "a.b", "$low", "$", "\\", "\\'", "?", "null", "\x00", "é", "\uffff", "😀", "z" * 300]


def values_of(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Values as `column` takes them: numbers for times."""
    if pa.types.is_integer(type_):
        limits = np.iinfo(type_.to_pandas_dtype())
        return st.integers(int(limits.min), int(limits.max)) | st.integers(max(0, int(limits.min)), 20)
    if pa.types.is_floating(type_):
        return st.floats(width=type_.bit_width) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5])
    if pa.types.is_timestamp(type_):
        return st.integers(-(2**62), 2**62) | st.integers(1_700_000_000, 1_700_000_100) | st.integers(0, 10)
    if pa.types.is_date(type_):
        return st.integers(*_DAYS) | st.integers(19_000, 19_020)
    printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
    return st.text(max_size=6) | printable | st.sampled_from(_SPECIAL_TEXT)


def column(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """An array of `values_of` and None."""
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(pa.timestamp(type_.unit)).cast(type_)
    if pa.types.is_date(type_):
        return pa.array(values, pa.int32()).cast(pa.date32()).cast(type_)
    return pa.array(values, type_)


def columns(type_: pa.DataType) -> st.SearchStrategy[pa.Array]:
    """Columns with nulls, many equal values, or nothing at all."""
    few = st.lists(values_of(type_), min_size=1, max_size=4).flatmap(lambda pool: st.lists(st.sampled_from(pool), max_size=40))
    many = st.lists(values_of(type_) | st.none(), max_size=40)
    return (few | many).map(lambda values: column(values, type_))


def matching(predicate: Predicate, keys: pa.Array) -> np.ndarray[Any, Any]:
    """Which rows belong to a partition, as a mask; written without anything of the loader's."""
    match predicate.kind:
        case "everything":
            return np.ones(len(keys), bool)
        case "null":
            found = pc.is_null(keys)
        case "nan":
            found = pc.is_nan(keys)
        case "range":
            found = pc.is_valid(keys)
            if predicate.low is not None:
                found = pc.and_kleene(found, pc.greater_equal(keys, pa.scalar(predicate.low, keys.type)))
            if predicate.high is not None:
                found = pc.and_kleene(found, pc.less(keys, pa.scalar(predicate.high, keys.type)))
            if predicate.low is None and predicate.high is None and pa.types.is_floating(keys.type):
                found = pc.and_kleene(found, pc.invert(pc.is_nan(keys)))
    return np.asarray(pc.fill_null(found, False))


def true_statistics(keys: pa.Array, spelling: Callable[[Any, pa.DataType], Any]) -> dict[str, Any]:
    """The entry of `stats` for a column named `key`, as a server that just looked would send it."""
    valid = pc.drop_null(keys)
    if pa.types.is_floating(keys.type):
        valid = valid.filter(pc.invert(pc.is_nan(valid)))
    least, greatest = (None, None) if len(valid) == 0 else (pc.min(valid), pc.max(valid))
    return {
        "name": "key",
        "type": str(keys.type),
        "null_count": keys.null_count,
        "num_values": len(keys) - keys.null_count,
        "min": None if least is None else spelling(least, keys.type),
        "max": None if greatest is None else spelling(greatest, keys.type),
        "metadata": None,
    }


def as_number(value: pa.Scalar, type_: pa.DataType) -> Any:
    """Times as numbers in the column's unit."""
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return value.value
    return value.as_py()


def as_iso(value: pa.Scalar, type_: pa.DataType) -> Any:
    """Times as text, as long as text can say them."""
    if not (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        return value.as_py()
    try:
        return str(value)
    except (ValueError, OverflowError):
        return "+292278994-08-17T07:12:55Z"


def bucket_counts(questions: Sequence[Buckets], keys: pa.Array) -> list[list[int]]:
    """What an honest server answers."""
    answers = []
    for question in questions:
        bounds = [question.predicate.low, *question.edges, question.predicate.high]
        ranges = [Predicate("range", "key", low, high) for low, high in pairwise(bounds)]
        answers.append([int(matching(range_, keys).sum()) for range_ in ranges])
    return answers
