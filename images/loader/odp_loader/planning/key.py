"""Which column a table is cut along."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from odp_loader.errors import InvalidLoad
from odp_loader.planning.columns import ColumnStatistics, Kind

_NAME = re.compile(r"[A-Za-z_]\w*")
_RESERVED = frozenset({"and", "or", "not", "is", "null", "none", "true", "false", "within", "contains", "intersect", "intersects"})
"""Words of ODP's filter language, which a column of that name would be taken for."""
_NULLS_AT_MOST = 0.1
"""Share of the rows. Nulls are one partition, which cannot be cut."""


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """The column along which a table is cut, or None, and why."""

    column: ColumnStatistics | None
    why: str
    """A sentence without its full stop."""


def choose_key(columns: Sequence[ColumnStatistics], *, split_by: str | None, rows: int) -> KeyChoice:
    """The column that is asked for, else one marked `index`, else the first time, integer or string column, the soundest first.

    A sound key has known bounds, more than one value and few nulls. Raises InvalidLoad when `split_by` names a column that
    does not exist or cannot be cut into ranges.
    """
    if split_by is not None:
        return KeyChoice(_asked_for(columns, split_by), f'"{split_by}" is the key: splitBy asks for it')
    usable = [c for c in columns if _flaw(c) is None and c.kind is not Kind.FLOAT and not _is_idle(c, rows)]
    if not usable:
        return KeyChoice(None, "no column can serve as a key: a time, an integer or a string with more than one value is needed")
    best = min(usable, key=lambda column: (not _is_sound(column, rows), not column.is_index, column.kind))
    quality = "" if _is_sound(best, rows) else ", though its bounds are unknown or many of its values null"
    if best.is_index:
        return KeyChoice(best, f'"{best.name}" is the key: the table marks it as index{quality}')
    assert best.kind is not None
    return KeyChoice(best, f'"{best.name}" is the key: the best {best.kind.name.lower()} column{quality}')


def _asked_for(columns: Sequence[ColumnStatistics], name: str) -> ColumnStatistics:
    column = next((column for column in columns if column.name == name), None)
    cuttable = [column.name for column in columns if _flaw(column) is None]
    if column is None:
        by_lower_case = {other.name.lower(): other.name for other in columns}
        close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
        hint = f'did you mean "{by_lower_case[close[0]]}"?' if close else _advice(cuttable)
        raise InvalidLoad(f'splitBy: the table has no column "{name}"; {hint}')
    if flaw := _flaw(column):
        raise InvalidLoad(f'splitBy: "{name}" cannot be cut into ranges, {flaw}; {_advice(cuttable)}')
    return column


def _advice(cuttable: Sequence[str]) -> str:
    if not cuttable:
        return "leave splitBy out: no column of this table can be cut"
    return f"name one of {', '.join(cuttable[:10])}{', ...' if len(cuttable) > 10 else ''}, or leave splitBy out"


def _flaw(column: ColumnStatistics) -> str | None:
    """Why a column cannot be the key at all."""
    if column.is_geometry:
        return "it is a geometry"
    if column.kind is None:
        return f"its type is {column.type}"
    if not _NAME.fullmatch(column.name):
        return "a filter cannot name it: names are letters, digits and _"
    if column.name.lower() in _RESERVED:
        return "its name is a word of the filter language"
    return None


def _is_idle(column: ColumnStatistics, rows: int) -> bool:
    """Whether the statistics say that ranges of it would divide nothing."""
    constant = column.minimum is not None and column.minimum == column.maximum
    return constant or (column.nulls is not None and 0 < rows <= column.nulls)


def _is_sound(column: ColumnStatistics, rows: int) -> bool:
    known = column.minimum is not None and column.maximum is not None
    return known and (column.nulls is None or column.nulls <= _NULLS_AT_MOST * rows)
