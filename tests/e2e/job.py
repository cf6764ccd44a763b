"""A job on a cluster, as its owner sees it: phases, pods, Dask's own word about the workers, and its end."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from odp_dask_operator.core.names import COMPONENT_LABEL, DASHBOARD_PORT, DASK_COMPONENT_LABEL, JOB_LABEL, LOADER
from tests.e2e.cluster import Cluster, Raw
from tests.e2e.eventually import eventually

FINAL = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Job:
    """An OdpDaskJob that was applied."""

    cluster: Cluster
    namespace: str
    name: str

    @property
    def raw(self) -> Raw:
        """The object as it is now."""
        found = self.cluster.get("OdpDaskJob", self.name, self.namespace)
        assert found is not None, f"{self.namespace}/{self.name} is not there"
        return found

    @property
    def status(self) -> Raw:
        """Its status; empty before the operator has seen it."""
        status: Raw = self.raw.get("status") or {}
        return status

    def reaches(self, phase: str, *, seconds: float = 400) -> Raw:
        """Waits for a phase and returns the status; another end is a failure that says why."""

        def there() -> Raw | None:
            status = self.status
            now = status.get("phase")
            assert now == phase or now not in FINAL, (
                f"{self.name} is {now}, not {phase}: {status.get('reason')}: {status.get('message')}"
            )
            return status if now == phase else None

        return eventually(there, f"{self.name} is {phase}", seconds=seconds)

    def says(self, reason: str, *, seconds: float = 300) -> Raw:
        """Waits for a reason and returns the status."""
        return eventually(
            lambda: status if (status := self.status).get("reason") == reason else None,
            f"{self.name} has the reason {reason}",
            seconds=seconds,
        )

    def reads(self, rows: int = 1, *, seconds: float = 300) -> Raw:
        """Waits until the loader has told of rows that were read, and returns the status."""
        return eventually(
            lambda: status if (status := self.status).get("progress", {}).get("rows", 0) >= rows else None,
            f"{self.name} has read {rows} rows",
            seconds=seconds,
        )

    def condition(self, kind: str) -> Raw:
        """One of its conditions."""
        found: Raw = next(each for each in self.status["conditions"] if each["type"] == kind)
        return found

    def pods(self, component: str) -> list[Raw]:
        """Its pods that are not about to go: `loader`, `scheduler` or `worker`."""
        label = COMPONENT_LABEL if component == LOADER else DASK_COMPONENT_LABEL
        found = self.cluster.all("Pod", self.namespace, labels=f"{JOB_LABEL}={self.name},{label}={component}")
        return [raw for raw in found if not raw["metadata"].get("deletionTimestamp")]

    def pod(self, component: str) -> str:
        """The name of its only pod of that component, as soon as it runs."""
        return eventually(
            lambda: next((raw["metadata"]["name"] for raw in self.pods(component) if raw["status"]["phase"] == "Running"), None),
            f"{self.name} has a {component} that runs",
        )

    def log(self) -> str:
        """What all its loaders have written."""
        labels = f"{JOB_LABEL}={self.name},{COMPONENT_LABEL}={LOADER}"
        return self.cluster.kubectl("logs", "-n", self.namespace, "-l", labels, "--tail=-1")

    @contextmanager
    def dashboard(self) -> Iterator[str]:
        """The address of Dask's dashboard on this machine."""
        with self.cluster.forward(f"service/{self.name}-dashboard", DASHBOARD_PORT, self.namespace) as address:
            yield f"http://{address}"

    def dask_workers(self) -> list[Raw]:
        """What the scheduler says of each worker: nthreads, memory_limit, name."""
        with self.dashboard() as url:
            answer = requests.get(f"{url}/json/identity.json", timeout=20)
            answer.raise_for_status()
            return list(answer.json()["workers"].values())

    def patch(self, **spec: Any) -> None:
        """Changes fields of its specification."""
        self.cluster.patch("OdpDaskJob", self.name, self.namespace, {"spec": spec})

    def delete(self) -> None:
        """Deletes it, as `kubectl delete` does."""
        self.cluster.delete("OdpDaskJob", self.name, self.namespace)


@dataclass
class Watched:
    """What `kubectl get odj -w` printed."""

    lines: list[str] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        """Each phase once, in the order of its first line."""
        return list(dict.fromkeys(filter(None, (line.partition("|")[0] for line in self.lines))))

    @property
    def progress(self) -> list[int]:
        """Percents, each time they were printed."""
        return [int(percent) for percent in (line.partition("|")[2] for line in self.lines) if percent]

    @property
    def underway(self) -> set[int]:
        """Percents between nothing and all."""
        return {percent for percent in self.progress if 0 < percent < 100}


@contextmanager
def watched(cluster: Cluster, namespace: str) -> Iterator[Watched]:
    """Watches the jobs of a namespace as a person would, until the block ends."""
    columns = 'jsonpath={.status.phase}|{.status.progress.percent}{"\\n"}'
    command = [cluster.kubectl_path, "get", "odj", "-n", namespace, "-w", "-o", columns]
    seen = Watched()
    with subprocess.Popen(command, env=cluster.environment, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda out=process.stdout: seen.lines.extend(line.strip() for line in out))
        reader.start()
        try:
            yield seen
        finally:
            process.terminate()
            reader.join()


def last_word(pod: Raw) -> Raw:
    """The termination message of a pod that has ended."""
    (container,) = pod["status"]["containerStatuses"]
    word: Raw = json.loads(container["state"]["terminated"]["message"])
    return word
