"""The 10-line job on the real COADS table, from `kubectl apply` to rows that are equal to the table's."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from tests.e2e.browser import browser
from tests.e2e.bundle import ROOT
from tests.e2e.cluster import Raw
from tests.e2e.eventually import eventually
from tests.e2e.job import Job, watched
from tests.e2e.rows import assert_same_rows, coads
from tests.e2e.workspace import KEPT, S3_SECRET, Workspace
from tests.support.kstatus import kstatus

QUICKSTART = ROOT / "manifests/examples/quickstart.yaml"


def quickstart(place: Workspace) -> str:
    """The example as it stands, with this cluster's addresses, and cut so that there is a progress to see."""
    raw: Raw = yaml.safe_load(QUICKSTART.read_text())
    load = raw["spec"]["load"]
    load["source"]["odp"] |= {"baseURL": place.odp.url}
    load["sink"]["parquet"] |= {"url": place.s3.url(place.namespace), "storage": place.s3.storage(S3_SECRET)}
    load["partitions"] = {"targetBytes": "512Ki"}
    return yaml.safe_dump(raw)


def expected() -> pa.Table:
    """What the example asks for, computed from the table itself."""
    table = coads()
    table = table.filter(pc.is_valid(table["sst"]))
    return table.append_column("month", pc.month(table["time"]))


def test_ten_lines_become_a_verified_dataset(place: Workspace, evidence: Path) -> None:
    place.odp.settings(bytes_per_s=30_000)
    with watched(place.cluster, place.namespace) as seen:
        place.cluster.kubectl("apply", "-n", place.namespace, "-f", "-", stdin=quickstart(place))
        job = Job(place.cluster, place.namespace, "quickstart")
        status = job.reads()
        assert status["phase"] == "Running"
        assert status["dashboardURL"] == f"http://quickstart-dashboard.{place.namespace}.svc:8787/status"
        assert kstatus(job.raw) == "InProgress"
        with job.dashboard() as url, browser() as chromium:
            chromium.plots(f"{url}/status", evidence / "dashboard-status.png", shows="Bytes stored")
            chromium.plots(f"{url}/workers", evidence / "dashboard-workers.png", shows="CPU Use")
        eventually(lambda: len(seen.underway) > 1, "progress was seen to rise")
        place.odp.reset()
        place.cluster.kubectl(
            "wait", "-n", place.namespace, "odj/quickstart", "--for=condition=Complete", "--timeout=400s", seconds=420
        )
        eventually(lambda: "Succeeded" in seen.phases, "the watch has told of the end")
    status = job.reaches("Succeeded")
    assert seen.phases == ["Pending", "Starting", "Running", "Succeeded"]
    assert seen.progress == sorted(seen.progress)
    assert seen.progress[-1] == 100
    assert kstatus(job.raw) == "Current"

    rows = place.s3.table(place.s3.url(place.namespace))
    assert_same_rows(rows, expected())
    assert status["result"]["rows"] == rows.num_rows
    assert status["attempts"] == 1

    place.gives_back()
    assert place.left().keys() == KEPT
    job.delete()
    eventually(lambda: not place.left(), "nothing is left but the output")
    assert "manifest.json" in place.s3.names(place.s3.url(place.namespace))
