"""Whole loads of ODP tables through the real SDK: what arrives, what is resumed, what is refused."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import distributed
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from odp_loader.dataset import open_dataset
from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, OutputExists, VerificationFailed
from odp_loader.run import run_load
from tests.support.loads import Watcher, load_of, rows_of, same_rows
from tests.support.odp_server import OdpServer, odp_server

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
KEYS = ("time", "lat", "lon")
ROWS = 20_000


def awkward_table() -> pa.Table:
    """Everything that has cost somebody rows: nulls and NaN in the key, extremes, quotes, dots and `$` in values."""
    random = np.random.default_rng(7)
    depth = random.normal(0, 50, ROWS)
    depth[::97] = np.nan
    words = ["it's", 'say "so"', "a.b", "$low", "", "æøå", "%41", None]
    return pa.table(
        {
            "id": pa.array([2**63 - 1 - i if i % 2 else -(2**63) + i for i in range(ROWS)], pa.int64()),
            "depth": pa.array([None if i % 50 == 0 else float(d) for i, d in enumerate(depth)], pa.float64()),
            "word": pa.array([words[i % len(words)] for i in range(ROWS)]),
            "when": pa.array(
                [datetime.datetime(2024, 1, 1) + datetime.timedelta(minutes=i) for i in range(ROWS)], pa.timestamp("us", "UTC")
            ),
            "row": pa.array(range(ROWS), pa.int32()),
        }
    )


def comparable(floats: pa.ChunkedArray) -> pa.ChunkedArray:
    """Floats as their bits, so that NaN equals NaN."""
    return pa.chunked_array([chunk.view(pa.int64()) for chunk in floats.chunks])


@pytest.fixture(scope="module")
def running() -> Iterator[OdpServer]:
    empty = pa.schema([("time", pa.timestamp("us")), ("value", pa.float64())]).empty_table()
    tables = {"coads": COADS, "awkward": awkward_table(), "empty": empty}
    with odp_server(tables, "--batch-rows", "4096") as server:
        yield server


@pytest.fixture
def server(running: OdpServer) -> OdpServer:
    running.reset()
    return running


def source(server: OdpServer, table: str, **fields: object) -> dict[str, object]:
    return {"odp": {"dataset": server.table_id(table), "baseURL": server.url, **fields}}


def reads(server: OdpServer) -> list[str]:
    """The predicates that were read, by what the server was asked; the preview's whole-table query is not one."""
    return [json.dumps([each["query"], each["vars"]]) for each in server.counters()["selects"]["each"] if each["query"]]


MANY = {"targetBytes": "1Mi"}


def test_a_table_arrives_row_for_row(server: OdpServer, client: distributed.Client, tmp_path: Path):
    watcher = Watcher()
    result = run_load(load_of(source(server, "coads"), tmp_path, partitions=MANY), client, observer=watcher)
    expected = pq.read_table(COADS)
    assert (result.rows_read, result.rows_written, result.rows_expected) == (len(expected),) * 3
    assert same_rows(rows_of(tmp_path, *KEYS), expected.sort_by([(key, "ascending") for key in KEYS]))
    assert rows_of(tmp_path).schema.field("sst").metadata[b"units"] == b"degC"
    assert watcher.seen[-1].percent == 100
    assert watcher.seen[-1].rows == len(expected)
    assert all(earlier.rows <= later.rows for earlier, later in zip(watcher.seen, watcher.seen[1:], strict=False))
    assert any('"time" is the key' in note for note in watcher.notes)
    assert not (tmp_path / "tmp").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"data", "manifest.json", "plan.json", "receipts"}


@pytest.mark.parametrize("key", ["id", "depth", "word", "when"])
def test_no_key_loses_or_doubles_a_row(server: OdpServer, client: distributed.Client, tmp_path: Path, key: str):
    run_load(load_of(source(server, "awkward", splitBy=key), tmp_path, partitions={"targetBytes": "64Ki"}), client)
    found = rows_of(tmp_path, "row")
    assert found.num_rows == ROWS
    expected = awkward_table()
    found, expected = (table.set_column(1, "depth", comparable(table["depth"])) for table in (found, awkward_table()))
    assert same_rows(found, expected)
    assert len(json.loads((tmp_path / "manifest.json").read_text())["partitions"]) > 4


