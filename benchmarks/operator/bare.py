"""Makes the children of many jobs and does nothing else: what any operator that makes them would at least have to ask for.

    python -m benchmarks.operator.bare KUBECONFIG FILE

Each line of FILE is a job: a list of pairs, the path of a POST and its body. There is no watch, no status, no event, no thought.
"""

import http.client
import json
import ssl
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import local
from typing import Any
from urllib.parse import urlsplit

import yaml

from benchmarks.operator.crowd import OUR_CHILDREN
from odp_dask_operator.core.desired import manifest
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.shell.certificates import new_certificate

AT_ONCE = 8
"""Connections; with more, each waits longer for its turn on two cores."""
CREATED = 201
Post = tuple[str, str]
"""Path and body."""


def requests_of(plans: Sequence[Plan], *, clusters_last: bool) -> list[list[Post]]:
    """For each plan the POSTs of our children in their order; with `clusters_last` all DaskClusters follow, as a job each.

    All have one certificate, which is made beforehand.
    """
    certificate = new_certificate("bare", now=datetime.now(UTC))
    children = [child for child in Child if child.resource.plural in OUR_CHILDREN]
    turns = [children]
    if clusters_last:
        turns = [[child for child in children if child is not Child.CLUSTER], [Child.CLUSTER]]
    return [[_post(child, manifest(child, plan, certificate=certificate)) for child in turn] for turn in turns for plan in plans]


def _post(child: Child, body: dict[str, Any]) -> Post:
    resource = child.resource
    group = "/api" if "/" not in resource.api_version else "/apis"
    return f"{group}/{resource.api_version}/namespaces/{body['metadata']['namespace']}/{resource.plural}", json.dumps(body)


class Poster:
    """Posts over connections that are kept, one a thread."""

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        (cluster,), (user,) = content["clusters"], content["users"]
        self._address = urlsplit(cluster["cluster"]["server"])
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {user['user']['token']}"}
        self._trust = ssl.create_default_context(cafile=cluster["cluster"]["certificate-authority"])
        self._own = local()

    def post(self, requests: Iterable[Post]) -> None:
        """One after the other. Raises RuntimeError when one is refused."""
        if not hasattr(self._own, "connection"):
            host, port = self._address.hostname, self._address.port
            assert host is not None
            self._own.connection = http.client.HTTPSConnection(host, port, timeout=120, context=self._trust)
        connection: http.client.HTTPSConnection = self._own.connection
        for path, body in requests:
            connection.request("POST", path, body, self._headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != CREATED:
                raise RuntimeError(f"{path}: {answer.status} {said[:500]!r}")


def main() -> None:
    """Post everything of the file."""
    poster, jobs = Poster(Path(sys.argv[1])), [json.loads(line) for line in Path(sys.argv[2]).read_text().splitlines()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(poster.post, jobs):
            pass


if __name__ == "__main__":
    main()
