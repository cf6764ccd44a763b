import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_loader.sink import writer
from odp_loader.sink.encoding import choose_encodings
from tests.support.sink import write

ROWS = 122_880
RNG = np.random.default_rng(3)
ROW = np.arange(ROWS)

DICTIONARY = {
    "stations": RNG.integers(0, 500, ROWS),
    "latitudes of a grid": np.linspace(-89.5, 89.5, 180)[ROW % 180],
    "months in long runs": np.repeat(np.arange(12), ROWS // 12).astype("datetime64[M]").astype("datetime64[us]"),
    "runs of names": np.array([f"cruise {n}" for n in ROW // 30]),
    "many names": np.array([f"float {n}" for n in RNG.integers(0, 20_000, ROWS)]),
    "short decimals": pa.array(RNG.integers(0, 100, ROWS)).cast(pa.decimal128(21, 2)),
    "nothing": pa.nulls(ROWS, pa.float64()),
    "few values among nulls": pa.array(ROW % 3, mask=ROW % 100 > 1),
}
DELTA = {
    "times": np.datetime64("2024-01-01", "us") + np.cumsum(RNG.integers(0, 60_000_000, ROWS)),
    "row numbers": ROW,
    "random numbers": RNG.integers(-(2**63), 2**63 - 1, ROWS),
    "times of day": pa.array(RNG.integers(0, 86_400_000_000, ROWS)).cast(pa.time64("us")),
    "different values among nulls": pa.array(ROW, mask=ROW % 100 > 1),
}
SPLIT = {"temperatures": RNG.normal(size=ROWS), "floats": RNG.normal(size=ROWS).astype("f4")}
PLAIN = {
    "identifiers": np.array([f"{n:032x}" for n in ROW * 7919]),
    "bytes": pa.array([n.to_bytes(8, "big") for n in ROW.tolist()]),
    "flags": ROW % 2 == 0,
    "long decimals": pa.array(ROW).cast(pa.decimal128(21, 2)),
}
EXPECTED = [
    *((values, "RLE_DICTIONARY") for values in DICTIONARY.items()),
    *((values, "DELTA_BINARY_PACKED") for values in DELTA.items()),
    *((values, "BYTE_STREAM_SPLIT") for values in SPLIT.items()),
    *((values, "PLAIN") for values in PLAIN.items()),
]


@pytest.mark.parametrize(("named", "encoding"), EXPECTED, ids=[f"{named[0]}-{encoding}" for named, encoding in EXPECTED])
def test_encoding_fits_type_and_repetition(tmp_path, named, encoding):
    _, values = named
    table = pa.table({"a.column": values})
    chosen = choose_encodings(table)
    found = "RLE_DICTIONARY" if chosen.use_dictionary else chosen.column_encoding.get("a.column", "PLAIN")
    assert found == encoding
    write(tmp_path, table)
    stored = pq.read_metadata(tmp_path / "part-0.parquet").row_group(0).column(0)
    assert encoding in stored.encodings
    assert stored.has_dictionary_page == (encoding == "RLE_DICTIONARY")


def test_a_file_is_smaller_than_with_pyarrows_defaults(tmp_path):
    columns = DICTIONARY | DELTA | SPLIT | PLAIN
    del columns["nothing"]
    for name, values in columns.items():
        table = pa.table({"x": values})
        (file,) = write(tmp_path, table)
        pq.write_table(table, tmp_path / "default.parquet", compression="zstd", row_group_size=writer.ROW_GROUP_ROWS)
        assert file.bytes <= 1.05 * (tmp_path / "default.parquet").stat().st_size, name


def test_few_rows_are_looked_at_as_they_are():
    assert choose_encodings(pa.table({"x": [1, 1, 1, 2]})).use_dictionary == ["x"]
    assert choose_encodings(pa.table({"x": [1, 2, 3, 4]})).column_encoding == {"x": "DELTA_BINARY_PACKED"}
    assert choose_encodings(pa.table({"x": pa.array([], pa.int64())})).use_dictionary == ["x"]
