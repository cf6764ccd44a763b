"""A local folder: files appear whole by a rename, and are on the disk when a call returns."""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs

from odp_loader.store.failures import local_failure
from odp_loader.store.store import Entry, Store

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What mounted object stores and some network drives answer to a hard link."""


class LocalStore(Store):
    """A folder of this machine, or one that it has mounted."""

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The local file system."""
        return pafs.LocalFileSystem()

    @contextmanager
    def translated(self, path: str) -> Iterator[None]:
        """Translate what has an error number; the contents of a file have none."""
        try:
            yield
        except OSError as error:
            if error.errno is None:
                raise
            raise local_failure(error, self.join(path)) from None

    def find(self, path: str) -> Entry | None:
        """The file, symbolic links followed."""
        with self.translated(path):
            target = self.local_path(path)
            return _entry(target, path) if target.is_file() else None

    def list(self, folder: str) -> Iterator[Entry]:
        """All files, symbolic links followed but not in circles."""
        with self.translated(folder):
            root = self.local_path(folder)
            found = [] if not root.exists() else list(_walk(root, folder, ()))
        yield from sorted(found, key=lambda entry: entry.path)

    def read(self, path: str) -> bytes | None:
        """A whole file; None when there is none."""
        with self.translated(path):
            try:
                return self.local_path(path).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open_file(self, path: str) -> pa.NativeFile:
        """A file to read from at any position."""
        return pa.OSFile(str(self.local_path(path)))

    def write(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Write beside it, sync where it is to be durable, rename."""
        with self.translated(path), self._beside(path) as temporary:
            temporary.write_bytes(data)
            if durable:
                self._commit(temporary, path)
            else:
                temporary.replace(self.local_path(path))

    def create(self, path: str, data: bytes) -> bool:
        """Write beside it, sync, link: a link never replaces. Without links the file appears empty for a moment."""
        target = self.local_path(path)
        with self.translated(path), self._beside(path) as temporary:
            temporary.write_bytes(data)
            _sync(temporary)
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                try:
                    target.touch(exist_ok=False)
                except FileExistsError:
                    return False
                temporary.replace(target)
            _sync(target.parent)
            return True

    def upload(self, local: Path, path: str) -> None:
        """Copy beside it, sync, rename."""
        with self.translated(path), self._beside(path) as temporary:
            shutil.copyfile(local, temporary)
            self._commit(temporary, path)

    def delete(self, path: str) -> None:
        """Delete a file, if it is there."""
        with self.translated(path):
            self.local_path(path).unlink(missing_ok=True)

    def delete_folder(self, path: str) -> None:
        """Delete a folder, if it is there; a symbolic link goes, what it points to stays."""
        if not path:
            raise ValueError("a store does not delete itself")
        folder = self.local_path(path)
        with self.translated(path):
            if folder.is_symlink():
                folder.unlink()
            elif folder.exists():
                shutil.rmtree(folder, onerror=_unless_gone)

    def rename(self, path: str, to: str) -> None:
        """Rename and sync both folders."""
        source, target = self.local_path(path), self.local_path(to)
        with self.translated(to):
            _make_folder(target.parent)
            source.replace(target)
            _sync(source.parent)
            _sync(target.parent)

    @contextmanager
    def _beside(self, path: str) -> Iterator[Path]:
        """A name for a temporary file in the same folder; whatever it then names is gone afterwards."""
        target = self.local_path(path)
        _make_folder(target.parent)
        temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _commit(self, temporary: Path, path: str) -> None:
        target = self.local_path(path)
        _sync(temporary)
        temporary.replace(target)
        _sync(target.parent)


def _entry(file: Path, path: str) -> Entry:
    status = file.stat()
    return Entry(path, status.st_size, status.st_mtime_ns)


def _walk(folder: Path, path: str, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for child in folder.iterdir():
        child_path = f"{path}/{child.name}" if path else child.name
        try:
            if child.is_dir():
                yield from _walk(child, child_path, (*above, identity))
            elif child.is_file():
                yield _entry(child, child_path)
        except FileNotFoundError:  # another process has just deleted it
            continue


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each synced into the one above."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some mounted file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _unless_gone(_: Callable[..., object], __: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]
