"""What an expression says: its syntax tree, frozen, with the position of every part in the text."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal as OneOf

ArithmeticOperator = OneOf["+", "-", "*", "/"]
ComparisonOperator = OneOf["==", "!=", "<", "<=", ">", ">="]
LogicOperator = OneOf["and", "or"]
SpatialOperator = OneOf["within", "contains", "intersects"]
Precedence = OneOf["strict", "odp"]


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant as it is written; `text` keeps the digits of a number, so that a decimal loses none."""

    value: bool | int | float | str | None
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`, or `?` with its 0-based number."""

    key: str | int
    position: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column by name; a dot is part of the name."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    operand: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and the operator between them, which `position` is of."""

    operator: ArithmeticOperator
    left: "Node"
    right: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and the operator between them, which `position` is of."""

    operator: ComparisonOperator
    left: "Node"
    right: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Spatial:
    """Two geometries and the operator between them, which `position` is of."""

    operator: SpatialOperator
    left: "Node"
    right: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class Logic:
    """Two or more conditions joined by the same word; `position` is the first such word's."""

    operator: LogicOperator
    operands: tuple["Node", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Not:
    """A condition turned round."""

    operand: "Node"
    position: int


@dataclass(frozen=True, slots=True)
class IsNull:
    """`operand is null`, or `is not null` when negated; `position` is that of `is`."""

    operand: "Node"
    negated: bool
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function by name; whether there is such a function is not the parser's business."""

    name: str
    arguments: tuple["Node", ...]
    position: int


Node = Literal | Variable | Column | Negate | Arithmetic | Comparison | Spatial | Logic | Not | IsNull | Call


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node, left to right."""
    match node:
        case Literal() | Variable() | Column():
            return ()
        case Negate() | Not() | IsNull():
            return (node.operand,)
        case Arithmetic() | Comparison() | Spatial():
            return (node.left, node.right)
        case Logic():
            return node.operands
        case Call():
            return node.arguments


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


@dataclass(frozen=True)
class Expression:
    """A parsed expression. Made by `parse`; immutable, hashable, and small to pickle."""

    text: str
    root: Node

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, each once, in the order of the text."""
        return tuple(dict.fromkeys(node.name for node in walk(self.root) if isinstance(node, Column)))

    @cached_property
    def variables(self) -> tuple[str | int, ...]:
        """Names of the `$variables`, or the numbers of the `?`s, each once, in the order of the text."""
        return tuple(dict.fromkeys(node.key for node in walk(self.root) if isinstance(node, Variable)))

    def __str__(self) -> str:
        return self.text
