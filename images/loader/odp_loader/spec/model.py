"""The shape every part of the specification shares: frozen, camelCase outside, documented field by field."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_QUANTITY = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,9})?)([kMGT]|[KMGT]i)?")


class Model(BaseModel):
    """Immutable; unknown fields are refused unless the caller validates with `extra="ignore"`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


def parse_quantity(value: object) -> object:
    """Turn a Kubernetes quantity of bytes such as `128Mi` into bytes; anything else is returned for pydantic to judge."""
    if isinstance(value, str) and (found := _QUANTITY.fullmatch(value)):
        return int(float(found[1]) * _UNITS[found[2] or ""])
    return value


ByteQuantity = Annotated[int, BeforeValidator(parse_quantity)]
"""Bytes, written as an integer or as a Kubernetes quantity."""

ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
Expression = Annotated[str, Field(min_length=1, max_length=4096)]
Url = Annotated[str, Field(min_length=1, max_length=2048)]


class OneOf(Model):
    """A choice: exactly one of its fields is set."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        names = [field.alias or name for name, field in type(self).model_fields.items()]
        given = [field.alias or name for name, field in type(self).model_fields.items() if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"set exactly one of {', '.join(names)}; {'set are ' + ', '.join(given) if given else 'none is set'}")
        return self
