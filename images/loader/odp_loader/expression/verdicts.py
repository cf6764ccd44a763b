"""Decides from minimum, maximum and null counts alone whether a condition holds for all rows of a chunk, for none, or for some."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Flag
from functools import reduce
from typing import Any, Literal

import pyarrow as pa

from odp_loader.expression.constants import Ordinal, place_stored
from odp_loader.expression.functions import Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.plan import Certain, Compare, Constant, Inverse, Junction, Load, Missing, Plan, steps
from odp_loader.expression.syntax import ComparisonOperator, LogicOperator

Verdict = Literal["all", "none", "some"]

_MOST_THRESHOLDS = 32
"""A column that is compared with more values than this is judged comparison by comparison, which is quicker and knows less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRange:
    """What is known of a column's values in a chunk. The defaults know nothing."""

    minimum: object = None
    """No value is less: a pyarrow scalar of the column's type, or a Python value that is exact. None: not known, or no values."""
    maximum: object = None
    """No value is greater, likewise."""
    nulls: int | None = None
    """How many are null; None when not known."""
    rows: int | None = None
    may_have_nan: bool = True
    """Minimum and maximum say nothing of NaN. Without meaning for a column that is no float."""


class Outcome(Flag):
    """What a condition may be for some row of the chunk."""

    TRUE = 1
    FALSE = 2
    NULL = 4


_NOTHING, _ANY = Outcome(0), Outcome.TRUE | Outcome.FALSE | Outcome.NULL


class _State:
    """What a value is as far as comparisons can tell: null, NaN, or a place in the order of the thresholds.

    Of the sorted thresholds, number i has place 2 i + 1, and the values between two of them the even place between.
    """

    NULL = "null"
    NAN = "nan"


State = int | str


def judge(plan: Plan, ranges: Mapping[str, ColumnRange]) -> Verdict:
    """Sound, not complete: "some" is always a true answer, "all" and "none" are given only when no row can contradict them."""
    if any(known.rows == 0 for known in ranges.values()):
        return "none"
    columns = {step.name: step for step in steps(plan) if isinstance(step, Load)}
    judgement = _Judgement({name: _Known.of(ranges.get(name, ColumnRange()), load.type) for name, load in columns.items()})
    possible = judgement.outcomes(plan)
    for name, known in judgement.columns.items():
        thresholds = _thresholds(plan, name)
        if possible in (Outcome.TRUE, Outcome.FALSE) or not 1 < len(thresholds) <= _MOST_THRESHOLDS:
            continue
        # the comparisons of one column hang together: x < 1 and x >= 1 are never both true
        worlds = (_Judgement(judgement.columns, name, thresholds, state) for state in known.states(thresholds))
        possible &= reduce(Outcome.__or__, (world.outcomes(plan) for world in worlds), _NOTHING)
    if Outcome.TRUE not in possible:
        return "none"
    return "all" if possible == Outcome.TRUE else "some"


