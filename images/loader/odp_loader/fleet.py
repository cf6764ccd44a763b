"""Partitions in flight on a Dask cluster: at most so many at once, tried again when a worker is lost, fewer when throttled."""

import dataclasses
import queue
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import distributed

from odp_loader import task
from odp_loader.errors import LoadError, Transient
from odp_loader.partition import Partition
from odp_loader.receipt import Receipt

Future = Any
"""A distributed.Future; the package ships no types."""
_TICK_S = 0.25
_QUIET_S = 1.0
"""A storm of 429s within so long counts as one."""
_SUCCESSES_PER_STREAM = 4
"""So many partitions without a 429 bring back one stream."""


class ContextPlugin(distributed.WorkerPlugin):
    """Brings the context of a load to every worker, also to those that come later.

    As data that each task depends on, it would draw the tasks to the worker that holds it.
    """

    def __init__(self, context: task.Context) -> None:
        self.name = _topic(context.id)
        self.context = context


def load_on_worker(load_id: str, partition: Partition, nan_columns: frozenset[str]) -> Receipt:
    """Run a partition on a Dask worker and tell the driver how it goes."""
    worker = distributed.get_worker()
    plugin = worker.plugins[_topic(load_id)]
    assert isinstance(plugin, ContextPlugin)
    context = plugin.context
    if partition.beside:
        distributed.secede()  # its thread mostly waits, and a range can have its place in the pool

    def emit(signal: task.Signal) -> None:
        worker.log_event(_topic(context.id), {"worker": str(worker.name), **dataclasses.asdict(signal)})

    return task.load_partition(context, partition, nan_columns, emit, str(worker.name))


@dataclass
class Tally:
    """What the partitions in flight have read, by their own account."""

    in_flight: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Rows and Arrow bytes of each partition's current attempt."""
    throttled: int = 0
    """How often the server answered 429."""
    failures: Counter[str] = field(default_factory=Counter)
    """Failed attempts by worker."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in one signal."""
        self.throttled += event["throttled"]
        if event["failed"]:
            self.failures[event["worker"]] += 1
        if event["partition"] in self.in_flight and not event["throttled"]:
            self.in_flight[event["partition"]] = (event["rows"], event["bytes"])

    @property
    def rows(self) -> int:
        """Rows read by partitions in flight."""
        return sum(rows for rows, _ in self.in_flight.values())

    @property
    def bytes(self) -> int:
        """Arrow bytes read by partitions in flight."""
        return sum(size for _, size in self.in_flight.values())


