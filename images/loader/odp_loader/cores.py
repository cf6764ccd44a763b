"""Who computes: as many threads of a process as there are cores, and of those that wait the one whose turn is first."""

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Hands out cores. In which order those get them that wait is the same for all, so that some finish while others begin."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, int, threading.Event]] = []
        self._arrivals = itertools.count()

    @contextmanager
    def held(self, *, turn: int) -> Iterator[None]:
        """Compute within the block, once there is a core that none with a lower `turn` waits for."""
        called = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                called.set()
            else:
                heapq.heappush(self._waiting, (turn, next(self._arrivals), called))
        called.wait()
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    heapq.heappop(self._waiting)[2].set()
                else:
                    self._free += 1
