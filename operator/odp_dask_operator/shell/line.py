"""Decides which job is looked at next: each key once, one worker per key, jobs that have begun before those that wait."""

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

NEW_IN_A_ROW = 4
"""After so many turns of new jobs, one that has begun has its turn."""
GATHER_S = 0.5
"""News of a job that has begun come in swarms, when its cluster starts or goes; so long they are gathered for one look."""


@dataclass(frozen=True, order=True)
class Key:
    """Which job."""

    namespace: str
    name: str


class Lane(Enum):
    """How far a job is."""

    BEGUN = "begun"
    """Its objects are made, and mostly it waits for others: a look may come a little later."""
    NEW = "new"
    """Nobody else can do anything about it before this operator has."""


class Line:
    """The keys that wait. Knows no clock: `now` comes in seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._first: OrderedDict[Key, None] = OrderedDict()
        self._ready: dict[Lane, OrderedDict[Key, None]] = {lane: OrderedDict() for lane in Lane}
        self._later: dict[Key, tuple[float, Lane]] = {}
        self._moments: list[tuple[float, Key]] = []
        self._resting: set[Key] = set()
        self._taken: set[Key] = set()
        self._again: dict[Key, tuple[Lane, bool]] = {}
        self._in_a_row = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues))

    @property
    def _queues(self) -> tuple[OrderedDict[Key, None], ...]:
        return (self._first, *self._ready.values())

    def add(self, key: Key, lane: Lane, *, first: bool = False) -> None:
        """To be looked at; what is being looked at comes again when that is done. `first`: at once, before all others."""
        if key in self._resting:
            return
        if key in self._taken:
            self._again[key] = (lane, first or self._again.get(key, (lane, False))[1])
            return
        for queue in self._queues:
            queue.pop(key, None)
        (self._first if first else self._ready[lane])[key] = None

    def hear(self, key: Key, lane: Lane, *, now: float) -> None:
        """There is news of it. A new job is looked at before all else is known of it, one that has begun when news are gathered."""
        if lane is Lane.NEW:
            self.add(key, lane)
        elif key not in self._resting and not any(key in queue for queue in self._queues):
            self.add_at(key, lane, now + GATHER_S)

    def add_at(self, key: Key, lane: Lane, moment: float) -> None:
        """To be looked at then, or when an earlier call said if that is sooner."""
        if key not in self._later or moment < self._later[key][0]:
            self._later[key] = (moment, lane)
            heapq.heappush(self._moments, (moment, key))

    def rest(self, key: Key, lane: Lane, moment: float) -> None:
        """To be looked at then and not before, whatever is heard meanwhile."""
        self._resting.add(key)
        self._again.pop(key, None)
        self._later.pop(key, None)
        for queue in self._queues:
            queue.pop(key, None)
        self.add_at(key, lane, moment)

    def take(self, *, now: float) -> Key | None:
        """The next key, until `done` for nobody else; None when there is nothing to do now."""
        self._ripen(now)
        begun, new = self._ready[Lane.BEGUN], self._ready[Lane.NEW]
        turn = self._first or (begun if not new or (begun and self._in_a_row >= NEW_IN_A_ROW) else new)
        if not turn:
            return None
        if turn is not self._first:
            self._in_a_row = self._in_a_row + 1 if turn is new else 0
        key, _ = turn.popitem(last=False)
        self._taken.add(key)
        self._later.pop(key, None)
        return key

    def done(self, key: Key) -> None:
        """The key may be taken again."""
        self._taken.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again[0], first=again[1])

    def forget(self, key: Key) -> None:
        """The job is gone."""
        self._resting.discard(key)
        self._later.pop(key, None)
        self._again.pop(key, None)
        for queue in self._queues:
            queue.pop(key, None)

    def clear(self) -> None:
        """Forgets all that waits."""
        self._resting.clear()
        self._later.clear()
        self._moments.clear()
        self._again.clear()
        for queue in self._queues:
            queue.clear()

    def next_moment(self) -> float | None:
        """When the next key becomes ready by itself."""
        while self._moments and not self._valid(*self._moments[0]):
            heapq.heappop(self._moments)
        return self._moments[0][0] if self._moments else None

    def _valid(self, moment: float, key: Key) -> bool:
        return key in self._later and self._later[key][0] == moment

    def _ripen(self, now: float) -> None:
        while (moment := self.next_moment()) is not None and moment <= now:
            _, key = heapq.heappop(self._moments)
            _, lane = self._later.pop(key)
            self._resting.discard(key)
            if not any(key in queue for queue in self._queues):
                self.add(key, lane)
