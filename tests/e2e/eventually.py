"""Waiting for a condition of a cluster, with a deadline and a sentence about what did not come true."""

import time
from collections.abc import Callable
from typing import TypeVar

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

Seen = TypeVar("Seen")
_EVERY_S = 0.5
_NOT_NOW = (429, 500, 502, 503, 504)


def eventually(check: Callable[[], Seen | None], what: str, *, seconds: float = 300, every: float = _EVERY_S) -> Seen:
    """What `check` returns as soon as that is something; an API server that does not answer counts as nothing.

    Raises AssertionError at the deadline.
    """
    deadline, trouble = time.monotonic() + seconds, ""
    while True:
        try:
            seen = check()
        except HTTPError as error:
            seen, trouble = None, f"; the API server: {error}"
        except ApiException as error:
            if error.status not in _NOT_NOW:
                raise
            seen, trouble = None, f"; the API server: {error.status}"
        if seen:
            return seen
        assert time.monotonic() < deadline, f"after {seconds:.0f} s it is not true that {what}{trouble}"
        time.sleep(every)
