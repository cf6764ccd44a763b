"""Casts variables to the types of the columns they stand beside, as plain Python values that a request can carry."""

import datetime
import decimal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import pyarrow as pa

from odp_loader.errors import InvalidExpression
from odp_loader.expression import syntax
from odp_loader.expression.comparing import exact_value, placed_beside
from odp_loader.expression.constants import Value
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.moments import clock_nanoseconds, nanoseconds
from odp_loader.expression.plan import Constant
from odp_loader.expression.resolver import Resolver, Variables
from odp_loader.expression.syntax import Expression, Node, walk

_EPOCH = datetime.datetime(1970, 1, 1)


@overload
def bind(expression: Expression, schema: pa.Schema, variables: Mapping[str, object]) -> dict[str, Any]: ...
@overload
def bind(expression: Expression, schema: pa.Schema, variables: Sequence[object]) -> list[Any]: ...
def bind(expression: Expression, schema: pa.Schema, variables: Variables) -> dict[str, Any] | list[Any]:
    """The variables of an expression as plain Python values, each in the type of the column it is compared with.

    "2024-01-01T00:00:00Z" becomes a datetime: in UTC beside a column with a time zone, without one otherwise. The result is a
    list for `?`, a dict for `$name`; variables that the expression does not name are left out. A function that is not known
    here passes, because another evaluator may know it. Raises InvalidExpression for an unknown column, a missing variable, and
    a value that cannot be compared with its column.
    """
    resolver = Resolver(schema, variables)
    given: dict[str | int, Value] = {}
    settled: dict[str | int, object] = {}
    try:
        for node in walk(expression.root):
            if isinstance(node, syntax.Column):
                resolver.column(node)
            elif isinstance(node, syntax.Variable):
                given[node.key] = resolver.value(node)
        for variable, type_ in _companions(expression.root, resolver):
            value = _cast(given[variable.key], type_, variable)
            if settled.setdefault(variable.key, value) != value or type(settled[variable.key]) is not type(value):
                raise Fault("is compared with columns of different types; use two variables", variable.position)
    except Fault as fault:
        raise InvalidExpression(fault.message, expression.text, fault.position) from None
    bound = {**given, **settled}
    return {str(key): value for key, value in bound.items()} if isinstance(variables, Mapping) else list(bound.values())


def _companions(root: Node, resolver: Resolver) -> Iterator[tuple[syntax.Variable, pa.DataType]]:
    """Each variable with the type of what it stands beside, where that is known."""
    for node in walk(root):
        match node:
            case syntax.Comparison() | syntax.Arithmetic():
                beside = [(node.left, node.right), (node.right, node.left)]
            case syntax.Call() if node.name.lower() in ("coalesce", "bucket"):
                typed = next((part for part in node.arguments if not isinstance(part, syntax.Variable)), None)
                beside = [(part, typed) for part in node.arguments if typed is not None]
            case _:
                continue
        for variable, other in beside:
            if isinstance(variable, syntax.Variable) and not isinstance(other, syntax.Variable):
                type_ = _type_of(other, resolver)
                if type_ is not None:
                    yield variable, type_


def _type_of(node: Node, resolver: Resolver) -> pa.DataType | None:
    try:
        return resolver.plan(node).type
    except Fault:
        if any(isinstance(part, syntax.Call) for part in walk(node)):
            return None
        raise


def _cast(given: Value, type_: pa.DataType, variable: syntax.Variable) -> object:
    kind = kind_of(type_)
    if kind is Kind.NULL:
        return given
    constant = Constant(given, variable.position, variable=variable.key)
    placed = placed_beside(constant, type_)
    value = exact_value(constant, kind)
    match kind:
        case Kind.TIMESTAMP | Kind.DATE:
            assert isinstance(value, str | datetime.date)
            ns = nanoseconds(value, getattr(type_, "tz", None))
            if kind is Kind.DATE and not placed.side:
                return (_EPOCH + _duration(ns, variable)).date()
            zone = datetime.UTC if getattr(type_, "tz", None) else None
            return (_EPOCH + _duration(ns, variable)).replace(tzinfo=zone)
        case Kind.TIME:
            assert isinstance(value, str | datetime.time)
            return (_EPOCH + _duration(clock_nanoseconds(value), variable)).time()
        case Kind.INTEGER | Kind.FLOAT if not placed.side:
            return placed.ordinal
    return float(value) if isinstance(value, decimal.Decimal) else value


def _duration(ns: int, variable: syntax.Variable) -> datetime.timedelta:
    if ns % 1000:
        raise Fault("is finer than a microsecond, which is the finest that a variable can be", variable.position)
    return datetime.timedelta(microseconds=ns // 1000)
