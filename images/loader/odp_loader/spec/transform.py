"""What happens to the rows between source and sink."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from odp_loader.spec.model import ColumnName, Expression, Model

FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"


class AggregateFunction(StrEnum):
    """How a column of a group becomes one value; nulls are left out."""

    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    COUNT = "count"


class Aggregate(Model):
    """Group the rows and reduce each group to one row. A result column is named `<column>_<function>`."""

    by: Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=16)]
    """Columns to group by; a null is a group of its own."""
    columns: Annotated[
        dict[ColumnName, Annotated[tuple[AggregateFunction, ...], Field(min_length=1, max_length=5)]],
        Field(min_length=1, max_length=256),
    ]
    """Which columns to reduce, and how."""


class Transform(Model):
    """All optional; applied in this order, to chunks of a partition."""

    filter: Expression | None = None
    """Rows to keep."""
    derive: Annotated[dict[ColumnName, Expression], Field(max_length=256)] = Field(default_factory=dict)
    """New columns by name, each an expression over the source's columns and the ones derived before it."""
    map: str | None = Field(default=None, max_length=512, pattern=FUNCTION_PATTERN)
    """`package.module:function`, from a pandas.DataFrame to a pandas.DataFrame, for each chunk of at most 120 000 rows.
    Its first result fixes the columns and types of all others."""
    aggregate: Aggregate | None = None
    """Group and reduce what is left."""
