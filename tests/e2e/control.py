"""Nodes and control plane in the test's hands, by a command that knows `stop-node`, `start-node` and `control-plane stop|start`."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.cluster import Cluster
from tests.e2e.eventually import eventually

VARIABLE = "E2E_CONTROL"
"""Names the command."""


def control(*words: str) -> None:
    """One command."""
    subprocess.run([*shlex.split(os.environ[VARIABLE]), *words], check=True, capture_output=True, timeout=300)


@contextmanager
def without_node(cluster: Cluster, node: str) -> Iterator[None]:
    """A node is killed with all that runs on it, as by a power cut; it comes back at the end."""
    control("stop-node", node)
    try:
        eventually(lambda: not _is_ready(cluster, node), f"{node} is missed")
        yield
    finally:
        control("start-node", node)
        eventually(lambda: _is_ready(cluster, node), f"{node} is back")


@contextmanager
def without_component(name: str) -> Iterator[None]:
    """A process of the control plane is stopped; it runs again at the end."""
    control("control-plane", "stop", name)
    try:
        yield
    finally:
        control("control-plane", "start", name)


@contextmanager
def cordoned(cluster: Cluster, node: str) -> Iterator[None]:
    """No new pod comes to a node."""
    cluster.kubectl("cordon", node)
    try:
        yield
    finally:
        cluster.kubectl("uncordon", node)


def nodes(cluster: Cluster) -> list[str]:
    """Names of the nodes."""
    return sorted(raw["metadata"]["name"] for raw in cluster.all("Node"))


def _is_ready(cluster: Cluster, node: str) -> bool:
    conditions = (cluster.get("Node", node) or {})["status"]["conditions"]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
