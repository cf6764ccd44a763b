"""What can be done with an expression once there is a schema: its type, its values, the rows it keeps, the chunks it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from odp_loader.errors import InvalidExpression
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.plan import Plan, run
from odp_loader.expression.resolver import Variables, plan_of
from odp_loader.expression.syntax import Expression
from odp_loader.expression.verdicts import ColumnRange, Verdict, judge

_NO_VARIABLES: Variables = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Resolved:
    """An expression fitted to one schema, for many record batches. Made by `resolve`; another process makes its own."""

    expression: Expression
    type: pa.DataType
    """Of the result, whatever the batch holds."""
    plan: Plan

    def evaluate(self, batch: pa.RecordBatch) -> pa.Array:
        """One value for each row. Raises InvalidExpression where a value of the data does not fit: an overflow, a bad geometry."""
        try:
            result = run(self.plan, batch)
        except Fault as fault:
            raise InvalidExpression(fault.message, self.expression.text, fault.position) from None
        if isinstance(result, pa.Scalar):
            return pa.repeat(result, batch.num_rows) if result.is_valid else pa.nulls(batch.num_rows, self.type)
        return result.combine_chunks() if isinstance(result, pa.ChunkedArray) else result

    def filter(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows for which the expression is true; the batch itself when it is true for all. Raises as `evaluate` does."""
        self._require_condition()
        mask = self.evaluate(batch)
        if kind_of(self.type) is Kind.NULL:
            return batch.slice(0, 0)
        return batch if mask.true_count == batch.num_rows else batch.filter(mask)

    def verdict(self, statistics: Mapping[str, ColumnRange]) -> Verdict:
        """Whether the expression is true for all rows of a chunk, for none, or must be evaluated to know.

        Nothing is known of a column that `statistics` does not name.
        """
        self._require_condition()
        return judge(self.plan, statistics)

    def _require_condition(self) -> None:
        if kind_of(self.type) not in (Kind.BOOLEAN, Kind.NULL):
            raise InvalidExpression(f"a filter is true or false, and this is {self.type}", self.expression.text, 0)


def resolve(expression: Expression, schema: pa.Schema, variables: Variables = _NO_VARIABLES) -> Resolved:
    """Fit an expression to a schema, once for all its batches.

    Raises InvalidExpression, at the character, for an unknown column or function, a missing variable, and types that do not go
    together.
    """
    plan = plan_of(expression, schema, variables)
    try:
        return Resolved(expression, plan.type, plan)
    except Fault as fault:
        raise InvalidExpression(fault.message, expression.text, fault.position) from None


def infer(expression: Expression, schema: pa.Schema, variables: Variables = _NO_VARIABLES) -> pa.DataType:
    """The type of an expression's values. Raises as `resolve` does."""
    return resolve(expression, schema, variables).type


def evaluate(expression: Expression, batch: pa.RecordBatch, variables: Variables = _NO_VARIABLES) -> pa.Array:
    """One value for each row of the batch. Raises InvalidExpression as `resolve` and `Resolved.evaluate` do."""
    return resolve(expression, batch.schema, variables).evaluate(batch)


def filter_batch(expression: Expression, batch: pa.RecordBatch, variables: Variables = _NO_VARIABLES) -> pa.RecordBatch:
    """The rows for which the expression is true, and neither false nor null. Raises as `evaluate` does."""
    return resolve(expression, batch.schema, variables).filter(batch)


def verdict(
    expression: Expression,
    statistics: Mapping[str, ColumnRange],
    variables: Variables = _NO_VARIABLES,
    *,
    schema: pa.Schema,
) -> Verdict:
    """`Resolved.verdict` for one chunk of a table with this schema."""
    return resolve(expression, schema, variables).verdict(statistics)
