"""A predicate in ODP's filter language, joined to the user's own filter."""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from odp_loader.errors import InvalidLoad
from odp_loader.partition import Predicate, Scalar
from odp_loader.planning.histogram import Buckets

_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_BOUND_TYPES = (int, float, str, datetime.datetime, datetime.date)


@dataclass(frozen=True, slots=True)
class OdpQuery:
    """What one request of the SDK says: `select(filter, vars=vars)`, or `aggregate(group_by, filter, vars=vars)`."""

    filter: str | None
    """None when all rows are meant."""
    vars: Mapping[str, Any]
    """Values of the `$name`s in `filter` and `group_by`."""
    group_by: str | None = None


def odp_filter(predicate: Predicate, user_filter: str | None = None, user_vars: Mapping[str, Any] | None = None) -> OdpQuery:
    """The rows of `predicate` that also fulfil the user's filter.

    The user's filter is put into parentheses, because ODP's `and` and `or` have one precedence. Bounds travel as variables
    whose names the user has not taken. Raises InvalidLoad for a filter with `?`, whose values have no names, and TypeError
    for a bound that is no plain Python value, which the SDK would send wrongly or not at all.
    """
    return _query(predicate, (), user_filter, user_vars or {})


def odp_buckets(buckets: Buckets, user_filter: str | None = None, user_vars: Mapping[str, Any] | None = None) -> OdpQuery:
    """The same for a question of a histogram: `group_by` is `bucket(key, $edge0, $edge1, ...)`. Raises as `odp_filter` does."""
    return _query(buckets.predicate, buckets.edges, user_filter, user_vars or {})


def _query(predicate: Predicate, edges: tuple[Scalar, ...], user_filter: str | None, user_vars: Mapping[str, Any]) -> OdpQuery:
    if user_filter is not None and "?" in _STRING.sub("", user_filter):
        raise InvalidLoad(f"filter: `?` has no value here; write a $name and give it a value in vars: {user_filter}")
    taken = {*user_vars, *re.findall(r"\$([A-Za-z_]\w*)", user_filter or "")}
    bounds: dict[str, Scalar] = {}

    def variable(name: str, value: Scalar) -> str:
        while name in taken:
            name += "_"
        bounds[name] = _plain(value)
        return f"${name}"

    condition = _condition(predicate, variable)
    group_by = None
    if edges:
        group_by = f"bucket({predicate.column}, {', '.join(variable(f'edge{i}', edge) for i, edge in enumerate(edges))})"
    if user_filter is not None and condition is not None:
        condition = f"({user_filter}) and ({condition})"
    return OdpQuery(condition if condition is not None else user_filter, {**user_vars, **bounds}, group_by)


def _condition(predicate: Predicate, variable: Callable[[str, Scalar], str]) -> str | None:
    """The predicate alone; None when it holds for every row.

    Of the two comparisons in `nan` one is true for every number, both are false for NaN and both null for null. `not` makes
    that false, true and null, and a row whose condition is null is not selected.
    """
    key = predicate.column
    match predicate.kind:
        case "everything":
            return None
        case "null":
            return f"{key} is null"
        case "nan":
            zero = variable("zero", 0.0)
            return f"not ({key} < {zero} or {key} >= {zero})"
    if predicate.low is None and predicate.high is None:
        raise ValueError(f'a range of "{key}" without a bound would hold nulls too: plan "everything" instead')
    sides = []
    if predicate.low is not None:
        sides.append(f"{key} >= {variable('low', predicate.low)}")
    if predicate.high is not None:
        sides.append(f"{key} < {variable('high', predicate.high)}")
    return " and ".join(sides)


def _plain(bound: Scalar) -> Scalar:
    if type(bound) not in _BOUND_TYPES or bound != bound:
        raise TypeError(f"a bound must be a plain int, float, str, datetime or date, not {bound!r} of {type(bound).__name__}")
    return bound
