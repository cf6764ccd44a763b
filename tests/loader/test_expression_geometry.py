"""Geometry in expressions, against shapely called geometry by geometry."""

import sys

import pyarrow as pa
import pytest
import shapely
from shapely.geometry import Point, box

from odp_loader.errors import InvalidExpression
from odp_loader.expression import ColumnRange, evaluate, infer, parse, verdict

SHAPES = [Point(1, 1), Point(9, 9), None, box(0, 0, 2, 2), box(-5, -5, 20, 20), Point(4, 2)]
AREA = box(0, 0, 4, 4)
WKT = AREA.wkt
BATCH = pa.record_batch(
    {
        "wkt": pa.array([shape and shape.wkt for shape in SHAPES]),
        "large": pa.array([shape and shape.wkt for shape in SHAPES], pa.large_string()),
        "wkb": pa.array([shape and shape.wkb for shape in SHAPES], pa.binary()),
        "other": pa.array([shape.wkb for shape in [box(0, 0, 3, 3)] * 6], pa.large_binary()),
        "depth": pa.array(range(6)),
        "nothing": pa.nulls(6),
    }
)


def expected(word: str, *, flipped: bool = False) -> list[bool | None]:
    return [None if shape is None else getattr(AREA, word)(shape) if flipped else getattr(shape, word)(AREA) for shape in SHAPES]


@pytest.mark.parametrize("column", ["wkt", "large", "wkb"])
@pytest.mark.parametrize("word", ["within", "contains", "intersects"])
def test_a_geometry_is_related_to_a_constant(column: str, word: str) -> None:
    assert evaluate(parse(f'{column} {word} "{WKT}"'), BATCH).to_pylist() == expected(word)
    assert evaluate(parse(f'"{WKT}" {word} {column}'), BATCH).to_pylist() == expected(word, flipped=True)
    assert evaluate(parse(f"{column} {word} $area"), BATCH, {"area": AREA.wkb}).to_pylist() == expected(word)


def test_geometries_of_two_columns_are_related() -> None:
    found = evaluate(parse("wkt within other"), BATCH).to_pylist()
    assert found == [None if shape is None else shape.within(box(0, 0, 3, 3)) for shape in SHAPES]
    assert evaluate(parse("not (wkt intersect other) and depth < 3"), BATCH).to_pylist() == [False, True, None, False, False, False]


def test_constants_and_missing_geometries() -> None:
    assert evaluate(parse(f'"POINT (1 1)" within "{WKT}"'), BATCH).to_pylist() == [True] * 6
    assert evaluate(parse(f'nothing within "{WKT}"'), BATCH).to_pylist() == [None] * 6
    assert len(evaluate(parse(f'wkt within "{WKT}"'), BATCH.slice(0, 0))) == 0
    assert infer(parse("wkt within wkb"), BATCH.schema) == pa.bool_()
    everything = ColumnRange(minimum="", maximum="z", nulls=0, rows=6)
    assert (
        verdict(
            parse(f'wkt within "{WKT}" and depth > 9'), {"depth": ColumnRange(maximum=5), "wkt": everything}, schema=BATCH.schema
        )
        == "none"
    )


@pytest.mark.parametrize("column", [pa.array(["POINT (1 1)", "POINT (1"]), pa.array([shapely.to_wkb(Point(1, 1)), b"nonsense"])])
def test_what_is_no_geometry_stops_with_its_column(column: pa.Array) -> None:
    with pytest.raises(InvalidExpression, match=r"`shape` .* holds what is no geometry") as caught:
        evaluate(parse(f'"{WKT}" contains shape'), pa.record_batch({"shape": column}))
    assert caught.value.position == len(WKT) + 12


def test_the_message_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h3", None)
    with pytest.raises(InvalidExpression, match="h3 needs the h3 package, which is not installed here"):
        infer(parse("h3(wkt, 5)"), BATCH.schema)
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(InvalidExpression, match="`within` needs the shapely package, which is not installed here"):
        infer(parse("wkt within wkt"), BATCH.schema)


def test_h3_names_the_cell_of_each_geometry() -> None:
    h3 = pytest.importorskip("h3")
    cells = [None if shape is None else h3.latlng_to_cell(shape.centroid.y, shape.centroid.x, 5) for shape in SHAPES]
    for column in ("wkt", "wkb"):
        found = evaluate(parse(f"h3({column}, 5)"), BATCH)
        assert (found.to_pylist(), found.type) == (cells, pa.string())
    assert evaluate(parse('h3("POINT (1 1)", 5)'), BATCH).to_pylist() == [cells[0]] * 6
    assert evaluate(parse('h3("POINT EMPTY", 5)'), BATCH).to_pylist() == [None] * 6
    with pytest.raises(InvalidExpression, match="the resolution of h3 is 0 to 15"):
        evaluate(parse("h3(wkt, 16)"), BATCH)
