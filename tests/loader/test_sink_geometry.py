import json
import re

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from odp_loader.errors import InvalidLoad
from odp_loader.sink import check_schema, write_empty, writer
from tests.support.sink import READERS, write

MARK = {"class": "geometry"}
WKT = [
    "POINT (10.5 59.9)",
    None,
    "LINESTRING (-170 -10, 20 30)",
    "POLYGON ((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
    "MULTIPOINT (1 1, 2 2)",
    "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    "POINT EMPTY",
]


TEXT = pa.string()


def geometries(values, kind=TEXT, metadata=MARK, **others):
    fields = [pa.field("geom", kind, metadata=metadata), *(pa.field(name, pa.int64()) for name in others)]
    return pa.table([pa.array(values, kind), *others.values()], schema=pa.schema(fields))


def geo(path):
    return json.loads(pq.read_metadata(path).metadata[b"geo"])


def validate(path):
    """The rules of GeoParquet 1.1 (format-specs/geoparquet.md and schema.json of opengeospatial/geoparquet v1.1.0) for WKB."""
    document = geo(path)
    footer = pq.read_metadata(path)
    assert set(document) <= {"version", "primary_column", "columns"}
    assert document["version"] == "1.1.0"
    assert document["primary_column"] in document["columns"]
    leaves = {footer.schema.column(i).path: footer.schema.column(i) for i in range(footer.num_columns)}
    for name, column in document["columns"].items():
        assert leaves[name].physical_type == "BYTE_ARRAY"
        assert leaves[name].logical_type.type == "NONE"
        assert (leaves[name].max_definition_level, leaves[name].max_repetition_level) == (1, 0)
        assert column["encoding"] == "WKB"
        types = column["geometry_types"]
        assert len(set(types)) == len(types)
        assert all(re.fullmatch(r"(GeometryCollection|(Multi)?(Point|LineString|Polygon))( Z)?", each) for each in types)
        stored = [value for value in pq.read_table(path)[name].to_pylist() if value is not None]
        shapes = shapely.from_wkb(np.array(stored, dtype=object)) if stored else np.array([])
        assert set(types) == {shape.geom_type + (" Z" if shape.has_z else "") for shape in shapes}
        for value in stored:
            code = int.from_bytes(value[1:5], "little" if value[0] else "big")
            assert code in {*range(1, 8), *range(1001, 1008)}, "ISO WKB, without the flags of EWKB"
        if "bbox" in column:
            box = column["bbox"]
            dimensions = len(box) // 2
            assert len(box) == (6 if any(shape.has_z for shape in shapes) else 4)
            coordinates = shapely.get_coordinates(shapes, include_z=dimensions == 3)
            assert box == [*np.nanmin(coordinates, axis=0), *np.nanmax(coordinates, axis=0)]
    return document


@pytest.mark.parametrize("mark", [{"class": "geometry"}, {"isGeometry": "true"}, {"isGeometry": ""}], ids=str)
@pytest.mark.parametrize("kind", [pa.string(), pa.binary(), pa.large_string(), pa.large_binary()], ids=str)
def test_geometries_become_geoparquet(tmp_path, kind, mark):
    shapes = shapely.from_wkt(np.array(WKT, dtype=object))
    values = WKT if "string" in str(kind) else shapely.to_wkb(shapes).tolist()
    (file,) = write(tmp_path, geometries(values, kind, mark, id=range(len(WKT))))
    document = validate(tmp_path / file.path)
    assert document["columns"]["geom"]["bbox"] == [-170, -10, 20, 59.9]
    assert len(document["columns"]["geom"]["geometry_types"]) == 7
    for path in (tmp_path / file.path, tmp_path):
        frame = geopandas.read_parquet(path)
        assert frame.crs == "OGC:CRS84"
        assert [None if shape is None else shape.wkt for shape in frame.geometry] == [
            None if shape is None else shape.wkt for shape in shapes
        ]
        assert frame.id.tolist() == [*range(len(WKT))]


def test_two_dimensional_wkb_is_kept_byte_for_byte(tmp_path):
    values = [shapely.to_wkb(shapely.Point(1, 2), byte_order=order) for order in (0, 1)]
    write(tmp_path, geometries(values, pa.binary()))
    assert pq.read_table(tmp_path / "part-0.parquet")["geom"].to_pylist() == values


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()], ids=str)
def test_heights_are_kept_in_iso_wkb_and_in_the_bounding_box(tmp_path, kind):
    shapes = shapely.from_wkt(["POINT Z (1 2 -3000)", "POINT (5 6)"])
    extended = [shapely.to_wkb(shapely.set_srid(shape, 4326), include_srid=True, flavor="extended") for shape in shapes]
    values = [shape.wkt for shape in shapes] if kind == pa.string() else extended
    write(tmp_path, geometries(values, kind))
    document = validate(tmp_path / "part-0.parquet")
    assert document["columns"]["geom"] == {
        "encoding": "WKB",
        "geometry_types": ["Point", "Point Z"],
        "bbox": [1, 2, -3000, 5, 6, -3000],
    }
    frame = geopandas.read_parquet(tmp_path)
    assert [shape.wkt for shape in frame.geom] == ["POINT Z (1 2 -3000)", "POINT (5 6)"]


