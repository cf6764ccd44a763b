"""Each example that loads a table is run, and its result compared with pandas on the same data."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from odp_dask_operator.spec import Phase
from tests.examples.conftest import Run, RunExample
from tests.support.odp_server import OdpServer

SINK = "spec.load.sink.parquet.url=out"
SEVERAL = "spec.load.partitions.targetBytes=1Mi"


def result(run: Run, folder: Path, *keys: str) -> pd.DataFrame:
    """The dataset that a run left at `out`, in the order of `keys`; its end was a success."""
    assert (run.exit_code, run.status.phase) == (0, Phase.SUCCEEDED), run.said
    frame = pd.read_parquet(folder / "out" / "data")
    assert run.status.result is not None
    assert run.status.result.rows == len(frame)
    return frame.sort_values(list(keys)).reset_index(drop=True) if keys else frame


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal but for the storage types and the last bits of sums."""
    pd.testing.assert_frame_equal(found, expected.reset_index(drop=True)[list(found.columns)], check_dtype=False, rtol=1e-6)


def test_quickstart(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path) -> None:
    run = run_example("quickstart", SINK, SEVERAL)
    expected = coads.dropna(subset=["sst"]).assign(month=lambda rows: rows.time.dt.month)
    same(result(run, tmp_path, "time", "lat", "lon"), expected.sort_values(["time", "lat", "lon"]))
    assert run.status.progress is not None
    assert run.status.progress.partitions.total > 1


def test_monthly_means(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path) -> None:
    found = result(run_example("monthly-means", SINK), tmp_path, "month", "belt")
    rows = coads[(coads.time >= "2000-03-01") & (coads.lat > -60)]
    rows = rows.assign(month=rows.time.dt.month, belt=np.floor(rows.lat / 30) * 30).astype({"sst": "float64", "wspd": "float64"})
    groups = rows.groupby(["month", "belt"])
    expected = groups.sst.agg(["mean", "min", "max", "count"]).add_prefix("sst_")
    same(found, expected.assign(wspd_mean=groups.wspd.mean()).reset_index())
    assert len(found) == 10 * 5


def test_tidy(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path) -> None:
    found = result(run_example("tidy", SINK, SEVERAL), tmp_path, "time", "lat", "lon")
    rows = coads.dropna(subset=["sst"]).sort_values(["time", "lat", "lon"])
    rows = rows.assign(year=2000, month=rows.time.dt.month, warmer_than_air=rows.sst - rows.airt)
    same(found.astype({"month": "int64"}), rows)
    assert {folder.name for folder in (tmp_path / "out" / "data").iterdir()} == {f"month={month}" for month in range(1, 13)}


def test_synthetic(run_example: RunExample, tmp_path: Path) -> None:
    rows = 250_000
    run = run_example("synthetic", f"spec.load.source.synthetic.rows={rows}", SINK)
    found = result(run, tmp_path, "timestamp")
    assert run.status.progress is not None
    assert run.status.progress.partitions.total == max(4, rows // 100_000)
    assert found.timestamp.equals(pd.Series(pd.date_range("2020-01-01", periods=rows, freq="min", unit="us"), name="timestamp"))
    per_partition = rows // 4
    for partition in range(4):  # a row takes eight draws, the first of which says which of 50 stations
        draws = np.random.Generator(np.random.PCG64(42 + partition)).random((per_partition, 8))
        stations = [f"ST-{int(draw * 50):03d}" for draw in draws[:, 0]]
        assert found.station_id[partition * per_partition : (partition + 1) * per_partition].tolist() == stations


def test_size_auto(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path) -> None:
    run = run_example("size-auto", SINK)
    same(result(run, tmp_path, "time", "lat", "lon"), coads.sort_values(["time", "lat", "lon"]))
    assert run.status.preset is not None
    assert run.status.preset.name == "small"
    assert "auto is small: the table has 194,400 rows" in run.said


def test_own_size(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path) -> None:
    run = run_example("own-size", SINK, SEVERAL)
    same(result(run, tmp_path, "time", "lat", "lon"), coads[["time", "lat", "lon", "sst"]].sort_values(["time", "lat", "lon"]))
    assert run.status.preset is not None
    assert run.status.preset.name == "notebook-nodes"
    assert run.said.startswith("notebook-nodes")


def test_adaptive(run_example: RunExample, tmp_path: Path) -> None:
    rows = "spec.load.source.synthetic.rows=200000"
    found = result(run_example("adaptive", rows, SINK), tmp_path, "station_id")
    made = run_example("synthetic", rows, "spec.scale=small", "spec.load.sink.parquet.url=rows")
    assert made.exit_code == 0, made.said
    groups = pd.read_parquet(tmp_path / "rows" / "data").groupby("station_id")
    expected = groups.temperature.agg(["mean", "min", "max"]).add_prefix("temperature_")
    same(found, expected.assign(depth_count=groups.depth.count()).reset_index())
    assert len(found) == 50


@pytest.mark.parametrize("name", ["jupyterhub", "production"])
def test_a_job_with_settings_for_a_cluster_loads_the_same_rows(
    run_example: RunExample, platform: OdpServer, coads: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    run = run_example(name, SINK, "spec.scale=small")
    found = result(run, tmp_path, "time", "lat", "lon")
    same(found, coads[list(found.columns)].sort_values(["time", "lat", "lon"]))
    if name == "jupyterhub":
        assert run.status.dashboard_url is not None
        assert run.status.dashboard_url.startswith("/user/ada/proxy/")
        assert run.status.dashboard_url.endswith("/status")
    else:
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert manifest["rows"]["read"] == manifest["rows"]["expected"] == len(coads)


def test_dashboard(run_example: RunExample, tmp_path: Path) -> None:
    found = result(run_example("dashboard", "spec.load.source.synthetic.rows=1000", "spec.scale=small", SINK), tmp_path)
    assert len(found) == 1000


def test_csv_readings(run_example: RunExample, tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    folder = tmp_path / "volume" / "readings"
    folder.mkdir(parents=True)
    files = []
    for day in range(5):
        rows = pd.DataFrame(
            {
                "time": pd.date_range(f"2024-01-0{day + 1}", periods=300, freq="min"),
                "category": chance.choice(["buoy", "ship", "glider", None], 300),
                "quality": chance.choice(["good", "bad"], 300),
                "value": np.where(chance.random(300) < 0.1, np.nan, chance.normal(10, 2, 300)),
            }
        )
        rows.to_csv(folder / f"day-{day}.csv", index=False)
        files.append(rows)
    run = run_example("csv-readings", volumes=(f"data={tmp_path / 'volume'}",))
    (tmp_path / "out").symlink_to(tmp_path / "volume" / "readings-by-category")
    found = result(run, tmp_path, "category")
    rows = pd.concat(files).query("quality == 'good'").dropna(subset=["value"]).fillna({"category": "unknown"})
    expected = rows.groupby("category").value.agg(["sum", "mean", "count"]).add_prefix("value_").reset_index()
    same(found, expected)
    assert found.category.tolist() == ["buoy", "glider", "ship", "unknown"]
