"""A real kube-apiserver with its etcd, without a kubelet: what a test creates stays as it is until the test changes it."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import dask_kubernetes
import pytest
import urllib3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes import client, config

from tests.support.processes import Program, free_port, listens, running
from tests.support.yaml_documents import parsed

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "charts/odp-dask-operator/files/crds"
DASK_CRDS = Path(dask_kubernetes.__file__).parent / "operator/deployment/helm/dask-kubernetes-operator/crds"
MODULE = ROOT / "tools/kube-apiserver"
PROGRAMS = {
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "etcd": "go.etcd.io/etcd/server/v3",
}
_JSON = "application/json"
HOW = (
    "set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd, or KUBECONFIG_CONTRACT to the kubeconfig of a test cluster,"
    " or install Go 1.26, which builds them once (some minutes)"
)


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def causes(self) -> list[tuple[str, str]]:
        """Of a refusal: each field and its sentence, sorted; the server tells them in no order of its own."""
        found = self.body.get("details", {}).get("causes", [])
        named = [(cause["field"], cause["message"]) for cause in found if cause.get("field", "<nil>") != "<nil>"]
        return sorted(named) or [("", self.body.get("message", ""))]


@dataclass(frozen=True)
class ApiServer:
    """A running API server and the right to do anything there; `api` is a client for it."""

    kubeconfig: Path
    process: Program | None = None
    """Of a server of our own."""
    url: str = field(init=False)
    api: client.ApiClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        api = config.new_client_from_config(config_file=str(self.kubeconfig), persist_config=False)
        object.__setattr__(self, "api", api)
        object.__setattr__(self, "url", api.configuration.host)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return self.request("GET", "/readyz").status == 200
        except (OSError, urllib3.exceptions.HTTPError):
            return False

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is stopped meanwhile, and comes back with all that it had; its etcd runs on."""
        assert self.process is not None, "only a server of our own can be stopped"
        self.process.stop(patience_s=5)
        yield
        self.process.start()
        self.process.await_(self.answers)

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = _JSON, accept: str = _JSON, **query: Any
    ) -> Answer:
        """One request, told as it is: a refusal is an answer, not an exception."""
        headers = {"Content-Type": content_type, "Accept": accept}
        headers |= {setting["key"]: setting["value"] for setting in self.api.configuration.auth_settings().values()}
        content = None if body is None else json.dumps(body).encode()
        address = f"{self.url}{path}?{urlencode(query)}"
        response = self.api.rest_client.pool_manager.request(
            method, address, body=content, headers=headers, timeout=120, retries=False
        )
        document = json.loads(response.data) if response.headers.get("Content-Type") == _JSON else {}
        return Answer(response.status, document, tuple(response.headers.getlist("Warning")))

    def apply(self, thing: dict[str, Any], path: str, **query: Any) -> Answer:
        """Server-side apply, as kubectl does it."""
        return self.request("PATCH", path, thing, content_type="application/apply-patch+yaml", **query)

    def install_crds(self, *folders: Path) -> None:
        """Ours and those of the Dask operator, and wait until they are served."""
        for file in sorted(file for folder in folders or (CRDS, DASK_CRDS) for file in folder.glob("*.yaml")):
            (definition,) = parsed(file.read_text())
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
            applied = self.apply(definition, path, fieldManager="test", force=True)
            assert applied.status in (200, 201), applied.body["message"]
            kinds = definition["spec"]["names"]["plural"]
            served = f"/apis/{definition['spec']['group']}/{definition['spec']['versions'][0]['name']}/{kinds}"
            until(lambda served=served: self.request("GET", served).status == 200, f"{kinds} are served")

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A namespace of a test's own."""
        name = f"test-{uuid.uuid4().hex[:10]}"
        made = self.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        assert made.status == 201, made.body
        try:
            yield name
        finally:
            self.request("DELETE", f"/api/v1/namespaces/{name}", {})


