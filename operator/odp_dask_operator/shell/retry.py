"""Decides whether and when a call that failed is made again."""

from dataclasses import dataclass

from odp_dask_operator.shell.errors import ApiError, Unavailable


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Doubling pauses with full jitter, and the server's own wish where it has one."""

    attempts: int = 5
    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    """A server that asks for a longer pause gets it from the queue: the call fails, and the job is looked at later."""

    def pause_s(self, error: ApiError, *, attempt: int, chance: float) -> float | None:
        """How long to wait before the next attempt; None when there is none. `attempt` counts from 1, `chance` is of [0, 1)."""
        if not isinstance(error, Unavailable) or attempt >= self.attempts:
            return None
        pause: float = min(self.longest_pause_s, self.first_pause_s * 2 ** (attempt - 1)) * chance
        if error.retry_after_s is None:
            return pause
        # Everybody was told the same; the jitter keeps them from coming back together.
        return None if error.retry_after_s > self.longest_pause_s else error.retry_after_s + pause
