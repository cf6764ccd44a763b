"""Outputs in Google's and Azure's stores: which keys are sent, and what a refusal becomes. No such store can be run here."""

import base64
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from odp_loader.errors import CredentialsRefused, InvalidLoad
from odp_loader.spec import Storage
from odp_loader.store import Store


@dataclass
class Refusing:
    """A server that refuses everything and keeps what it was asked with."""

    endpoint: str = ""
    authorizations: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Refusing]:
    state = Refusing()

    class Handler(http.server.BaseHTTPRequestHandler):
        def refuse(self) -> None:
            state.authorizations.append(self.headers.get("Authorization", ""))
            google = self.path.startswith("/storage/v1")
            body = b'{"error": {"code": 403, "message": "no"}}' if google else b"<Error><Code>AuthorizationFailure</Code></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            if self.command != "HEAD":
                self.send_header("Content-Type", "application/json" if google else "application/xml")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = refuse  # noqa: N815 # http.server calls them so

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        state.endpoint = f"http://127.0.0.1:{listener.server_port}"
        yield state
        listener.shutdown()
        thread.join()


def key_file(email: str) -> str:
    private = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account",
            "private_key_id": "1",
            "private_key": private.decode(),
            "client_email": email,
            "client_id": "1",
            "token_uri": "http://127.0.0.1:9/",
        }
    )


def bearer_of(authorization: str) -> str:
    payload = authorization.removeprefix("Bearer ").split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"])


def test_google_takes_the_key_file_of_the_secret(server: Refusing, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/the/process/own")
    (secrets / "google").mkdir()
    key = secrets / "google/GOOGLE_APPLICATION_CREDENTIALS"
    store = Store.open("gs://bucket/out", Storage(endpoint=server.endpoint, secret_name="google"))
    for email in ("ada@example.org", "eve@example.org"):  # rotated
        key.write_text(key_file(email))
        with pytest.raises(CredentialsRefused, match=r"PERMISSION_DENIED.*Secret 'google'"):
            store.write("x", b"1")
        assert bearer_of(server.authorizations[-1]) == email
        assert os.environ["GOOGLE_APPLICATION_CREDENTIALS"] == "/the/process/own"


def test_google_secret_without_its_key(secrets: Path) -> None:
    (secrets / "google").mkdir()
    with pytest.raises(CredentialsRefused, match="no key GOOGLE_APPLICATION_CREDENTIALS"):
        Store.open("gs://bucket/out", Storage(secret_name="google")).read("x")


@pytest.mark.parametrize("url", ["az://container/out", "abfss://container@account.dfs.core.windows.net/out"])
def test_azure_signs_with_the_key_of_the_secret(server: Refusing, secrets: Path, url: str) -> None:
    folder = secrets / "azure"
    folder.mkdir()
    (folder / "AZURE_STORAGE_ACCOUNT").write_text("account")
    (folder / "AZURE_STORAGE_KEY").write_text(base64.b64encode(b"a key").decode())
    store = Store.open(url, Storage(endpoint=server.endpoint, secret_name="azure"))
    for act in (lambda: store.read("x"), lambda: store.write("x", b"1"), lambda: list(store.list(""))):
        with pytest.raises(CredentialsRefused, match="Secret 'azure'"):
            act()
    assert {authorization.split(":")[0] for authorization in server.authorizations} == {"SharedKey account"}


@pytest.mark.parametrize("url", ["gs://bucket/out", "az://container/out"])
def test_roles_are_for_aws(url: str) -> None:
    with pytest.raises(InvalidLoad, match="roleARN is for s3:// only"):
        Store.open(url, Storage(role_arn="arn:aws:iam::1:role/x")).read("x")


def test_azure_without_an_account(secrets: Path) -> None:
    (secrets / "azure").mkdir()
    with pytest.raises(InvalidLoad, match="no storage account"):
        Store.open("az://container/out", Storage(secret_name="azure")).read("x")
