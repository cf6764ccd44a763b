"""The committed COADS table is what its provenance says, and the script that made it reads grids right."""

import datetime
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.io import netcdf_file

from tools.coads_table import COADS, GRIDS, PACKAGE_SHA256, VERSION, Column, Grid, parquet_bytes, tidy_table

PROVENANCE = (COADS.parent / "README.md").read_text()


@pytest.fixture(scope="module")
def coads() -> pa.Table:
    return pq.read_table(COADS)


def test_provenance_names_the_file_and_the_package() -> None:
    digest = re.search(r"this file, SHA-256 \| `(\w{64})`", PROVENANCE)
    assert digest is not None
    assert digest[1] == hashlib.sha256(COADS.read_bytes()).hexdigest()
    assert PACKAGE_SHA256 in PROVENANCE
    assert f"`ferret-datasets` {VERSION}" in PROVENANCE


def test_every_column_is_as_the_provenance_lists_it(coads: pa.Table) -> None:
    rows = re.findall(r"^\| (\w+) \| ([\w\[\]]+) \| (.*?) ?\| (.+?) \| (.+?) \| ([\d ]+) \|$", PROVENANCE, re.MULTILINE)
    assert [row[0] for row in rows] == coads.column_names
    for name, arrow_type, units, least, greatest, nulls in rows:
        field, column = coads.schema.field(name), coads[name]
        assert str(field.type) == arrow_type
        assert field.metadata.get(b"units", b"").decode() == units
        assert column.null_count == int(nulls.replace(" ", ""))
        extremes = pc.min_max(column).as_py()
        if name == "time":
            assert [str(extremes["min"]), str(extremes["max"])] == [least, greatest]
        else:
            assert [extremes["min"], extremes["max"]] == pytest.approx([float(least), float(greatest)], abs=0.005)


def test_the_table_is_the_whole_grid_in_order(coads: pa.Table) -> None:
    assert coads.num_rows == 12 * 90 * 180
    assert coads.sort_by([(name, "ascending") for name in ("time", "lat", "lon")]).equals(coads)
    assert coads.group_by(["time", "lat", "lon"]).aggregate([]).num_rows == coads.num_rows
    assert pc.unique(pc.month(coads["time"])).to_pylist() == list(range(1, 13))


@pytest.mark.parametrize(
    ("place", "lat", "lon", "celsius"),
    [
        ("central Sahara", 21, 11, None),
        ("western Pacific warm pool", 1, 151, (28, 31)),
        ("North Sea", 57, 3, (4, 9)),
        ("Drake Passage", -57, -65, (3, 8)),
    ],
)
def test_january_is_where_it_should_be(coads: pa.Table, place: str, lat: int, lon: int, celsius: tuple[int, int] | None) -> None:
    here = (pc.field("lat") == lat) & (pc.field("lon") == lon) & (pc.field("time") < datetime.datetime(2000, 2, 1))
    (sst,) = coads.filter(here)["sst"].to_pylist()
    if celsius is None:
        assert sst is None
    else:
        assert celsius[0] < sst < celsius[1]


def test_metadata_marks_the_key_and_the_coordinates(coads: pa.Table) -> None:
    assert [field.name for field in coads.schema if b"index" in field.metadata] == ["time"]
    assert {field.name: field.metadata[b"class"] for field in coads.schema if b"class" in field.metadata} == {
        "lat": b"latitude",
        "lon": b"longitude",
    }
    assert all(field.metadata[b"long_name"] and field.metadata[b"standard_name"] for field in coads.schema)


def small_grid(path: Path, units: str = "degC") -> Grid:
    """A 1 x 2 x 4 grid whose longitudes start at 45 and whose values are their own longitude, one of them missing."""
    with netcdf_file(path, "w") as file:
        for name, values, unit in [
            ("T", [366.0], "hour since 0000-01-01 00:00:00"),
            ("Y", [-1.0, 1.0], "degrees_north"),
            ("X", [45.0, 135.0, 225.0, 315.0], "degrees_east"),
        ]:
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis[:] = values
            axis.units = unit
        sst = file.createVariable("SST", "f4", ("T", "Y", "X"))
        sst.units, sst.missing_value = units, np.float32(-1e34)
        sst[:] = np.array([[[45, 135, 225, 315], [45, -1e34, 225, 315]]], np.float32)
    coads = GRIDS["coads"]
    axes = [replace(column, variable=variable) for column, variable in zip(coads.axes, "TYX", strict=True)]
    sst_column = Column(
        name="sst", variable="SST", units="degC", file_units="degC", standard_name="sea_surface_temperature", long_name="sst"
    )
    return Grid(file=path.name, title="small", axes=tuple(axes), fields=(sst_column,))


def test_fields_turn_with_their_longitudes(tmp_path: Path) -> None:
    table = tidy_table(tmp_path / "small.cdf", small_grid(tmp_path / "small.cdf"))
    assert table["lon"].to_pylist() == [-135, -45, 45, 135] * 2
    assert table["lat"].to_pylist() == [-1] * 4 + [1] * 4
    assert table["sst"].to_pylist() == [225, 315, 45, 135, 225, 315, 45, None]
    assert table["time"].to_pylist() == [datetime.datetime(2000, 1, 16, 6)] * 8


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    grid = small_grid(tmp_path / "small.cdf")
    table = tidy_table(tmp_path / "small.cdf", grid)
    content = parquet_bytes(table, grid)
    assert content == parquet_bytes(tidy_table(tmp_path / "small.cdf", grid), grid)
    assert pq.read_table(pa.BufferReader(content)).equals(table, check_metadata=True)


def test_a_file_with_other_units_is_refused(tmp_path: Path) -> None:
    grid = small_grid(tmp_path / "small.cdf", units="kelvin")
    with pytest.raises(ValueError, match="SST is in 'kelvin', not 'degC'"):
        tidy_table(tmp_path / "small.cdf", grid)
