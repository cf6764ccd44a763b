"""Each example with a program of its own is run on Dask's local cluster, and what it finds is computed again by hand."""

import json
import re
from pathlib import Path

import dask
import dask.array as da
import distributed
import numpy as np
import pandas as pd
import pytest

from odp_dask_operator.spec import Phase
from tests.examples.conftest import EXAMPLES, RunExample
from tests.support.odp_server import OdpServer

DATASET = "c4971709-a336-53bd-9ee2-4664ca74808d"


def run_program(run_example: RunExample, name: str, *arguments: str) -> str:
    """Run it with these arguments instead of its own, which name places on a cluster's volume; returns what it said."""
    run = run_example(name, f"spec.script.args={json.dumps(arguments)}")
    assert (run.exit_code, run.status.phase) == (0, Phase.SUCCEEDED), run.said
    assert "Traceback" not in run.said
    return run.said


def test_array_statistics(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame) -> None:
    run_program(run_example, "array-statistics", DATASET, "out")
    found = np.load("out/statistics.npz")
    variables = ["sst", "airt", "speh", "wspd", "uwnd", "vwnd", "slp"]
    rows = coads[variables].dropna().astype("float64")
    correlation = rows.corr().to_numpy()
    np.testing.assert_allclose(found["covariance"], correlation, atol=1e-9)
    values, vectors = np.linalg.eigh(correlation)
    np.testing.assert_allclose(found["explained"], values[::-1][:3] / len(variables), rtol=1e-3)
    directions = np.abs(found["directions"] @ vectors[:, ::-1][:, :3])  # a direction and its opposite are the same
    np.testing.assert_allclose(directions, np.eye(3), atol=0.05)


def test_array_anomaly(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame) -> None:
    said = run_program(run_example, "array-anomaly", DATASET, "out")
    found = da.from_npy_stack("out").compute(scheduler="synchronous")
    fields = coads.sort_values(["time", "lat", "lon"]).sst.to_numpy("float64").reshape(12, 90, 180)
    counts = np.isfinite(fields).sum(axis=0)
    anomaly = fields - np.nansum(fields, axis=0) / np.where(counts, counts, np.nan)
    warmest = int(np.nanmean(anomaly[:, 45:], axis=(1, 2)).argmax()) + 1
    np.testing.assert_allclose(found, anomaly, atol=1e-4)
    assert f"the north is warmest in month {warmest};" in said


def test_bag_logs(run_example: RunExample, tmp_path: Path) -> None:
    chance = np.random.default_rng(3)
    entries = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=900, freq="s").strftime("%Y-%m-%dT%H:%M:%S"),
            "level": chance.choice(["INFO", "ERROR"], 900, p=[0.8, 0.2]),
            "service": chance.choice(["ingest", "tiles", "search"], 900),
            "error": chance.choice(["timeout", "no such table", "disk full"], 900, p=[0.6, 0.3, 0.1]),
            "milliseconds": chance.exponential(200, 900).round(3),
        }
    )
    (tmp_path / "logs").mkdir()
    for index in range(3):
        entries[index * 300 : (index + 1) * 300].to_json(tmp_path / "logs" / f"{index}.jsonl", orient="records", lines=True)
    run_program(run_example, "bag-logs", "logs", "out")
    errors = entries[entries.level == "ERROR"]
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["counts"] == [[error, count] for error, count in errors.error.value_counts().items()]
    assert dict(summary["slowest"]) == errors.groupby("service").milliseconds.max().to_dict()
    columns = ["time", "service", "error", "milliseconds"]
    table = pd.read_parquet("out/errors").sort_values("time").reset_index(drop=True)
    pd.testing.assert_frame_equal(table, errors[columns].reset_index(drop=True), check_dtype=False)


def test_futures(run_example: RunExample) -> None:
    run_program(run_example, "futures", "60", "out")
    summary = json.loads(Path("out/summary.json").read_text())
    calibration = np.linspace(0.5, 2.0, 7)
    waves = [np.random.default_rng(station).rayleigh(calibration[station % 7], size=600) for station in range(60)]
    heights = [float(np.mean(sorted(each)[400:])) for each in waves]
    high = [[station, height] for station, height in enumerate(heights) if height > 3]
    assert summary["count"] == 60
    assert summary["mean"] == pytest.approx(np.mean(heights))
    assert summary["variance"] == pytest.approx(np.var(heights, ddof=1))
    assert [station for station, _ in summary["high"]] == [station for station, _ in high]
    assert [height for _, height in summary["high"]] == pytest.approx([height for _, height in high])
    assert sorted(map(int, Path("out/high.txt").read_text().split())) == [station for station, _ in high]


def test_delayed_files(run_example: RunExample) -> None:
    Path("casts").mkdir()
    depths = []
    for cast, depth in enumerate([10, 40, 25, 60, 30]):
        rows = [(metres, 15.0 if metres < depth else 10.0) for metres in range(0, 100, 5)]
        pd.DataFrame(rows[::-1], columns=["depth", "temperature"]).to_csv(f"casts/{cast}.csv", index=False)
        depths.append(depth)
    pd.DataFrame({"depth": [0, 50], "temperature": [9.0, 9.0]}).to_csv("casts/mixed.csv", index=False)
    run_program(run_example, "delayed-files", "casts", "out")
    depths.append(50)  # mixed to the bottom
    assert json.loads(Path("out/summary.json").read_text()) == {"casts": 6, "median": np.median(depths), "deepest": 60}


