"""The rows that loads of COADS must leave, computed from the table's own file, and the comparison."""

import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.bundle import ROOT

_ORDER = [("time", "ascending"), ("lat", "ascending"), ("lon", "ascending")]


def coads() -> pa.Table:
    """The whole table."""
    return pq.read_table(ROOT / "tests/data/coads.parquet")


def assert_same_rows(found: pa.Table, expected: pa.Table) -> None:
    """The same columns with the same types and every row exactly once, in whatever order; COADS' rows differ in time, lat, lon."""
    assert found.num_rows == expected.num_rows
    assert set(found.column_names) == set(expected.column_names)
    assert _in_order(found.select(expected.column_names)).equals(_in_order(expected))


def _in_order(table: pa.Table) -> pa.Table:
    plain = pa.schema([pa.field(field.name, field.type) for field in table.schema])
    return table.cast(plain).sort_by(_ORDER)
