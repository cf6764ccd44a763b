"""Made-up rows: the usual partitions, the same bits every time, whole at every size."""

import datetime
import hashlib
import itertools

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from odp_loader import spec
from odp_loader.errors import InvalidLoad
from odp_loader.partition import FileSlices, Predicate, RowRange, partition_from_json, partition_to_json
from odp_loader.sources import Cut, synthetic
from odp_loader.sources.open import open_source
from odp_loader.sources.synthetic import FIRST_TIME, SCHEMA, SyntheticSource
from odp_loader.spec.source import MOST_SYNTHETIC_ROWS as MOST_ROWS


def source(rows: int, seed: int = 42) -> SyntheticSource:
    return SyntheticSource(spec.SyntheticSource(rows=rows, seed=seed))


def cut(rows: int, maximum: int = 10_000) -> Cut:
    table = source(rows)
    return table.divide(table.describe(), spec.Partitions(maximum=maximum), bytes_per_row=1.0)


def whole(rows: int, seed: int = 42) -> pa.Table:
    table = source(rows, seed)
    return pa.Table.from_batches([batch for part in cut(rows).partitions for batch in table.read(part.selection)], SCHEMA)


@pytest.mark.parametrize(
    ("rows", "partitions"),
    [(0, 1), (1, 1), (3, 3), (4, 4), (100_000, 4), (499_999, 4), (500_000, 5), (1_000_000, 10), (10_000_000, 100)],
)
def test_as_many_partitions_as_people_make(rows: int, partitions: int) -> None:
    assert len(cut(rows).partitions) == partitions


@given(rows=st.integers(0, MOST_ROWS), maximum=st.integers(1, 10_000))
@settings(deadline=None)
def test_partitions_hold_every_row_once(rows: int, maximum: int) -> None:
    partitions = cut(rows, maximum).partitions
    ranges = [part.selection for part in partitions]
    assert all(isinstance(selection, RowRange) for selection in ranges)
    assert len(partitions) <= maximum
    assert (ranges[0].start, ranges[-1].stop) == (0, rows)
    assert all(before.stop == after.start for before, after in itertools.pairwise(ranges))
    assert [part.index for part in partitions] == [selection.stream for selection in ranges] == list(range(len(partitions)))
    assert [part.rows for part in partitions] == [source(rows).count(selection) for selection in ranges]
    sizes = [part.rows for part in partitions]
    assert max(sizes) - min(sizes) <= 1
    assert all(partition_from_json(partition_to_json(part)) == part for part in partitions[:10])


def test_the_description_needs_no_row() -> None:
    description = source(7, seed=1).describe()
    assert description.schema.equals(SCHEMA, check_metadata=True)
    assert description.rows == 7
    assert description.statistics == {"rows": 7, "seed": 1}
    assert [field.name for field in SCHEMA if b"index" in field.metadata] == ["timestamp"]


def test_rows_are_an_ocean_by_fifty_stations_a_minute_apart() -> None:
    table = whole(250_000)
    assert table.schema.equals(SCHEMA, check_metadata=True)
    times = table["timestamp"].to_pylist()
    assert times[0] == datetime.datetime(2020, 1, 1)
    assert {after - before for before, after in itertools.pairwise(times)} == {datetime.timedelta(minutes=1)}
    stations = table.group_by("station_id").aggregate([("lat", "count_distinct"), ("lon", "count_distinct"), ("depth", "count")])
    assert stations.num_rows == 50
    assert set(stations["lat_count_distinct"].to_pylist()) == set(stations["lon_count_distinct"].to_pylist()) == {1}
    assert min(stations["depth_count"].to_pylist()) > 4_000
    for column, least, greatest in [
        ("lat", -69, 69),
        ("lon", -180, 180),
        ("depth", 0, 2000),
        ("temperature", -1.9, 32),
        ("salinity", 33, 36),
    ]:
        extremes = pc.min_max(table[column]).as_py()
        assert least <= extremes["min"] < extremes["max"] <= greatest
    deep = pc.greater(table["depth"], 1500)
    assert pc.mean(table["temperature"].filter(deep)).as_py() < pc.mean(table["temperature"].filter(pc.invert(deep))).as_py() - 4


