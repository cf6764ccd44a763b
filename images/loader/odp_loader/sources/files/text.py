"""What the texts of a column mean: finds the narrowest type that all of them fit, and turns them into it, by the same rules.

Nothing is guessed from a sample, and nothing is cut off: a column whose texts do not all fit one of the types stays text.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None")
"""Texts that stand for null in a column that is not text. In one that is, the empty text alone does."""
_ZONED = pa.timestamp("us", "UTC")
_LADDER = (pa.null(), pa.bool_(), pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), _ZONED)
"""Tried in this order. Times have microseconds: a text with a finer one stays text, because Arrow's nanoseconds end in 1677 and
2262, and beyond that its parser answers a wrong time."""
_LARGEST_EXACT = 2**53
"""Of the integers that a float64 holds without gaps."""
_LONGEST_SHOWN = 40
_WHOLE_NUMBER = r"^[+-]?\d+$"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What some texts turned out to be."""

    type: pa.DataType
    wide: bool = False
    """Integers of which a float would lose digits."""

    def __or__(self, other: "Meaning") -> "Meaning":
        """What both together are."""
        one, two = self.type, other.type
        if one == two:
            return Meaning(one, self.wide or other.wide)
        if pa.types.is_null(one) or pa.types.is_null(two):
            return other if pa.types.is_null(one) else self
        pair = {one, two}
        if pair == {pa.int64(), pa.float64()} and not (self.wide or other.wide):
            return Meaning(pa.float64())
        if pair == {pa.date32(), pa.timestamp("us")}:
            return Meaning(pa.timestamp("us"))
        return Meaning(pa.string())


class Misfit(Exception):
    """A text that stands for no value of a type."""

    def __init__(self, place: int, text: str) -> None:
        super().__init__(place, text)
        self.place = place
        """0-based, in the texts that were looked at."""
        self.text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def meaning(texts: pa.StringArray, known: Meaning) -> Meaning:
    """What `texts` are, together with others that are `known`."""
    if pa.types.is_string(known.type):
        return known
    for kind in (known.type, *_LADDER):
        if (values := _parsed(texts, kind)) is not None:
            return known | Meaning(kind, kind == pa.int64() and _exceeds_float(values))
    return Meaning(pa.string())


def convert(texts: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """The values that the texts stand for; those of `MISSING` are null.

    Raises Misfit when a text stands for no value of this type.
    """
    if pa.types.is_string(kind):
        return _without(texts, pc.equal(texts, ""))
    values = _parsed(texts, kind)
    if values is None:
        raise first_misfit(texts, kind)
    return values


def spoiler(texts: pa.StringArray, before: pa.DataType) -> Misfit:
    """Which of `texts` made text of a column that was `before` until then."""
    known = Meaning(before)
    for kind in (*reversed(_LADDER), before):
        if not pa.types.is_string((known | Meaning(kind)).type) and _parsed(texts, kind) is None:
            return first_misfit(texts, kind)
    raise ValueError("none did")


def first_misfit(texts: pa.StringArray, kind: pa.DataType) -> Misfit:
    """The first text that stands for no value of type `kind`; there must be one."""
    start, stop = 0, len(texts)
    while stop - start > 1:
        middle = (start + stop) // 2
        if _parsed(texts.slice(start, middle - start), kind) is None:
            stop = middle
        else:
            start = middle
    return Misfit(start, texts[start].as_py())


def _parsed(texts: pa.StringArray, kind: pa.DataType) -> pa.Array | None:
    """The values; None when a text does not fit."""
    for attempt in (_as_they_are, _present, _trimmed):
        try:
            return parse_exactly(attempt(texts), kind)
        except pa.ArrowInvalid:
            continue
    return None


def _as_they_are(texts: pa.StringArray) -> pa.StringArray:
    return texts


def _present(texts: pa.StringArray) -> pa.StringArray:
    return _without(texts, pc.is_in(texts, value_set=pa.array(MISSING)))


def _trimmed(texts: pa.StringArray) -> pa.StringArray:
    return _present(pc.utf8_trim_whitespace(texts))


def _without(texts: pa.StringArray, which: pa.BooleanArray) -> pa.StringArray:
    """Null in place of some texts. `if_else` of pyarrow 18.1 would do it too, but makes damaged arrays of sliced ones."""
    return pc.replace_with_mask(texts, which, pa.scalar(None, pa.string()))


def parse_exactly(texts: pa.StringArray, kind: pa.DataType) -> pa.Array:
    """Parse texts that are null or a value, with nothing around it. Raises ArrowInvalid when one is neither."""
    if pa.types.is_null(kind):
        if texts.null_count == len(texts):
            return pa.nulls(len(texts))
        raise pa.ArrowInvalid
    if pa.types.is_boolean(kind):
        lower = pc.utf8_lower(texts)
        if pc.all(pc.is_in(lower, value_set=pa.array(["true", "false", None]))).as_py() is False:
            raise pa.ArrowInvalid
        return pc.equal(lower, "true")
    values = pc.cast(texts, kind)
    if pa.types.is_floating(kind):
        large = pc.greater_equal(pc.abs(values), _LARGEST_EXACT)
        if pc.any(large).as_py() and pc.any(pc.match_substring_regex(texts.filter(large), _WHOLE_NUMBER)).as_py():
            raise pa.ArrowInvalid
    return values


def _exceeds_float(values: pa.Array) -> bool:
    bounds = pc.min_max(values).as_py()
    return any(bound is not None and abs(bound) > _LARGEST_EXACT for bound in bounds.values())
