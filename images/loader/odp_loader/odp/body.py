"""The body of a reply, watched while Arrow reads it: a stream that was cut is an error, whatever it looks like to Arrow."""

from typing import Any

import urllib3

from odp_loader.errors import Transient

_DRAIN_BYTES = 64 * 1024


class StreamBody:
    """A file-like object over a urllib3 response, for `pyarrow.ipc` to read from.

    Arrow takes the end of the input for the end of the stream, so a connection closed between two messages looks like
    a complete reply (measured: 327 680 of 1 000 000 rows, no exception). Arrow stops reading at the end-of-stream marker, so
    whoever reaches the end of the input has not seen it (https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format).
    """

    def __init__(self, raw: Any, *, marker_expected: bool) -> None:
        self._raw = raw
        self._marker_expected = marker_expected
        self.ended_early = False
        """Whether the input ended without the marker."""

    @property
    def closed(self) -> bool:
        """As file objects have it."""
        return bool(self._raw.closed)

    def readable(self) -> bool:
        """As file objects have it."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes. Raises Transient when the connection broke, stalled or, where a marker is expected, ended."""
        try:
            data: bytes = self._raw.read(None if size < 0 else size)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Transient(f"the reply broke off: {type(error).__name__}") from None
        if size > 0 and len(data) < size:
            self.ended_early = True
            if self._marker_expected:
                raise Transient("the reply ended without Arrow's end-of-stream marker: it was cut")
        return data

    def finish(self) -> None:
        """Read what follows the marker, so that the connection can serve the next request; close it where that is much."""
        try:
            if not self.ended_early and len(self._raw.read(_DRAIN_BYTES)) < _DRAIN_BYTES:
                self._raw.release_conn()
                return
        except (urllib3.exceptions.HTTPError, OSError):
            pass  # the connection is thrown away below
        self._raw.close()

    def close(self) -> None:
        """Throw the connection away."""
        self._raw.close()