class Window:
    """How many partitions may be in flight: halved when the server throttles, one more after some successes."""

    def __init__(self, streams: int) -> None:
        self._most = streams
        self.size = streams
        self._halved_at = float("-inf")
        self._successes = 0

    def throttled(self, now: float) -> bool:
        """Note a 429; returns whether the window shrank."""
        self._successes = 0
        if now - self._halved_at < _QUIET_S or self.size == 1:
            return False
        self._halved_at = now
        self.size = max(1, self.size // 2)
        return True

    def succeeded(self) -> None:
        """Note a finished partition."""
        self._successes += 1
        if self._successes >= _SUCCESSES_PER_STREAM and self.size < self._most:
            self._successes = 0
            self.size += 1


class Fleet:
    """Hands partitions to the workers of a client's cluster and collects their receipts.

    Use it as a context manager: what is still in flight when it is left is cancelled.
    """

    def __init__(self, client: distributed.Client, context: task.Context, *, streams: int, note: Callable[[str], None]) -> None:
        self._client = client
        self._plugin = ContextPlugin(context)
        self._id = context.id
        self._window = Window(streams)
        self._note = note
        self._flying: dict[Future, Partition] = {}
        self._landed: queue.SimpleQueue[Future | None] = queue.SimpleQueue()
        self._events: deque[Mapping[str, Any]] = deque()
        self._unread: set[int] = set()
        self.tally = Tally()

    def __enter__(self) -> "Fleet":
        self._client.register_plugin(self._plugin)
        self._client.subscribe_topic(_topic(self._id), lambda event: self._hear(event[1]))
        return self

    def __exit__(self, *_: object) -> None:
        if self._client.status == "running":
            self._client.unsubscribe_topic(_topic(self._id))
            self._client.cancel(list(self._flying), force=True)
            with suppress(KeyError, OSError):  # a worker that has just begun, or has just gone, does not have it
                self._client.unregister_worker_plugin(self._plugin.name)
        self._flying.clear()

    @property
    def workers(self) -> int:
        """How many workers the cluster has now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def run(self, partitions: Iterable[Partition], *, tick: Callable[[], None], all_read: Callable[[], None]) -> Iterator[Receipt]:
        """Receipts in the order in which partitions finish; `tick` is called a few times a second.

        `all_read` is called when the last row has arrived and files are still written: once more if some are read again then.
        Raises the LoadError of the first partition that cannot be finished.
        """
        # What is beside the ranges goes first: no server can skip much of its table for it.
        waiting = deque(sorted(partitions, key=lambda partition: not partition.beside))
        self._unread = {partition.index for partition in waiting}
        nan_columns: frozenset[str] = frozenset()
        while waiting or self._flying:
            room = min(len(waiting), self._window.size - len(self._flying))
            if room > 0:
                self._submit([waiting.popleft() for _ in range(room)], nan_columns)
            for future in self._wait():
                partition = self._flying.pop(future, None)
                if future is None or partition is None:
                    continue
                del self.tally.in_flight[partition.index]
                receipt = self._receipt(future, partition)
                future.release()
                nan_columns |= set(receipt.nan_columns)
                self._window.succeeded()
                yield receipt
            if self._count_events():
                all_read()
            tick()
        self._count_events()

    def _submit(self, partitions: Sequence[Partition], nan_columns: frozenset[str]) -> None:
        now = time.monotonic_ns()
        futures = self._client.map(
            load_on_worker,
            [self._id] * len(partitions),
            partitions,
            [nan_columns] * len(partitions),
            key=[f"odp-load-{self._id}-{partition.index:05d}-{now}" for partition in partitions],
            pure=False,
        )
        for future, partition in zip(futures, partitions, strict=True):
            self._flying[future] = partition
            self.tally.in_flight[partition.index] = (0, 0)
            future.add_done_callback(self._landed.put)

    def _wait(self) -> list[Future | None]:
        """Finished futures, after at most a tick; None for other news. Raises Transient when the scheduler is lost."""
        landed: list[Future | None] = []
        try:
            landed.append(self._landed.get(timeout=_TICK_S))
            while True:
                landed.append(self._landed.get_nowait())
        except queue.Empty:
            pass
        if not landed and self._client.status not in ("running", "connecting"):
            raise Transient("the Dask scheduler is gone; what is finished is kept, and the next run goes on from there")
        return landed

    def _receipt(self, future: Future, partition: Partition) -> Receipt:
        """The receipt, or the LoadError that ends the load: whatever a repetition cures, the worker has tried already."""
        if future.status != "cancelled":
            try:
                if future.status == "finished":
                    receipt: Receipt = future.result()
                    return receipt
                error = future.exception()
            except (distributed.CancelledError, OSError):
                pass  # the scheduler went away between the two
            else:
                raise translated(error, partition)
        raise Transient("the Dask scheduler was restarted; what is finished is kept, and the next run goes on from there")

    def _hear(self, event: Mapping[str, Any]) -> None:
        """Keep an event for the thread that waits for futures, and wake it where it might want to act at once."""
        self._events.append(event)
        if event["read"]:
            self._landed.put(None)

    def _count_events(self) -> bool:
        """Whether one of them said that the last row has arrived."""
        all_read = False
        while self._events:
            event = self._events.popleft()
            self.tally.add(event)
            if event["read"]:
                self._unread.discard(event["partition"])
                all_read = not self._unread
            if event["throttled"] and self._window.throttled(time.monotonic()):
                self._note(f"the server asks for fewer requests: at most {self._window.size} partitions at once from here on")
        return all_read


def _topic(of_id: str) -> str:
    return f"odp-load-{of_id}"


def translated(error: BaseException | None, partition: Partition) -> LoadError:
    """What ended a partition, as an error of ours."""
    if isinstance(error, LoadError):
        return error
    if isinstance(error, distributed.KilledWorker):
        return LoadError(
            f"partition {partition.index} (about {partition.rows or 'unknown'} rows) lost {error.allowed_failures + 1} workers in a"
            " row, most likely to their memory limit: use a larger preset, fewer threads, or a smaller partitions.targetBytes"
        )
    return LoadError(f"partition {partition.index} failed on its worker: {type(error).__name__}: {error}")
