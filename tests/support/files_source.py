"""Reads files through the source under test, as the driver and the workers of a load do."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from odp_loader import spec
from odp_loader.sources import Cut, TableDescription
from odp_loader.sources.files import FilesSource
from odp_loader.spec import Partitions


def files_source(url: Path | str, **options: Any) -> FilesSource:
    """The source that a specification with this url and these fields names."""
    return FilesSource(spec.FilesSource(url=str(url), **options))


def load(url: Path | str, *, cut: Cut | None = None, description: TableDescription | None = None, **options: Any) -> pa.Table:
    """All rows, partition by partition, each read by an instance of its own that was told the schema only."""
    source = files_source(url, **options)
    description = description or source.describe()
    cut = cut or source.divide(description, Partitions(), bytes_per_row=50)
    batches = []
    for partition in cut.partitions:
        there = FilesSource(spec.FilesSource(url=str(url), **options), schema=description.schema)
        batches += list(there.read(partition.selection))
    for batch in batches:
        assert batch.schema.equals(description.schema, check_metadata=True)
        assert 0 < batch.num_rows <= 120_000
        batch.validate(full=True)
    return pa.Table.from_batches(batches, description.schema).replace_schema_metadata()


def paths_of(source: FilesSource) -> list[str]:
    """The paths of the source's files."""
    return [file["path"] for file in source.describe().statistics["files"]]
