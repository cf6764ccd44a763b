"""Turns what pydantic refuses into lines that say which field is wrong, why, and what to write instead."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from odp_dask_operator.spec import meta, shape
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.job import PREFIX_PATTERN, PRESET_NAME_PATTERN
from odp_dask_operator.spec.path import Path, format_path
from odp_dask_operator.spec.pod import ENV_NAME_PATTERN, SIZE_PATTERN, VOLUME_NAME_PATTERN
from odp_loader.errors import InvalidLoad
from odp_loader.spec import Model
from odp_loader.spec.load import MODULE_PATTERN
from odp_loader.spec.model import parse_quantity
from odp_loader.spec.source import DATASET_PATTERN
from odp_loader.spec.transform import FUNCTION_PATTERN

SomeModel = TypeVar("SomeModel", bound=Model)

PATTERNS: Mapping[str, str] = {
    meta.JOB_NAME_PATTERN: "use lower-case letters, digits and '-', a letter first, no '-' last",
    meta.OBJECT_NAME_PATTERN: "use lower-case letters, digits, '-' and '.', a letter or digit first and last",
    meta.KEY_PATTERN: "use letters, digits, '-', '_' and '.'",
    meta.LABEL_KEY_PATTERN: "use letters, digits, '-', '_' and '.', perhaps after a domain and '/', such as example.com/team",
    meta.LABEL_VALUE_PATTERN: "use letters, digits, '-', '_' and '.', a letter or digit first and last",
    PRESET_NAME_PATTERN: "write the name of a preset such as small, medium or large, or auto",
    PREFIX_PATTERN: "begin with '/', such as /user/ada/",
    ENV_NAME_PATTERN: "use letters, digits, '-', '_' and '.', no digit first",
    SIZE_PATTERN: "write a quantity such as 10Gi or 512Mi",
    VOLUME_NAME_PATTERN: "use lower-case letters, digits and '-', a letter or digit first and last",
    DATASET_PATTERN: "write the dataset's UUID, as the platform's catalog shows it",
    MODULE_PATTERN: "write a module's name such as package.module",
    FUNCTION_PATTERN: "write package.module:function",
}
"""What to write instead of a text that does not match."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a document."""

    path: Path
    message: str
    """What is wrong; what to do."""
    place: str = ""
    """File and line, or the flag."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, format_path(self.path), self.message) if part)


class InvalidDocument(InvalidLoad):
    """An object with fields that are unknown, missing or wrong; `str()` has one line for each."""

    reason = "InvalidSpec"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(tuple(faults))
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))


def validate(model: type[SomeModel], document: Document, *, flags: Mapping[Path, str] | None = None) -> SomeModel:
    """The document as a `model`, by the JSON types that the API server asks for: `"4"` is no number.

    `flags` names the places that came from the command line. Raises InvalidDocument with everything that is wrong.
    """
    try:
        return model.model_validate_json(json.dumps(document.value), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        details = error.errors(include_url=False)
    faults: dict[Path, Fault] = {}
    for detail in details:
        path = _place(model, detail["loc"])
        faults.setdefault(path, Fault(path, _message(model, path, detail), _origin(document, path, flags or {})))
    raise InvalidDocument(sorted(faults.values(), key=lambda fault: document.line(fault.path) or 0))


def _origin(document: Document, path: Path, flags: Mapping[Path, str]) -> str:
    flag = next((flags[path[:end]] for end in range(len(path), 0, -1) if path[:end] in flags), None)
    if flag:
        return flag
    line = document.line(path)
    return f"{document.source}:{line}" if line else document.source


def _place(model: type[Model], location: tuple[int | str, ...]) -> Path:
    """The path without what pydantic adds to it: the arms of a union, and `[key]` after a map's key."""
    path: Path = ()
    for part in location:
        known = shape.at(model, path)
        if shape.fields_of(known) or shape.step(known, part) is not None:
            path = (*path, part)
    return path


