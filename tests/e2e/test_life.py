"""What people do to a job while it runs: suspend, resume, delete; and jobs whose pods cannot start or need too much."""

from typing import Any

from tests.e2e.cluster import Raw
from tests.e2e.eventually import eventually
from tests.e2e.sharing import share_of
from tests.e2e.workspace import Workspace
from tests.support.kstatus import kstatus

HOG = """
from distributed import Client, KilledWorker

def hog():
    return len(bytearray(3 << 30))

client = Client()
try:
    client.submit(hog).result()
except KilledWorker:
    print("killed, as it should be")
assert client.submit(sum, range(10)).result() == 45
"""


def test_a_job_is_suspended_in_the_middle_and_resumed(place: Workspace) -> None:
    job = place.slow()
    eventually(lambda: job.status["progress"]["partitions"]["done"] > 0, "a partition is finished")
    job.patch(suspend=True)
    job.reaches("Suspended")
    eventually(lambda: job.condition("Ready")["status"] == "True", "the suspended job is Ready")
    eventually(lambda: not {"Pod", "Job", "DaskCluster", "Secret", "Service"} & place.left().keys(), "everything is given back")
    assert kstatus(job.raw) == "Current"
    assert "startTime" not in job.status
    place.odp.reset()
    job.patch(suspend=False)
    status = place.succeeds(job)
    assert (status["runs"], status["attempts"]) == (2, 1)
    assert place.odp.counters()["selects"]["rows"] < 194_400
    place.gives_back()


def test_a_job_is_deleted_in_the_middle_and_made_again_at_once(place: Workspace) -> None:
    job = place.slow()
    uid = job.raw["metadata"]["uid"]
    job.delete()
    place.odp.reset()
    again = place.submit("load")
    assert again.raw["metadata"]["uid"] != uid
    place.succeeds(again)
    place.gives_back()
    again.delete()
    eventually(lambda: not place.left(), "nothing is left")


def test_an_image_that_cannot_be_pulled_is_told_and_given_up(place: Workspace) -> None:
    job = place.submit("load", image="localhost/nobody-has:this", startupDeadlineSeconds=40)
    status = job.says("ImagePullFailed")
    assert status["phase"] == "Starting"
    assert "localhost/nobody-has:this" in status["message"]
    status = job.reaches("Failed")
    assert status["reason"] == "StartupDeadlineExceeded"
    assert kstatus(job.raw) == "Failed"
    place.gives_back()


def test_a_quota_that_leaves_no_room_is_told_until_it_does(place: Workspace) -> None:
    spec = {"hard": {"pods": "1"}}
    place.cluster.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"}, "spec": spec}, place.namespace
    )
    job = place.submit("load")
    status = job.says("QuotaExceeded")
    assert status["phase"] == "Starting"
    place.cluster.delete("ResourceQuota", "tight", place.namespace)
    place.succeeds(job)
    place.gives_back()


def test_a_worker_that_needs_too_much_memory_is_killed_and_the_job_goes_on(place: Workspace) -> None:
    place.cluster.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"main.py": HOG}}, place.namespace
    )
    job = place.submit("hog", script={"configMap": {"name": "code", "key": "main.py"}})
    status = job.reaches("Succeeded")
    assert status["reason"] == "ScriptFinished"
    assert status["attempts"] == 1
    assert "killed, as it should be" in job.log()
    place.gives_back()


def test_a_loader_that_needs_too_much_memory_is_told_so(place: Workspace) -> None:
    place.cluster.create(preset("narrow", loader={"cpu": share_of(500), "memory": "64Mi"}), place.namespace)
    job = place.submit("load", scale="narrow", backoffLimit=0)
    status = job.reaches("Failed")
    assert status["reason"] == "OutOfMemory"
    assert status["attempts"] == 1
    place.gives_back()


def preset(name: str, **spec: Any) -> Raw:
    """A preset beside the jobs, as small as it may be."""
    small = {"workers": {"replicas": 1}, "worker": {"cpu": share_of(500), "memory": "1Gi", "threads": 2}}
    return {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskPreset", "metadata": {"name": name}, "spec": small | spec}
