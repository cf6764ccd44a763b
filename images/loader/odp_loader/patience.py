"""How long to wait before something that failed is tried again."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from odp_loader.errors import Throttled, Transient

LONGEST_WAIT_S = 60.0
Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], *, attempts: int, tell: Callable[[Transient], None] = lambda _: None) -> Answer:
    """Ask, and ask again after a wait, at most `attempts` times, while what comes back is Transient; `tell` hears of it first."""
    for attempt in range(1, attempts):
        try:
            return ask()
        except Transient as error:
            tell(error)
            time.sleep(wait_s(attempt, error))
    return ask()


def wait_s(attempt: int, error: Transient) -> float:
    """Seconds to wait after failed attempt `attempt` (from 1): what the server asked for, else up to 2^(attempt-2), full jitter.

    Jitter keeps the streams of one load from coming back together
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    asked = error.retry_after_s if isinstance(error, Throttled) else None
    backoff = random.uniform(0, min(LONGEST_WAIT_S, 2.0 ** (attempt - 2)))  # noqa: S311 # no secret
    return backoff if asked is None else min(asked, LONGEST_WAIT_S) + random.uniform(0, 0.5)  # noqa: S311
