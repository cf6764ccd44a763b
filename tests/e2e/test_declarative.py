"""A job as GitOps tools and scripts handle it: applied again, waited for, pruned."""

import json

from tests.e2e.eventually import eventually
from tests.e2e.job import Job
from tests.e2e.workspace import KEY_SECRET, Workspace

LABEL = "example.org/app=sst"


def test_a_job_is_applied_again_waited_for_and_pruned(place: Workspace) -> None:
    spec = {"scale": "small", "credentials": {"secretName": KEY_SECRET}, "load": place.load("sst")}
    meta = {"name": "sst", "namespace": place.namespace, "labels": {"example.org/app": "sst"}}
    text = json.dumps({"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskJob", "metadata": meta, "spec": spec})

    def apply(document: str) -> str:  # not server-side: `--prune` knows its own by the annotation of the last apply
        return place.cluster.kubectl("apply", "-f", "-", stdin=document)

    assert "created" in apply(text)
    job = Job(place.cluster, place.namespace, "sst")
    place.cluster.kubectl("wait", "-n", place.namespace, "odj/sst", "--for=condition=Complete", "--timeout=300s", seconds=320)
    place.succeeds(job)
    place.gives_back()
    before = job.raw
    assert "unchanged" in apply(text)
    assert place.cluster.try_kubectl("diff", "-f", "-", stdin=text).returncode == 0
    after = job.raw
    assert (after["metadata"]["generation"], after["status"]) == (before["metadata"]["generation"], before["status"])

    refused = place.cluster.try_kubectl("apply", "-f", "-", stdin=text.replace('"small"', '"large"'))
    assert refused.returncode != 0
    assert "scale cannot change once the job exists; make a new job with another name" in refused.stderr

    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other", "labels": meta["labels"]}}
    words = ("apply", "--prune", "-l", LABEL, "--prune-allowlist=odpdask.dev/v1alpha1/OdpDaskJob", "-n", place.namespace)
    place.cluster.kubectl(*words, "-f", "-", stdin=json.dumps(other))
    eventually(lambda: place.cluster.get("OdpDaskJob", "sst", place.namespace) is None, "the job is pruned")
    eventually(lambda: not place.left(), "nothing is left of it but the output")
