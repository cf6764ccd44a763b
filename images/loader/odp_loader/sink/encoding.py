"""How the values of each column are encoded: encoding is three quarters of the CPU time of a load (measured in benchmarks/sink.py).

A dictionary where values repeat; otherwise DELTA_BINARY_PACKED for integers and times, BYTE_STREAM_SPLIT for floats, PLAIN for
the rest. Data pages are of version 1, one per column and row group: version 2, smaller pages and larger write batches gained
nothing measurable. LZ4 is LZ4_RAW. Every reader that tests/loader/test_sink_readers.py names opens all of these.
"""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

_RUNS = 64
_RUN_ROWS = 64
_REPEATING_TEXT = 0.95
"""Distinct values per row of a sample up to which text gets a dictionary: up to about 40 000 in a row group."""
_REPEATING_NUMBERS = 0.6
"""Likewise for fixed-width types: up to about 4 000 in a row group. With more, building the dictionary costs more time than
the other encodings and saves nothing."""


@dataclass(frozen=True)
class Encodings:
    """The two arguments with which pyarrow's ParquetWriter takes encodings; a column in neither is PLAIN."""

    use_dictionary: list[str] = field(default_factory=list)
    column_encoding: dict[str, str] = field(default_factory=dict)


def choose_encodings(rows: pa.Table) -> Encodings:
    """The encodings for a file that begins with `rows`, its first row group."""
    sample = _sample(rows)
    chosen = Encodings()
    for column in rows.schema:
        if _repeats(sample[column.name]):
            chosen.use_dictionary.append(column.name)
        elif pa.types.is_floating(column.type):
            chosen.column_encoding[column.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_integer(column.type) or pa.types.is_temporal(column.type):
            chosen.column_encoding[column.name] = "DELTA_BINARY_PACKED"
    return chosen


def _sample(rows: pa.Table) -> pa.Table:
    """Short runs from all over the rows, so that both sorted values and values in cycles show that they repeat."""
    if rows.num_rows <= _RUNS * _RUN_ROWS:
        return rows
    step = rows.num_rows // _RUNS
    return pa.concat_tables([rows.slice(run * step, _RUN_ROWS) for run in range(_RUNS)])


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary pays. Booleans are one bit each as they are."""
    if pa.types.is_boolean(column.type):
        return False
    wide = pa.types.is_string(column.type) or pa.types.is_binary(column.type) or pa.types.is_decimal(column.type)
    limit = _REPEATING_TEXT if wide else _REPEATING_NUMBERS
    return bool(pc.count_distinct(column).as_py() <= limit * (len(column) - column.null_count))
