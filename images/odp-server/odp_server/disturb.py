"""Lets the faults of a stream happen at their row: splits messages, adds and withholds them, stalls, cuts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from odp_server.faults import Cut, Omit, Repeat, Stall, StreamError, StreamFault
from odp_server.messages import batch_message, note_message
from odp_server.scan import Message


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection."""


Step = Message | Pause | HangUp


@dataclass(frozen=True, slots=True)
class Stream:
    """The messages of a reply after its schema, and how to look into one."""

    schema: pa.Schema
    messages: Iterable[Message]
    read: Callable[[Message], pa.RecordBatch]

    def disturbed(self, faults: Sequence[StreamFault]) -> Iterator[Step]:
        """The messages with these faults among them, each at its row or, in a shorter reply, at the end."""
        waiting = sorted(faults, key=lambda fault: fault.rows)
        sent = 0
        for message in self.messages:
            rest = message
            while waiting and waiting[0].rows < sent + rest.rows:
                fault = waiting.pop(0)
                if fault.rows > sent:
                    before, rest = self._split(rest, fault.rows - sent)
                    yield before
                    sent += before.rows
                yield from self._steps(fault, rest)
                if _ends(fault):
                    return
            yield rest
            sent += rest.rows
        for fault in waiting:
            yield from self._steps(fault, None)
            if _ends(fault):
                return

    def _split(self, message: Message, rows: int) -> tuple[Message, Message]:
        batch = self.read(message)
        head, tail = batch.slice(0, rows), batch.slice(rows)
        return Message(head.num_rows, batch_message(head)), Message(tail.num_rows, batch_message(tail))

    def _steps(self, fault: StreamFault, following: Message | None) -> Iterator[Step]:
        match fault:
            case Stall():
                yield Pause(fault.seconds)
            case StreamError():
                yield Message(0, note_message(self.schema, {"error": fault.message}), "error")
            case Cut():
                if fault.inside and following is not None:
                    whole = batch_message(self.read(following))
                    yield Message(0, whole.slice(0, whole.size // 2))
                yield HangUp()
            case Repeat():
                if following is not None:
                    yield following
            case Omit():
                pass


def _ends(fault: StreamFault) -> bool:
    return isinstance(fault, StreamError | Cut | Omit)
