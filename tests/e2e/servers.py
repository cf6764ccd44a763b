"""The servers that jobs of the tests read from and write to, as pods: an ODP-compatible one and a real S3 server."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import requests

from tests.e2e.bundle import ODP_SERVER, VERSITYGW
from tests.e2e.cluster import Cluster, Raw
from tests.e2e.eventually import eventually
from tests.e2e.sharing import PROCESS
from tests.support.s3 import S3Server

NAMESPACE = f"e2e-servers-{PROCESS}"
"""Of this process's own: a test makes its server slow."""
COADS = "c4971709-a336-53bd-9ee2-4664ca74808d"
"""Dataset id of the table that is in the server's image: it follows from the name."""
_ODP_PORT, _S3_PORT, _IAM_PORT = 8000, 7070, 7071
_IAM_FOLDER = "/iam"
_HARMLESS: Raw = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
_BATCH_ROWS = "2000"
"""Few, so that a slow stream makes progress that can be seen."""
_BUCKET = "odp-e2e"
_TOGETHER = {"e2e": "server"}
"""On one node, so that tests may take another one away."""


@dataclass(frozen=True)
class OdpServer:
    """The ODP-compatible server, which can be made slow and faulty."""

    cluster: Cluster
    key: str

    @property
    def url(self) -> str:
        """Where pods reach it."""
        return f"http://odp-server.{NAMESPACE}.svc:{_ODP_PORT}/"

    def settings(self, **fields: Any) -> None:
        """Change how all replies travel: bytes_per_s, latency_s, max_selects ... (`odp_server.settings`)."""
        self._control("POST", "settings", fields)

    def fault(self, kind: str, **fields: Any) -> None:
        """Let requests go wrong (`odp_server.faults`)."""
        self._control("POST", "faults", [{"kind": kind, **fields}])

    def counters(self) -> Raw:
        """What was asked and sent since the last reset."""
        found: Raw = self._control("GET", "counters")
        return found

    def reset(self) -> None:
        """Undo all of it; count from zero."""
        self._control("POST", "reset")

    def _control(self, method: str, path: str, document: Any = None) -> Any:
        with self.cluster.forward("service/odp-server", _ODP_PORT, NAMESPACE) as address:
            headers = {"Authorization": f"ApiKey {self.key}"}
            answer = requests.request(method, f"http://{address}/control/{path}", json=document, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass(frozen=True)
class S3:
    """The S3 server and its one bucket."""

    cluster: Cluster
    access_key: str
    secret_key: str

    @property
    def keys(self) -> dict[str, str]:
        """What a job's Secret holds."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def url(self, *parts: str) -> str:
        """A place in the bucket."""
        return f"s3://{_BUCKET}/{'/'.join(parts)}"

    def storage(self, secret: str) -> Raw:
        """How a job reaches this server with the keys of a Secret."""
        return {"endpoint": f"http://s3.{NAMESPACE}.svc:{_S3_PORT}", "region": "us-east-1", "secretName": secret}

    @contextmanager
    def filesystem(self, keys: Mapping[str, str] | None = None) -> Iterator[pafs.S3FileSystem]:
        """A way to look into the bucket from this machine."""
        keys = keys or self.keys
        with self.cluster.forward("service/s3", _S3_PORT, NAMESPACE) as address:
            yield pafs.S3FileSystem(
                access_key=keys["AWS_ACCESS_KEY_ID"],
                secret_key=keys["AWS_SECRET_ACCESS_KEY"],
                session_token=keys.get("AWS_SESSION_TOKEN"),
                region="us-east-1",
                endpoint_override=f"http://{address}",
                allow_bucket_creation=True,
            )

    def names(self, url: str) -> list[str]:
        """Names below an address, all of them."""
        place = url.removeprefix("s3://")
        with self.filesystem() as files:
            found = files.get_file_info(pafs.FileSelector(place, recursive=True, allow_not_found=True))
        return sorted(each.path.removeprefix(f"{place}/") for each in found if each.is_file)

    def accepts(self, keys: Mapping[str, str]) -> bool:
        """Whether the server lets in whoever has these keys."""
        with self.filesystem(keys) as files:
            try:
                files.get_file_info(pafs.FileSelector(_BUCKET))
            except OSError:
                return False
        return True

    def temporary_keys(self, folder: Path, *, seconds: float) -> dict[str, str]:
        """New keys that the server accepts for so long and no longer, as an STS hands them out; as a job's Secret holds them."""
        name = f"ASIA{uuid.uuid4().hex[:16].upper()}"
        keys = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex, "AWS_SESSION_TOKEN": uuid.uuid4().hex}
        pod = next(raw["metadata"]["name"] for raw in self.cluster.all("Pod", NAMESPACE, labels="app=s3"))
        shell = ("-n", NAMESPACE, pod, "-c", "shell", "--", "sh", "-c")
        state = folder / "iam" / "iam.json"
        state.parent.mkdir(parents=True, exist_ok=True)
        with self.cluster.forward(f"pod/{pod}", _IAM_PORT, NAMESPACE) as address:
            server = S3Server("", self.access_key, self.secret_key, _BUCKET, f"http://{address}", folder)
            server.role()
            state.write_text(self.cluster.kubectl("exec", *shell, f"cat {_IAM_FOLDER}/iam.json"))
            server.begin_session(keys, seconds=seconds)
        move = f"cat > {_IAM_FOLDER}/new && mv {_IAM_FOLDER}/new {_IAM_FOLDER}/iam.json"
        self.cluster.kubectl("exec", "-i", *shell, move, stdin=state.read_text())
        return keys

    def table(self, url: str) -> pa.Table:
        """The rows of a finished load, read as any reader of Parquet does: the folder `data`."""
        with self.filesystem() as files:
            return pq.read_table(f"{url.removeprefix('s3://')}/data", filesystem=files)