def until(condition: Callable[[], bool], what: str, *, seconds: float = 30, pause_s: float = 0.02) -> None:
    """Wait for a condition; the test fails when it does not come true. `pause_s` is for one that is dear to ask for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s it is not true that {what}"
        time.sleep(pause_s)


@contextmanager
def api_server(folder: Path, *, controllers: Sequence[str] = (), flags: Sequence[str] = ()) -> Iterator[ApiServer]:
    """The one that KUBECONFIG_CONTRACT names, else one of our own that keeps everything below `folder`.

    `controllers` are those of kube-controller-manager that run beside it, such as garbage-collector-controller; `flags` are more
    for kube-apiserver, and want one of our own. Skips when there is no program for it.
    """
    if (given := os.environ.get("KUBECONFIG_CONTRACT")) and not flags:
        yield ApiServer(Path(given))
        return
    programs = find_programs()
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(programs["etcd"], folder))
        server = stack.enter_context(_kube_apiserver(programs["kube-apiserver"], folder, etcd, flags))
        if controllers:
            stack.enter_context(kube_controller_manager(server, folder, controllers))
        yield server


def find_programs() -> dict[str, Path]:
    """The programs by name, built once with Go when nobody brings them; skips the test otherwise."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        found = {name: shutil.which(name, path=f"{given}{os.pathsep}{os.environ.get('PATH', '')}") for name in PROGRAMS}
        missing = [name for name in ("kube-apiserver", "etcd") if found[name] is None]
        if missing:
            pytest.skip(f"KUBEBUILDER_ASSETS is {given}, where there is no {' and no '.join(missing)}: {HOW}")
        return {name: Path(path) for name, path in found.items() if path}
    pins = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "odp-dask-operator"
    folder = cache / f"kube-apiserver-{hashlib.sha256(pins).hexdigest()[:16]}"
    if not folder.exists():
        if shutil.which("go") is None:
            pytest.skip(f"there is no kube-apiserver: {HOW}")
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                _build(folder)
    return {name: folder / name for name in PROGRAMS}


def _build(folder: Path) -> None:
    """All programs or none: the folder appears when it is complete."""
    unfinished = folder.with_suffix(".part")
    for name, package in PROGRAMS.items():
        command = ["go", "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(unfinished / name), package]
        done = subprocess.run(command, cwd=MODULE, env=os.environ | {"CGO_ENABLED": "0"}, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{name} cannot be built with `{' '.join(command)}` in {MODULE}: {done.stderr[-300:]}")
    unfinished.rename(folder)


@contextmanager
def _etcd(program: Path, folder: Path) -> Iterator[str]:
    clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [program, "--name=one", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn"]
    command += [f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}", f"--initial-cluster=one={peers}"]
    command += [f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}"]
    with running(command, folder / "etcd.log") as process:
        process.await_(lambda: listens(int(clients.rpartition(":")[2])))
        yield clients


@contextmanager
def _kube_apiserver(program: Path, folder: Path, etcd: str, flags: Sequence[str]) -> Iterator[ApiServer]:
    port, token = free_port(), uuid.uuid4().hex
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (folder / "accounts.key").write_bytes(private)
    certificates = folder / "certificates"
    command = [program, f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]
    command += [f"--secure-port={port}", f"--cert-dir={certificates}", f"--token-auth-file={folder / 'tokens.csv'}"]
    command += ["--enable-admission-plugins=OwnerReferencesPermissionEnforcement"]  # as OpenShift does
    command += ["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/16", "--allow-privileged=true"]
    command += ["--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={folder / 'accounts.key'}"]
    command += [f"--service-account-signing-key-file={folder / 'accounts.key'}", "--disable-admission-plugins=ServiceAccount"]
    command += flags
    with running(command, folder / "kube-apiserver.log", patience_s=5) as process:  # it waits for open watches
        process.await_(lambda: listens(port) and (certificates / "apiserver.crt").exists())
        server = ApiServer(_kubeconfig(folder, f"https://127.0.0.1:{port}", certificates / "apiserver.crt", token), process)
        process.await_(server.answers)
        yield server


@contextmanager
def kube_controller_manager(server: ApiServer, folder: Path, controllers: Sequence[str]) -> Iterator[None]:
    """These controllers of it, and no others, with no limit that would be felt on the requests that they make."""
    program = find_programs()["kube-controller-manager"]
    log, port = folder / "kube-controller-manager.log", free_port()
    command = [program, f"--kubeconfig={server.kubeconfig}", "--bind-address=127.0.0.1", f"--secure-port={port}"]
    command += ["--leader-elect=false", f"--controllers={','.join(controllers)}", f"--cert-dir={folder / 'controllers'}"]
    command += ["--kube-api-qps=500", "--kube-api-burst=1000"]
    with running(command, log) as process:
        process.await_(lambda: listens(port))
        yield


def _kubeconfig(folder: Path, url: str, authority: Path, token: str) -> Path:
    """The serving certificate, which kube-apiserver makes for itself, has its authority beside it."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(authority)}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content))
    return file
