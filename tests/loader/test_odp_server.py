"""The ODP-compatible server answers the unmodified odp-sdk as ODP.md says the platform does: what it serves and what it refuses."""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from odp.catalog_v2.catalog import create_dataset_meta, get_dataset_meta_by_name, get_dataset_meta_by_uuid
from odp.client import Client

from odp_server.files import TableFiles
from odp_server.messages import END_OF_STREAM
from odp_server.tables import Table, table_id
from tests.support.odp_server import API_KEY, OdpServer, odp_server, start

NAN = float("nan")
UTC = datetime.UTC


def varied() -> pa.Table:
    """Every type ODP has, with nulls, NaN and metadata."""
    day = datetime.datetime(2024, 1, 1)
    columns = {
        "time": pa.array([day + datetime.timedelta(hours=n) for n in range(5)], pa.timestamp("us")),
        "aware": pa.array([day.replace(tzinfo=UTC), None, None, None, day.replace(tzinfo=UTC)], pa.timestamp("ms", "UTC")),
        "nanos": pa.array([1_700_000_000_000_000_001, None, 1, 2, 3], pa.timestamp("ns")),
        "station": pa.array(["b", "a", None, "ø", 'q"']),
        "depth": pa.array([2**60 + 1, None, -5, 0, 7], pa.int64()),
        "temperature": pa.array([1.5, NAN, None, -2.25, NAN]),
        "quality": pa.array([NAN, NAN, NAN, None, None], pa.float32()),
        "endless": pa.array([1.0, float("inf"), None, None, None]),
        "good": pa.array([True, None, False, True, True]),
        "day": pa.array([datetime.date(2024, 1, n) for n in range(1, 6)]),
        "at": pa.array([datetime.time(n, 30) for n in range(5)], pa.time64("us")),
        "price": pa.array([decimal.Decimal("1.10"), None, None, None, decimal.Decimal("-3.25")], pa.decimal128(9, 2)),
        "shape": pa.array([b"\x01", b"\x00", None, None, None]),
        "nothing": pa.nulls(5, pa.string()),
    }
    metadata = {"time": {"index": "1"}, "temperature": {"units": "°C"}, "shape": {"isGeometry": "1", "class": "geometry"}}
    fields = [pa.field(name, column.type, metadata=metadata.get(name)) for name, column in columns.items()]
    return pa.table(list(columns.values()), schema=pa.schema(fields, {"description": "One of each"}))


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    with odp_server({"varied": varied(), "none": varied().slice(0, 0)}) as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> OdpServer:
    running.reset()
    return running


def post(server: OdpServer, path: str, body: object = None, key: str = API_KEY, **parameters: str) -> requests.Response:
    return requests.post(
        f"{server.url}/api/table/v2/{path}",
        json=body,
        params={"table_id": server.table_id("varied"), **parameters},
        headers={"Authorization": f"ApiKey {key}"},
        timeout=10,
    )


def test_the_catalogue_lists_tables_and_shows_each(server: OdpServer) -> None:
    client = server.client()
    found = get_dataset_meta_by_name(client, "varied")
    assert found is not None
    assert (found.id, found.description) == (server.table_id("varied"), "One of each")
    assert get_dataset_meta_by_uuid(client, found.id) == found
    assert get_dataset_meta_by_uuid(client, str(uuid.uuid4())) is None
    assert get_dataset_meta_by_name(client, "missing") is None


def test_the_id_is_made_from_the_name_alone(server: OdpServer) -> None:
    assert server.table_id("varied") == table_id("varied") == "a8bdf81f-ae65-51a5-ae06-13830ffef697"
    assert uuid.UUID(server.table_id("varied")).version == 5


def test_a_table_is_found_by_its_name_too(server: OdpServer) -> None:
    assert server.client().dataset("varied").table.stats().num_rows == 5


def test_the_schema_comes_with_its_metadata_as_one_empty_batch(server: OdpServer) -> None:
    schema = server.client().dataset(server.table_id("varied")).table.schema()
    assert schema is not None
    assert schema.equals(varied().schema, check_metadata=True)
    assert server.counters()["requests"] == {"schema": 1}
    assert server.counters()["selects"]["started"] == 0


@pytest.mark.parametrize("columns", [None, ["temperature", "time"]])
def test_rows_arrive_as_they_are_in_the_file(server: OdpServer, columns: list[str] | None) -> None:
    read = server.client().dataset("varied").select(columns=columns).all().table()
    expected = varied() if columns is None else varied().select(columns)
    assert read.schema.equals(expected.schema, check_metadata=True)
    assert repr(read.to_pydict()) == repr(expected.to_pydict())  # repr, because NaN is not equal to itself


