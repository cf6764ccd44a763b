"""How a job that cannot change is changed: what is refused, with which words, and what each tool makes instead."""

import copy
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.apiserver import Answer, ApiServer
from tests.support.manifests import path_of

JOB: dict[str, Any] = {
    "apiVersion": "odpdask.dev/v1alpha1",
    "kind": "OdpDaskJob",
    "metadata": {"name": "sst"},
    "spec": {
        "scale": "small",
        "load": {"source": {"synthetic": {"rows": 10}}, "sink": {"parquet": {"url": "s3://my-bucket/sst"}}},
        "suspend": False,
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "ocean-data"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "tolerations": [{"key": "ocean"}],
    },
}
REFUSED = "load cannot change once the job exists; make a new job with another name"


def changed(rows: int = 20, **spec: Any) -> dict[str, Any]:
    job = copy.deepcopy(JOB)
    job["spec"]["load"]["source"]["synthetic"]["rows"] = rows
    return {**job, "spec": {**job["spec"], **spec}}


def apply(server: ApiServer, namespace: str, job: dict[str, Any]) -> Answer:
    return server.apply(job, path_of(server, job, namespace), fieldManager="gitops", force=True)


Kubectl = Callable[..., tuple[int, str]]
"""(job, *words): writes the job to a file and runs kubectl on it; returns its exit status and all it said."""


@pytest.fixture
def kubectl(server: ApiServer, namespace: str, tmp_path: Path) -> Kubectl:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("there is no kubectl: https://kubernetes.io/docs/tasks/tools/ says how to install it")

    def run(job: dict[str, Any], *words: str) -> tuple[int, str]:
        file = tmp_path / "job.yaml"
        file.write_text(yaml.safe_dump(job))
        command = [program, f"--kubeconfig={server.kubeconfig}", f"--namespace={namespace}", *words, f"--filename={file}"]
        environment = {**os.environ, "HOME": str(tmp_path)}  # what it caches goes with the test
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        return done.returncode, done.stdout + done.stderr

    return run


def live(server: ApiServer, namespace: str) -> dict[str, Any]:
    return server.request("GET", path_of(server, JOB, namespace)).body


def test_another_load_is_refused_with_what_to_do(server: ApiServer, namespace: str) -> None:
    """Flux takes this answer, 422 Invalid, for an immutable field: with force it deletes the job and makes it again."""
    assert apply(server, namespace, JOB).status == 201
    answer = apply(server, namespace, changed())
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.causes == [("spec.load", f"Invalid value: {REFUSED}")]


def test_what_steers_a_job_may_change(server: ApiServer, namespace: str) -> None:
    assert apply(server, namespace, JOB).status == 201
    uid = live(server, namespace)["metadata"]["uid"]
    steered = {"suspend": True, "backoffLimit": 9, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 60}
    assert apply(server, namespace, changed(rows=10, **steered)).status == 200
    found = live(server, namespace)
    assert found["metadata"]["uid"] == uid
    assert {key: found["spec"][key] for key in steered} == steered


def test_a_new_name_stands_beside_the_old_job(server: ApiServer, namespace: str) -> None:
    assert apply(server, namespace, JOB).status == 201
    renamed = {**changed(), "metadata": {"name": "sst-2"}}
    assert apply(server, namespace, renamed).status == 201
    assert live(server, namespace)["spec"]["load"]["source"]["synthetic"]["rows"] == 10


def test_kubectl_apply_as_argo_cd_uses_it(server: ApiServer, namespace: str, kubectl: Kubectl) -> None:
    """Force=true makes a job again when its change is refused, and at no other sync."""
    assert kubectl(JOB, "apply")[0] == 0
    first = live(server, namespace)["metadata"]
    assert kubectl(JOB, "apply") == (0, "odpdaskjob.odpdask.dev/sst unchanged\n")
    status, said = kubectl(changed(), "apply")
    assert (status, REFUSED in said) == (1, True)
    assert live(server, namespace)["metadata"]["resourceVersion"] == first["resourceVersion"]

    assert kubectl(JOB, "apply", "--force") == (0, "odpdaskjob.odpdask.dev/sst unchanged\n")
    assert kubectl(changed(rows=10, suspend=True), "apply", "--force")[0] == 0
    assert live(server, namespace)["metadata"]["uid"] == first["uid"]
    status, said = kubectl(changed(), "apply", "--force")
    assert status == 0, said
    found = live(server, namespace)
    assert found["metadata"]["uid"] != first["uid"]
    assert found["spec"]["load"]["source"]["synthetic"]["rows"] == 20


def test_kubectl_replace_as_argo_cd_uses_it(server: ApiServer, namespace: str, kubectl: Kubectl) -> None:
    """Replace=true alone is refused as well; with Force=true every sync makes the job again, changed or not."""
    assert kubectl(JOB, "create")[0] == 0
    first = live(server, namespace)["metadata"]["uid"]
    status, said = kubectl(changed(), "replace")
    assert (status, REFUSED in said) == (1, True)
    assert kubectl(changed(), "replace", "--force")[0] == 0
    second = live(server, namespace)
    assert second["spec"]["load"]["source"]["synthetic"]["rows"] == 20
    assert kubectl(changed(), "replace", "--force")[0] == 0
    assert len({first, second["metadata"]["uid"], live(server, namespace)["metadata"]["uid"]}) == 3
