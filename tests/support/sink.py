"""Writes tables with the sink, reads them back with everything that people read Parquet with, and compares."""

from collections.abc import Callable, Mapping
from pathlib import Path

import dask
import dask.dataframe as dd
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

from odp_loader.receipt import FileReceipt
from odp_loader.sink import PartitionWriter

Reader = Callable[[Path], pa.Table]


def write(folder: Path, table: pa.Table, *, chunk: int = 65_536, durable: bool = False, **options) -> tuple[FileReceipt, ...]:
    """Write a table as one partition."""
    with PartitionWriter(folder, stem="part-0", schema=table.schema, durable=durable, **options) as writer:
        for batch in table.to_batches(max_chunksize=chunk):
            writer.write(batch)
        return writer.finish()


def _dask(**options) -> Reader:
    def read(folder: Path) -> pa.Table:
        with dask.config.set(scheduler="synchronous"):
            frame = dd.read_parquet(folder, dtype_backend="pyarrow", **options).compute()
        return pa.Table.from_pandas(frame, preserve_index=False)

    return read


def _pandas(folder: Path) -> pa.Table:
    return pa.Table.from_pandas(pd.read_parquet(folder, dtype_backend="pyarrow"), preserve_index=False)


def duck_rows(query: str) -> pa.Table:
    """The rows of a DuckDB query."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(query).to_arrow_table()


READERS: Mapping[str, Reader] = {
    "dask": _dask(),
    "dask-arrow": _dask(filesystem="arrow"),
    "pandas": _pandas,
    "pyarrow": lambda folder: ds.dataset(folder, partitioning="hive").to_table(),
    "polars": lambda folder: pl.read_parquet(folder).to_arrow(),
    "duckdb": lambda folder: duck_rows(f"SELECT * FROM read_parquet('{folder}/**/*.parquet')"),
}


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    """Same columns, types and values in the same order; NaN equals NaN, and the types of a reader become the expected ones."""
    assert found.column_names == expected.column_names
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        want = expected[name].combine_chunks()
        have = _plain(found[name].combine_chunks(), want.type)
        if pa.types.is_floating(want.type):
            assert have.is_null().equals(want.is_null()), name
            np.testing.assert_array_equal(have.fill_null(0).to_numpy(), want.fill_null(0).to_numpy(), err_msg=name)
        else:
            assert have.equals(want), (name, have, want)


def _plain(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(wanted)
