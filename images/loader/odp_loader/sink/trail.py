"""Follows a file while it is written, so that neither its digest nor its way to the disk is left for the end."""

import hashlib
import os
from pathlib import Path

_BLOCK_BYTES = 1 << 18


class Trail:
    """What has been written of one file so far. Its path may change; what is written stays as it is."""

    def __init__(self, *, durable: bool) -> None:
        """Follow a new file; one that is durable will have to be on the disk in the end."""
        self._durable = durable
        self._digest = hashlib.sha256()
        self._block = memoryview(bytearray(_BLOCK_BYTES))
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of what was followed."""
        return self._digest.hexdigest()

    def follow(self, path: Path) -> None:
        """Take in what was written since the last time, while it is still in memory, and have the system begin to store it.

        All files of a load that end together would otherwise wait for the disk together (measured: 0.2 s for 260 MB, against
        0.03 s). Holds no file open in between: a partition may have many.
        """
        with path.open("rb", buffering=0) as file:
            start = file.seek(self.bytes)
            while count := file.readinto(self._block):
                self._digest.update(self._block[:count])
                self.bytes += count
            if self._durable and hasattr(os, "posix_fadvise"):
                # Linux begins to write such pages out; those that are not stored yet it does not forget (mm/fadvise.c).
                os.posix_fadvise(file.fileno(), start, self.bytes - start, os.POSIX_FADV_DONTNEED)


def settle(path: Path) -> None:
    """Wait until a finished file is on the disk for good."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