@dataclass(frozen=True, slots=True)
class _Known:
    """A `ColumnRange` in ordinals of the column's type."""

    low: Ordinal | None
    high: Ordinal | None
    nulls: bool
    values: bool
    nan: bool

    @classmethod
    def of(cls, known: ColumnRange, type_: pa.DataType) -> "_Known":
        all_null = known.nulls is not None and known.nulls == known.rows
        return cls(
            _bound(known.minimum, type_),
            _bound(known.maximum, type_),
            nulls=known.nulls != 0,
            values=not all_null,
            nan=not all_null and known.may_have_nan and kind_of(type_) is Kind.FLOAT,
        )

    def states(self, thresholds: list[Any]) -> Iterator[State]:
        """Where the values may lie among sorted thresholds."""
        if self.nulls:
            yield _State.NULL
        if self.nan:
            yield _State.NAN
        low: Any = self.low
        high: Any = self.high
        if not self.values:
            return
        for place in range(2 * len(thresholds) + 1):
            # an even place is the open gap between its neighbours, an odd one the threshold itself
            below = thresholds[place // 2 - 1] if place >= 2 else None
            above = thresholds[place // 2] if place // 2 < len(thresholds) else None
            if place % 2:
                possible = (low is None or low <= above) and (high is None or above <= high)
            else:
                possible = (low is None or above is None or low < above) and (high is None or below is None or below < high)
            if possible:
                yield place


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What each step may come to, with one column held in one state, or with none."""

    columns: Mapping[str, _Known]
    column: str | None = None
    thresholds: list[Any] | None = None
    state: State | None = None

    def outcomes(self, plan: Plan) -> Outcome:
        match plan:
            case Constant():
                return _truth(None if plan.value is None else bool(plan.value))
            case Junction():
                return reduce(lambda left, right: _joined(plan.operator, left, right), map(self.outcomes, plan.operands))
            case Inverse():
                return _inverse(self.outcomes(plan.operand))
            case Missing(operand=Load() as load):
                return reduce(
                    Outcome.__or__, (_truth((state == _State.NULL) != plan.negated) for state in self.states(load, [])), _NOTHING
                )
            case Missing():
                return Outcome.TRUE | Outcome.FALSE
            case Certain(operand=Load() as load):
                return reduce(
                    Outcome.__or__,
                    (Outcome.NULL if state == _State.NULL else _truth(plan.answer) for state in self.states(load, [])),
                    _NOTHING,
                )
            case Certain():
                return Outcome.NULL | _truth(plan.answer)
            case Compare(operand=Load() as load):
                return self._compared(load, plan.operator, plan.ordinal)
            case Load():
                return self._compared(plan, "==", True)
        return _ANY

    def states(self, load: Load, thresholds: list[Any]) -> Iterator[State]:
        if load.name == self.column and self.state is not None:
            yield self.state
        else:
            yield from self.columns[load.name].states(thresholds)

    def _compared(self, load: Load, operator: ComparisonOperator, threshold: Ordinal) -> Outcome:
        thresholds = self.thresholds if load.name == self.column and self.thresholds is not None else [threshold]
        at = 2 * thresholds.index(threshold) + 1
        found = (_compare(state, operator, at) for state in self.states(load, thresholds))
        return reduce(Outcome.__or__, found, _NOTHING)


def _compare(state: State, operator: ComparisonOperator, at: int) -> Outcome:
    if isinstance(state, str):
        return Outcome.NULL if state == _State.NULL else _truth(operator == "!=")
    answers = {"==": state == at, "!=": state != at, "<": state < at, "<=": state <= at, ">": state > at, ">=": state >= at}
    return _truth(answers[operator])


def _truth(answer: bool | None) -> Outcome:
    return Outcome.NULL if answer is None else Outcome.TRUE if answer else Outcome.FALSE


def _inverse(outcomes: Outcome) -> Outcome:
    turned = outcomes & Outcome.NULL
    if Outcome.TRUE in outcomes:
        turned |= Outcome.FALSE
    return turned | Outcome.TRUE if Outcome.FALSE in outcomes else turned


def _joined(operator: LogicOperator, left: Outcome, right: Outcome) -> Outcome:
    if operator == "or":
        return _inverse(_joined("and", _inverse(left), _inverse(right)))
    found = _NOTHING
    if Outcome.FALSE in left | right and left and right:
        found |= Outcome.FALSE
    if Outcome.TRUE in left & right:
        found |= Outcome.TRUE
    if Outcome.NULL in left | right and not left == right == Outcome.FALSE:
        unknown = Outcome.NULL | Outcome.TRUE
        if (Outcome.NULL in left and right & unknown) or (Outcome.NULL in right and left & unknown):
            found |= Outcome.NULL
    return found


def _thresholds(plan: Plan, column: str) -> list[Any]:
    found: set[Any] = set()
    for step in steps(plan):
        match step:
            case Compare(operand=Load(name=name)) if name == column:
                found.add(step.ordinal)
            case Load() if step.name == column and kind_of(step.type) is Kind.BOOLEAN:
                found.add(True)
    return sorted(found)


def _bound(value: object, type_: pa.DataType) -> Ordinal | None:
    """The value as an ordinal; None where the type cannot hold it exactly, or has no order."""
    if value is None or (isinstance(value, pa.Scalar) and not value.is_valid) or kind_of(type_) in (Kind.OTHER, Kind.NULL):
        return None
    placed = place_stored(value, type_)
    return None if placed.side or placed.ordinal != placed.ordinal else placed.ordinal
