"""Decides from minimum, maximum and null counts alone whether a condition holds for all rows of a chunk, for none, or for some."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import product
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


FALSE, NULL, TRUE = 1, 2, 4
"""What a condition may be for some row, to be added up; in this order, `and` is the lesser of two, `or` the greater."""
_OUTCOMES = (FALSE, NULL, TRUE)
_CHOICES: dict[LogicOperator, Callable[[int, int], int]] = {"and": min, "or": max}
_JOINED = {
    word: {
        (left, right): sum({choose(one, other) for one, other in product(_OUTCOMES, repeat=2) if one & left and other & right})
        for left, right in product(range(8), repeat=2)
    }
    for word, choose in _CHOICES.items()
}

_ORDER: dict[ComparisonOperator, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_IS_NULL, _IS_NAN = -2, -1
_State = int
"""What a value is as far as comparisons can tell: null, NaN, or a place among the sorted thresholds that it is compared with.

Threshold number i has place 2 i + 1, and the values between two thresholds have the even place between.
"""


def judge(plan: Plan, ranges: Mapping[str, ColumnRange]) -> Verdict:
    """Sound, not complete: "some" is always a true answer, "all" and "none" are given only when no row can contradict them."""
    if any(known.rows == 0 for known in ranges.values()):
        return "none"
    loads = {step.name: step.type for step in steps(plan) if isinstance(step, Load)}
    columns = {name: _Known.of(ranges.get(name, ColumnRange()), type_) for name, type_ in loads.items()}
    possible = _Judgement(columns).outcomes(plan)
    for name, known in columns.items():
        if possible in _OUTCOMES:
            break
        # the comparisons of one column hang together: x < 1 and x >= 1 are never both true
        thresholds = _thresholds(plan, name)
        if len(thresholds) <= _MOST_THRESHOLDS:
            together = 0
            for state in known.states(thresholds):
                together |= _Judgement(columns, name, thresholds, state).outcomes(plan)
            possible &= together
    if not possible & TRUE:
        return "none"
    return "all" if possible == TRUE else "some"


@dataclass(frozen=True, slots=True)
class _Known:
    """A `ColumnRange` in ordinals of the column's type."""

    low: Any
    high: Any
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

    def states(self, thresholds: list[Any]) -> Iterator[_State]:
        """What the values may be, given the sorted thresholds."""
        if self.nulls:
            yield _IS_NULL
        if self.nan:
            yield _IS_NAN
        if not self.values:
            return
        low, high = self.low, self.high
        for i, threshold in enumerate(thresholds):
            gap_below = (low is None or low < threshold) and (high is None or i == 0 or thresholds[i - 1] < high)
            if gap_below:
                yield 2 * i
            if (low is None or low <= threshold) and (high is None or threshold <= high):
                yield 2 * i + 1
        if not thresholds or high is None or thresholds[-1] < high:
            yield 2 * len(thresholds)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What each step may come to, with one column held in one state, or with none held."""

    columns: Mapping[str, _Known]
    column: str | None = None
    thresholds: list[Any] | None = None
    state: _State = 0

    def outcomes(self, plan: Plan) -> int:
        """The sum of all that the step may be."""
        match plan:
            case Compare(operand=Load() as load):
                return self._compared(load, plan.operator, plan.ordinal)
            case Junction():
                possible = self.outcomes(plan.operands[0])
                for operand in plan.operands[1:]:
                    possible = _JOINED[plan.operator][possible, self.outcomes(operand)]
                return possible
            case Inverse():
                possible = self.outcomes(plan.operand)
                return possible & NULL | (FALSE if possible & TRUE else 0) | (TRUE if possible & FALSE else 0)
            case Missing(operand=Load() as load):
                return _union(_truth((state == _IS_NULL) != plan.negated) for state in self._states(load, []))
            case Missing():
                return TRUE | FALSE
            case Certain(operand=Load() as load):
                return _union(NULL if state == _IS_NULL else _truth(plan.answer) for state in self._states(load, []))
            case Load():
                return self._compared(plan, "==", True)
            case Constant():
                return _truth(None if plan.value is None else bool(plan.value))
        return TRUE | FALSE | NULL

    def _states(self, load: Load, thresholds: list[Any]) -> Iterator[_State]:
        if load.name == self.column:
            return iter((self.state,))
        return self.columns[load.name].states(thresholds)

    def _compared(self, load: Load, word: ComparisonOperator, threshold: Ordinal) -> int:
        thresholds = self.thresholds if load.name == self.column and self.thresholds else [threshold]
        at = 2 * thresholds.index(threshold) + 1
        possible = 0
        for state in self._states(load, thresholds):
            if state == _IS_NULL:
                possible |= NULL
            else:
                possible |= _truth(word == "!=" if state == _IS_NAN else _ORDER[word](state, at))
        return possible


def _truth(answer: bool | None) -> int:
    return NULL if answer is None else TRUE if answer else FALSE


def _union(outcomes: Iterator[int]) -> int:
    return reduce(operator.or_, outcomes, 0)


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
