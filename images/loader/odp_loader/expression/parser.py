"""Turns the text of an expression into its syntax tree, or into an error that points at the character."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, UnexpectedInput, v_args
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive

from odp_loader.errors import InvalidExpression
from odp_loader.expression import syntax
from odp_loader.expression.explain import explain, mixed_junction
from odp_loader.expression.fault import Fault
from odp_loader.expression.syntax import Expression, Node, Precedence

MAXIMUM_DEPTH = 100
"""How deeply an expression may be nested. Whoever walks the tree may recurse: a few frames a level stay far from Python's limit."""

_MAXIMUM_DIGITS = 400
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}


def parse(text: str, *, precedence: Precedence = "strict") -> Expression:
    """Parse an expression, without looking at any column or function.

    ODP gives `and` and `or` one precedence level and reads from the left. "strict" refuses what can be read in two ways (`and`
    and `or` mixed, `not` in front of a comparison, a chained comparison, all without parentheses); "odp" reads it as ODP does.
    Raises InvalidExpression.
    """
    try:
        part: _Part = _Builder(strict=precedence == "strict").transform(_parser().parse(text))
    except UnexpectedInput as unexpected:
        fault = explain(unexpected, text)
    except VisitError as error:
        if not isinstance(error.orig_exc, Fault):
            raise
        fault = error.orig_exc
    else:
        return Expression(text, part.node)
    raise InvalidExpression(fault.message, text, fault.position)


@functools.cache
def _parser() -> Lark:
    return Lark.open_from_package(__package__, "grammar.lark", parser="lalr", maybe_placeholders=False)


@dataclass(frozen=True, slots=True)
class _Part:
    """A node under construction: where its text starts and stops, how deep it is, whether parentheses stand around it."""

    node: Node
    start: int
    stop: int
    depth: int = 1
    grouped: bool = False


def _around(node: Node, start: int, stop: int, *parts: _Part) -> _Part:
    depth = 1 + max((part.depth for part in parts), default=0)
    if depth > MAXIMUM_DEPTH:
        raise Fault(f"nested more than {MAXIMUM_DEPTH} levels deep; write it in a flatter way", node.position)
    return _Part(node, start, stop, depth)


def _binary(kind: Callable[..., Node]) -> Callable[["_Builder", _Part, Token, _Part], _Part]:
    def build(self: "_Builder", left: _Part, operator: Token, right: _Part) -> _Part:
        self.refuse_ambiguity(left, operator)
        word = {"=": "==", "intersect": "intersects"}.get(operator.lower(), operator.lower())
        return _around(kind(word, left.node, right.node, _start(operator)), left.start, right.stop, left, right)

    return build


