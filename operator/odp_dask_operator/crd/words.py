"""Reads what an enumeration's members mean: the docstring below each, as the fields of a model have one."""

import ast
import inspect
import textwrap
from enum import StrEnum


def members(words: type[StrEnum]) -> dict[str, str]:
    """The meaning of each value that has one, in the order of the source."""
    body = ast.parse(textwrap.dedent(inspect.getsource(words))).body[0]
    assert isinstance(body, ast.ClassDef)
    meanings = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                meanings[words[name].value] = inspect.cleandoc(text)
    return meanings