def test_bits_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for name in ("lat", "lon", "depth", "temperature", "salinity"):
        digest.update(whole(1_000)[name].combine_chunks().buffers()[1])
    assert digest.hexdigest() == "47caae173c70fd3d2bfac8cb80a8fa51f138a1172267e4870cf5adb4ec910bd4"


def test_another_seed_gives_other_rows_and_partition_i_is_drawn_from_seed_plus_i() -> None:
    assert not whole(1_000, seed=1)["depth"].equals(whole(1_000, seed=2)["depth"])
    second = next(source(100, seed=7).read(RowRange(stream=1, start=50, stop=100)))
    first = next(source(100, seed=8).read(RowRange(stream=0, start=50, stop=100)))
    assert first.equals(second)


@pytest.mark.parametrize("chunk_rows", [1, 7, 999, 1_000, 120_000])
def test_rows_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch, chunk_rows: int) -> None:
    selection = RowRange(stream=3, start=5_000, stop=6_000)
    expected = pa.Table.from_batches(source(10_000).read(selection))
    monkeypatch.setattr(synthetic, "CHUNK_ROWS", chunk_rows)
    chunks = list(source(10_000).read(selection))
    assert max(chunk.num_rows for chunk in chunks) == min(chunk_rows, 1_000)
    assert pa.Table.from_batches(chunks).equals(expected)


def test_a_large_partition_is_streamed_in_chunks() -> None:
    (partition,) = cut(1_000_000, maximum=1).partitions
    before = pa.total_allocated_bytes()
    rows = 0
    for chunk in source(1_000_000).read(partition.selection):
        assert chunk.num_rows <= 120_000
        assert pa.total_allocated_bytes() - before < 3 * chunk.nbytes
        rows += chunk.num_rows
    assert rows == 1_000_000


@pytest.mark.parametrize("rows", [1, 2, 5, 4_003, 500_000])
def test_the_preview_is_the_beginning_of_the_table(rows: int) -> None:
    preview = source(rows).preview()
    assert preview is not None
    assert 1 <= preview.num_rows <= 1_000
    first = next(source(rows).read(cut(rows).partitions[0].selection))
    assert preview.equals(first.slice(0, preview.num_rows))


def test_no_rows_are_an_empty_table() -> None:
    (partition,) = cut(0).partitions
    assert source(0).preview() is None
    assert list(source(0).read(partition.selection)) == []
    assert source(0).count(partition.selection) == 0


def test_more_rows_than_minutes_in_the_calendar_are_refused() -> None:
    assert (datetime.datetime(9999, 12, 31) - FIRST_TIME) // datetime.timedelta(minutes=1) == MOST_ROWS
    assert source(MOST_ROWS).describe().rows == MOST_ROWS
    last = next(source(MOST_ROWS).read(RowRange(stream=0, start=MOST_ROWS - 1, stop=MOST_ROWS)))
    assert last["timestamp"][0].as_py().year == 9999
    with pytest.raises(ValidationError, match="rows"):
        source(MOST_ROWS + 1)


@pytest.mark.parametrize("selection", [Predicate("everything"), FileSlices(())])
def test_selections_of_other_sources_are_refused(selection: Predicate | FileSlices) -> None:
    with pytest.raises(InvalidLoad, match="ranges of rows"):
        next(source(1).read(selection))
    with pytest.raises(InvalidLoad, match="ranges of rows"):
        source(1).count(selection)


def test_a_specification_opens_it() -> None:
    opened = open_source(spec.Source(synthetic=spec.SyntheticSource(rows=5, seed=3)))
    assert opened.describe() == source(5, seed=3).describe()
