"""Where to cut a string column whose least and greatest value are all that is known.

Ranges of strings follow binary collation. For UTF-8 that is the order of code points, which is also Python's.
"""

import string
from bisect import bisect_right
from collections.abc import Sequence
from itertools import takewhile

LONGEST_CUT = 256
"""Characters; a longer cut would make the plan grow with the data."""
_CLASSES = (string.digits, string.ascii_uppercase, string.ascii_lowercase)
_PRINTABLE = range(0x20, 0x7F)
_SURROGATES = range(0xD800, 0xE000)
_FINENESS = 8
"""Distinct positions per partition that the interpolation needs."""
_MOST_DIGITS = 16


def text_cuts(minimum: str, maximum: str, parts: int) -> tuple[str, ...]:
    """At most `parts - 1` strings above `minimum` and up to `maximum`, strictly increasing and evenly far apart.

    What follows the common prefix is read as the digits of a number. Its digits are the kinds of characters that occur in
    the two values: between `station_01` and `station_50` only numerals are expected.
    """
    prefix = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(minimum, maximum, strict=False)))
    if minimum >= maximum or len(prefix) > LONGEST_CUT - _MOST_DIGITS:
        return ()
    tails = [value[len(prefix) : len(prefix) + _MOST_DIGITS] for value in (minimum, maximum)]
    alphabet = _alphabet(set("".join(tails)))
    length, low, high = 0, 0, 0
    while length < _MOST_DIGITS and high - low < _FINENESS * parts:
        length += 1
        low, high = (_number(tail, alphabet, length) for tail in tails)
    cuts: list[str] = []
    for i in range(1, parts):
        cut = prefix + _characters(low + (high - low) * i // parts, alphabet, length)
        if (cuts[-1] if cuts else minimum) < cut <= maximum:
            cuts.append(cut)
    return tuple(cuts)


def _alphabet(seen: set[str]) -> Sequence[int]:
    """Code points, in order."""
    kinds = [kind for kind in _CLASSES if seen & set(kind)]
    if seen <= set("".join(kinds)):
        return [ord(character) for kind in kinds for character in kind]
    points = [ord(character) for character in seen]
    if min(points) in _PRINTABLE and max(points) in _PRINTABLE:
        return _PRINTABLE
    return range(min(points), max(points) + 1)


def _number(tail: str, alphabet: Sequence[int], length: int) -> int:
    """The tail's first digits as a number; digit 0 is the end of the string."""
    number = 0
    for i in range(length):
        digit = bisect_right(alphabet, ord(tail[i])) if i < len(tail) else 0
        number = number * (len(alphabet) + 1) + digit
    return number


def _characters(number: int, alphabet: Sequence[int], length: int) -> str:
    """The string up to its first digit 0."""
    base = len(alphabet) + 1
    points: list[int] = []
    for _ in range(length):
        number, digit = divmod(number, base)
        if digit == 0:
            points.clear()
        else:
            points.append(alphabet[digit - 1])
    return "".join(chr(_SURROGATES.stop if point in _SURROGATES else point) for point in reversed(points))
