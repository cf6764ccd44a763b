"""Whatever rows a source has, in whatever chunks and row groups: the files hold them, and the receipts say so."""

import datetime
import math
import tempfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odp_loader.sink import writer
from odp_loader.spec import Compression
from tests.support.sink import assert_same, write

DAY = datetime.timedelta(days=1)


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def moments(zone=None):
    return st.datetimes(timezones=st.just(zone) if zone else st.none())


VALUES = {
    pa.int8(): integers(8),
    pa.int32(): integers(32),
    pa.int64(): integers(64),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=20),
    pa.binary(): st.binary(max_size=20),
    pa.date32(): st.dates(),
    pa.timestamp("us"): moments(),
    pa.timestamp("us", "UTC"): moments(datetime.UTC),
    pa.time64("us"): st.times(),
    pa.decimal128(20, 3): st.decimals(-(10**16), 10**16, places=3),
}
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)


@st.composite
def tables(draw):
    """Few distinct values or many, some of them null, in one to five columns."""
    rows = draw(st.integers(1, 60))
    columns, fields = [], []
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(list(VALUES)))
        pool = draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=12))
        picks = draw(st.lists(st.integers(0, len(pool) - 1), min_size=rows, max_size=rows))
        columns.append(pa.array([pool[pick] for pick in picks], kind))
        fields.append(pa.field(name, kind))
    return pa.table(columns, schema=pa.schema(fields))


def with_row_groups_of(rows, write_them):
    """Run `write_them` with small row groups; a fixture would be one for all examples."""
    before, writer.ROW_GROUP_ROWS = writer.ROW_GROUP_ROWS, rows
    try:
        return write_them()
    finally:
        writer.ROW_GROUP_ROWS = before


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.integers(1, 60), st.integers(1, 60), st.sampled_from(Compression))
def test_files_hold_the_rows_and_receipts_say_so(table, chunk, row_group, compression):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (file,) = with_row_groups_of(row_group, lambda: write(folder, table, chunk=chunk, compression=compression))
        stored = pq.read_table(folder / file.path)
        footer = pq.read_metadata(folder / file.path)
    assert stored.schema.equals(table.schema)
    assert_same(stored, table)
    assert file.rows == table.num_rows
    for i, column in enumerate(table.column_names):
        summary, values = file.columns[column], table[column]
        nan = pa.types.is_floating(values.type) and pc.any(pc.is_nan(values)).as_py()
        assert {footer.row_group(g).column(i).is_stats_set for g in range(footer.num_row_groups)} == {not nan}
        assert summary.nulls == values.null_count
        low, high = bounds(values)
        assert (summary.minimum, summary.maximum) == (low, high)


def bounds(column):
    """The least and greatest value as a receipt has them, found in plain Python."""
    if pa.types.is_binary(column.type):
        return None, None
    values = [value for value in column.to_pylist() if value is not None and value == value]
    return (plain(min(values)), plain(max(values))) if values else (None, None)


def plain(value):
    match value:
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case Decimal():
            return format(value, "f")
        case datetime.datetime():
            text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
            return text.rstrip("0").rstrip(".") + ("Z" if value.tzinfo else "")
        case datetime.time():
            return value.isoformat(timespec="microseconds").rstrip("0").rstrip(".")
        case datetime.date():
            return value.isoformat()
        case _:
            return value


KEYS = {
    pa.int64(): integers(64),
    pa.string(): st.text(st.characters(codec="utf-8", exclude_categories=["Nd", "Cc"]), max_size=8).filter(
        lambda text: text.strip().lower().lstrip("+-") not in {"nan", "inf", "infinity", "true", "false", "epoch"}
    ),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(),
}


@st.composite
def keyed_tables(draw):
    """A row number and one or two columns that become folders."""
    rows = draw(st.integers(1, 40))
    columns = {"id": pa.array(range(rows))}
    for name in ("first key", "b")[: draw(st.integers(1, 2))]:
        kind = draw(st.sampled_from(list(KEYS)))
        columns[name] = pa.array(draw(st.lists(st.none() | KEYS[kind], min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keyed_tables(), st.integers(1, 40), st.integers(1, 10))
def test_folders_hold_the_rows_and_the_keys(table, chunk, row_group):
    keys = table.column_names[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = with_row_groups_of(row_group, lambda: write(folder, table, chunk=chunk, partition_on=keys))
        hive = ds.partitioning(pa.schema([table.schema.field(key) for key in keys]), flavor="hive")
        stored = ds.dataset(folder, partitioning=hive).to_table().sort_by("id")
    assert_same(stored, table)
    assert sum(file.rows for file in files) == table.num_rows
    assert len(files) == table.group_by(keys).aggregate([]).num_rows