def servers(cluster: Cluster) -> tuple[OdpServer, S3]:
    """Both servers, when they answer; they go with their namespace."""
    odp = OdpServer(cluster, uuid.uuid4().hex)
    s3 = S3(cluster, f"AKIA{uuid.uuid4().hex[:16].upper()}", uuid.uuid4().hex)
    for raw in (*_odp_server(odp), *_s3_server(s3)):
        cluster.apply(raw, NAMESPACE)
    for name in ("odp-server", "s3"):
        eventually(lambda name=name: _is_ready(cluster, name), f"the server {name} answers")
    with s3.filesystem() as files:
        files.create_dir(_BUCKET)
    return odp, s3


def _is_ready(cluster: Cluster, name: str) -> bool:
    found = cluster.get("Deployment", name, NAMESPACE) or {}
    return bool(found.get("status", {}).get("readyReplicas"))


def _odp_server(server: OdpServer) -> Iterator[Raw]:
    container = {
        "image": ODP_SERVER,
        "args": ["/data", "--host", "0.0.0.0", "--port", str(_ODP_PORT), "--control", "--batch-rows", _BATCH_ROWS],
        "env": [{"name": "ODP_API_KEY", "value": server.key}],
    }
    return _server("odp-server", _ODP_PORT, container, [])


def _s3_server(server: S3) -> Iterator[Raw]:
    """The gateway, its IAM service, and a shell beside them by which tests reach what IAM keeps."""
    keys = [{"name": "ROOT_ACCESS_KEY", "value": server.access_key}, {"name": "ROOT_SECRET_KEY", "value": server.secret_key}]
    iam = {
        "name": "iam",
        "image": VERSITYGW,
        "restartPolicy": "Always",
        "args": ["--port", f":{_IAM_PORT}", "iam", "--dir", _IAM_FOLDER, "--private-ports", f"{_IAM_FOLDER}/iam.sock"],
        "env": keys,
        "startupProbe": {"tcpSocket": {"port": _IAM_PORT}, "periodSeconds": 1, "failureThreshold": 120},
    }
    shell = {"name": "shell", "image": ODP_SERVER, "restartPolicy": "Always", "command": ["sleep", "infinity"]}
    container = {
        "image": VERSITYGW,
        "args": [
            "--port",
            f":{_S3_PORT}",
            "--iam-standalone-endpoint",
            f"{_IAM_FOLDER}/iam.sock",
            "--iam-cache-disable",
            "posix",
            "/data",
        ],
        "env": keys,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    mount = {"name": "iam", "mountPath": _IAM_FOLDER}
    beside = [{**each, "volumeMounts": [mount], "securityContext": _HARMLESS} for each in (iam, shell)]
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "iam", "emptyDir": {}}]
    return _server("s3", _S3_PORT, {**container, "volumeMounts": [*container["volumeMounts"], mount]}, volumes, beside=beside)


def _server(name: str, port: int, container: Raw, volumes: list[Raw], *, beside: Sequence[Raw] = ()) -> Iterator[Raw]:
    """A Deployment of one pod and its Service, as restricted Pod Security wants them."""
    labels = {"app": name, **_TOGETHER}
    together = {"labelSelector": {"matchLabels": _TOGETHER}, "topologyKey": "kubernetes.io/hostname"}
    whole = {
        "name": name,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": _HARMLESS,
        **container,
        "volumeMounts": [*container.get("volumeMounts", ()), {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,  # a shell as first process hears no SIGTERM
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [together]}},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": list(beside),
        "containers": [whole],
        "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    meta = {"name": name}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"}, "template": template},
    }
    yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": [{"port": port}]}}
