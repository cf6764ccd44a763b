"""Turns a pydantic type into a structural schema, as Kubernetes asks of a custom resource definition."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from odp_dask_operator.crd import rules
from odp_dask_operator.crd.words import members
from odp_dask_operator.spec.faults import PATTERNS
from odp_dask_operator.spec.quantity import format_bytes_quantity, parse_cpu, parse_memory
from odp_loader.spec.model import parse_quantity

_BYTES, _CPU = "bytes", "cpu"
_QUANTITY_READERS: Mapping[object, str] = {parse_quantity: _BYTES, parse_memory: _BYTES, parse_cpu: _CPU}
_ANYTHING = {"x-kubernetes-preserve-unknown-fields": True}
_MEANINGS = "meanings"
"""Where the words of an enumeration wait for the description of the field that they become part of."""
_MOST_CHARACTERS = 4096
"""For text whose type sets no bound, all of it written by the operator."""


def structural_schema(model: type[BaseModel], *, only_shape: bool = False) -> JsonSchemaValue:
    """The schema of a model: no references, no unions, no nulls; a bound on every list, map and text.

    `only_shape` leaves rules and defaults out: for what the operator itself writes.
    """
    whole = model.model_json_schema(by_alias=True, schema_generator=_Structural)
    schema: JsonSchemaValue = _inline(whole, whole.pop("$defs", {}))
    return _without(schema, "x-kubernetes-validations", "default") if only_shape else schema


class _Structural(GenerateJsonSchema):
    """Pydantic's JSON schema, except where Kubernetes wants something else."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Fields, documentation and rules."""
        found = super().model_schema(schema)
        del found["additionalProperties"]
        if asked := rules.of_model(schema["cls"]):
            found["x-kubernetes-validations"] = asked
        return found

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """A field that may be missing is never null."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """The defaults of an object's own fields apply within it, so that it defaults to what differs from them."""
        found = self.generate_inner(schema["schema"])
        make: Any = schema.get("default_factory")
        default = make() if make else self.get_default_value(schema)
        if isinstance(default, BaseModel):
            found["default"] = json.loads(default.model_dump_json(by_alias=True, exclude_defaults=True, exclude_none=True))
        elif found.get("x-kubernetes-int-or-string"):
            found["default"] = format_bytes_quantity(default)
        elif default not in (None, (), {}, ""):
            found["default"] = self.encode_default(default)
        return found

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """A quantity: the text or the number that a person writes, not the integer it becomes."""
        found = super().function_before_schema(schema)
        kind = _QUANTITY_READERS.get(schema["function"]["function"])
        return found | {"x-kubernetes-int-or-string": kind} if kind else found

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        """Patterns become rules, whose message is a sentence."""
        found = super().str_schema(schema)
        found.setdefault("maxLength", _MOST_CHARACTERS)
        if (pattern := found.pop("pattern", None)) in PATTERNS:
            found["x-kubernetes-validations"] = [rules.matching(pattern)]
        return found

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        """The words, and what each means."""
        return super().enum_schema(schema) | {_MEANINGS: members(schema["cls"])}

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:  # noqa: ARG002 # pydantic's signature
        """A choice of types has no structural form: anything is stored, and the operator's own types judge it."""
        return dict(_ANYTHING)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Kubernetes knows no schema for keys: a rule stands in for it."""
        found = super().dict_schema(schema)
        names, values = found.pop("propertyNames", {}), found.pop("additionalProperties", None)
        if values in (True, _ANYTHING):
            return found | _ANYTHING
        found["additionalProperties"] = values
        if asked := rules.for_keys(names):
            found["x-kubernetes-validations"] = asked
        return found

    def tuple_schema(self, schema: core_schema.TupleSchema) -> JsonSchemaValue:
        """A list is one value: whoever applies it, applies all of it."""
        return super().tuple_schema(schema) | {"x-kubernetes-list-type": "atomic"}

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """RFC 3339; the bound is for the cost of rules."""
        return super().datetime_schema(schema) | {"maxLength": 64}


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The same with every reference replaced by what it refers to; what stands beside the reference wins."""
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**definitions[reference.removeprefix("#/$defs/")], **beside}
    return _tidy({key: _inline(value, definitions) for key, value in schema.items()})


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """What can only be decided once a schema's parts are known. Names need no title."""
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if meanings := schema.pop(_MEANINGS, None):
        schema["description"] = "\n".join([schema["description"], *(f"{word}: {text}" for word, text in meanings.items())])
    if kind := schema.get("x-kubernetes-int-or-string"):
        bounds = schema.pop("minimum"), schema.pop("maximum")
        del schema["type"]
        schema |= {"x-kubernetes-int-or-string": True, "x-kubernetes-validations": [rules.quantity(kind, *bounds)]}
    if "items" in schema:
        # GitOps tools compare lists as a whole: what the API server adds to an item looks like a change that nobody made, for ever.
        schema["items"] = _without(schema["items"], "default")
    if schema.get("default") == {} and not any("default" in field for field in schema.get("properties", {}).values()):
        del schema["default"]
    return schema


def _without(schema: Any, *words: str) -> Any:
    """The same without these words of a schema, wherever they stand."""
    if isinstance(schema, list):
        return [_without(item, *words) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _without(value, *words) for key, value in schema.items() if key not in words}
