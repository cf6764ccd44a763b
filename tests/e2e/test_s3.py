"""Credentials of an object store as platforms hand them out: for a while only, and renewed in the Secret."""

from pathlib import Path

from odp_dask_operator.core.names import JOB_LABEL
from tests.e2e.eventually import eventually
from tests.e2e.workspace import Workspace

_SECONDS = 45


def test_temporary_keys_that_expire_in_the_middle_are_renewed_in_the_secret(place: Workspace, tmp_path: Path) -> None:
    """The kubelet takes up to a minute to bring a changed Secret to a pod, unless something else of the pod changes."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "temporary"}, "type": "Opaque"}
    first = place.s3.temporary_keys(tmp_path, seconds=_SECONDS)
    place.cluster.create({**secret, "stringData": first}, place.namespace)
    load = place.load("load")
    load["sink"]["parquet"]["storage"]["secretName"] = "temporary"
    place.odp.settings(bytes_per_s=40_000)
    job = place.submit("load", load=load)
    job.reads()
    place.cluster.apply({**secret, "stringData": place.s3.temporary_keys(tmp_path, seconds=3600)}, place.namespace)
    for pod in place.of_jobs("Pod"):
        change = {"metadata": {"annotations": {"example.org/renewed": "yes"}}}
        place.cluster.patch("Pod", pod["metadata"]["name"], place.namespace, change)
    eventually(lambda: not place.s3.accepts(first), "the first keys have expired", seconds=_SECONDS + 30)
    assert job.status["phase"] == "Running"
    place.odp.reset()
    assert place.succeeds(job)["attempts"] == 1
    assert place.cluster.all("Pod", place.namespace, labels=JOB_LABEL)
    place.gives_back()
