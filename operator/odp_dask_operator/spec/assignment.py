"""`--set path=value`: one field of a document, given on the command line and typed by the field it goes to."""

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from odp_dask_operator.spec import shape
from odp_dask_operator.spec.document import Document, UnreadableDocument, read_value
from odp_dask_operator.spec.faults import Fault, InvalidDocument
from odp_dask_operator.spec.path import Path, format_path, parse_path
from odp_loader.spec import Model


def assign(model: type[Model], document: Document, assignments: Iterable[str]) -> tuple[Document, dict[Path, str]]:
    """The document with the assignments made, and which places they made.

    Text goes into a text field as it is; anything else is read as YAML, so that `[time, lat]` is a list. An empty value
    removes the field. Raises InvalidDocument.
    """
    value = copy.deepcopy(document.value)
    flags: dict[Path, str] = {}
    for assignment in assignments:
        path, text = _split(model, assignment)
        new = text if text and shape.is_text(shape.at(model, path)) else _read(path, text)
        _put(value, path, new)
        flags[path] = "--set"
    return replace(document, value=value), flags


def _split(model: type[Model], assignment: str) -> tuple[Path, str]:
    name, separator, text = assignment.partition("=")
    if not separator:
        raise InvalidDocument([Fault((), f"{assignment!r} has no value; write --set spec.scale=small", "--set")])
    try:
        path = parse_path(name.strip())
    except ValueError as error:
        raise InvalidDocument([Fault((), str(error), "--set")]) from None
    for end in range(1, len(path) + 1):
        if shape.at(model, path[:end]) is None:
            raise InvalidDocument([Fault(path[:end], f"unknown field; {shape.suggestion(model, path[:end])}", "--set")])
    return path, text


def _read(path: Path, text: str) -> Any:
    try:
        return read_value(text, source=f"--set {format_path(path)}")
    except UnreadableDocument as error:
        raise InvalidDocument([Fault((), str(error))]) from None


def _put(value: Any, path: Path, new: Any) -> None:
    """Writes into nested mappings and lists, making what is missing on the way."""
    for index, part in enumerate(path[:-1]):
        child = _get(value, part)
        if not isinstance(child, (dict, list)):
            child = [] if isinstance(path[index + 1], int) else {}
            _write(value, part, child, path[: index + 1])
        value = child
    if new is None and isinstance(value, dict):
        value.pop(path[-1], None)
    else:
        _write(value, path[-1], new, path)


def _get(value: Any, part: str | int) -> Any:
    if isinstance(part, int):
        return value[part] if isinstance(value, list) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def _write(value: Any, part: str | int, new: Any, path: Path) -> None:
    match value, part:
        case dict(), str():
            value[part] = new
        case list(), int() if part < len(value):
            value[part] = new
        case list(), int() if part == len(value):
            value.append(new)
        case _:
            count = len(value) if isinstance(value, list) else 0
            raise InvalidDocument([Fault(path, f"the list has {count} entries; the next one is [{count}]", "--set")])