def test_a_table_without_rows_answers_with_its_schema(server: OdpServer) -> None:
    table = server.client().dataset("none").table
    assert table.stats().num_rows == 0
    assert all(column.min is None and column.max is None for column in table.stats().columns)
    assert list(table.select().batches()) == []
    body = {"query": None, "cols": None, "cursor": "", "vars": None}
    reply = post(server, "sdk/select", body, table_id="none")
    assert [batch.num_rows for batch in pa.ipc.open_stream(reply.content)] == [0]


def test_statistics_are_exact_and_leave_out_nan(server: OdpServer) -> None:
    stats = server.client().dataset("varied").table.stats()
    assert stats.num_rows == 5
    assert stats.size > 0
    columns = {column.name: column.dict() for column in stats.columns}
    assert list(columns) == varied().column_names
    bounds = {name: (column["min"], column["max"]) for name, column in columns.items()}
    assert bounds == {
        "time": ("2024-01-01T00:00:00", "2024-01-01T04:00:00"),
        "aware": ("2024-01-01T00:00:00+00:00", "2024-01-01T00:00:00+00:00"),
        "nanos": ("1970-01-01T00:00:00.000000001", "2023-11-14T22:13:20.000000001"),
        "station": ("a", "ø"),
        "depth": (-5, 2**60 + 1),
        "temperature": (-2.25, 1.5),
        "quality": (None, None),
        "endless": (1.0, None),
        "good": (False, True),
        "day": ("2024-01-01", "2024-01-05"),
        "at": ("00:30:00", "04:30:00"),
        "price": ("-3.25", "1.10"),
        "shape": (None, None),
        "nothing": (None, None),
    }
    assert (columns["temperature"]["null_count"], columns["temperature"]["num_values"]) == (1, 4)
    assert columns["temperature"]["type"] == "double"
    assert columns["shape"]["metadata"] == {"isGeometry": "1", "class": "geometry"}


def test_every_width_and_unit_is_served_exactly(tmp_path: Path) -> None:
    moment, day, one = datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1), decimal.Decimal("1.5")
    values: dict[pa.DataType, object] = {
        **dict.fromkeys([pa.int8(), pa.uint64(), pa.float32()], 1),
        **dict.fromkeys([pa.decimal128(5, 1), pa.decimal256(50, 3)], one),
        **dict.fromkeys([pa.timestamp("s"), pa.timestamp("ns", "Europe/Oslo")], moment),
        **dict.fromkeys([pa.time32("s"), pa.time32("ms"), pa.time64("ns")], datetime.time(1)),
        pa.date64(): day,
        pa.float16(): np.float16(1.5),
        pa.large_string(): "x",
        pa.large_binary(): b"x",
    }
    columns = {str(kind): pa.array([value, None], kind) for kind, value in values.items()}
    wide = pa.table(columns)
    with pa.ipc.new_file(tmp_path / "wide.arrow", wide.schema) as writer:
        writer.write_table(wide)
    table = Table(TableFiles("wide", (tmp_path / "wide.arrow",)), batch_rows=10)
    (batch,) = table.snapshot.batches
    assert table.snapshot.read(batch).equals(wide.to_batches()[0])
    bounds = {column["name"]: column["min"] for column in table.statistics()["columns"]}
    assert [name for name, least in bounds.items() if least is None] == ["large_binary"]
    assert all(column["null_count"] == column["num_values"] == 1 for column in table.statistics()["columns"])


def test_the_statistics_of_many_batches_are_those_of_the_table(tmp_path: Path) -> None:
    pq.write_table(varied(), tmp_path / "varied.parquet")
    small, large = (Table(TableFiles("varied", (tmp_path / "varied.parquet",)), batch_rows=rows) for rows in (1, 100))
    assert small.statistics() == large.statistics()


def test_a_wrong_key_is_refused_everywhere(server: OdpServer) -> None:
    stranger = Client(base_url=server.url, api_key="wrong").dataset("varied").table
    for call in (stranger.stats, stranger.schema, lambda: stranger.aggregate(), lambda: list(stranger.select().batches())):
        with pytest.raises(requests.HTTPError) as refused:
            call()
        assert refused.value.response.status_code == 401
    for path in ("/api/catalog/v2/datasets", "/control/counters", "/elsewhere"):
        assert requests.get(server.url + path, timeout=10).status_code == 401
        assert requests.get(server.url + path, headers={"Authorization": f"Basic {API_KEY}"}, timeout=10).status_code == 401


def test_without_a_key_of_its_own_the_server_accepts_any_but_none() -> None:
    with odp_server({"varied": varied()}, api_key=None) as open_server:
        assert Client(base_url=open_server.url, api_key="whatever").dataset("varied").table.stats().num_rows == 5
        assert Client(base_url=open_server.url, jwt_bearer="whatever").dataset("varied").table.stats().num_rows == 5
        assert requests.get(f"{open_server.url}/api/catalog/v2/datasets", timeout=10).status_code == 401
        assert post(open_server, "stats", key=" ").status_code == 401


