"""A test's own namespace: restricted Pod Security, the Secrets that jobs need, and the proof that nothing stayed behind."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odp_dask_operator.core.names import JOB_LABEL
from tests.e2e.artefacts import save
from tests.e2e.bundle import RESTRICTED
from tests.e2e.cluster import Cluster, Raw
from tests.e2e.eventually import eventually
from tests.e2e.job import Job
from tests.e2e.rows import assert_same_rows, coads
from tests.e2e.servers import COADS, S3, OdpServer
from tests.e2e.sharing import PROCESS

KEY_SECRET, S3_SECRET = "odp-api-key", "s3"
OF_JOBS = (
    "Pod",
    "Job",
    "Service",
    "ConfigMap",
    "Secret",
    "Deployment",
    "ReplicaSet",
    "NetworkPolicy",
    "Ingress",
    "DaskCluster",
    "DaskWorkerGroup",
    "DaskAutoscaler",
)
"""Kinds that are made for a job."""
KEPT = {"Job", "Pod", "ConfigMap"}
"""Of a job that has ended, until it is deleted: its log and what was asked for."""
_LABELS = {"odp-e2e": PROCESS}
"""By which a process tells its namespaces from those of others."""


@dataclass(frozen=True)
class Workspace:
    """A namespace and what jobs find there."""

    cluster: Cluster
    namespace: str
    odp: OdpServer
    s3: S3

    def submit(self, name: str, *, dataset: str = COADS, source: Raw | None = None, **spec: Any) -> Job:
        """Makes a job that loads a table into the bucket, or carries out what `spec` says instead."""
        work = {} if "script" in spec else {"load": self.load(name, dataset=dataset, **(source or {}))}
        return self.create(name, {"scale": "small", "credentials": {"secretName": KEY_SECRET}, **work, **spec})

    def slow(self, name: str = "load", *, bytes_per_s: int = 100_000, **spec: Any) -> Job:
        """A load of the whole table that runs, has read rows, and takes half a minute unless the server is reset."""
        self.odp.settings(bytes_per_s=bytes_per_s)
        job = self.submit(name, **spec)
        job.reads()
        return job

    def succeeds(self, job: Job, *, seconds: float = 400) -> Raw:
        """Waits for its end and compares what it has written with the whole table, row by row; returns the status."""
        status = job.reaches("Succeeded", seconds=seconds)
        assert_same_rows(self.s3.table(self.s3.url(self.namespace, job.name)), coads())
        assert status["result"]["rows"] == coads().num_rows
        return status

    def create(self, name: str, spec: Raw) -> Job:
        """Makes a job of this specification."""
        raw = {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskJob", "metadata": {"name": name}, "spec": spec}
        self.cluster.create(raw, self.namespace)
        return Job(self.cluster, self.namespace, name)

    def load(self, name: str, *, dataset: str = COADS, target_bytes: str = "1Mi", **source: Any) -> Raw:
        """From the ODP-compatible server into the bucket, in about ten partitions if it is COADS."""
        return {
            "source": {"odp": {"dataset": dataset, "baseURL": self.odp.url, **source}},
            "sink": {"parquet": {"url": self.s3.url(self.namespace, name), "storage": self.s3.storage(S3_SECRET)}},
            "partitions": {"targetBytes": target_bytes},
        }

    def left(self) -> dict[str, list[str]]:
        """Names of what was made for jobs and is still there, by kind."""
        found = {kind: [raw["metadata"]["name"] for raw in self.of_jobs(kind)] for kind in OF_JOBS}
        return {kind: names for kind, names in found.items() if names}

    def of_jobs(self, kind: str) -> list[Raw]:
        """Objects of a kind that were made for jobs of this namespace."""
        return self.cluster.all(kind, self.namespace, labels=JOB_LABEL)

    def gives_back(self, *, seconds: float = 300) -> None:
        """Waits until of the jobs, which have ended, only logs and what was asked for are left."""
        eventually(
            lambda: self.left().keys() <= KEPT, f"only {sorted(KEPT)} are left of the jobs in {self.namespace}", seconds=seconds
        )

    def clear(self) -> None:
        """Deletes all jobs and waits until nothing of them is there; then the namespace goes, too."""
        for raw in self.cluster.all("OdpDaskJob", self.namespace):
            self.cluster.delete("OdpDaskJob", raw["metadata"]["name"], self.namespace)
        eventually(lambda: not self.left(), f"nothing is left of the jobs in {self.namespace}")

    def remove(self) -> None:
        """Deletes the namespace; `removed` waits."""
        self.cluster.delete("Namespace", self.namespace)


@contextmanager
def workspace(cluster: Cluster, name: str, *, odp: OdpServer, s3: S3) -> Iterator[Workspace]:
    """A new namespace with the Secrets that jobs name; whoever asks for it clears and removes it."""
    namespace = f"e2e-{name[:40].strip('-')}-{uuid.uuid4().hex[:5]}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": RESTRICTED | _LABELS}})
    for secret, keys in ((KEY_SECRET, {"ODP_API_KEY": odp.key}), (S3_SECRET, s3.keys)):
        raw = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": keys}
        cluster.create(raw, namespace)
    yield Workspace(cluster, namespace, odp, s3)


def removed(cluster: Cluster) -> None:
    """Waits until no such namespace is there. It takes seconds, during which the next test can run."""
    (label,) = (f"{key}={value}" for key, value in _LABELS.items())
    eventually(lambda: not cluster.all("Namespace", labels=label), "the namespaces of all tests are gone")


def keep_evidence(cluster: Cluster, namespaces: list[str], folder: Path) -> None:
    """What a person needs who reads about the failure tomorrow."""
    for namespace in namespaces:
        save(cluster, namespace, folder / namespace)
