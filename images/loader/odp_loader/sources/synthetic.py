"""Makes rows up on the workers: an ocean table of any size that is the same for the same seed, wherever it is made.

A row is a measurement by one of 50 stations, a minute after the row before it. Rows are drawn partition by partition, partition
i from a generator seeded with `seed + i`: the way people write such tables with Dask by hand, with the same number of partitions.
"""

import datetime
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odp_loader import spec
from odp_loader.errors import InvalidLoad
from odp_loader.partition import Partition, RowRange, Selection
from odp_loader.sources import Cut, TableDescription

FIRST_TIME = datetime.datetime(2020, 1, 1)
STATIONS = 50
CHUNK_ROWS = 120_000
_ROWS_PER_PARTITION = 100_000
_FEWEST_PARTITIONS = 4
_PREVIEW_ROWS = 1_000
_DEEPEST_M = 2000.0
_FREEZING_C = -1.9


def _field(name: str, kind: pa.DataType, long_name: str, **attributes: str) -> pa.Field:
    return pa.field(name, kind, metadata={"long_name": long_name, **attributes})


SCHEMA = pa.schema(
    [
        _field("timestamp", pa.timestamp("us"), "time of the measurement, UTC", standard_name="time", index="1"),
        _field("station_id", pa.string(), "name of the station, ST-000 to ST-049"),
        _field("lat", pa.float64(), "latitude of the station", units="degrees_north", standard_name="latitude"),
        _field("lon", pa.float64(), "longitude of the station", units="degrees_east", standard_name="longitude"),
        _field("depth", pa.float64(), "depth of the measurement, 0 to 2000", units="m", standard_name="depth", positive="down"),
        _field("temperature", pa.float64(), "temperature", units="degC", standard_name="sea_water_temperature"),
        _field("salinity", pa.float64(), "practical salinity", units="1", standard_name="sea_water_practical_salinity"),
    ]
)

# Steps of 13 and 17 are coprime to 50: no two stations share a latitude or a longitude.
_NAMES = pa.array([f"ST-{station:03d}" for station in range(STATIONS)])
_LAT = np.array([station * 13 % STATIONS * 2.8 - 68.6 for station in range(STATIONS)])
_LON = np.array([station * 17 % STATIONS * 7.2 - 176.4 for station in range(STATIONS)])


class SyntheticSource:
    """The made-up table of a specification. The rows depend on its `rows`, its `seed` and `partitions.maximum` only."""

    def __init__(self, synthetic: spec.SyntheticSource) -> None:
        self._rows = synthetic.rows
        self._seed = synthetic.seed

    def describe(self) -> TableDescription:
        """Schema and number of rows."""
        return TableDescription(schema=SCHEMA, rows=self._rows, statistics={"rows": self._rows, "seed": self._seed})

    def preview(self, columns: Sequence[str] | None = None) -> pa.RecordBatch | None:  # noqa: ARG002 # protocol
        """The first rows; None when there are none."""
        # No first partition has fewer rows than a quarter of the table, or 100 000: these are rows of it, not others.
        rows = min(_PREVIEW_ROWS, max(self._rows // _FEWEST_PARTITIONS, 1), self._rows)
        return next(self.read(RowRange(stream=0, start=0, stop=rows)), None)

    def foresee(self, description: TableDescription, partitions: spec.Partitions, *, least_bytes_per_row: float) -> None:
        """Nothing: `divide` asks nobody."""

    def divide(self, description: TableDescription, partitions: spec.Partitions, *, bytes_per_row: float) -> Cut:  # noqa: ARG002 # protocol
        """`max(4, rows // 100_000)` partitions of equal size, but no empty ones and at most `partitions.maximum`."""
        usual = max(_FEWEST_PARTITIONS, self._rows // _ROWS_PER_PARTITION)
        number = max(1, min(usual, partitions.maximum, self._rows))
        bounds = [self._rows * index // number for index in range(number + 1)]
        return Cut(
            partitions=tuple(
                Partition(index, RowRange(stream=index, start=start, stop=stop), rows=stop - start)
                for index, (start, stop) in enumerate(itertools.pairwise(bounds))
            ),
            notes=(
                f"made up in {number} partitions of {bounds[1]} rows or one more; partition i is drawn from seed {self._seed} + i",
            ),
        )

    def count(self, selection: Selection | None) -> int:
        """How many rows `selection` has, or the whole table."""
        if selection is None:
            return self._rows
        rows = _expect_rows(selection)
        return rows.stop - rows.start

    def read(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """The rows of `selection`, in chunks of at most 120 000."""
        rows = _expect_rows(selection)
        generator = np.random.Generator(np.random.PCG64(self._seed + rows.stream))
        for start in range(rows.start, rows.stop, CHUNK_ROWS):
            yield _chunk(generator, start, min(start + CHUNK_ROWS, rows.stop))


def _expect_rows(selection: Selection) -> RowRange:
    if not isinstance(selection, RowRange):
        raise InvalidLoad(f"a synthetic table is read by ranges of rows, not by {type(selection).__name__}: plan this load anew")
    return selection


def _chunk(generator: np.random.Generator, start: int, stop: int) -> pa.RecordBatch:
    """The rows `start` to `stop`.

    A row takes the same draws in the same order, however the rows are chunked. Draws are `random` only, and what follows is sums
    and products: exact in IEEE arithmetic, so that every machine makes the same bits, as `normal` and `sin` would not.
    """
    draws = generator.random((stop - start, 8)).T
    minutes = np.arange(start, stop).astype("timedelta64[m]")
    station = (draws[0] * STATIONS).astype(np.int32)
    lat = _LAT[station]
    depth = _DEEPEST_M * draws[1] * draws[1]  # most measurements are near the surface
    shallow = 1 - depth / _DEEPEST_M
    surface = 29 - 0.0062 * lat * lat
    temperature = 2 + (surface - 2) * shallow * shallow * shallow * shallow + 0.8 * _bell(draws[2:5])
    columns = {
        "timestamp": np.datetime64(FIRST_TIME, "us") + minutes.astype("timedelta64[us]"),
        "station_id": _NAMES.take(pa.array(station)),
        "lat": lat,
        "lon": _LON[station],
        "depth": depth,
        "temperature": np.maximum(temperature, _FREEZING_C),
        "salinity": 34.8 + 0.3 * _bell(draws[5:8]),
    }
    return pa.RecordBatch.from_arrays([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _bell(draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Three uniform draws become one of mean 0 and standard deviation 1, between -3 and 3."""
    total: npt.NDArray[np.float64] = draws[0] + draws[1] + draws[2]
    return 2 * total - 3