def test_a_missing_table_is_no_content(server: OdpServer) -> None:
    table = server.client().dataset(str(uuid.uuid4())).table
    assert table.schema() is None
    for call in (table.stats, lambda: table.aggregate()):
        with pytest.raises(FileNotFoundError):
            call()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "not a JSON object"),
        ({"query": 1}, "query must be"),
        ({"cols": "time"}, "cols must be"),
        ({"cols": ["time", "tide"]}, "no column 'tide'"),
        ({"timeout": -1}, "timeout must be"),
        ({"aggr": ["x"]}, "aggr must map"),
        ({"vars": 3}, "vars must be"),
        ({"vars": {"a": 3}}, "variable $a must be"),
        ({"vars": [{"type": "integer", "value": 1}, 3]}, "variable number 2"),
        ({"vars": {"a": {"type": "complex", "value": 3}}}, "unknown type 'complex'"),
        ({"vars": {"a": {"type": "datetime", "value": "soon"}}}, "'soon' is no datetime"),
        ({"cursor": "no cursor"}, "malformed cursor"),
        ({"cursor": "bm90IGpzb24="}, "malformed cursor"),
    ],
)
def test_a_request_that_cannot_be_understood_is_refused_with_the_reason(server: OdpServer, body: object, words: str) -> None:
    reply = post(server, "sdk/select", body)
    assert reply.status_code == 400
    assert words in reply.text


def test_a_request_must_name_a_table_and_a_place_that_exists(server: OdpServer) -> None:
    assert post(server, "stats", table_id="").status_code == 400
    assert post(server, "sdk/guess").status_code == 404
    assert requests.get(f"{server.url}/", headers={"Authorization": "ApiKey " + API_KEY}, timeout=10).status_code == 404


def test_whatever_would_write_is_refused_in_words(server: OdpServer) -> None:
    table = server.client().dataset("varied").table
    writes = [
        table.truncate,
        table.drop,
        lambda: table.alter(varied().schema),
        lambda: table.create(varied()),
        lambda: table.raw.upload("a.csv", b"1"),
        lambda: table.raw.list(),
        lambda: table.__enter__(),
        lambda: create_dataset_meta(server.client(), "new"),
    ]
    for write in writes:
        with pytest.raises(requests.HTTPError) as refused:
            write()
        assert refused.value.response.status_code == 403
        assert "only reads" in refused.value.response.text
    assert table.stats().num_rows == 5


def test_analyze_says_what_to_use_instead(server: OdpServer) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        server.client().dataset("varied").table.analyze()
    assert refused.value.response.status_code == 501
    assert "stats" in refused.value.response.text


def test_a_connection_serves_one_request_after_another(server: OdpServer) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"ApiKey {API_KEY}"
        url = f"{server.url}/api/table/v2"
        for path, body in [
            ("stats", None),
            ("sdk/select", {}),
            ("stats", None),
            ("sdk/select", {"cols": ["x"]}),
            ("begin", b"x" * 9),
        ]:
            reply = session.post(
                f"{url}/{path}?table_id=varied", **({"data": body} if isinstance(body, bytes) else {"json": body}), timeout=10
            )
            assert "close" not in reply.headers.get("Connection", "")
        assert session.post(f"{url}/stats?table_id=varied", timeout=10).json()["num_rows"] == 5


def test_a_stream_ends_with_arrows_marker_and_is_chunked(server: OdpServer) -> None:
    reply = post(server, "sdk/select", {})
    assert reply.headers["Transfer-Encoding"] == "chunked"
    assert reply.content.endswith(END_OF_STREAM)


def test_an_upload_without_a_length_is_refused(server: OdpServer) -> None:
    headers = {"Authorization": f"ApiKey {API_KEY}"}
    reply = requests.post(f"{server.url}/api/table/v2/sdk/insert", data=iter([b"a"]), headers=headers, timeout=10)
    assert reply.status_code == 413


def test_files_become_tables_by_name_and_folders_by_their_files(tmp_path: Path) -> None:
    encoded = pa.table({"k": pa.array(["x", "y", "x"]).dictionary_encode(), "n": [1, 2, 3]})
    plain = pa.table({"k": ["x", "y", "x"], "n": [1, 2, 3]})
    pq.write_table(encoded, tmp_path / "one.parquet", compression="zstd", row_group_size=2)
    with pa.ipc.new_stream(tmp_path / "two words.arrow", encoded.schema) as writer:
        writer.write_table(encoded)
    (tmp_path / "three").mkdir()
    for part in ("a", "b"):
        pq.write_table(plain, tmp_path / "three" / f"{part}.parquet")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not a table")
    (tmp_path / ".hidden.parquet").write_bytes(b"half a file")
    server = start([tmp_path], "--batch-rows", "2")
    try:
        expected = {"one": plain, "two-words": plain, "three": pa.concat_tables([plain, plain])}
        assert set(server.ids) == set(expected)
        for name, table in expected.items():
            assert server.client().dataset(name).select().all().table().equals(table)
    finally:
        server.stop()