def ridge(rows: pd.DataFrame, penalty: float) -> tuple[np.ndarray, pd.Series, pd.Series]:
    """Intercept and coefficients of the features scaled by these rows' mean and deviation, which follow."""
    features = rows[["airt", "speh", "wspd", "slp"]]
    mean, deviation = features.mean(), features.std(ddof=0)
    scaled = np.column_stack([np.ones(len(rows)), (features - mean) / deviation])
    penalised = np.vstack([scaled, np.sqrt(penalty) * np.eye(5)[1:]])  # the textbook's extra rows
    model, *_ = np.linalg.lstsq(penalised, np.append(rows.sst.to_numpy(), np.zeros(4)), rcond=None)
    return model, mean, deviation


def squared_error(rows: pd.DataFrame, model: np.ndarray, mean: pd.Series, deviation: pd.Series) -> float:
    predicted = model[0] + ((rows[mean.index] - mean) / deviation).to_numpy() @ model[1:]
    return float(((rows.sst - predicted) ** 2).mean())


def test_model_search(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame) -> None:
    run_program(run_example, "model-search", DATASET, "out")
    found = json.loads(Path("out/model.json").read_text())
    rows = coads[["lon", "airt", "speh", "wspd", "slp", "sst"]].dropna().astype("float64")
    sector = ((rows.lon + 180) // 36).astype(int)
    train, test = rows[~sector.isin([4, 9])], rows[sector.isin([4, 9])]
    penalties = [0.0, 1.0, 10.0, 100.0, 1000.0, 10000.0]
    sectors = sector[train.index]
    errors = [
        np.mean([squared_error(train[sectors == fold], *ridge(train[sectors != fold], penalty)) for fold in sectors.unique()])
        for penalty in penalties
    ]
    assert found["errors"] == pytest.approx(errors, rel=1e-6)
    assert found["penalty"] == penalties[int(np.argmin(errors))]
    model, mean, deviation = ridge(train, found["penalty"])
    assert list(found["coefficients"].values()) == pytest.approx(model.tolist(), rel=1e-6)
    assert found["test_error"] == pytest.approx(squared_error(test, model, mean, deviation), rel=1e-6)


def test_the_program_of_the_kustomize_base(run_example: RunExample, platform: OdpServer, coads: pd.DataFrame) -> None:
    """A folder stands for the ConfigMap that kustomize would generate."""
    base = EXAMPLES.parent / "gitops/kustomize/base"
    run = run_example(f"{base}/monthly", config_maps=(f"monthly={base}",))
    assert run.exit_code == 0, run.said
    expected = coads.astype({"sst": "float64"}).groupby(coads.time.dt.month).sst.mean()
    said = dict(line.split() for line in run.said.splitlines() if re.fullmatch(r"\d+ +[\d.]+", line))
    assert {int(month): float(mean) for month, mean in said.items()} == pytest.approx(expected.to_dict(), abs=0.011)


def test_notebook(platform: OdpServer, coads: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cell by cell, as a notebook runs it: in a module that is no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ODP_API_KEY", platform.api_key)
    monkeypatch.setenv("ODP_BASE_URL", platform.url)
    names: dict[str, object] = {"__name__": "notebook"}
    options = {"processes": False, "protocol": "tcp", "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, **options) as there,
        dask.config.set(scheduler_address=there.scheduler_address),
    ):
        platform.reset()
        for cell in (EXAMPLES / "notebook.py").read_text().split("# %%")[1:]:
            exec(compile(f"#{cell}", "cell", "exec"), names)
            if "ocean = read_odp" in cell:
                assert platform.counters()["selects"]["started"] <= 1, "nothing but a first chunk, to tell how wide rows are"
        names["client"].close()  # type: ignore[attr-defined]
    rows = coads[coads.lat >= -60]
    expected = rows.astype({"sst": "float64"}).groupby("lat").sst.agg(["mean", "min", "max", "count"])
    pd.testing.assert_frame_equal(names["by_latitude"], expected, check_dtype=False, rtol=1e-5)  # type: ignore[arg-type]
    by_month = rows.astype({"wspd": "float64"}).groupby(rows.time.dt.month).wspd.mean()
    pd.testing.assert_series_equal(
        names["by_month"], by_month, check_dtype=False, check_names=False, check_index_type=False, rtol=1e-5
    )  # type: ignore[arg-type]
    first, third = names["first"], names["third"]
    assert isinstance(first, pd.DataFrame)
    assert isinstance(third, pd.DataFrame)
    assert list(first.columns) == ["time", "lat", "lon", "sst", "wspd"]
    assert (len(first), first.time.min()) == (5, rows.time.min())
    assert 0 < len(third) < len(rows) / 2
    assert len(third.merge(rows, on=["time", "lat", "lon"])) == len(third)