def _message(model: type[Model], path: Path, detail: ErrorDetails) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    place = shape.at(model, path)
    if kind == "extra_forbidden":
        return f"unknown field; {shape.suggestion(model, path)}"
    if kind == "missing":
        return f"is required{_documentation(model, path)}"
    if kind == "value_error":
        error = str(context["error"])
        return f"{_show(given)} {error}" if error.startswith("is ") else error
    if _is_quantity(model, path):
        return _not_a_quantity(given) if kind in _TYPES else _bound(given, detail)
    if shape.is_choice(place):
        return f"{_kind(given)} stands where text, a number, true or false is expected"
    if known := shape.words_of(place):
        close = shape.nearest(str(given), known)
        return f"{_show(given)} is not one of {', '.join(known)}" + (f'; did you mean "{close}"?' if close else "")
    if kind in _TYPES:
        return _TYPES[kind](given)
    return _bound(given, detail)


def _documentation(model: type[Model], path: Path) -> str:
    field = shape.fields_of(shape.at(model, path[:-1])).get(str(path[-1]))
    sentence = re.split(r"\.(?:\s|$)", field.description)[0] if field and field.description else ""
    return f" ({sentence[0].lower()}{sentence[1:]})" if sentence else ""


def _is_quantity(model: type[Model], path: Path) -> bool:
    field = shape.fields_of(shape.at(model, path[:-1])).get(str(path[-1])) if path else None
    return field is not None and any(isinstance(m, BeforeValidator) and m.func is parse_quantity for m in field.metadata)


def _bound(given: Any, detail: ErrorDetails) -> str:
    """A value of the right type outside its bounds."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than_equal":
            return f"{_show(given)} is too small; the least is {context['ge']}"
        case "less_than_equal":
            return f"{_show(given)} is too large; the most is {context['le']}"
        case "string_too_short":
            return "is empty; write something or leave the field out"
        case "string_too_long":
            return f"has {len(given)} characters; at most {context['max_length']} are allowed"
        case "too_short":
            return f"has {context['actual_length']} entries; at least {context['min_length']} are needed"
        case "too_long":
            return f"has more than {context['max_length']} entries; that is the most"
        case "string_pattern_mismatch":
            return f"{_show(given)} is not allowed; {PATTERNS[context['pattern']]}"
        case _:
            return f"{_show(given)}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _not_text(given: Any) -> str:
    if isinstance(given, bool):
        return f"{_show(given)} is not text; Kubernetes reads yes, no, on, off, y and n as true or false: put the word in quotes"
    if isinstance(given, (int, float)):
        return f'{_show(given)} is not text; write "{_show(given)}" in quotes'
    return f"{_kind(given)} stands where text is expected"


def _not_a_number(given: Any) -> str:
    if isinstance(given, str) and given.strip().lstrip("+-").replace(".", "", 1).isdigit():
        return f"{_show(given)} is text; write the number without quotes"
    return f"{_show(given)} is not a whole number"


def _not_a_quantity(given: Any) -> str:
    return f"{_show(given)} is not a quantity of bytes; write 128Mi or a whole number of bytes"


def _not_a_boolean(given: Any) -> str:
    return f"{_show(given)} is neither true nor false" + ("; write it without quotes" if given in ("true", "false") else "")


def _not_a_list(given: Any) -> str:
    return f"{_kind(given)} stands where a list is expected" + (f"; write [{given}]" if isinstance(given, str) else "")


def _not_a_mapping(given: Any) -> str:
    return f"{_kind(given)} stands where a mapping of fields is expected"


_TYPES: Mapping[str, Callable[[Any], str]] = {
    "string_type": _not_text,
    "int_type": _not_a_number,
    "int_from_float": _not_a_number,
    "int_parsing": _not_a_number,
    "bool_type": _not_a_boolean,
    "tuple_type": _not_a_list,
    "dict_type": _not_a_mapping,
    "model_type": _not_a_mapping,
}


def _kind(given: Any) -> str:
    match given:
        case None:
            return "nothing"
        case bool() | int() | float() | str():
            return _show(given)
        case list():
            return "a list"
        case _:
            return "a mapping"


def _show(given: Any) -> str:
    """A value as it may stand in a message: as JSON, shortened."""
    text = json.dumps(given, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:76]} ..."