def test_the_manifest_proves_the_files(server: OdpServer, client: distributed.Client, tmp_path: Path):
    import hashlib

    result = run_load(load_of(source(server, "coads"), tmp_path, partitions=MANY), client)
    raw = (tmp_path / "manifest.json").read_bytes()
    manifest = json.loads(raw)
    assert result.manifest_sha256 == hashlib.sha256(raw).hexdigest()
    assert manifest["rows"] == {"expected": 194400, "read": 194400, "dropped": 0, "written": 194400}
    assert {file["path"] for file in manifest["files"]} == {path.name for path in (tmp_path / "data").iterdir()}
    for file in manifest["files"]:
        data = (tmp_path / "data" / file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
        column = pq.read_table(tmp_path / "data" / file["path"], columns=["sst"])["sst"]
        bounds = pc.min_max(column).as_py()
        assert (file["columns"]["sst"]["minimum"], file["columns"]["sst"]["maximum"]) == (bounds["min"], bounds["max"])
        assert file["columns"]["sst"]["nulls"] == column.null_count
    assert manifest["statistics"]["before"] == manifest["statistics"]["after"]
    assert manifest["versions"]["odp-sdk"] == "0.28.10"
    assert open_dataset(str(tmp_path)).count_rows() == 194400


def test_the_servers_filter_its_variables_and_columns(server: OdpServer, client: distributed.Client, tmp_path: Path):
    wanted = source(
        server,
        "coads",
        filter="sst > $least and time >= $since",
        vars={"least": 25, "since": "2000-06-01T00:00:00Z"},
        columns=["time", "sst"],
    )
    result = run_load(load_of(wanted, tmp_path), client)
    table = pq.read_table(COADS, columns=["time", "sst"])
    expected = table.filter((pc.field("sst") > 25) & (pc.field("time") >= datetime.datetime(2000, 6, 1)))
    assert result.rows_expected == len(expected)
    assert same_rows(rows_of(tmp_path, "time", "sst"), expected.sort_by([("time", "ascending"), ("sst", "ascending")]))


def test_a_transform_drops_rows_and_says_how_many(server: OdpServer, client: distributed.Client, tmp_path: Path):
    transform = {"filter": "sst is not null", "derive": {"month": "month(time)"}}
    result = run_load(load_of(source(server, "coads"), tmp_path, transform=transform, sink_partitionOn=["month"]), client)
    expected = pq.read_table(COADS, columns=["sst"])["sst"]
    assert result.rows_dropped == expected.null_count
    assert result.rows_written == len(expected) - expected.null_count
    assert {path.name for path in (tmp_path / "data").iterdir()} == {f"month={i}" for i in range(1, 13)}


@pytest.mark.parametrize(
    ("transform", "why"),
    [
        ({"aggregate": {"by": ["row"], "columns": {"word": ["count"]}}}, "the server groups by row itself"),
        ({"aggregate": {"by": ["word"], "columns": {"depth": ["min"], "row": ["sum", "mean"]}}}, "holds NaN"),
        ({"derive": {"even": "row - row / 2"}, "aggregate": {"by": ["word"], "columns": {"even": ["max"]}}}, "no derived columns"),
    ],
)
def test_groups_are_the_same_on_the_server_and_on_the_workers(
    server: OdpServer, client: distributed.Client, tmp_path: Path, transform: dict[str, dict[str, dict[str, list[str]]]], why: str
):
    watcher = Watcher()
    load = load_of(source(server, "awkward"), tmp_path, transform=transform, partitions={"targetBytes": "64Ki"})
    result = run_load(load, client, observer=watcher)
    aggregate = transform["aggregate"]
    table = awkward_table()
    if "derive" in transform:
        rows = table["row"].cast(pa.float64())
        table = table.append_column("even", pc.subtract(rows, pc.divide(rows, 2.0)))
    wanted = [(column, function) for column, functions in aggregate["columns"].items() for function in functions]
    expected = table.group_by(aggregate["by"]).aggregate(wanted)
    key = aggregate["by"][0]
    found = rows_of(tmp_path)
    assert result.rows_read == ROWS
    assert found.num_rows == expected.num_rows
    ours = {row[key]: row for row in found.to_pylist()}
    for row in expected.to_pylist():
        assert ours[row[key]] == pytest.approx(row)
    assert any(why in note for note in watcher.notes), watcher.notes


def test_a_table_without_rows_becomes_a_readable_dataset_with_its_schema(
    server: OdpServer, client: distributed.Client, tmp_path: Path
):
    result = run_load(load_of(source(server, "empty"), tmp_path), client)
    assert (result.rows_read, result.rows_written, result.files) == (0, 0, 1)
    assert rows_of(tmp_path).schema.names == ["time", "value"]


def test_a_finished_load_is_not_read_again(server: OdpServer, client: distributed.Client, tmp_path: Path):
    load = load_of(source(server, "coads"), tmp_path)
    first = run_load(load, client)
    server.reset()
    watcher = Watcher()
    second = run_load(load, client, observer=watcher)
    assert second.manifest_sha256 == first.manifest_sha256
    assert server.counters()["requests"] == {}
    assert "complete and verified" in watcher.notes[0]


def test_only_missing_partitions_are_read_after_a_failure(server: OdpServer, client: distributed.Client, tmp_path: Path):
    load = load_of(source(server, "coads", streams=1), tmp_path, partitions=MANY)
    server.fault("status", status=400, requests=["select"], skip=5, times=1)
    with pytest.raises(InvalidLoad):
        run_load(load, client)
    finished = {json.loads(path.read_text())["partition"] for path in tmp_path.glob("receipts/*/*.json")}
    assert finished
    assert not (tmp_path / "data").exists(), "nothing half-written is visible"
    plan = (tmp_path / "plan.json").read_bytes()
    server.reset()
    watcher = Watcher()
    result = run_load(load, client, observer=watcher)
    assert (tmp_path / "plan.json").read_bytes() == plan
    assert len(reads(server)) == result.partitions - len(finished)
    assert result.resumed_partitions == len(finished)
    assert same_rows(rows_of(tmp_path, *KEYS), pq.read_table(COADS).sort_by([(key, "ascending") for key in KEYS]))


def test_a_partition_whose_file_is_gone_or_short_is_read_again(server: OdpServer, client: distributed.Client, tmp_path: Path):
    load = load_of(source(server, "coads", streams=1), tmp_path, partitions=MANY)
    server.fault("status", status=400, requests=["select"], skip=6, times=1)
    with pytest.raises(InvalidLoad):
        run_load(load, client)
    files = sorted(tmp_path.glob("tmp/*/data/*.parquet"))
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:-8])
    kept = len(list(tmp_path.glob("receipts/*/*.json"))) - 2
    server.reset()
    result = run_load(load, client)
    assert result.resumed_partitions == kept
    assert rows_of(tmp_path).num_rows == 194400


