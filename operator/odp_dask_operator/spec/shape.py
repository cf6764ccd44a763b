"""What the types allow at a path: which fields a mapping has, and what kind of value stands where."""

import difflib
from collections.abc import Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from odp_dask_operator.spec.path import Path, format_path

_SHOWN = 8
"""Fields that a message lists at most."""


def bare(annotation: Any) -> Any:
    """The type itself, without Annotated and without `| None`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        others = [arm for arm in get_args(annotation) if arm is not type(None)]
        if len(others) == 1:
            return bare(others[0])
    return annotation


def fields_of(annotation: Any) -> Mapping[str, FieldInfo]:
    """The fields of a model by the names that files use; empty for anything else."""
    model = bare(annotation)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    return {field.alias or name: field for name, field in model.model_fields.items()}


def step(annotation: Any, part: str | int) -> Any:
    """The type one step down; None when there is no such place, Any below a value that is not typed."""
    kind = bare(annotation)
    if kind is Any:
        return Any
    if isinstance(part, str) and (fields := fields_of(kind)):
        return field.annotation if (field := fields.get(part)) else None
    if isinstance(part, int) and get_origin(kind) is tuple:
        return get_args(kind)[0]
    if isinstance(part, str) and get_origin(kind) is dict:
        return get_args(kind)[1]
    return None


def at(root: Any, path: Path) -> Any:
    """The type at a path; None when there is no such place."""
    for part in path:
        root = step(root, part)
    return root


def is_choice(annotation: Any) -> bool:
    """Whether values of several types can stand here."""
    return get_origin(bare(annotation)) in (Union, UnionType)


def is_text(annotation: Any) -> bool:
    """Whether only text can stand here."""
    kind = bare(annotation)
    if isinstance(kind, type):
        return issubclass(kind, str)
    return get_origin(kind) is Literal and all(isinstance(choice, str) for choice in get_args(kind))


def words_of(annotation: Any) -> tuple[str, ...]:
    """The words that an enumeration allows; empty for anything else."""
    kind = bare(annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def nearest(word: str, known: tuple[str, ...]) -> str | None:
    """The known word that was probably meant."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def elsewhere(root: Any, name: str) -> tuple[str, ...]:
    """The paths at which a field of exactly this name exists, shortest first."""
    return tuple(
        sorted((format_path(path) for path in _paths(root, ()) if path[-1] == name), key=lambda text: (text.count("."), text))
    )


def _paths(annotation: Any, path: Path) -> Iterator[Path]:
    for name, field in fields_of(annotation).items():
        if path or name != "status":
            yield (*path, name)
            yield from _paths(field.annotation, (*path, name))


def suggestion(root: Any, path: Path) -> str:
    """What to write instead of a field that does not exist, as the end of a sentence."""
    *around, name = path
    siblings = tuple(fields_of(at(root, tuple(around))))
    by_lower = {sibling.lower(): sibling for sibling in siblings}
    if exact := by_lower.get(str(name).lower()):
        return f'did you mean "{exact}"?'
    if places := elsewhere(root, str(name)):
        return f"did you mean {' or '.join(places[:3])}?"
    if close := nearest(str(name), siblings):
        return f'did you mean "{close}"?'
    if not siblings:
        return "nothing can stand below this value"
    return f"known here are {', '.join(siblings[:_SHOWN])}{' and others' if len(siblings) > _SHOWN else ''}"
