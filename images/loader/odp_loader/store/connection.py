"""Makes connections to object stores, and keeps each for as long as the keys it was made with are the current ones."""

import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from odp_loader.errors import InvalidLoad
from odp_loader.spec import Storage
from odp_loader.store.address import Address
from odp_loader.store.role import assume_role
from odp_loader.store.secret import Secret, fingerprint, read_secret

_CONNECT_TIMEOUT_S = 10
_REQUEST_TIMEOUT_S = 60
_RENEW_BEFORE_EXPIRY_S = 15 * 60
_GOOGLE_KEY = "GOOGLE_APPLICATION_CREDENTIALS"
_OWN_IDENTITY = ("AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_")


@dataclass(frozen=True, slots=True)
class Connection:
    """A file system, and what it was made with."""

    filesystem: pafs.FileSystem
    identity: str
    """A digest of the keys."""
    expires_at: float = float("inf")
    """When the keys end, in seconds since the epoch."""


_connections: dict[tuple[Address, str], Connection] = {}
_lock = threading.Lock()


def connect(address: Address, storage: Storage | None, *, instead_of: Connection | None = None) -> Connection:
    """The connection for `address`, made anew when the keys have changed or will soon expire.

    `instead_of` is one that was just refused: it is not used again unless the same keys still stand there and cannot be renewed.
    Raises CredentialsRefused, InvalidLoad or Transient.
    """
    storage = storage or Storage()
    secret = read_secret(storage.secret_name) if storage.secret_name else None
    identity = secret.digest if secret else fingerprint({k: v for k, v in os.environ.items() if k.startswith(_OWN_IDENTITY)})
    root = Address(address.scheme, address.container, "", address.account)
    with _lock:
        current = _connections.get((root, storage.model_dump_json()))
        refused = instead_of is not None and current is instead_of and storage.role_arn is not None
        if current is None or refused or current.identity != identity or current.expires_at < time.time() + _RENEW_BEFORE_EXPIRY_S:
            current = _make(root, storage, secret, identity)
            _connections[root, storage.model_dump_json()] = current
        return current


def _make(root: Address, storage: Storage, secret: Secret | None, identity: str) -> Connection:
    if storage.role_arn and root.scheme != "s3":
        raise InvalidLoad(f"{root.url}: storage.roleARN is for s3:// only: leave it out")
    match root.scheme:
        case "s3":
            return _s3(storage, secret, identity)
        case "gs":
            return Connection(_google(storage, secret), identity)
        case "az":
            return Connection(_azure(root, storage, secret), identity)
        case "file":
            raise AssertionError("a local folder needs no connection")


def _s3(storage: Storage, secret: Secret | None, identity: str) -> Connection:
    keys: dict[str, str | None] = {}
    if secret is not None:
        keys = {
            "access_key": secret.require("AWS_ACCESS_KEY_ID"),
            "secret_key": secret.require("AWS_SECRET_ACCESS_KEY"),
            "session_token": secret.values.get("AWS_SESSION_TOKEN") or None,
        }
    expires_at = float("inf")
    endpoint = storage.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = storage.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if storage.role_arn is not None:
        temporary = assume_role(storage.role_arn, region=region, keys=keys)
        keys = {"access_key": temporary.access_key, "secret_key": temporary.secret_key, "session_token": temporary.session_token}
        expires_at = temporary.expires_at
    url = endpoint or f"https://s3.{region or 'us-east-1'}.amazonaws.com"
    region = region or ("us-east-1" if endpoint else None)
    # Where its environment names no region the AWS SDK asks the machine for one, also when it is given one; outside EC2, and in
    # pods that cannot reach that service, nobody answers for five seconds.
    with _environment("AWS_DEFAULT_REGION", region) if region else nullcontext():
        filesystem = pafs.S3FileSystem(
            **keys,
            region=region,
            endpoint_override=_endpoint(endpoint) if endpoint else None,
            proxy_options=_proxy(url),
            connect_timeout=_CONNECT_TIMEOUT_S,
            request_timeout=_REQUEST_TIMEOUT_S,
            # Without background writes a stream whose upload of a part failed is completed with the parts before it.
            background_writes=True,
        )
    return Connection(filesystem, identity, expires_at)


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Sets a variable for a library that reads it at once; `_lock` is held meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _google(storage: Storage, secret: Secret | None) -> pafs.FileSystem:
    """For Google: pyarrow takes a key file from the environment only."""
    options: dict[str, Any] = {"retry_time_limit": timedelta(seconds=_REQUEST_TIMEOUT_S)}
    if storage.endpoint:
        parts = urlsplit(_endpoint(storage.endpoint))
        options |= {"scheme": parts.scheme, "endpoint_override": parts.netloc}
    if secret is None:
        return pafs.GcsFileSystem(**options)
    secret.require(_GOOGLE_KEY)
    with _environment(_GOOGLE_KEY, str(secret.folder / _GOOGLE_KEY)):
        return pafs.GcsFileSystem(**options)


def _azure(root: Address, storage: Storage, secret: Secret | None) -> pafs.FileSystem:
    values = secret.values if secret else os.environ
    names = ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
    account = root.account or next((values[name] for name in names if values.get(name)), None)
    if account is None:
        raise InvalidLoad(
            f"{root.url}: no storage account; write abfss://{root.container}@account.dfs.core.windows.net, or set {names[0]}"
        )
    options: dict[str, Any] = {}
    if storage.endpoint:
        parts = urlsplit(_endpoint(storage.endpoint))
        for service in ("blob", "dfs"):
            options |= {f"{service}_storage_authority": parts.netloc, f"{service}_storage_scheme": parts.scheme}
    key_names = ("AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY")
    key = secret.require(*key_names) if secret else next((os.environ[name] for name in key_names if os.environ.get(name)), None)
    return pafs.AzureFileSystem(account, account_key=key, **options)


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise InvalidLoad(
            "storage.endpoint must be the http(s):// address of the server, without credentials: https://minio.example:9000"
        )
    return url.rstrip("/")


def _proxy(url: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for `url`; pyarrow's S3 client does not look there."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)
