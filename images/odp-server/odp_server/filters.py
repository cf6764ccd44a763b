"""Decides which rows a filter keeps and which group a row is in, by the loader's own expression module."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import pyarrow as pa
import pyarrow.compute as pc

from odp_loader.errors import InvalidExpression
from odp_loader.expression import ColumnRange, Resolved, Verdict, parse, resolve
from odp_loader.expression.syntax import Call, Column, Literal
from odp_server.protocol import Refusal, Variables

DEFAULT_KEY = "'TOTAL'"
"""One group of all rows, as the SDK asks for it."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """A filter that fits its table; without a condition it keeps every row."""

    condition: Resolved | None

    @classmethod
    def parse(cls, text: str, variables: Variables, schema: pa.Schema) -> "RowFilter":
        """Read a filter by ODP's precedence rule. Raises Refusal (400) with the fault and its place."""
        if not text.strip():
            return cls(None)
        condition = _resolved(text, variables, schema)
        if not (pa.types.is_boolean(condition.type) or pa.types.is_null(condition.type)):
            raise Refusal(HTTPStatus.BAD_REQUEST, f"a filter is true or false, and this is {condition.type}: {text}")
        return cls(condition)

    def verdict(self, ranges: Mapping[str, ColumnRange]) -> Verdict:
        """How many rows of a batch with such columns are kept, as far as that is known without reading it."""
        return "all" if self.condition is None else self.condition.verdict(ranges)

    def mask(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Which rows are kept; none is null."""
        if self.condition is None:
            return pa.repeat(pa.scalar(True), batch.num_rows)
        return pc.fill_null(self.condition.evaluate(batch).cast(pa.bool_()), False)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """The expression whose values are the groups of an aggregate."""

    value: Resolved

    @classmethod
    def parse(cls, text: str, variables: Variables, schema: pa.Schema) -> "GroupKey":
        """Read a key. Raises Refusal (400) with the fault and its place."""
        return cls(_resolved(text.strip() or DEFAULT_KEY, variables, schema))

    @property
    def constant(self) -> bool:
        """Whether all rows are one group."""
        return isinstance(self.value.expression.root, Literal)

    @property
    def follows(self) -> str | None:
        """The column in whose order the groups are: of two rows, the one with the greater value is in no lesser group."""
        match self.value.expression.root:
            case Call(name, (Column(name=column), *_)) if name.lower() == "bucket":
                return column
        return None

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """The key of every row."""
        return self.value.evaluate(batch)


def kept(batch: pa.RecordBatch, mask: pa.BooleanArray) -> pa.RecordBatch:
    """The rows that `mask` is true for; not copied when they lie together, as in a sorted table."""
    count = mask.true_count
    first = pc.index(mask, True).as_py()
    if count and mask.slice(first, count).true_count == count:
        return batch.slice(first, count)
    return batch.filter(mask)


def _resolved(text: str, variables: Variables, schema: pa.Schema) -> Resolved:
    try:
        return resolve(parse(text, precedence="odp"), schema, variables)
    except InvalidExpression as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
