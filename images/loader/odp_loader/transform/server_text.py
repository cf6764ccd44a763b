"""Writes an expression of ours as a filter that ODP's server reads the same way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from odp_loader.errors import InvalidExpression
from odp_loader.expression import bind, infer, parse, syntax

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset(
    {"and", "or", "not", "is", "null", "none", "true", "false", "within", "contains", "intersect", "intersects", "bucket", "h3"}
)


class Inexpressible(Exception):
    """What the server's language lacks; the message is half a sentence."""


@dataclass(frozen=True, slots=True)
class ServerText:
    """A filter of the server's language."""

    text: str
    vars: Mapping[str, object]
    """Values of its `$name`s, in the types of the columns that they are compared with."""


def is_server_name(name: str) -> bool:
    """Whether the server's language can name such a column (its grammar in odp-sdk 0.26.0, util/exp.py)."""
    return _NAME.match(name) is not None and name.lower() not in _RESERVED


def server_text(text: str, schema: pa.Schema, *, taken: frozenset[str]) -> ServerText:
    """The filter `text` for the server, every part in parentheses, because ODP's `and` and `or` have one precedence level.

    Constants become variables, whose names are none of `taken`: the server's grammar has neither signs nor exponents, and
    variables have a type. Raises InvalidExpression for what is wrong in `text`, Inexpressible for what the server cannot say.
    """
    expression = parse(text)
    infer(expression, schema, {})
    for name in expression.columns:
        if pa.types.is_decimal(schema.field(name).type):
            raise _lacking(f"decimal values, and '{name}' is {schema.field(name).type}")
    writer = _Writer(taken)
    written = writer.write(expression.root)
    try:
        values = bind(parse(written, precedence="odp"), schema, writer.vars)
    except InvalidExpression as error:  # a time finer than a request can carry
        words = error.message
    else:
        assert isinstance(values, dict)
        return ServerText(written, values)
    raise Inexpressible(f"transform.filter cannot be put into the server's language: {words}")


class _Writer:
    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = taken
        self.vars: dict[str, int | float | str] = {}

    def write(self, node: syntax.Node) -> str:
        match node:
            case syntax.Literal(value=int() | float() | str() as value) if not isinstance(value, bool):
                return self._variable(value)
            case syntax.Literal(text=text):
                raise _lacking(f"the constant {text}")
            case syntax.Column(name=name) if is_server_name(name):
                return name
            case syntax.Column(name=name):
                raise _lacking(f"such a name as '{name}'")
            case syntax.Arithmetic() | syntax.Negate():
                raise _lacking("arithmetic that is sure to round and to overflow as ours does")
            case syntax.Comparison() | syntax.Spatial():
                return f"({self.write(node.left)} {node.operator} {self.write(node.right)})"
            case syntax.Logic():
                return f"({f' {node.operator} '.join(self.write(operand) for operand in node.operands)})"
            case syntax.Not():
                return f"(not {self.write(node.operand)})"
            case syntax.IsNull():
                return f"({self.write(node.operand)} is {'not ' if node.negated else ''}null)"
            case syntax.Call(name=name):
                raise _lacking(f"the function {name}()")
            case _:
                raise _lacking("variables without a value")

    def _variable(self, value: int | float | str) -> str:
        name = f"constant{len(self.vars)}"
        while name in self._taken:
            name += "_"
        self.vars[name] = value
        return f"${name}"


def _lacking(what: str) -> Inexpressible:
    return Inexpressible(f"transform.filter needs what the server's language has not: {what}")
