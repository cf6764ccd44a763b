"""What an unquoted word of YAML means to the API server.

kubectl and the API server read YAML through sigs.k8s.io/yaml: go-yaml v2 resolves the word (`goyaml.v2/resolve.go`), the result is
written as JSON, and that JSON is what is validated. So `yes`, `on` and even `y` are booleans, `017` is 15, `1e6` is the integer
1000000, and a timestamp stays a string.
"""

import math
import re

JsonScalar = None | bool | int | float | str

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE = re.compile(r"\.(?:nan|NaN|NAN)|[-+]?\.(?:inf|Inf|INF)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LOOSE_UNDERSCORE = re.compile(r"(?<![0-9])_|_(?![0-9])")
_INT64, _UINT64 = range(-(2**63), 2**63), range(2**64)


def resolve_plain(word: str) -> JsonScalar:
    """The value of an unquoted scalar. Raises ValueError for NaN and infinity, which JSON cannot carry."""
    if word in _WORDS:
        return _WORDS[word]
    if _NOT_FINITE.fullmatch(word):
        raise ValueError(f"{word} cannot be stored in Kubernetes; write it in quotes")
    if word[0] not in "+-.0123456789" or (word[0] == "." and _LOOSE_UNDERSCORE.search(word)):
        return word
    digits = word.replace("_", "")
    if (found := _INTEGER.fullmatch(digits)) and (integer := _integer(found)) is not None:
        return integer
    if _FLOAT.fullmatch(digits) and not math.isinf(number := float(digits)):
        return _number(number)
    return word


def _integer(found: re.Match[str]) -> int | float | None:
    """Go reads base 16, 2, 8 and 10 by prefix, up to 64 bits, of which Kubernetes stores 63 and the sign exactly."""
    sign, *texts = found.groups()
    text, base = next((text, base) for text, base in zip(texts, (16, 2, 8, 10), strict=True) if text is not None)
    value = -int(text, base) if sign == "-" else int(text, base)
    if value in _INT64:
        return value
    return float(value) if value in _UINT64 else None


def _number(value: float) -> int | float:
    """Go writes 1e6 and 1.0 to JSON without a point, which makes integers of them."""
    return int(value) if value.is_integer() and int(value) in _INT64 else value
