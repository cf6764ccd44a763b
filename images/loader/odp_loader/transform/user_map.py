"""Calls the job's own `map` function on chunks of rows, and says whose fault it is when that goes wrong."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import pandas as pd
import pyarrow as pa

from odp_loader.errors import InvalidLoad, UserCodeFailed
from odp_loader.transform.frames import UnfitFrame, fitted, frame_of, rows_of

_SHOWN_ROWS = 5
_SHOWN_CHARACTERS = 2_000
_KEY_VARIABLE = "ODP_API_KEY"
"""Somebody else's code may put the key into what it raises (requests does so for a header it does not like)."""


class UserMap:
    """The function that `path` (`package.module:function`) names, for rows of `schema`.

    Raises InvalidLoad when it cannot be imported. Its results are compared with `output`, once that is known.
    """

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema
        self._function = _imported(path)

    def first(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The function's result, whatever columns it has; its schema is to be that of all others.

        With no rows, a column of Python objects that the input does not have counts as strings. Raises UserCodeFailed, also
        for a column in which no value tells its type.
        """
        frame = self._called(rows)
        result = self._checked(lambda: rows_of(frame, self._schema), rows)
        untyped = [field.name for field in result.schema if pa.types.is_null(field.type) and not self._is_null_in_input(field.name)]
        if not untyped:
            return result
        if result.num_rows:
            raise self._failure(
                f"returned a column '{untyped[0]}' without any value in its first result, so nobody knows its type;"
                f" give it one, as in frame['{untyped[0]}'].astype('Float64')",
                rows,
            )
        fields = [pa.field(f.name, pa.string(), metadata=f.metadata) if f.name in untyped else f for f in result.schema]
        return result.cast(pa.schema(fields, result.schema.metadata))

    def apply(self, rows: pa.RecordBatch, output: pa.Schema) -> pa.RecordBatch:
        """The function's result with exactly the schema `output`. Raises UserCodeFailed."""
        frame = self._called(rows)
        return self._checked(lambda: fitted(rows_of(frame, output), output), rows)

    def _called(self, rows: pa.RecordBatch) -> pd.DataFrame:
        try:
            result = self._function(frame_of(rows))
        except (Exception, SystemExit) as error:  # somebody else's code: whatever it raises is to be told
            words = "\n".join([f"raised {type(error).__name__}: {str(error)[:_SHOWN_CHARACTERS]}", *self._own_frames(error)])
        else:
            if isinstance(result, pd.DataFrame):
                return result
            kind = f"{type(result).__module__}.{type(result).__qualname__}".removeprefix("builtins.")
            forgotten = "; does it lack a `return`?" if result is None else ""
            words = f"returned {kind}, not a pandas.DataFrame{forgotten}"
        # Outside the handler: an exception that travels must not carry the caught one, which may hold anything.
        raise self._failure(words, rows)

    def _checked(self, convert: Callable[[], pa.RecordBatch], rows: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return convert()
        except UnfitFrame as error:
            words = f"returned {error}"
        raise self._failure(words, rows)

    def _failure(self, words: str, rows: pa.RecordBatch) -> UserCodeFailed:
        if rows.num_rows == 0:
            shown = (
                "it was given no rows, only columns: none of the first rows came as far, and its result tells the columns to expect"
            )
        else:
            shown = f"the first rows that went in:\n{_text(rows.slice(0, _SHOWN_ROWS))}"
        return UserCodeFailed(_without_key(f"transform.map: {self._path} {words}\n{shown}"))

    def _own_frames(self, error: BaseException) -> list[str]:
        """Where in the function's own package it happened; what lies below in libraries is told by the error itself."""
        package = self._path.partition(":")[0].partition(".")[0]
        own = [
            summary
            for (frame, _), summary in zip(
                traceback.walk_tb(error.__traceback__), traceback.extract_tb(error.__traceback__), strict=True
            )
            if str(frame.f_globals.get("__name__")).partition(".")[0] == package
        ]
        return [f"  {frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}" for frame in own]

    def _is_null_in_input(self, name: str) -> bool:
        return name in self._schema.names and pa.types.is_null(self._schema.field(name).type)


def _imported(path: str) -> Callable[[pd.DataFrame], Any]:
    module_name, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        words = f"there is no module '{missing}'"
        if module_name != missing and not module_name.startswith(f"{missing}."):
            words = f"{module_name} imports '{missing}', which is not installed"
        words += (
            "; install it where the loader and the Dask workers run, or name its folder in PYTHONPATH"
            f" (Python looks in {', '.join(entry or '.' for entry in sys.path[:6])})"
        )
    except (Exception, SystemExit) as error:  # importing runs somebody else's code
        words = f"importing {module_name} failed: {type(error).__name__}: {str(error)[:500]}"
    else:
        return _member(found, name, path)
    raise InvalidLoad(_without_key(f"transform.map: {words}"))


def _member(module: Any, name: str, path: str) -> Callable[[pd.DataFrame], Any]:
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            offered = [member for member, value in vars(found).items() if callable(value) and not member.startswith("_")]
            near = get_close_matches(part, offered, 1) or offered[:10]
            hint = f"; there is {', '.join(near)}" if near else ""
            raise InvalidLoad(f"transform.map: {path.partition(':')[0]} has no '{part}'{hint}")
        found = getattr(found, part)
    if not callable(found):
        raise InvalidLoad(f"transform.map: {path} is {type(found).__name__}, not a function")
    function: Callable[[pd.DataFrame], Any] = found
    return function


def _text(rows: pa.RecordBatch) -> str:
    text = frame_of(rows).to_string(index=False, max_cols=12, max_colwidth=40, line_width=None)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]} ..."


def _without_key(text: str) -> str:
    key = os.environ.get(_KEY_VARIABLE)
    return text.replace(key, "***") if key else text