class TestOutput:
    def test_another_loads_dataset_is_refused(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        run_load(load_of(source(server, "empty"), tmp_path), client)
        with pytest.raises(OutputExists, match="another load's finished dataset"):
            run_load(load_of(source(server, "coads"), tmp_path), client)

    def test_error_refuses_even_this_loads_own(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        run_load(load_of(source(server, "empty"), tmp_path), client)
        with pytest.raises(OutputExists, match="this load's finished dataset"):
            run_load(load_of(source(server, "empty"), tmp_path, sink_ifExists="Error"), client)

    def test_foreign_files_are_refused_and_never_deleted(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "thesis.docx").write_text("years of work")
        for policy in ("Resume", "Error", "Overwrite"):
            with pytest.raises(OutputExists, match=r"thesis\.docx"):
                run_load(load_of(source(server, "empty"), tmp_path, sink_ifExists=policy), client)
        assert (tmp_path / "data" / "thesis.docx").read_text() == "years of work"
        assert [path.name for path in tmp_path.iterdir()] == ["data"]

    def test_overwrite_replaces_a_dataset_when_the_new_one_is_verified(
        self, server: OdpServer, client: distributed.Client, tmp_path: Path
    ):
        run_load(load_of(source(server, "awkward"), tmp_path), client)
        replacement = load_of(source(server, "coads"), tmp_path, sink_ifExists="Overwrite")
        server.fault("status", status=400, requests=["select"], times=1)
        with pytest.raises(InvalidLoad):
            run_load(replacement, client)
        assert rows_of(tmp_path).num_rows == ROWS, "the old dataset stands until the new one is verified"
        assert open_dataset(str(tmp_path)).count_rows() == ROWS
        run_load(replacement, client)
        assert open_dataset(str(tmp_path)).count_rows() == rows_of(tmp_path).num_rows == 194400
        assert len(list((tmp_path / "receipts").iterdir())) == 1

    def test_overwriting_with_the_same_load_reads_it_anew(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        load = load_of(source(server, "coads"), tmp_path, sink_ifExists="Overwrite")
        first = run_load(load, client)
        second = run_load(load, client)
        assert second.manifest_sha256 != first.manifest_sha256
        assert json.loads((tmp_path / "manifest.json").read_text())["generation"] == 2
        assert rows_of(tmp_path).num_rows == 194400

    def test_an_unfinished_load_keeps_others_out(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        server.fault("status", status=400, requests=["select"], times=1)
        with pytest.raises(InvalidLoad):
            run_load(load_of(source(server, "coads"), tmp_path), client)
        with pytest.raises(OutputExists, match="is being written by another load"):
            run_load(load_of(source(server, "awkward"), tmp_path), client)
        run_load(load_of(source(server, "awkward"), tmp_path, sink_ifExists="Overwrite"), client)
        assert rows_of(tmp_path).num_rows == ROWS

    def test_a_load_that_never_started_leaves_nothing(self, server: OdpServer, client: distributed.Client, tmp_path: Path):
        url = tmp_path / "new"
        with pytest.raises(InvalidLoad, match="no column 'sstt'; did you mean 'sst'"):
            run_load(load_of(source(server, "coads", columns=["sstt"]), url), client)
        assert not url.exists()


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"dataset": "no-such-table"}, InvalidLoad, "has no such table"),
        ({"filter": "sst >"}, InvalidLoad, r"source\.odp\.filter"),
        ({"filter": "sst > 1 and nowhere < 2"}, InvalidLoad, "nowhere"),
        ({"splitBy": "nowhere"}, InvalidLoad, "nowhere"),
        ({"filter": "sst > $limit"}, InvalidLoad, "limit"),
    ],
)
def test_what_does_not_exist_is_named(
    server: OdpServer, client: distributed.Client, tmp_path: Path, fields: dict[str, str], error: type[LoadError], words: str
):
    wanted = {"odp": {**source(server, "coads")["odp"], **fields}}  # type: ignore[dict-item]
    with pytest.raises(error, match=words):
        run_load(load_of(wanted, tmp_path / "out"), client)
    assert not (tmp_path / "out").exists()


