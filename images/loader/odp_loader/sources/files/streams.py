"""Opens text files from their beginning, decompressed by the ending of their names."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from odp_loader.store import Store

_CODECS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "lz4": "lz4"}


@contextmanager
def decompressed(store: Store, path: str) -> Iterator[pa.NativeFile]:
    """The bytes of a text file as a stream; to be used within `store.translated`."""
    found = re.search(r"\.(gz|bz2|zst|lz4)$", store.join(path), re.IGNORECASE)
    with store.open_file(path) as file:
        if found is None:
            yield file
            return
        with pa.CompressedInputStream(file, _CODECS[found[1].lower()]) as stream:
            yield stream