@v_args(inline=True)
class _Builder(Transformer_NonRecursive[Token, _Part]):
    """Builds the tree of one text, bottom up and from the left; `strict` refuses what can be read in two ways."""

    def __init__(self, *, strict: bool) -> None:
        super().__init__(visit_tokens=False)
        self._strict = strict
        self._variables: list[str | int] = []

    arithmetic = _binary(syntax.Arithmetic)
    comparison = _binary(syntax.Comparison)
    spatial = _binary(syntax.Spatial)

    def refuse_ambiguity(self, left: _Part, operator: Token) -> None:
        if not self._strict or left.grouped:
            return
        if isinstance(left.node, syntax.Not):
            raise Fault(
                f"`not` belongs to what directly follows it, not to all that stands left of `{operator}`; "
                f"write `not (a {operator} …)`, or `(not a) {operator} …`",
                _start(operator),
            )
        levels = [{"==", "!=", "="}, {"<", "<=", ">", ">="}]
        if isinstance(left.node, syntax.Comparison) and any({left.node.operator, operator} <= level for level in levels):
            first = left.node.operator
            raise Fault(
                f"comparisons cannot be chained; write `a {first} b and b {operator} c` for `a {first} b {operator} c`",
                _start(operator),
            )

    def logic(self, left: _Part, operator: Token, right: _Part) -> _Part:
        word = {"&": "and", "|": "or"}.get(operator, operator.lower())
        operands: tuple[Node, ...] = (left.node, right.node)
        position = _start(operator)
        if isinstance(left.node, syntax.Logic) and not left.grouped:
            if left.node.operator == word:
                joined = syntax.Logic(left.node.operator, (*left.node.operands, right.node), left.node.position)
                return _Part(joined, left.start, right.stop, max(left.depth, right.depth + 1))
            if self._strict:
                raise Fault(mixed_junction(left.node.operator, word), position)
        return _around(syntax.Logic(word, operands, position), left.start, right.stop, left, right)  # type: ignore[arg-type]

    def negation(self, word: Token, part: _Part) -> _Part:
        return _around(syntax.Not(part.node, _start(word)), _start(word), part.stop, part)

    def minus(self, sign: Token, part: _Part) -> _Part:
        literal = part.node
        start = _start(sign)
        if isinstance(literal, syntax.Literal) and isinstance(literal.value, int | float) and not isinstance(literal.value, bool):
            text = literal.text.removeprefix("-") if literal.text.startswith("-") else f"-{literal.text}"
            return _Part(syntax.Literal(-literal.value, text, start), start, part.stop)
        return _around(syntax.Negate(part.node, start), start, part.stop, part)

    def is_null(self, part: _Part, word: Token, null: Token) -> _Part:
        self.refuse_ambiguity(part, word)
        return _around(syntax.IsNull(part.node, False, _start(word)), part.start, _stop(null), part)

    def is_not_null(self, part: _Part, word: Token, _not: Token, null: Token) -> _Part:
        self.refuse_ambiguity(part, word)
        return _around(syntax.IsNull(part.node, True, _start(word)), part.start, _stop(null), part)

    def group(self, left: Token, part: _Part, right: Token) -> _Part:
        if part.depth >= MAXIMUM_DEPTH:
            raise Fault(f"nested more than {MAXIMUM_DEPTH} levels deep; write it in a flatter way", _start(left))
        return _Part(part.node, _start(left), _stop(right), part.depth + 1, grouped=True)

    def call(self, name: Token, _left: Token, *rest: Any) -> _Part:
        arguments = [part for part in rest if isinstance(part, _Part)]
        node = syntax.Call(str(name), tuple(part.node for part in arguments), _start(name))
        return _around(node, _start(name), _stop(rest[-1]), *arguments)

    def number(self, token: Token) -> _Part:
        if len(token) > _MAXIMUM_DIGITS:
            raise Fault(f"a number of more than {_MAXIMUM_DIGITS} characters", _start(token))
        if abs(int(token.lower().partition("e")[2] or 0)) > _MAXIMUM_DIGITS:
            raise Fault("an exponent that no number needs; a float has at most 308", _start(token))
        value = int(token) if token.isdigit() else float(token)
        if math.isinf(value):
            raise Fault("a number too large for a float; the largest is about 1.8e308", _start(token))
        return _leaf(syntax.Literal(value, str(token), _start(token)), token)

    def string(self, token: Token) -> _Part:
        return _leaf(syntax.Literal(_unescape(token), str(token), _start(token)), token)

    def true(self, token: Token) -> _Part:
        return _leaf(syntax.Literal(True, str(token), _start(token)), token)

    def false(self, token: Token) -> _Part:
        return _leaf(syntax.Literal(False, str(token), _start(token)), token)

    def null(self, token: Token) -> _Part:
        return _leaf(syntax.Literal(None, str(token), _start(token)), token)

    def column(self, token: Token) -> _Part:
        return _leaf(syntax.Column(str(token), _start(token)), token)

    def quoted_column(self, token: Token) -> _Part:
        return _leaf(syntax.Column(str(token[1:-1]), _start(token)), token)

    def variable(self, token: Token) -> _Part:
        key: str | int = str(token[1:]) if token.startswith("$") else len(self._variables)
        if self._variables and isinstance(key, str) != isinstance(self._variables[0], str):
            raise Fault("`$name` and `?` cannot be mixed; name every variable", _start(token))
        self._variables.append(key)
        return _leaf(syntax.Variable(key, _start(token)), token)


def _leaf(node: Node, token: Token) -> _Part:
    return _Part(node, _start(token), _stop(token))


def _start(token: Token) -> int:
    assert token.start_pos is not None
    return token.start_pos


def _stop(token: Token) -> int:
    assert token.end_pos is not None
    return token.end_pos


def _unescape(token: Token) -> str:
    """The value of a quoted string: JSON's escapes, in either kind of quotes."""
    pieces = []
    at, end = 1, len(token) - 1
    while at < end:
        slash = token.find("\\", at, end)
        if slash < 0:
            pieces.append(token[at:end])
            break
        pieces.append(token[at:slash])
        letter = token[slash + 1]
        digits = token[slash + 2 : slash + 6]
        if letter in _ESCAPES:
            pieces.append(_ESCAPES[letter])
            at = slash + 2
        elif letter == "u" and len(digits) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            pieces.append(chr(int(digits, 16)))
            at = slash + 6
        else:
            raise Fault(f"`\\{letter}` is no escape; write `\\\\` for a backslash", _start(token) + slash)
    text = "".join(pieces)
    try:  # two escapes may be the halves of one character
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Fault("half of a surrogate pair is no character", _start(token)) from None
