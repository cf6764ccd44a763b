"""A cluster with real nodes: its API, kubectl, and how an image gets onto its nodes."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import config
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError

from tests.e2e.eventually import eventually

Raw = dict[str, Any]
API_VERSIONS = {
    "OdpDaskJob": "odpdask.dev/v1alpha1",
    "OdpDaskPreset": "odpdask.dev/v1alpha1",
    "DaskCluster": "kubernetes.dask.org/v1",
    "DaskJob": "kubernetes.dask.org/v1",
    "DaskWorkerGroup": "kubernetes.dask.org/v1",
    "DaskAutoscaler": "kubernetes.dask.org/v1",
    "Job": "batch/v1",
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "Ingress": "networking.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "ClusterRole": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
}
"""Of the kinds that are not in `v1`."""
MANAGER = "odp-e2e"


@dataclass(frozen=True)
class Cluster:
    """One cluster, with the right to do anything there."""

    kubeconfig: Path
    kubectl_path: str
    load_image: Callable[[str], None]
    """Brings an image of this machine to every node."""
    discovery: Path
    """Where the client keeps what it learned of the API."""
    api: DynamicClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        client = config.new_client_from_config(config_file=str(self.kubeconfig), persist_config=False)
        object.__setattr__(self, "api", DynamicClient(client, cache_file=str(self.discovery)))

    @property
    def environment(self) -> dict[str, str]:
        """For programs that find a cluster by KUBECONFIG."""
        return os.environ | {"KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *words: str, stdin: str | None = None, seconds: float = 120) -> str:
        """What kubectl prints. Raises AssertionError with what it says when it fails."""
        done = self.try_kubectl(*words, stdin=stdin, seconds=seconds)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr or done.stdout}"
        return done.stdout

    def try_kubectl(self, *words: str, stdin: str | None = None, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """The same, however it ends."""
        command = [self.kubectl_path, *words]
        return subprocess.run(command, env=self.environment, input=stdin, capture_output=True, text=True, timeout=seconds)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Raw | None:
        """An object, or None."""
        try:
            found: Raw = self._of(kind).get(name=name, namespace=namespace, _request_timeout=10).to_dict()
        except NotFoundError:
            return None
        return found

    def all(self, kind: str, namespace: str | None = None, *, labels: str = "") -> list[Raw]:
        """The objects of a kind; none of a kind that the cluster does not know."""
        try:
            found = self._of(kind).get(namespace=namespace, label_selector=labels, _request_timeout=10)
        except (ResourceNotFoundError, NotFoundError):
            return []
        return [{**raw, "kind": kind} for raw in found.to_dict()["items"]]

    def create(self, raw: Raw, namespace: str | None = None) -> Raw:
        """Makes an object."""
        made: Raw = self._of(raw["kind"]).create(body=raw, namespace=namespace).to_dict()
        return made

    def apply(self, raw: Raw, namespace: str | None = None) -> Raw:
        """Makes or changes an object by server-side apply."""
        made: Raw = (
            self._of(raw["kind"])
            .server_side_apply(body=raw, namespace=namespace, field_manager=MANAGER, force_conflicts=True)
            .to_dict()
        )
        return made

    def patch(self, kind: str, name: str, namespace: str, change: Raw) -> None:
        """Merges a change into an object."""
        self._of(kind).patch(name=name, namespace=namespace, body=change, content_type="application/merge-patch+json")

    def delete(self, kind: str, name: str, namespace: str | None = None, *, now: bool = False) -> None:
        """Deletes an object that may be gone already; `now` kills a pod without asking it to end."""
        body = {"propagationPolicy": "Background", **({"gracePeriodSeconds": 0} if now else {})}
        try:
            self._of(kind).delete(name=name, namespace=namespace, body=body)
        except (NotFoundError, ResourceNotFoundError):
            return

    @contextmanager
    def forward(self, target: str, port: int, namespace: str) -> Iterator[str]:
        """The address on this machine at which a port of a pod or Service is reached, as soon as there is a pod that runs."""
        command = [self.kubectl_path, "port-forward", "-n", namespace, target, f":{port}"]
        process, address = eventually(lambda: self._listening(command), f"`{' '.join(command)}` listens", seconds=60)
        with process:
            try:
                yield address
            finally:
                process.kill()

    def _listening(self, command: Sequence[str]) -> tuple[subprocess.Popen[str], str] | None:
        """The command when it has told where it listens; None when it has ended instead."""
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        if found:
            return process, f"127.0.0.1:{found[1]}"
        process.kill()
        process.wait()
        process.stdout.close()
        return None

    def run_in(self, pod: str, namespace: str, command: Sequence[str], *, stdin: str | None = None) -> str:
        """What a command prints that is run in a pod."""
        return self.kubectl("exec", *(["-i"] if stdin is not None else []), "-n", namespace, pod, "--", *command, stdin=stdin)

    def _of(self, kind: str) -> Any:
        return self.api.resources.get(api_version=API_VERSIONS.get(kind, "v1"), kind=kind)
