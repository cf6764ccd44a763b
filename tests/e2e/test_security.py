"""Who reaches a job's pods and what they hold: certificates, policies, no token, no key. One running load for all of it."""

import base64
import re
from collections.abc import Iterator

import pytest
import requests

from odp_dask_operator.core.names import DASHBOARD_PORT, LOADER, PROGRESS_PORT, SCHEDULER_PORT, WORKER_HTTP_PORT
from tests.e2e.conftest import NewPlace
from tests.e2e.eventually import eventually
from tests.e2e.job import Job
from tests.e2e.servers import NAMESPACE as SERVERS
from tests.e2e.workspace import KEY_SECRET, S3_SECRET, Workspace

WITHOUT_CERTIFICATE = """
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)) as channel:
    try:
        channel.recv(1)
    except ssl.SSLError as error:
        print(error.reason)
"""
REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("reached")
except OSError as error:
    print(type(error).__name__)
"""
PAGES = ("info/main/workers.html", "info/main/logs.html", "json/identity.json", "json/counts.json", "metrics", "status", "system")
_PRIVATE_KEY = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY")


@pytest.fixture(scope="module")
def place(new_place: NewPlace) -> Iterator[Workspace]:
    """One namespace for all tests of this module."""
    with new_place("security") as made:
        yield made


@pytest.fixture(scope="module")
def job(place: Workspace) -> Job:
    """A load that runs until the last test wants it to end."""
    return place.slow(bytes_per_s=20_000)


def address(job: Job, component: str) -> str:
    """The address of its pod."""
    return next(raw["status"]["podIP"] for raw in job.pods(component) if raw["status"].get("podIP"))


def test_the_scheduler_talks_to_nobody_without_the_jobs_certificate(place: Workspace, job: Job) -> None:
    """From the loader's pod, which the policy lets through: it is the certificate that counts."""
    words = ["python", "-c", WITHOUT_CERTIFICATE, address(job, "scheduler"), str(SCHEDULER_PORT)]
    said = place.cluster.run_in(job.pod(LOADER), job.namespace, words)
    assert said.strip() == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


@pytest.mark.policies
def test_only_the_jobs_own_pods_reach_it(place: Workspace, job: Job) -> None:
    """A stranger is a pod of another namespace. The two operators still get through: the job runs and tells its progress."""
    stranger = next(raw["metadata"]["name"] for raw in place.cluster.all("Pod", SERVERS, labels="app=odp-server"))
    ports = (("scheduler", SCHEDULER_PORT), ("scheduler", DASHBOARD_PORT), ("worker", WORKER_HTTP_PORT), (LOADER, PROGRESS_PORT))

    def reached(pod: str, namespace: str) -> list[str]:
        words = [["python", "-c", REACHES, address(job, component), str(port)] for component, port in ports]
        return [place.cluster.run_in(pod, namespace, command).strip() for command in words]

    assert reached(job.pod(LOADER), job.namespace) == ["reached"] * len(ports)
    assert reached(stranger, SERVERS) == ["TimeoutError"] * len(ports)
    before = job.status["progress"]["rows"]
    eventually(lambda: job.status["progress"]["rows"] > before, "the operator still hears of progress")


def test_no_key_is_seen_anywhere_and_no_pod_has_a_token(place: Workspace, job: Job) -> None:
    """Not in an object that is no Secret, a log, a page of the dashboard, the loader's own pages, nor in what was written."""
    kinds = "pods,jobs,configmaps,deployments,replicasets,services,daskclusters,daskworkergroups,odpdaskjobs,events"
    texts = {"objects": place.cluster.kubectl("get", kinds, "-n", job.namespace, "-o", "yaml")}
    for component in ("scheduler", "worker", LOADER):
        pod = job.pod(component)
        texts[f"log of {component}"] = place.cluster.kubectl("logs", "-n", job.namespace, pod)
        token = place.cluster.run_in(pod, job.namespace, ["sh", "-c", "ls /var/run/secrets/kubernetes.io || true"])
        assert token == ""
    with job.dashboard() as url:
        texts |= {page: requests.get(f"{url}/{page}", timeout=30).text for page in PAGES}
    with place.cluster.forward(f"pod/{job.pod(LOADER)}", PROGRESS_PORT, job.namespace) as at:
        texts |= {page: requests.get(f"http://{at}/{page}", timeout=30).text for page in ("progress", "metrics")}
    place.odp.reset()
    place.succeeds(job)
    with place.s3.filesystem() as files:
        for name in ("manifest.json", "plan.json", "report.html"):
            path = f"{place.s3.url(job.namespace, job.name).removeprefix('s3://')}/{name}"
            texts[name] = files.open_input_stream(path).read().decode()
    secrets = [place.cluster.get("Secret", name, job.namespace) or {} for name in (KEY_SECRET, S3_SECRET)]
    keys = [
        base64.b64decode(value).decode()
        for secret in secrets
        for name, value in secret["data"].items()
        if name != "AWS_ACCESS_KEY_ID"
    ]
    assert len(keys) == 2
    for where, text in texts.items():
        assert text, where
        assert not _PRIVATE_KEY.search(text), where
        assert not any(key in text or base64.b64encode(key.encode()).decode() in text for key in keys), where
