"""Folders for partitionOn: `year=2024/station=a%20b`, whose names readers turn back into columns.

Readers guess a folder's type from its name, each in its own way (measured with Dask 2026.8, pandas 2.3, pyarrow 18.1,
Polars 2.1 and DuckDB 2.0). Whole numbers come back as numbers everywhere, text as text; booleans and dates as such or as text,
unless the reader is told the schema. What some reader would change without a word is refused here.
Nulls are `__HIVE_DEFAULT_PARTITION__`. DuckDB, Polars and pyarrow read them back as they are. pandas and Dask fail with
an error unless they are told the type, as `odp_loader.open_dataset` does.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from odp_loader.errors import InvalidLoad

NULL = "__HIVE_DEFAULT_PARTITION__"
_KEY = re.compile(r"[^\W_][\w .-]*\Z")
"""Names of columns that all readers take literally: some decode percent-escapes in names, some do not, and some skip folders
that begin with `_` or `.`."""
_WHOLE_NUMBER = re.compile(r"(0|-?[1-9][0-9]{0,17})\Z")
_NO_TEXT = re.compile(
    r"""-?\d+\ *[-/.]\ *\d+\ *[-/.]\ *\d+([T ].*)?\Z   # dates, in whatever order, and what may follow them
        | \d{8}T\d+\Z
        | \d+:\d+(:.*)?\Z                           # times of day
        | 0(x[\da-f]+|b[01]+)\Z
        | (true|false|epoch)\Z
        | __HIVE_DEFAULT_PARTITION__\Z""",
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_NAME = 255
"""Bytes that file systems allow between two slashes."""


@dataclass(frozen=True)
class Folder:
    """Where rows with certain values of the partitionOn columns go."""

    path: str = ""
    """Relative to the dataset, with `/` inside; empty without partitionOn."""
    values: tuple[tuple[str, pa.Scalar], ...] = ()
    """The values of the partitionOn columns."""


def check_columns(schema: pa.Schema, partition_on: Sequence[str]) -> None:
    """Refuse partitionOn columns that cannot be folders. Raises InvalidLoad with one line for each."""
    problems = [f"partitionOn: {why}" for name in partition_on if (why := _problem(schema, name))]
    if len(set(partition_on)) < len(partition_on):
        problems.append("partitionOn names a column twice")
    if not set(schema.names) - set(partition_on):
        problems.append("no column is left for the files: leave one out of partitionOn, or load another column")
    if problems:
        raise InvalidLoad("\n".join(problems))


def _problem(schema: pa.Schema, name: str) -> str:
    if name not in schema.names:
        return f"there is no column {name!r}; the columns are {', '.join(schema.names)}"
    types = pa.types
    kind = schema.field(name).type
    if not (types.is_integer(kind) or types.is_string(kind) or types.is_boolean(kind) or types.is_date(kind)):
        return (
            f"column {name!r} is {kind}; only integers, text, booleans and dates can be folders: `derive` one, such as year(time)"
        )
    if not _KEY.match(name):
        return f"column name {name!r} cannot be part of a folder's name: `derive` one of letters, digits, `_`, `-`, `.` and spaces"
    return ""


def split(rows: pa.RecordBatch, partition_on: Sequence[str]) -> Iterator[tuple[Folder, pa.RecordBatch]]:
    """The rows of each folder, in the order they have, without the partitionOn columns.

    They are copies where there is more than one folder: a slice would keep all rows alive for the sake of a few.
    Raises InvalidLoad for a value that a reader would change.
    """
    if not partition_on:
        yield Folder(), rows
        return
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    for name in partition_on:
        encoded = rows.column(name).dictionary_encode(null_encoding="encode")
        codes = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
        codes = pa.array(codes).dictionary_encode().indices.to_numpy()  # 0, 1, 2 ... again
    counts = np.bincount(codes)
    small = codes.astype(np.uint16) if len(counts) <= 2**16 else codes  # which numpy sorts by radix
    order = np.argsort(small, kind="stable")
    ends = np.cumsum(counts)
    folders = _folders(rows.select(list(partition_on)).take(pa.array(order[ends - counts])))
    rest = rows.drop_columns(list(partition_on))
    if len(folders) == 1:
        yield folders[0], rest
        return
    for folder, members in zip(folders, np.split(order, ends[:-1]), strict=True):
        yield folder, rest.take(pa.array(members))


def _folders(keys: pa.RecordBatch) -> list[Folder]:
    """One folder for each row of `keys`, whose columns are those of partitionOn."""
    columns = [(name, keys.column(name), keys.column(name).cast(pa.string()).to_pylist()) for name in keys.schema.names]
    folders = []
    for i in range(keys.num_rows):
        segments = [_segment(name, texts[i], may_mislead=pa.types.is_string(column.type)) for name, column, texts in columns]
        folders.append(Folder("/".join(segments), tuple((name, column[i]) for name, column, _ in columns)))
    return folders


def _segment(name: str, text: str | None, *, may_mislead: bool) -> str:
    if text is not None and may_mislead and _misleads(text):
        raise InvalidLoad(
            f"partitionOn: some readers would take {text!r} in column {name!r} for a number, a date or a word with a meaning:"
            " `derive` a column of another type or wording"
        )
    segment = f"{name}={NULL if text is None else quote(text, safe='')}"
    if len(segment.encode()) > _LONGEST_NAME:
        raise InvalidLoad(
            f"partitionOn: a value of column {name!r} is too long for a folder's name: {text!r}; `derive` a shorter one"
        )
    return segment


def _misleads(text: str) -> bool:
    """Whether some reader would change `text`. Whole numbers in plain notation come back as numbers that print the same."""
    if _WHOLE_NUMBER.match(text):
        return False
    if _NO_TEXT.match(text):
        return True
    if text != text.strip() or "_" in text:  # Python reads a number in these, readers do not
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
