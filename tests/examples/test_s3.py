"""The examples that read object stores, on a real S3 server: with keys, and with a role whose credentials are temporary."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odp_dask_operator.spec import Phase
from tests.examples.conftest import RunExample
from tests.support.s3 import S3Server, sts


def here(s3: S3Server, what: str) -> tuple[str, str]:
    """Where this server is, instead of the provider's own."""
    return f"spec.load.{what}.storage.endpoint={s3.endpoint}", f"spec.load.{what}.storage.region=us-east-1"


@pytest.fixture
def measurements(s3: S3Server, tmp_path: Path) -> tuple[str, pd.DataFrame]:
    """Three files of measurements over three years in the bucket; the Secret `keys` opens it."""
    s3.secret_folder(tmp_path, "keys")
    chance = np.random.default_rng(11)
    frame = pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=3000, freq="8h", unit="us"),
            "station_id": chance.choice(["ST-000", "ST-001", "ST-002"], 3000),
            "temperature": chance.normal(10, 3, 3000),
        }
    )
    url = s3.url()
    for index in range(3):
        table = pa.Table.from_pandas(frame[index * 1000 : (index + 1) * 1000], preserve_index=False)
        pq.write_table(table, f"{url.removeprefix('s3://')}/{index}.parquet", filesystem=s3.filesystem())
    return url, frame


def test_s3_by_year(run_example: RunExample, s3: S3Server, measurements: tuple[str, pd.DataFrame], tmp_path: Path) -> None:
    url, frame = measurements
    output = s3.url()
    run = run_example(
        "s3-by-year",
        "spec.scale=small",
        f"spec.load.source.files.url={url}/*.parquet",
        *here(s3, "source.files"),
        f"spec.load.sink.parquet.url={output}",
        *here(s3, "sink.parquet"),
        secrets=(f"s3-keys={tmp_path / 'keys'}",),
    )
    assert (run.exit_code, run.status.phase) == (0, Phase.SUCCEEDED), run.said
    found = pd.read_parquet(f"{output.removeprefix('s3://')}/data", filesystem=s3.filesystem()).sort_values("timestamp")
    expected = frame.assign(year=frame.timestamp.dt.year)
    pd.testing.assert_frame_equal(
        found.reset_index(drop=True)[list(expected)], expected, check_dtype=False, check_categorical=False
    )
    assert run.status.progress is not None
    assert run.status.progress.partitions.total <= 10


def test_s3_temporary_credentials(
    run_example: RunExample,
    s3: S3Server,
    measurements: tuple[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, frame = measurements
    (tmp_path / "sts").mkdir()
    with sts(s3, tmp_path / "sts") as (endpoint, issued):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
        run = run_example(
            "s3-temporary-credentials",
            f"spec.load.source.files.url={url}/*.parquet",
            *here(s3, "source.files"),
            "spec.load.sink.parquet.url=out",
            "spec.load.sink.parquet.storage=",
            secrets=(f"aws-keys={tmp_path / 'keys'}",),
        )
    assert (run.exit_code, run.status.phase) == (0, Phase.SUCCEEDED), run.said
    assert issued, "the role was assumed"
    found = pd.read_parquet("out/data").sort_values("station_id").reset_index(drop=True)
    expected = frame.groupby("station_id").temperature.agg(["mean", "count"]).add_prefix("temperature_").reset_index()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
