"""Every example is named in the list, is valid, and begins, runs and ends on a cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from odp_dask_operator.spec.document import read_documents
from odp_dask_operator.spec.files import read_job
from tests.examples.conftest import EXAMPLES
from tests.support.fake_cluster import FakeCluster
from tests.support.fake_controllers import LAST_WORD, everything_runs, loader_ends
from tests.support.operator_jobs import UID

JOBS = sorted(EXAMPLES.glob("*.yaml"))
BY_NAME = pytest.mark.parametrize("file", JOBS, ids=[file.stem for file in JOBS])


def objects(file: Path) -> list[dict[str, Any]]:
    """As the API server's own reader of YAML has them."""
    return [document.value for document in read_documents(file.read_bytes(), source=file.name)]


def begun(file: Path) -> FakeCluster:
    """A cluster on which the file was applied in the namespace `ocean`."""
    by_kind = {raw["kind"]: raw for raw in objects(file)}
    job = by_kind["OdpDaskJob"]
    cluster = FakeCluster({**job, "metadata": {**job["metadata"], "namespace": "ocean", "uid": UID, "generation": 1}})
    if preset := by_kind.get("OdpDaskPreset"):
        cluster.presets.append({**preset, "metadata": {**preset["metadata"], "namespace": "ocean", "generation": 1}})
    if job["spec"]["scale"] == "auto":
        cluster.progress = {"stage": "Planning", "table": {"rows": 194_400, "bytes": 10_000_000}}
    everything_runs(cluster)
    if job["spec"]["scale"] == "auto":  # the cluster is made once the loader has told how large the table is
        everything_runs(cluster)
    return cluster


def test_the_list_names_every_example_once_or_more() -> None:
    named = re.findall(r"^\| .*\[(\S+)\]\((\S+)\) \|$", (EXAMPLES / "README.md").read_text(), flags=re.MULTILINE)
    assert all(text == target for text, target in named)
    there = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".yaml", ".py")}
    assert {target for _, target in named} == there


@BY_NAME
def test_it_says_first_what_it_is_and_is_named_after_its_file(file: Path) -> None:
    job_file = read_job(file.read_bytes(), source=file.name)
    assert file.read_text().startswith("# ")
    assert job_file.job.metadata.name == file.stem
    assert job_file.others == ()


@BY_NAME
def test_its_config_map_is_python_and_is_what_the_job_names(file: Path) -> None:
    maps = {raw["metadata"]["name"]: raw["data"] for raw in objects(file) if raw["kind"] == "ConfigMap"}
    job = next(raw for raw in objects(file) if raw["kind"] == "OdpDaskJob")
    program = job["spec"].get("script", {}).get("configMap")
    volumes = [volume["configMap"]["name"] for volume in job["spec"].get("volumes", ()) if "configMap" in volume]
    assert set(maps) == {*([program["name"]] if program else []), *volumes}
    assert program is None or program["key"] in maps[program["name"]]
    for keys in maps.values():
        for key, text in keys.items():
            assert key.endswith(".py")
            compile(text, key, "exec")


@BY_NAME
def test_it_begins_runs_and_ends_on_a_cluster(file: Path) -> None:
    cluster = begun(file)
    assert cluster.said[0] == "Running", cluster.status["message"]
    loader_ends(cluster, 0, LAST_WORD)
    cluster.wind_down()
    assert cluster.said[0] == "Succeeded"


def test_what_only_a_cluster_has_is_made() -> None:
    dashboard = begun(EXAMPLES / "dashboard.yaml")
    assert dashboard.status["dashboardURL"] == "https://dask.example.org/status"
    ingress = dashboard.only("Ingress")
    assert (ingress["spec"]["rules"][0]["host"], ingress["spec"]["ingressClassName"]) == ("dask.example.org", "nginx")
    assert ingress["spec"]["tls"][0]["secretName"] == "dask-example-org"

    assert begun(EXAMPLES / "jupyterhub.yaml").status["dashboardURL"] == (
        "/user/ada/proxy/jupyterhub-dashboard.ocean.svc:8787/status"
    )

    autoscaler = begun(EXAMPLES / "adaptive.yaml").only("DaskAutoscaler")
    assert (autoscaler["spec"]["minimum"], autoscaler["spec"]["maximum"]) == (2, 50)

    own = begun(EXAMPLES / "own-size.yaml")
    worker = own.only("DaskCluster")["spec"]["worker"]
    assert worker["replicas"] == 3
    assert worker["spec"]["nodeSelector"] == {"hub.jupyter.org/node-purpose": "user"}
    assert own.objects["Service", "own-size-dashboard"]["spec"]["type"] == "NodePort"

    tidy = begun(EXAMPLES / "tidy.yaml").only("DaskCluster")["spec"]["worker"]["spec"]
    assert {"name": "code", "configMap": {"name": "tidy"}} in tidy["volumes"]
    assert {"name": "code", "mountPath": "/code"} in tidy["containers"][0]["volumeMounts"]
    assert {"name": "PYTHONPATH", "value": "/code"} in tidy["containers"][0]["env"]


def test_the_examples_name_the_same_table_and_secret() -> None:
    jobs = [raw for file in JOBS for raw in yaml.safe_load_all(file.read_text()) if raw["kind"] == "OdpDaskJob"]
    odp = [job for job in jobs if "odp" in job["spec"].get("load", {}).get("source", {})]
    assert {job["spec"]["load"]["source"]["odp"]["dataset"] for job in odp} == {"c4971709-a336-53bd-9ee2-4664ca74808d"}
    assert {job["spec"]["credentials"]["secretName"] for job in odp} == {"odp-api-key"}