def test_a_refused_key_and_no_key(server: OdpServer, client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    load = load_of(source(server, "coads"), tmp_path)
    monkeypatch.setenv("ODP_API_KEY", "a-wrong-key")
    with pytest.raises(CredentialsRefused, match="refused the key") as refused:
        run_load(load, client)
    assert "a-wrong-key" not in str(refused.value)
    monkeypatch.delenv("ODP_API_KEY")
    with pytest.raises(CredentialsRefused, match="set the environment variable ODP_API_KEY"):
        run_load(load, client)


def test_a_table_that_grows_is_read_to_its_end_and_the_growth_is_noted(
    server: OdpServer, client: distributed.Client, tmp_path: Path
):
    table = awkward_table()
    # The rows belong to the first range, which has no lower end, and has begun without them.
    server.append("awkward", table.slice(0, 500), after_selects=1, matching='when < $high {"high"')
    result = run_load(load_of(source(server, "awkward"), tmp_path, partitions={"targetBytes": "64Ki"}), client)
    assert result.rows_read == result.rows_written == result.rows_expected == ROWS + 500
    assert result.notes[0] == f"the source spoke of {ROWS:,} rows before and counts {ROWS + 500:,} now"
    assert result.notes[1].endswith("read again"), "it says which part"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["statistics"]["before"]["num_rows"] == ROWS
    assert manifest["statistics"]["after"]["num_rows"] == ROWS + 500


def test_stale_statistics_lose_no_row(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.claim("awkward", num_rows=ROWS - 7, columns={"row": {"min": 500, "max": 600}})
    result = run_load(load_of(source(server, "awkward", splitBy="row"), tmp_path, partitions={"targetBytes": "64Ki"}), client)
    assert result.rows_written == ROWS
    assert "before" in result.notes[0]


def test_rows_that_a_server_never_sends_fail_the_load(server: OdpServer, client: distributed.Client, tmp_path: Path):
    server.fault("omit", rows=3, requests=["select"], matching="$low", times=None)
    load = load_of(source(server, "awkward", splitBy="when"), tmp_path, partitions={"targetBytes": "64Ki"})
    with pytest.raises(VerificationFailed, match=r"rows read but 20,000 expected \(partition 1: "):
        run_load(load, client)
    assert not (tmp_path / "data").exists()
