"""Geometry, through shapely and h3, which are imported when an expression needs them."""

import importlib.util
from typing import Any

import pyarrow as pa

from odp_loader.expression.comparing import describe
from odp_loader.expression.fault import Fault
from odp_loader.expression.functions import Kind
from odp_loader.expression.kinds import kind_of
from odp_loader.expression.plan import Apply, Constant, Data, Plan
from odp_loader.expression.syntax import SpatialOperator

_GEOMETRY = (Kind.STRING, Kind.BINARY)
_INVERSE: dict[SpatialOperator, str] = {"within": "contains", "contains": "within", "intersects": "intersects"}


def spatial(operator: SpatialOperator, left: Plan, right: Plan, position: int) -> Plan:
    """`left operator right`, of geometries as WKT strings or WKB binaries. Raises Fault for what is none."""
    if importlib.util.find_spec("shapely") is None:
        raise Fault(f"`{operator}` needs the shapely package, which is not installed here", position)
    for operand in (left, right):
        if kind_of(operand.type) not in (*_GEOMETRY, Kind.NULL) or (isinstance(operand, Constant) and operand.value is None):
            raise Fault(f"`{operator}` takes geometries (WKT or WKB), and {describe(operand)} is none", operand.position)
        if isinstance(operand, Constant):
            _shape(operand)

    def kernel(these: Data, those: Data) -> Data:
        # read anew for each batch: a prepared geometry is not for two threads
        return _related(operator, _shapes(these, left), _shapes(those, right))

    return Apply(kernel, (left, right), pa.bool_(), position)


def _related(operator: SpatialOperator, these: Any, those: Any) -> Data:
    import numpy as np
    import shapely

    if not isinstance(those, np.ndarray) and isinstance(these, np.ndarray):
        # a prepared geometry answers many times, but only as the first argument
        result = getattr(shapely, _INVERSE[operator])(those, these)
    else:
        result = getattr(shapely, operator)(these, those)
    if not isinstance(result, np.ndarray):
        return pa.scalar(bool(result))
    return pa.array(result, mask=shapely.is_missing(these) | shapely.is_missing(those))


def _shape(constant: Constant) -> Any:
    """The geometry of a constant, prepared to be compared with many."""
    import shapely

    try:
        shape = _reader(constant.type)(constant.value, on_invalid="raise")
    except shapely.errors.ShapelyError:
        raise Fault(f'{constant.value!r} is no geometry; write it as WKT, such as "POINT (10.5 59.9)"', constant.position) from None
    shapely.prepare(shape)
    return shape


def _shapes(values: Data, operand: Plan) -> Any:
    """The geometry of a constant, or those of a column as an array of shapely's; None for null."""
    import shapely

    if isinstance(operand, Constant):
        return _shape(operand)
    try:
        texts = values.to_numpy(zero_copy_only=False)
        return _reader(values.type)(texts, on_invalid="raise")
    except (shapely.errors.ShapelyError, TypeError) as error:
        raise Fault(f"{describe(operand)} holds what is no geometry: {error}", operand.position) from None


def _reader(type_: pa.DataType) -> Any:
    import shapely

    return shapely.from_wkb if kind_of(type_) is Kind.BINARY else shapely.from_wkt


def h3_cell(arguments: tuple[Plan, ...], position: int) -> Plan:
    """The H3 cell of each geometry. Raises Fault where the h3 package is missing."""
    if importlib.util.find_spec("h3") is None or importlib.util.find_spec("shapely") is None:
        raise Fault("h3 needs the h3 package, which is not installed here", position)
    geometry, resolution = arguments
    fine = resolution.value if isinstance(resolution, Constant) else None
    if not isinstance(fine, int) or not 0 <= fine <= 15:
        raise Fault("the resolution of h3 is 0 to 15", resolution.position)
    if isinstance(geometry, Constant):
        _shape(geometry)

    def kernel(values: Data) -> Data:
        import h3  # type: ignore[import-not-found]
        import numpy as np
        import shapely

        points = np.atleast_1d(shapely.centroid(_shapes(values, geometry)))
        found = [None if point is None or point.is_empty else h3.latlng_to_cell(point.y, point.x, fine) for point in points]
        cells = pa.array(found, pa.string())
        return cells[0] if isinstance(geometry, Constant) else cells

    return Apply(kernel, (geometry,), pa.string(), position)
