"""Loads in tests: a watcher that remembers, and a way to say a load in one line."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odp_loader.progress import Progress
from odp_loader.spec import Load


class Watcher:
    """Remembers all that a load says about itself."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []
        self.notes: list[str] = []

    def progress(self, progress: Progress) -> None:
        self.seen.append(progress)

    def note(self, message: str) -> None:
        self.notes.append(message)


def load_of(source: dict[str, Any], url: Path | str, *, transform: dict[str, Any] | None = None, **fields: Any) -> Load:
    """A load of `source` into `url`; `sink` fields come as sink_<field>, others as they are."""
    sink = {name.removeprefix("sink_"): fields.pop(name) for name in list(fields) if name.startswith("sink_")}
    document = {"source": source, "sink": {"parquet": {"url": str(url), **sink}}, **fields}
    return Load.model_validate(document if transform is None else {**document, "transform": transform})


def rows_of(url: Path | str, *sort_by: str) -> pa.Table:
    """All rows of a finished dataset, in the order of some columns."""
    table = pq.read_table(str(url) + "/data")
    return table.sort_by([(name, "ascending") for name in sort_by]) if sort_by else table


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    """Whether two tables have the same columns, types and rows in the same order; metadata is not compared."""
    return one.column_names == other.column_names and all(one[name].equals(other[name]) for name in one.column_names)
