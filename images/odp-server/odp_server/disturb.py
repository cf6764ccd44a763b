"""Lets the faults of a stream happen at their row: splits messages, adds and withholds them, stalls, cuts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from odp_server.faults import Cut, Omit, Repeat, Stall, StreamEffect, StreamError
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


class Stream:
    """The messages after the schema, and what a fault needs to know of them."""

    def __init__(self, schema: pa.Schema, messages: Iterable[Message], read: Callable[[Message], pa.RecordBatch]) -> None:
        self.schema = schema
        self.messages = messages
        self._read = read

    def disturbed(self, effects: Sequence[StreamEffect]) -> Iterator[Step]:
        """The messages with these faults among them, each at its row or, in a shorter reply, at the end."""
        waiting = sorted(effects, key=lambda effect: effect.rows)
        sent = 0
        for message in self.messages:
            rest = message
            while waiting and waiting[0].rows < sent + rest.rows:
                effect = waiting.pop(0)
                before, rest = self._split(rest, effect.rows - sent)
                if before is not None:
                    yield before
                    sent += before.rows
                yield from self._steps(effect, rest)
                if _ends(effect):
                    return
            yield rest
            sent += rest.rows
        for effect in waiting:
            yield from self._steps(effect, None)
            if _ends(effect):
                return

    def _split(self, message: Message, rows: int) -> tuple[Message | None, Message]:
        if rows <= 0:
            return None, message
        batch = self._read(message)
        head, tail = batch.slice(0, rows), batch.slice(rows)
        return Message(head.num_rows, batch_message(head)), Message(tail.num_rows, batch_message(tail))

    def _steps(self, effect: StreamEffect, following: Message | None) -> Iterator[Step]:
        match effect:
            case Stall():
                yield Pause(effect.seconds)
            case StreamError():
                yield Message(0, note_message(self.schema, {"error": effect.message}), "error")
            case Cut(inside=inside):
                if inside and following is not None:
                    whole = batch_message(self._read(following))
                    yield Message(0, whole.slice(0, whole.size // 2))
                yield HangUp()
            case Repeat():
                if following is not None:
                    yield following
            case Omit():
                pass


def _ends(effect: StreamEffect) -> bool:
    return isinstance(effect, StreamError | Cut | Omit)
