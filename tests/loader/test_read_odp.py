"""Whoever writes their own Dask: lazy, projected, complete, and without the key in the graph."""

import pickle
from datetime import datetime
from pathlib import Path

import distributed
import pandas as pd
import pytest

from odp_loader import read_odp
from odp_loader.errors import InvalidLoad
from tests.support.odp_server import API_KEY, OdpServer

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
KEYS = ["time", "lat", "lon"]


def rows_sent(server: OdpServer) -> int:
    return sum(each["rows"] for each in server.counters()["selects"]["each"] if each["query"])


@pytest.fixture
def frame(server: OdpServer, client: distributed.Client):  # dask has no types
    return read_odp(server.table_id("coads"), base_url=server.url, target_bytes=2**20)


def test_building_it_reads_no_partition(server: OdpServer, frame):
    assert frame.npartitions > 8
    assert rows_sent(server) == 0
    assert list(frame.columns) == list(pd.read_parquet(COADS).columns)


def test_it_is_the_table(frame):
    found = frame.compute().sort_values(KEYS, ignore_index=True)
    expected = pd.read_parquet(COADS).sort_values(KEYS, ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_only_the_columns_that_are_used_are_asked_for(server: OdpServer, frame):
    mean = frame.sst.mean().compute()
    assert mean == pytest.approx(pd.read_parquet(COADS).sst.mean(), rel=1e-6)
    asked = {tuple(each["cols"]) for each in server.counters()["selects"]["each"] if each["query"]}
    assert asked == {("sst",)}


def test_head_over_all_partitions(frame):
    assert len(frame.head(5, npartitions=-1)) == 5


def test_group_by(frame):
    found = frame.groupby("lat").sst.agg(["mean", "min", "max", "count"]).compute().sort_index()
    expected = pd.read_parquet(COADS).groupby("lat").sst.agg(["mean", "min", "max", "count"])
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)


def with_month(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(month=rows.time.dt.month)


def test_map_partitions(frame):
    counts = frame.map_partitions(with_month).groupby("month").sst.count().compute().sort_index()
    expected = with_month(pd.read_parquet(COADS)).groupby("month").sst.count()
    assert counts.tolist() == expected.tolist()


def test_filter_and_vars(server: OdpServer, client: distributed.Client):
    since = datetime(2000, 6, 1)
    frame = read_odp(
        server.table_id("coads"), base_url=server.url, filter="time >= $since", vars={"since": since}, columns=["time", "sst"]
    )
    expected = pd.read_parquet(COADS, columns=["time"])
    assert len(frame) == (expected.time >= since).sum()


def test_a_broken_stream_costs_a_repetition(server: OdpServer, frame):
    server.settings(close_delimited=True)
    server.fault("cut", rows=4096, inside=False, requests=["select"], times=3)
    assert len(frame) == 194400


def test_the_key_is_in_no_graph(frame):
    assert API_KEY.encode() not in pickle.dumps(frame)
    assert API_KEY not in repr(dict(frame.optimize().dask))


def test_a_column_that_does_not_exist(server: OdpServer):
    with pytest.raises(InvalidLoad, match="did you mean 'sst'"):
        read_odp(server.table_id("coads"), base_url=server.url, columns=["sstt"])
