"""Files in S3 as a source: the same rows as from a folder, and faults that say whether reading again helps."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_loader import spec
from odp_loader.errors import CredentialsRefused, InvalidLoad, Transient
from odp_loader.partition import FileSlice, FileSlices
from odp_loader.sources.files import FilesSource
from odp_loader.store import Store
from tests.support.files_source import files_source, load, paths_of
from tests.support.proxy import cutting_proxy
from tests.support.s3 import S3Server

TABLE = pa.table({"x": list(range(200_000)), "y": [f"name {i}" for i in range(200_000)]})


@pytest.fixture
def url(s3: S3Server, secrets: Path) -> str:
    s3.secret_folder(secrets)
    return s3.url()


def put(s3: S3Server, url: str, name: str, content: pa.Table | bytes) -> None:
    if isinstance(content, pa.Table):
        sink = pa.BufferOutputStream()
        pq.write_table(content, sink, row_group_size=50_000)
        content = sink.getvalue().to_pybytes()
    Store.open(url, s3.storage()).write(name, content)


def test_parquet(s3: S3Server, url: str) -> None:
    put(s3, url, "year=2023/a.parquet", TABLE.slice(0, 100_000))
    put(s3, url, "year=2024/b.parquet", TABLE.slice(100_000))
    put(s3, url, "_hidden/c.parquet", TABLE)
    expected = TABLE.append_column("year", pa.array([2023] * 100_000 + [2024] * 100_000))
    assert load(url, storage=s3.storage()).equals(expected)
    assert load(f"{url}/year=*/*.parquet", storage=s3.storage()).equals(expected)
    assert load(f"{url}/year=2024/b.parquet", storage=s3.storage()).equals(TABLE.slice(100_000))
    assert load(f"{url}/", storage=s3.storage(), columns=("x",), filter="year > 2023 and x < 100010").num_rows == 10


def test_text(s3: S3Server, url: str) -> None:
    put(s3, url, "a.csv", b"x,y\n1,2\n")
    put(s3, url, "b.csv", b"x,y\n3,4.5\n")
    put(s3, url, "lines/a.jsonl", b'{"x": 1}\n')
    assert load(f"{url}/*.csv", storage=s3.storage()).to_pylist() == [{"x": 1, "y": 2.0}, {"x": 3, "y": 4.5}]
    assert load(f"{url}/lines", storage=s3.storage()).to_pylist() == [{"x": 1}]


def test_nothing_there(s3: S3Server, url: str) -> None:
    with pytest.raises(InvalidLoad, match="there is no file at s3://"):
        files_source(url, storage=s3.storage()).describe()
    with pytest.raises(InvalidLoad, match="there is no bucket 'no-such-bucket'"):
        files_source("s3://no-such-bucket/*.csv", storage=s3.storage()).describe()


def test_refused(s3: S3Server, url: str, secrets: Path) -> None:
    put(s3, url, "a.parquet", TABLE)
    s3.secret_folder(secrets, AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY="wrong")
    with pytest.raises(CredentialsRefused, match="Secret 's3'"):
        files_source(url, storage=s3.storage()).describe()


@pytest.mark.parametrize(("name", "content"), [("a.parquet", TABLE), ("a.csv", b"x\n" + b"123456\n" * 2_000_000)])
def test_a_connection_that_breaks_while_reading_is_worth_another_try(
    s3: S3Server, url: str, tmp_path: Path, name: str, content: pa.Table | bytes
) -> None:
    put(s3, url, name, content)
    with cutting_proxy(s3.endpoint, tmp_path / "proxy") as proxy:
        storage = s3.storage(endpoint=proxy.endpoint)
        source = FilesSource(spec.FilesSource(url=url, storage=storage), schema=pa.schema([("x", pa.int64())]))
        rows = source.read(FileSlices((FileSlice(name),)))
        assert next(rows).num_rows
        proxy.cut = "GET"
        with pytest.raises(Transient, match=f"{name}: the object store failed: AWS Error"):
            list(rows)


def test_a_file_that_vanishes(s3: S3Server, url: str) -> None:
    put(s3, url, "a.parquet", TABLE)
    source = files_source(url, storage=s3.storage())
    assert paths_of(source) == ["a.parquet"]
    Store.open(url, s3.storage()).delete("a.parquet")
    with pytest.raises(InvalidLoad, match=r"a\.parquet does not exist"):
        list(source.read(FileSlices((FileSlice("a.parquet"),))))
