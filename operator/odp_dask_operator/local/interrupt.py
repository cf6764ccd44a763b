"""Turns SIGINT and SIGTERM into one exception in the main thread; a second one ends the process at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A person or the system asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)

    @property
    def exit_code(self) -> int:
        """As shells report it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal


@dataclass
class _Asked:
    """What has been heard so far; of this process, as signal handlers are."""

    number: int | None = None
    shielded: bool = False


_asked = _Asked()


@contextmanager
def interruptible() -> Iterator[None]:
    """In the block the first signal raises Interrupted; another one exits without cleaning up.

    The workers notice the end of this process by themselves: each holds a pipe to it.
    """
    _asked.number = None
    before = {number: signal.signal(number, _receive) for number in _SIGNALS}
    try:
        yield
    finally:
        if _asked.number is None:  # else the process is about to end, and one more signal should not delay that
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """For steps that cannot be left half done: a signal in the block raises Interrupted at its end."""
    heard_before = _asked.number
    _asked.shielded = True
    try:
        yield
    finally:
        _asked.shielded = False
    if _asked.number is not None and heard_before is None:
        raise Interrupted(_asked.number)


def _receive(number: int, _: FrameType | None) -> None:
    if _asked.number is not None:
        os._exit(128 + number)
    _asked.number = number
    if not _asked.shielded:
        raise Interrupted(number)
