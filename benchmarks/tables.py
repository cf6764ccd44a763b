"""Makes the tables that benchmarks read: seeded, sorted by time, of any size, written once into a cache folder and kept."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa

CACHE = Path(__file__).parent.parent / ".cache" / "benchmarks"
BATCH_ROWS = 65_536
STATIONS = 500
_START = np.datetime64("2015-01-01", "us")
_MEAN_STEP_US = 1_000_000
_FORMAT = 1
"""Part of the file's name; counts changes of what follows."""

SCHEMA = pa.schema(
    [
        pa.field("timestamp", pa.timestamp("us"), metadata={"index": "1"}),
        ("station_id", pa.int64()),
        ("lat", pa.float64()),
        ("lon", pa.float64()),
        ("temp", pa.float64()),
        ("platform", pa.string()),
    ]
)
"""50 bytes a row in Arrow: five columns of 8, and names of six characters with their offsets."""

_PLATFORMS = pa.array(["argo-1", "argo-2", "buoy-1", "buoy-2", "drift1", "ferry1", "glider", "ship-1"])


class Shape(StrEnum):
    """How rows are spread over time."""

    EVEN = "even"
    """A second apart on average."""
    SKEWED = "skewed"
    """The last 2 % of the time span hold 90 % of the rows."""


def table_file(rows: int, shape: Shape = Shape.EVEN, *, seed: int = 42, cache: Path = CACHE) -> Path:
    """The Arrow IPC file of a table; it is written when it is not there yet, holding one batch in memory at a time."""
    path = cache / f"{shape}-{rows}-{seed}-v{_FORMAT}.arrow"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            for batch in batches(rows, shape, seed=seed):
                writer.write_batch(batch)
        unfinished.rename(path)
    return path


def batches(rows: int, shape: Shape = Shape.EVEN, *, seed: int = 42) -> Iterator[pa.RecordBatch]:
    """The rows of a table, at most BATCH_ROWS at once."""
    random = np.random.default_rng(seed)
    elapsed_us = 0
    for start in range(0, rows, BATCH_ROWS):
        size = min(BATCH_ROWS, rows - start)
        steps = random.random(size) * 2 * _mean_steps_us(np.arange(start, start + size), rows, shape)
        times = elapsed_us + np.cumsum(steps.astype(np.int64))
        elapsed_us = int(times[-1])
        columns = [
            _START + times.astype("timedelta64[us]"),
            random.integers(0, STATIONS, size),
            random.uniform(-90, 90, size),
            random.uniform(-180, 180, size),
            random.normal(12, 8, size),
            _PLATFORMS.take(pa.array(random.integers(0, len(_PLATFORMS), size))),
        ]
        yield pa.RecordBatch.from_arrays([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def _mean_steps_us(index: np.ndarray, rows: int, shape: Shape) -> np.ndarray:
    """Mean time between a row and the one before it."""
    if shape is Shape.EVEN:
        return np.full(len(index), float(_MEAN_STEP_US))
    return np.where(index < rows // 10, _MEAN_STEP_US * 0.98 / 0.10, _MEAN_STEP_US * 0.02 / 0.90)


def arrow_bytes(rows: int) -> int:
    """What the Arrow data of a table of so many rows takes."""
    return 50 * rows
