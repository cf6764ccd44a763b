"""Says what a storage url names: a local folder, or a bucket and a prefix in it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from odp_loader.errors import InvalidLoad

_FORMS = "a path, file:///folder, s3://bucket/folder, gs://bucket/folder, az://container/folder or abfss://container@account.dfs.core.windows.net/folder"
_MEANT = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss", "wasbs": "abfss", "adl": "abfss"}
_AZURE_HOST = re.compile(r"([a-z0-9]{3,24})\.(?:dfs|blob)\.core\.windows\.net")
_BUCKET = re.compile(r"[A-Za-z0-9$](?:[A-Za-z0-9._-]{1,220}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """A folder of some storage."""

    scheme: Literal["file", "s3", "gs", "az"]
    container: str
    """The bucket, or Azure's container; empty for a local folder."""
    path: str
    """Of a local folder the absolute path; else the prefix of its objects, without a slash at either end."""
    account: str | None = None
    """Azure's storage account, where the url names it."""

    @property
    def url(self) -> str:
        """The url that names this folder; a plain path when it is local."""
        match self.scheme:
            case "file":
                return self.path
            case "az" if self.account is not None:
                root = f"abfss://{self.container}@{self.account}.dfs.core.windows.net"
            case scheme:
                root = f"{scheme}://{self.container}"
        return f"{root}/{self.path}".rstrip("/")


def parse_address(url: str) -> Address:
    """Read a url; a relative path starts at the working directory.

    Raises InvalidLoad, with what to write instead, for anything that names no folder of a known storage.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return Address("file", "", _absolute(url))
    scheme = scheme.lower()
    authority, _, path = rest.partition("/")
    if scheme == "file":
        if authority not in ("", "localhost"):
            raise InvalidLoad(f"{url} names another machine: write file:///folder for a local folder")
        return Address("file", "", _absolute(unquote(f"/{path}")))
    if scheme == "abfss":
        return _azure(authority, path)
    if "@" in authority:  # the url may hold a key, so it is not repeated
        raise InvalidLoad(f"a {scheme}:// url must hold no credentials: put them into a Secret and name it in storage.secretName")
    if scheme not in ("s3", "gs", "az"):
        instead = f"write {_MEANT[scheme]}://" if scheme in _MEANT else f"write {_FORMS}"
        raise InvalidLoad(f"{scheme}:// is no storage that can be read or written: {instead}")
    if "?" in path:
        raise InvalidLoad(f"{url.partition('?')[0]}: a url takes no options after `?`: endpoint and region belong into storage")
    return Address(scheme, _bucket(authority, url), _prefix(path))  # type: ignore[arg-type] # checked two lines above


def _absolute(path: str) -> str:
    return os.path.abspath(Path(path).expanduser())  # noqa: PTH100 # Path.resolve would follow links: the url is shown as it was written


def _azure(authority: str, path: str) -> Address:
    container, at, host = authority.partition("@")
    found = _AZURE_HOST.fullmatch(host)
    if not at or found is None:
        raise InvalidLoad(
            "write abfss://container@account.dfs.core.windows.net/folder, or az://container/folder with the account in the Secret"
        )
    return Address("az", _bucket(container, f"abfss://{authority}"), _prefix(path), found[1])


def _bucket(name: str, url: str) -> str:
    if not _BUCKET.fullmatch(name):
        raise InvalidLoad(f"{url}: {name!r} is no name of a bucket: write {_FORMS}")
    return name


def _prefix(path: str) -> str:
    return "/".join(segment for segment in path.split("/") if segment)
