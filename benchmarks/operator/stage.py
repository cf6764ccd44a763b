"""Sets up an empty API server with an audit log, both operators' rights, and the presets; each contestant gets one of its own."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.operator import audit
from benchmarks.operator.crowd import NAMESPACE
from benchmarks.operator.programs import DASK, OURS, SYSTEM
from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer, api_server

LARGEST_LOG_MB = 10_000
POLL_S = 0.5


@dataclass(frozen=True)
class Stage:
    """A running API server and what was asked of it."""

    server: ApiServer
    folder: Path
    log: Path

    def kubeconfig(self, user: str) -> Path:
        """One with a token of the service account."""
        path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{user}/token"
        token = _made(self.server, path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        content = yaml.safe_load(self.server.kubeconfig.read_text())
        for entry in content["users"]:
            entry["user"] = {"token": token["status"]["token"]}
        file = self.folder / f"{user}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(content))
        return file

    def count(self, path: str, **selectors: str) -> int:
        """How many there are, at the price of one."""
        if selectors:
            return len(self.server.request("GET", path, **selectors).body["items"])
        page = self.server.request("GET", path, limit=1).body
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    def requests(self) -> list[audit.Request]:
        """All so far."""
        return audit.read(self.log)


@contextmanager
def stage() -> Iterator[Stage]:
    """Until the end of the block. Raises SystemExit when there is no API server to be had."""
    with tempfile.TemporaryDirectory(prefix="bench-operator-") as name:
        folder = Path(name)
        policy, log = folder / "policy.json", folder / "audit.log"
        policy.write_text(json.dumps(audit.POLICY))
        flags = [f"--audit-policy-file={policy}", f"--audit-log-path={log}", f"--audit-log-maxsize={LARGEST_LOG_MB}"]
        flags += ["--service-cluster-ip-range=10.0.0.0/16"]  # a thousand jobs have two thousand Services
        try:
            with api_server(folder, flags=flags) as server:
                _furnish(server)
                yield Stage(server, folder, log)
        except pytest.skip.Exception as reason:
            raise SystemExit(str(reason)) from None


def _furnish(server: ApiServer) -> None:
    server.install_crds()
    for namespace in (SYSTEM, NAMESPACE):
        _made(server, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for user in (OURS, DASK):
        _made(server, f"/api/v1/namespaces/{SYSTEM}/serviceaccounts", {"metadata": {"name": user}})
        binding = {
            "metadata": {"name": user},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": SYSTEM}],
        }
        _made(server, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    for preset in BUILT_IN.values():
        raw = preset.model_dump(mode="json", by_alias=True, exclude_none=True)
        raw["metadata"] = {"name": preset.metadata.name}
        _made(server, f"/apis/odpdask.dev/v1alpha1/namespaces/{SYSTEM}/odpdaskpresets", raw)


def _made(server: ApiServer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.request("POST", path, body)
    if answer.status != 201:
        raise RuntimeError(f"POST {path}: {answer.body}")
    return answer.body


def until(condition: Callable[[], bool], what: str, *, seconds: float) -> float:
    """Waits for it, and returns how long. Raises TimeoutError."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() > begun + seconds:
            raise TimeoutError(f"after {seconds:.0f} s it is not true that {what}")
        time.sleep(POLL_S)
    return time.monotonic() - begun
