"""Turns the ocean climatologies of Debian's `ferret-datasets` into tidy Parquet tables: COADS for tests/data, others on demand.

    python tools/coads_table.py                                     write tests/data/coads.parquet again
    python tools/coads_table.py --check                             compare the committed file with a new one, byte by byte
    python tools/coads_table.py --table levitus --output .cache/levitus.parquet

Needs `apt-get` and `dpkg-deb`, or a copy of the package by `--package`. The same package and pyarrow give the same bytes.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.io import netcdf_file

PACKAGE = "ferret-datasets"
VERSION = "7.6.0-5"
PACKAGE_SHA256 = "e5770222647ebfe2ab77b845e07a7e05cb6fed7b12dec9ae287a1f8046031744"
FOLDER = Path("usr/share/ferret-vis/data")
COADS = Path(__file__).parent.parent / "tests" / "data" / "coads.parquet"

NOMINAL_YEAR = 2000
"""The files put their twelve months into year 0, which neither Python nor pandas can write. 2000 is the year that has the same
calendar (Gregorian years repeat after 400, and both are leap years), so that every date keeps its month, day and weekday."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table and the variable it comes from."""

    name: str
    variable: str
    units: str
    """As UDUNITS spells it."""
    file_units: str = ""
    """As the file spells it; another spelling there means another file."""
    standard_name: str
    """From the CF standard name table."""
    long_name: str
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One file: its axes, slowest first, and the fields on them."""

    file: str
    title: str
    axes: tuple[Column, ...]
    fields: tuple[Column, ...]


def _time() -> Column:
    # `index` marks the column that ODP, and the loader, divide the table by.
    extra = {"index": "1", "comment": f"mid-month instants of a climatological year, placed in the nominal year {NOMINAL_YEAR}"}
    return Column(name="time", variable="TIME", units="", standard_name="time", long_name="middle of the month", extra=extra)


def _depth(variable: str) -> Column:
    return Column(
        name="depth", variable=variable, units="m", file_units="METERS", standard_name="depth", long_name="depth below the surface",
        extra={"positive": "down"},
    )  # fmt: skip


def _position(lat: str, lon: str) -> tuple[Column, Column]:
    # `class` is how ODP marks coordinates.
    return (
        Column(
            name="lat", variable=lat, units="degrees_north", file_units="degrees_north", standard_name="latitude",
            long_name="latitude of the cell's centre", extra={"class": "latitude"},
        ),
        Column(
            name="lon", variable=lon, units="degrees_east", file_units="degrees_east", standard_name="longitude",
            long_name="longitude of the cell's centre, -180 <= lon < 180", extra={"class": "longitude"},
        ),
    )  # fmt: skip


def _field(name: str, variable: str, units: str, file_units: str, standard_name: str, long_name: str) -> Column:
    return Column(
        name=name, variable=variable, units=units, file_units=file_units, standard_name=standard_name, long_name=long_name
    )


GRIDS: Mapping[str, Grid] = {
    "coads": Grid(
        file="coads_climatology.cdf",
        title="COADS monthly climatology 1946-1989, 2 x 2 degrees",
        axes=(_time(), *_position("COADSY", "COADSX")),
        fields=(
            _field("sst", "SST", "degC", "Deg C", "sea_surface_temperature", "sea surface temperature"),
            _field("airt", "AIRT", "degC", "DEG C", "air_temperature", "air temperature"),
            _field("speh", "SPEH", "g kg-1", "G/KG", "specific_humidity", "specific humidity"),
            _field("wspd", "WSPD", "m s-1", "M/S", "wind_speed", "wind speed"),
            _field("uwnd", "UWND", "m s-1", "M/S", "eastward_wind", "zonal wind"),
            _field("vwnd", "VWND", "m s-1", "M/S", "northward_wind", "meridional wind"),
            _field("slp", "SLP", "hPa", "MB", "air_pressure_at_mean_sea_level", "sea level pressure"),
        ),
    ),
    "levitus": Grid(
        file="levitus_climatology.cdf",
        title="Levitus annual climatology, 1 x 1 degree, 20 depths",
        axes=(_depth("ZAXLEVITR"), *_position("YAXLEVITR", "XAXLEVITR")),
        fields=(
            _field("temperature", "TEMP", "degC", "DEG C", "sea_water_temperature", "temperature"),
            _field("salinity", "SALT", "1e-3", "PPT", "sea_water_salinity", "salinity"),
        ),
    ),
    "ocean_atlas": Grid(
        file="ocean_atlas_subset.nc",
        title="Ocean atlas monthly climatology, 2 x 2 degrees, 19 depths",
        axes=(_time(), _depth("ZAXLEVIT19"), *_position("YAX_SUBSET", "XAX_SUBSET")),
        fields=(_field("temperature", "TEMP", "degC", "", "sea_water_temperature", "temperature"),),
    ),
}


def tidy_table(path: Path, grid: Grid) -> pa.Table:
    """One row per point of the grid, sorted by its axes, missing values as nulls, fields as the file's float32.

    Raises ValueError when the file is not the one that `grid` describes.
    """
    with netcdf_file(path, "r", mmap=False) as source:
        axes = [_axis(source.variables[column.variable], column) for column in grid.axes]
        fields = {column.name: _values(source.variables[column.variable], column, grid) for column in grid.fields}
    # The file's longitudes run from 20 to 380; sorted into -180 .. 180 the fields turn with them.
    order = np.argsort(axes[-1], kind="stable")
    axes[-1] = axes[-1][order]
    points = np.meshgrid(*axes, indexing="ij")
    columns = [pa.array(coordinate.ravel()) for coordinate in points]
    for values, missing in fields.values():
        columns.append(pa.array(values[..., order].ravel(), mask=missing[..., order].ravel()))
    return pa.Table.from_arrays(columns, schema=_schema(grid, columns))


def _schema(grid: Grid, arrays: list[pa.Array]) -> pa.Schema:
    described = []
    for column, array in zip(grid.axes + grid.fields, arrays, strict=True):
        attributes = {"units": column.units, "standard_name": column.standard_name, "long_name": column.long_name, **column.extra}
        metadata = {name: value for name, value in attributes.items() if value}
        described.append(pa.field(column.name, array.type, nullable=column in grid.fields, metadata=metadata))
    return pa.schema(described, metadata={"title": grid.title, "source": f"{grid.file} of Debian's {PACKAGE} {VERSION}"})


def _axis(variable: netcdf_file, column: Column) -> npt.NDArray[np.generic]:
    units = variable.units.decode()
    if column.name == "time":
        if units != "hour since 0000-01-01 00:00:00":
            raise ValueError(f"{column.variable} is in {units!r}, not in hours of year 0: not the file this script was written for")
        seconds = np.rint(np.asarray(variable.data, np.float64) * 3600).astype("timedelta64[s]")
        return np.datetime64(f"{NOMINAL_YEAR}-01-01", "us") + seconds.astype("timedelta64[us]")
    _expect_units(variable, column)
    values = np.asarray(variable.data, np.float64)
    return (values + 180) % 360 - 180 if column.name == "lon" else values


def _values(variable: netcdf_file, column: Column, grid: Grid) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    if variable.dimensions != tuple(axis.variable for axis in grid.axes):
        raise ValueError(f"{column.variable} lies on {variable.dimensions}: not the file this script was written for")
    _expect_units(variable, column)
    values = np.asarray(variable.data, np.float32)
    missing = (values == variable.missing_value) | np.isnan(values)
    return values, missing


def _expect_units(variable: netcdf_file, column: Column) -> None:
    units = getattr(variable, "units", b"").decode()
    if units != column.file_units:
        raise ValueError(f"{column.variable} is in {units!r}, not {column.file_units!r}: not the file this script was written for")


def parquet_bytes(table: pa.Table, grid: Grid) -> bytes:
    """The table as one Parquet file; a row group is one step of the slowest axis, so that ranges of it skip the others."""
    target = io.BytesIO()
    steps = table.column(0).value_counts()
    axes = [column.name for column in grid.axes]
    pq.write_table(
        table, target, row_group_size=table.num_rows // len(steps), compression="zstd", compression_level=9,
        use_dictionary=axes, column_encoding={column.name: "BYTE_STREAM_SPLIT" for column in grid.fields},
    )  # fmt: skip
    return target.getvalue()


def unpacked(package: Path | None, folder: Path) -> Path:
    """The data folder of the package, unpacked below `folder`; the package is downloaded when it is not given.

    Raises ValueError for another package than the one this script knows.
    """
    if package is None:
        subprocess.run(["apt-get", "download", "-qq", f"{PACKAGE}={VERSION}"], cwd=folder, check=True)
        package = next(folder.glob(f"{PACKAGE}_*.deb"))
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest != PACKAGE_SHA256:
        raise ValueError(f"{package} is not {PACKAGE} {VERSION}: SHA-256 {digest}, expected {PACKAGE_SHA256}")
    subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    return folder / "root" / FOLDER


def main() -> int:
    """Write or compare one table; 1 when the comparison fails."""
    parser = argparse.ArgumentParser(description="Turn an ocean climatology of Debian's ferret-datasets into a tidy Parquet table.")
    parser.add_argument("--table", choices=sorted(GRIDS), default="coads")
    parser.add_argument("--output", type=Path, help="default for coads: tests/data/coads.parquet")
    parser.add_argument("--package", type=Path, help=f"{PACKAGE}_{VERSION}_all.deb, if you have it already")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with what is there")
    arguments = parser.parse_args()
    output = arguments.output or (COADS if arguments.table == "coads" else None)
    if output is None:
        parser.error(f"--output is needed: {arguments.table} is not kept in the repository")
    grid = GRIDS[arguments.table]
    with tempfile.TemporaryDirectory() as folder:
        table = tidy_table(unpacked(arguments.package, Path(folder)) / grid.file, grid)
    content = parquet_bytes(table, grid)
    summary = f"{table.num_rows} rows, {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"
    if arguments.check:
        same = output.read_bytes() == content
        print(f"{output}: {'the same as' if same else 'differs from'} a new one of {summary}")
        return 0 if same else 1
    output.write_bytes(content)
    print(f"{output}: {summary}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