def test_extent_covers_all_row_groups_and_survives_a_new_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "ROW_GROUP_ROWS", 10)
    points = [f"POINT ({i} {-i})" for i in range(100)]
    schema = pa.schema([pa.field("geom", pa.string(), metadata=MARK), ("x", pa.float64())])
    table = pa.table([points, [1.0] * 55 + [float("nan")] + [1.0] * 44], schema=schema)
    write(tmp_path, table, chunk=7)
    assert validate(tmp_path / "part-0.parquet")["columns"]["geom"]["bbox"] == [0, -99, 99, 0]
    assert pq.read_metadata(tmp_path / "part-0.parquet").num_row_groups == 10


def test_every_file_has_its_own_extent(tmp_path):
    table = geometries(["POINT (1 1)", "LINESTRING (5 5, 6 6)"], year=[2023, 2024])
    write(tmp_path, table, partition_on=["year"])
    boxes = [validate(path)["columns"]["geom"]["bbox"] for path in sorted(tmp_path.rglob("*.parquet"))]
    assert boxes == [[1, 1, 1, 1], [5, 5, 6, 6]]
    frame = geopandas.read_parquet(tmp_path)
    assert sorted(frame.geom_type) == ["LineString", "Point"]


def test_several_geometry_columns_and_the_first_is_primary(tmp_path):
    fields = [pa.field("id", pa.int64()), *(pa.field(name, pa.string(), metadata=MARK) for name in ("track", "start"))]
    table = pa.table([[1], ["LINESTRING (0 0, 1 1)"], ["POINT (0 0)"]], schema=pa.schema(fields))
    write(tmp_path, table)
    document = validate(tmp_path / "part-0.parquet")
    assert (document["primary_column"], list(document["columns"])) == ("track", ["track", "start"])
    assert geopandas.read_parquet(tmp_path).geometry.name == "track"


@pytest.mark.parametrize("values", [[None, None], ["POINT EMPTY", None]])
def test_no_coordinates_no_bounding_box(tmp_path, values):
    write(tmp_path, geometries(values))
    assert "bbox" not in validate(tmp_path / "part-0.parquet")["columns"]["geom"]
    assert len(geopandas.read_parquet(tmp_path)) == 2


def test_the_empty_dataset_is_geoparquet(tmp_path):
    write_empty(tmp_path, stem="part-0", schema=geometries([]).schema)
    assert validate(tmp_path / "part-0.parquet")["columns"]["geom"] == {"encoding": "WKB", "geometry_types": []}
    assert len(geopandas.read_parquet(tmp_path)) == 0


def test_geoparquet_of_a_source_stays_geoparquet_with_its_reference_system(tmp_path):
    shapes = geopandas.GeoDataFrame({"id": [1, 2]}, geometry=geopandas.points_from_xy([600_000, 610_000], [6e6, 6.1e6]), crs=32632)
    shapes.to_parquet(tmp_path / "source.parquet")
    source = pq.read_table(tmp_path / "source.parquet")
    write(tmp_path / "data", source.slice(0, 1))
    document = validate(tmp_path / "data" / "part-0.parquet")
    assert document["columns"]["geometry"]["bbox"] == [600_000, 6e6, 600_000, 6e6]
    found = geopandas.read_parquet(tmp_path / "data")
    assert found.crs == shapes.crs
    assert found.geometry.tolist() == shapes.geometry.tolist()[:1]
    assert b"geo" not in check_schema(source.select(["id"]).schema).metadata


def test_columns_that_are_not_marked_stay_as_they_are(tmp_path):
    write(tmp_path, geometries(["POINT (1 2)"], metadata={"class": "latitude"}))
    assert pq.read_schema(tmp_path / "part-0.parquet").field("geom").type == pa.string()
    assert b"geo" not in pq.read_metadata(tmp_path / "part-0.parquet").metadata


@pytest.mark.parametrize("reader", READERS)
def test_other_readers_open_it_too(tmp_path, reader):
    write(tmp_path, geometries(WKT, id=range(len(WKT))))
    found = READERS[reader](tmp_path)
    assert found["id"].to_pylist() == [*range(len(WKT))]
    values = [value for value in found["geom"].to_pylist() if value is not None]
    assert [shape.geom_type for shape in shapely.from_wkb(np.array(values, dtype=object))][:2] == ["Point", "LineString"]


BAD = [
    ("POINT (1", pa.string(), r"is no geometry: 'POINT \(1'"),
    ("", pa.string(), "is no geometry: ''"),
    ("POLYGON ((0 0, 1 1))", pa.string(), "is no geometry"),
    (b"\x01\x02", pa.binary(), "is no geometry: 0102"),
    ("POINT M (1 2 3)", pa.string(), "has M values"),
    (shapely.to_wkb(shapely.set_srid(shapely.Point(6e5, 6e6), 32632), include_srid=True), pa.binary(), "not in longitude"),
]


@pytest.mark.parametrize(("value", "kind", "why"), BAD, ids=[why for _, _, why in BAD])
def test_a_value_that_is_no_geometry_is_shown(tmp_path, value, kind, why):
    good = "POINT (1 2)" if kind == pa.string() else shapely.Point(1, 2).wkb
    table = geometries([good, None, value], kind)
    with pytest.raises(InvalidLoad, match=rf"column 'geom' .*{why}.*; leave .*`filter`.*`columns`.*`map`"):
        write(tmp_path, table)
    assert list(tmp_path.iterdir()) == []
