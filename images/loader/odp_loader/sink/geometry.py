"""Geometry columns as GeoParquet 1.1 wants them: WKB values, and a `geo` entry in the footer with types and bounding box.

The specification: https://github.com/opengeospatial/geoparquet/blob/v1.1.0/format-specs/geoparquet.md
Coordinates are taken for longitude and latitude, GeoParquet's default and what the odp-sdk says of its geometries, unless the
source is GeoParquet and names another reference system.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from odp_loader.errors import InvalidLoad

KEY = b"geo"
"""Of the entry in a schema's or a file's metadata."""
Document = dict[str, Any]
_VERSION = "1.1.0"
_CARRIED = ("crs", "edges", "orientation", "epoch")
"""What a column of a GeoParquet source says about all its values, whichever of them are written."""
_TYPES = (
    "Point",
    "LineString",
    "LinearRing",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
)
"""By GEOS's type identifiers. WKB has no LinearRing."""
_LONGITUDE_LATITUDE = frozenset([0, 4326])
"""Identifiers that EWKB may carry for what is longitude and latitude anyway; 0 is none."""


def describe(schema: pa.Schema) -> Document | None:
    """The `geo` entry of a table without rows; None when no column is a geometry.

    Geometries are columns of text (WKT) or bytes (WKB) with `isGeometry` or `class=geometry` in their metadata, as the odp-sdk
    has it, and the WKB columns of a GeoParquet source.
    """
    given = _given(schema)
    described = {}
    for column in schema:
        metadata = column.metadata or {}
        marked = b"isGeometry" in metadata or metadata.get(b"class") == b"geometry"
        theirs = given["columns"].get(column.name, {}) if pa.types.is_binary(column.type) else {}
        if theirs.get("encoding") == "WKB" or (marked and (pa.types.is_binary(column.type) or pa.types.is_string(column.type))):
            carried = {key: theirs[key] for key in _CARRIED if key in theirs}
            described[column.name] = {"encoding": "WKB", "geometry_types": [], **carried}
    if not described:
        return None
    primary = given.get("primary_column")
    return {"version": _VERSION, "primary_column": primary if primary in described else next(iter(described)), "columns": described}


def _given(schema: pa.Schema) -> Document:
    """The `geo` entry of a source that is GeoParquet, so far as it is one."""
    try:
        document = json.loads((schema.metadata or {}).get(KEY, b"{}"))
    except ValueError:  # JSONDecodeError and UnicodeDecodeError are both
        document = {}
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict):
        return {"columns": {}}
    return {**document, "columns": {name: entry for name, entry in columns.items() if isinstance(entry, dict)}}


@dataclass
class Extent:
    """What one file holds of one geometry column."""

    reference_system: bool = False
    """Whether the column names the reference system of its coordinates."""
    types: set[str] = field(default_factory=set)
    low: list[float] = field(default_factory=lambda: [math.inf] * 3)
    """Least x, y and z; infinite while there is none."""
    high: list[float] = field(default_factory=lambda: [-math.inf] * 3)

    def add(self, geometries: np.ndarray, has_z: np.ndarray) -> None:
        """Take note of shapely geometries; None among them is a null."""
        import shapely

        ids = shapely.get_type_id(geometries)
        for number, solid in set(zip(ids.tolist(), has_z.tolist(), strict=True)):
            if number >= 0:  # null has -1
                self.types.add(_TYPES[number] + (" Z" if solid else ""))
        coordinates = shapely.get_coordinates(geometries, include_z=True)
        for axis in range(3):
            values = coordinates[:, axis]
            values = values[np.isfinite(values)]
            if values.size:
                self.low[axis] = min(self.low[axis], float(values.min()))
                self.high[axis] = max(self.high[axis], float(values.max()))

    def to_json(self) -> Document:
        """The entries `geometry_types` and, where there are coordinates, `bbox`."""
        known = [axis for axis in range(3) if self.low[axis] <= self.high[axis]]
        bounds = {"bbox": [*(self.low[axis] for axis in known), *(self.high[axis] for axis in known)]} if len(known) > 1 else {}
        return {"geometry_types": sorted(self.types), **bounds}


def extents(schema: pa.Schema) -> dict[str, Extent]:
    """The geometry columns of a checked schema, none of whose values is known yet."""
    if KEY not in (schema.metadata or {}):
        return {}
    described = json.loads(schema.metadata[KEY])["columns"]
    return {name: Extent(reference_system="crs" in entry) for name, entry in described.items()}


def footer(schema: pa.Schema, known: Mapping[str, Extent]) -> dict[bytes, bytes]:
    """The `geo` entry of a file whose geometry columns have these extents; nothing when it has none.

    It stands in the file's own metadata. The Arrow schema beside it keeps the entry without extents: pyarrow shows that of one
    file for a whole folder.
    """
    if not known:
        return {}
    document = json.loads(schema.metadata[KEY])
    for name, extent in known.items():
        document["columns"][name].update(extent.to_json())
    return {KEY: json.dumps(document).encode()}


def to_wkb(column: pa.ChunkedArray, name: str, extent: Extent) -> pa.ChunkedArray:
    """A column of WKT or WKB as ISO WKB, its geometries noted in `extent`. 2D WKB is passed on as it is.

    Raises InvalidLoad for values that are no geometry or that GeoParquet cannot hold.
    """
    import shapely

    given = column.to_numpy()
    text = pa.types.is_string(column.type)
    geometries = (shapely.from_wkt if text else shapely.from_wkb)(given, on_invalid="ignore")
    _refuse(name, given, shapely.is_missing(geometries) & column.is_valid().to_numpy(), "is no geometry")
    _refuse(name, given, shapely.has_m(geometries), "has M values, which GeoParquet 1.1 cannot hold")
    srid = shapely.get_srid(geometries)
    if not extent.reference_system:
        foreign = ~np.isin(srid, [*_LONGITUDE_LATITUDE, -1])
        _refuse(name, given, foreign, "says that it is not in longitude and latitude")
    has_z = shapely.has_z(geometries)
    extent.add(geometries, has_z)
    if not text and not has_z.any() and not (srid > 0).any():
        return column
    return pa.chunked_array([pa.array(shapely.to_wkb(geometries, flavor="iso"), pa.binary())])


def _refuse(name: str, given: np.ndarray, faulty: np.ndarray, why: str) -> None:
    if faulty.any():
        value = given[faulty.argmax()]
        shown = value[:40].hex() if isinstance(value, bytes) else repr(value[:80])
        raise InvalidLoad(
            f"column {name!r} is marked as geometry, but a value of it {why}: {shown}; leave such rows out with `filter`, "
            "leave the column out with `columns`, or mend it with `map`"
        )
