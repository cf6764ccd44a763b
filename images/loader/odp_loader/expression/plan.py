"""An expression made ready for one schema: typed steps, which run on a record batch with the kernels of pyarrow.compute."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.expression.constants import Ordinal, Value, natural_type
from odp_loader.expression.fault import Fault
from odp_loader.expression.kinds import computed
from odp_loader.expression.syntax import ComparisonOperator, LogicOperator

Data: TypeAlias = pa.Array | pa.Scalar
"""One value for each row, or one for all of them."""

KERNELS: dict[ComparisonOperator, Callable[[Data, Data], Data]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_OVERFLOW = "the result does not fit into 64 bits; write float(…) around an operand"
_BOOLEAN = pa.bool_()
_UNKNOWN = pa.scalar(None, _BOOLEAN)


@dataclass(frozen=True, slots=True)
class Load:
    """A column of the batch, from the type it is stored in to the one it is computed in."""

    name: str
    stored: pa.DataType
    type: pa.DataType
    position: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal, a variable, or what was computed from such. `value` is as it was written: it takes its type where it is used."""

    value: Value | None
    position: int
    variable: str | int | None = None
    text: str | None = None
    """The digits of a literal number."""
    exact: pa.Scalar | None = None
    """The scalar, when it was computed."""

    @property
    def scalar(self) -> pa.Scalar:
        """The constant in the type it has by itself. Raises Fault for an integer that 64 bits do not hold."""
        if self.exact is not None:
            return self.exact
        if self.value is None:
            return pa.scalar(None)
        try:
            return pa.scalar(self.value, natural_type(self.value))
        except (ValueError, OverflowError) as error:
            raise Fault(str(error), self.position) from None

    @property
    def type(self) -> pa.DataType:
        """Of the scalar."""
        return self.scalar.type


class _Condition:
    __slots__ = ()

    @property
    def type(self) -> pa.DataType:
        """Conditions are true, false or null."""
        return _BOOLEAN


@dataclass(frozen=True, slots=True)
class Compare(_Condition):
    """An operand against one value of its own type."""

    operator: ComparisonOperator
    operand: "Plan"
    ordinal: Ordinal
    scalar: pa.Scalar
    position: int


@dataclass(frozen=True, slots=True)
class Certain(_Condition):
    """The same answer wherever the operand is not null: what a comparison with a value that the operand cannot have comes to."""

    operand: "Plan"
    answer: bool | None
    position: int


@dataclass(frozen=True, slots=True)
class Junction(_Condition):
    """Conditions joined by the same word, by Kleene's logic."""

    operator: LogicOperator
    operands: tuple["Plan", ...]
    position: int


@dataclass(frozen=True, slots=True)
class Inverse(_Condition):
    """A condition turned round; null stays null."""

    operand: "Plan"
    position: int


@dataclass(frozen=True, slots=True)
class Missing(_Condition):
    """Whether the operand is null, or is not when negated; NaN is not null."""

    operand: "Plan"
    negated: bool
    position: int


@dataclass(frozen=True, slots=True)
class Apply:
    """A kernel on the values of some operands: arithmetic, a function, a conversion."""

    kernel: Callable[..., Data]
    operands: tuple["Plan", ...]
    type: pa.DataType
    position: int


Plan = Load | Constant | Compare | Certain | Junction | Inverse | Missing | Apply


def operands_of(plan: Plan) -> tuple[Plan, ...]:
    """The direct operands of a step."""
    match plan:
        case Load() | Constant():
            return ()
        case Compare() | Certain() | Inverse() | Missing():
            return (plan.operand,)
        case Junction() | Apply():
            return plan.operands


def steps(plan: Plan) -> Iterator[Plan]:
    """The step and all below it."""
    yield plan
    for operand in operands_of(plan):
        yield from steps(operand)


def run(plan: Plan, batch: pa.RecordBatch | None) -> Data:
    """The value of a step for each row; a batch is not needed where no column is. Raises Fault where the data does not fit."""
    match plan:
        case Load():
            assert batch is not None
            column = batch.column(plan.name)
            if column.type != plan.stored:
                raise TypeError(f"column {plan.name} is {column.type}, and the expression was resolved for {plan.stored}")
            return column if plan.stored == plan.type else computed(column)
        case Constant():
            return plan.scalar
        case Compare():
            return KERNELS[plan.operator](run(plan.operand, batch), plan.scalar)
        case Certain():
            return pc.if_else(pc.is_valid(run(plan.operand, batch)), pa.scalar(plan.answer, _BOOLEAN), _UNKNOWN)
        case Junction():
            join = pc.and_kleene if plan.operator == "and" else pc.or_kleene
            result = run(plan.operands[0], batch)
            for operand in plan.operands[1:]:
                result = join(result, run(operand, batch))
            return result
        case Inverse():
            return pc.invert(run(plan.operand, batch))
        case Missing():
            return (pc.is_valid if plan.negated else pc.is_null)(run(plan.operand, batch))
        case Apply():
            values = [run(operand, batch) for operand in plan.operands]
            try:
                return plan.kernel(*values)
            except pa.ArrowInvalid as error:
                words = str(error).splitlines()[0]
                raise Fault(_OVERFLOW if words == "overflow" else words, plan.position) from None
