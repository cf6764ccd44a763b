"""A folder that holds an output or a source, whatever storage it is in."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from odp_loader.spec import Storage
from odp_loader.store.address import Address, parse_address


@dataclass(frozen=True, slots=True)
class Entry:
    """One file."""

    path: str
    """Relative to the store."""
    size: int
    """In bytes."""
    modified_ns: int | None = None
    """Nanoseconds since the epoch; object stores tell seconds."""


class Store(ABC):
    """A folder, named by a url. Paths are relative to it, with `/` between folders, and never leave it.

    A store holds no key and no connection, so it is made anew wherever one is needed. All methods raise CredentialsRefused,
    InvalidLoad (no such bucket, not writable, a file where a folder should be), Transient (network, server) or LoadError
    (disk full), and none of these holds a key.
    """

    def __init__(self, address: Address, storage: Storage | None) -> None:
        self._address = address
        self._storage = storage

    @staticmethod
    def open(url: str, storage: Storage | None = None) -> "Store":
        """The store at `url`. Connects to nothing yet; raises InvalidLoad for a url that names no folder."""
        address = parse_address(url)
        if address.scheme == "file":
            from odp_loader.store.local import LocalStore

            return LocalStore(address, storage)
        from odp_loader.store.objects import ObjectStore

        return ObjectStore(address, storage)

    def __repr__(self) -> str:
        return f"<Store {self.url}>"

    @property
    def url(self) -> str:
        """The folder's url; an absolute path when it is local."""
        return self._address.url

    @property
    def is_local(self) -> bool:
        """Whether this is a folder of a local file system, which can rename and lock."""
        return self._address.scheme == "file"

    def join(self, path: str) -> str:
        """The url of something in this store."""
        return f"{self.url.rstrip('/')}/{_checked(path)}".rstrip("/")

    def path(self, path: str) -> str:
        """The path of something in this store, as `filesystem` names it."""
        root = self._address.path if self.is_local else f"{self._address.container}/{self._address.path}"
        return f"{root.rstrip('/')}/{_checked(path)}".rstrip("/")

    def local_path(self, path: str) -> Path:
        """The same for local stores. Raises TypeError for others."""
        if not self.is_local:
            raise TypeError(f"{self.url} is in an object store")
        return Path(self.path(path))

    @property
    @abstractmethod
    def filesystem(self) -> pafs.FileSystem:
        """The file system as it can be reached now; keys that rotate later do not reach it."""

    @abstractmethod
    def translated(self, path: str) -> AbstractContextManager[None]:
        """Within it, what pyarrow raises while it reads or writes `path` becomes an error of this project.

        What does not come from the storage, such as a damaged file, passes through.
        """

    @abstractmethod
    def find(self, path: str) -> Entry | None:
        """The file at `path`; None when there is none, or a folder."""

    @abstractmethod
    def list(self, folder: str) -> Iterator[Entry]:
        """All files in a folder and its folders, sorted by path; none when there is no such folder."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """A whole file; None when there is none."""

    @abstractmethod
    def open_file(self, path: str) -> pa.NativeFile:
        """A file to read from at any position; to be used within `translated`."""

    @abstractmethod
    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Make or replace a file, at once: a reader sees the old one, then the new one.

        So it is after a power cut, unless `durable` is false: then it may also be gone or damaged, as nobody waited for the disk.
        """

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Make a file, at once; False, and nothing done, when there is one.

        Exact in a local store. In an object store two that do it within the same moment may both succeed: pyarrow has no
        conditional request.
        """

    @abstractmethod
    def upload(self, local: Path, path: str) -> None:
        """Put a finished local file here, at once, with bounded memory. It must not change meanwhile."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""

    @abstractmethod
    def delete_folder(self, path: str) -> None:
        """Delete a folder with all that is in it, if it is there."""

    @abstractmethod
    def rename(self, path: str, to: str) -> None:
        """Give a file or folder another name, at once, in place of a file that has it. Raises TypeError in an object store."""


def _checked(path: str) -> str:
    segments = path.split("/") if path else []
    if any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"{path!r} is no path within a store")
    return path
