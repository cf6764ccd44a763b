"""A prefix of a bucket: one upload for each file, which appears when it is complete, or not at all.

Azure is the exception: pyarrow makes an empty object first, and completes it. What S3 holds of an upload that broke is invisible,
costs space, and goes by the bucket's own rule (AbortIncompleteMultipartUpload): pyarrow does not know how to abort one.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Transient
from odp_loader.store.connection import connect
from odp_loader.store.failures import from_object_store, storage_failure
from odp_loader.store.store import Entry, Store

_T = TypeVar("_T")
_IN_FLIGHT = 20 * 2**20
"""Bytes of an upload that may wait in memory: two of the 10 MiB parts in which pyarrow sends them to S3."""


class ObjectStore(Store):
    """Objects below a prefix, in S3, Google Cloud Storage or Azure."""

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The file system as it can be reached now."""
        return connect(self._address, self._storage).filesystem

    @contextmanager
    def translated(self, path: str) -> Iterator[None]:
        """Translate what the object store answers.

        A refusal is Transient here: the file was opened with the same keys a moment ago. Opening it again takes fresh ones,
        or says that they are refused.
        """
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            if not from_object_store(error):
                raise
            failure = storage_failure(error, url=self.join(path), storage=self._storage)
            if isinstance(failure, CredentialsRefused):
                raise Transient(f"{self.join(path)}: the credentials ended while it was being read") from None
            raise failure from None

    def find(self, path: str) -> Entry | None:
        """The object; None when there is none."""
        info: pafs.FileInfo = self._do(path, lambda filesystem, key: filesystem.get_file_info(key))
        return Entry(path, info.size, info.mtime_ns) if info.type == pafs.FileType.File else None

    def list(self, folder: str) -> Iterator[Entry]:
        """All objects below a prefix. Raises InvalidLoad when there is no such bucket."""

        def objects(filesystem: pafs.FileSystem, key: str) -> list[Entry]:
            found = filesystem.get_file_info(_below(key))
            if not found and filesystem.get_file_info(self._address.container).type == pafs.FileType.NotFound:
                raise InvalidLoad(f"{self.url}: there is no bucket {self._address.container!r}: create it, or correct the url")
            start = len(self.path("")) + 1
            return [Entry(info.path[start:], info.size, info.mtime_ns) for info in found if info.type == pafs.FileType.File]

        yield from sorted(self._do(folder, objects), key=lambda entry: entry.path)

    def read(self, path: str) -> bytes | None:
        """A whole object; None when there is none. Azure shows an empty one while it is being written: that is none yet."""

        def content(filesystem: pafs.FileSystem, key: str) -> bytes | None:
            try:
                with filesystem.open_input_file(key) as file:
                    return bytes(file.read())
            except FileNotFoundError:
                return None

        raw = self._do(path, content)
        return None if raw == b"" and self._address.scheme == "az" else raw

    def open_file(self, path: str) -> pa.NativeFile:
        """An object to read from at any position."""
        return self._do(path, lambda filesystem, key: filesystem.open_input_file(key))

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:  # noqa: ARG002 # no object is less than durable
        """One upload."""
        self._do(path, lambda filesystem, key: _put(filesystem, key, pa.py_buffer(data)))

    def create(self, path: str, data: bytes) -> bool:
        """Look, then write."""
        if self.find(path) is not None:
            return False
        self.write(path, data)
        return True

    def upload(self, local: Path, path: str) -> None:
        """One upload, of the file mapped into memory."""
        if local.stat().st_size == 0:
            return self.write(path, b"")
        with pa.memory_map(str(local)) as file:
            content = file.read_buffer()
            return self._do(path, lambda filesystem, key: _put(filesystem, key, content))

    def delete(self, path: str) -> None:
        """Delete an object, if it is there."""

        def delete(filesystem: pafs.FileSystem, key: str) -> None:
            try:
                filesystem.delete_file(key)
            except FileNotFoundError:
                return

        self._do(path, delete)

    def delete_folder(self, path: str) -> None:
        """Delete all objects below a prefix."""
        if not path:
            raise ValueError("a store does not delete itself")

        def delete(filesystem: pafs.FileSystem, key: str) -> None:
            try:
                filesystem.delete_dir(key)
            except FileNotFoundError:
                return
            except OSError:
                # a server over a file system refuses to delete a folder in the same request as what is in it
                if any(info.type == pafs.FileType.File for info in filesystem.get_file_info(_below(key))):
                    raise

        self._do(path, delete)

    def rename(self, path: str, to: str) -> None:
        """Objects cannot be renamed."""
        raise TypeError(f"{self.join(path)} cannot be renamed to {to}: it is in an object store")

    def _do(self, path: str, operation: Callable[[pafs.FileSystem, str], _T]) -> _T:
        """Call the object store; once more, with the keys as they are then, when it refuses the ones it was called with."""
        connection = connect(self._address, self._storage)
        for again in (True, False):
            try:
                return operation(connection.filesystem, self.path(path))
            except (OSError, pa.ArrowException) as error:
                failure = self._failure(error, path, connection.filesystem)
            if not again or not isinstance(failure, CredentialsRefused):
                raise failure
            fresh = connect(self._address, self._storage, instead_of=connection)
            if fresh is connection:  # nobody has changed the keys
                raise failure
            connection = fresh
        raise AssertionError("unreachable")

    def _failure(self, error: Exception, path: str, filesystem: pafs.FileSystem) -> LoadError:
        """S3's answers to HEAD have no body: a 400 is an expired token or something else, so ask in a way that gets words."""
        if re.search(r"HTTP status 400.*No response body", str(error)):
            try:
                filesystem.get_file_info(pafs.FileSelector(self.path(path), allow_not_found=True))
            except (OSError, pa.ArrowException) as wordy:
                error = wordy
        return storage_failure(error, url=self.join(path), storage=self._storage)


def _below(key: str) -> pafs.FileSelector:
    return pafs.FileSelector(key, recursive=True, allow_not_found=True)


def _put(filesystem: pafs.FileSystem, key: str, content: pa.Buffer) -> None:
    """Upload `content`. pyarrow completes an upload when its stream is closed *or forgotten*, unless writing to it has failed.

    So nothing that can fail may stand between the writes but writing itself, and a stream is never closed by `with`.
    S3: flushing waits for the parts sent so far, which bounds the memory and makes a failed part known before the end.
    Elsewhere it would publish what is there, or do nothing.
    """
    stream = filesystem.open_output_stream(key)
    in_flight = _IN_FLIGHT if isinstance(filesystem, pafs.S3FileSystem) else max(content.size, 1)
    for start in range(0, content.size, in_flight):
        stream.write(content.slice(start, min(in_flight, content.size - start)))
        if in_flight < content.size:
            stream.flush()
    stream.close()
