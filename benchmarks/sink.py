"""Measures the Parquet sink alone, in one process, beside pyarrow's ParquetWriter as it is; prints a table.

    python benchmarks/sink.py                                       10 million rows, 5 rounds, about two minutes
    python benchmarks/sink.py --rows 1000000 --rounds 3 --codec zstd

All take turns, A B C A B C ..., and are compared round by round, so that a slower machine slows them all. Ours includes what
a load needs besides encoding: the search for NaN, a receipt with bounds of every column, and the file's SHA-256.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Run as a script, Python looks for modules beside it; the tables are in a module of the package.
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.tables import batches
from odp_loader.sink import PartitionWriter
from odp_loader.sink.writer import ROW_GROUP_ROWS
from odp_loader.spec import Compression

Write = Callable[[Sequence[pa.RecordBatch], Path], None]
_DEFAULT_ROWS = 1024 * 1024
"""pyarrow's own size of row groups."""


@dataclass(frozen=True)
class Turn:
    """What one turn took."""

    seconds: float
    cpu_s: float
    bytes: int


def default(rows: Sequence[pa.RecordBatch], path: Path, *, codec: str, row_group: int) -> None:
    """What people write: a ParquetWriter without any option but the codec."""
    table = pa.Table.from_batches(rows)
    with pq.ParquetWriter(path, table.schema, compression=codec) as writer:
        for start in range(0, table.num_rows, row_group):
            writer.write_table(table.slice(start, row_group), row_group_size=row_group)


def ours(rows: Sequence[pa.RecordBatch], path: Path, *, codec: str) -> None:
    """What a worker does; fsync is left out, as it measures the disk."""
    with PartitionWriter(
        path.parent, stem=path.stem, schema=rows[0].schema, compression=Compression(codec), durable=False
    ) as writer:
        for batch in rows:
            writer.write(batch)
        writer.finish()


def checksum(_: Sequence[pa.RecordBatch], path: Path) -> None:
    """The part of ours that is not encoding: reading the file that was just written for its SHA-256."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def turn(write: Write, rows: Sequence[pa.RecordBatch], path: Path) -> Turn:
    """Write the rows once, into a file of the page cache."""
    if write is not checksum:
        path.unlink(missing_ok=True)
    seconds, cpu_s = time.perf_counter(), time.process_time()
    write(rows, path)
    return Turn(time.perf_counter() - seconds, time.process_time() - cpu_s, path.stat().st_size)


def main() -> None:
    """Print seconds, throughput, size and the ratios to ours."""
    parser = argparse.ArgumentParser(description="Measure the Parquet sink alone.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="default: 10 million")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--codec", choices=list(Compression), action="append", help="default: all of them")
    arguments = parser.parse_args()
    rows = list(batches(arguments.rows))
    size = sum(batch.nbytes for batch in rows)
    print(f"{arguments.rows:,} rows, {size / 1e6:.0f} MB Arrow, {rows[0].num_columns} columns, median of {arguments.rounds}")
    print(f"{'':34}{'s':>8}{'CPU s':>8}{'MB/s':>8}{'file MB':>9}{'x ours':>8}{'CPU':>6}")
    for codec in arguments.codec or list(Compression):
        writers: dict[str, Write] = {
            f"{codec}: pyarrow's defaults": partial(default, codec=codec, row_group=_DEFAULT_ROWS),
            f"{codec}: same, our row groups": partial(default, codec=codec, row_group=ROW_GROUP_ROWS),
            f"{codec}: ours": partial(ours, codec=codec),
            f"{codec}: ours, the SHA-256 of it": checksum,
        }
        turns: dict[str, list[Turn]] = {name: [] for name in writers}
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(arguments.rounds):
                for name, write in writers.items():
                    turns[name].append(turn(write, rows, Path(folder) / "table.parquet"))
        show(turns, size)


def show(turns: dict[str, list[Turn]], size: int) -> None:
    """One line for each way to write; ratios are medians over the rounds."""
    our_turns = next(own for name, own in turns.items() if name.endswith(": ours"))
    for name, own in turns.items():
        seconds = statistics.median(t.seconds for t in own)
        cpu_s = statistics.median(t.cpu_s for t in own)
        ratio = statistics.median(t.seconds / o.seconds for t, o in zip(own, our_turns, strict=True))
        cpu = statistics.median(t.cpu_s / o.cpu_s for t, o in zip(own, our_turns, strict=True))
        print(
            f"{name:34}{seconds:8.2f}{cpu_s:8.2f}{size / 1e6 / seconds:8.0f}{own[-1].bytes / 1e6:9.1f}{ratio:8.2f}{cpu:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
