"""Decides which requests go wrong, and how: what a test or a benchmark asked for through the control endpoint."""

import random
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt, TypeAdapter

RequestKind = Literal["catalog", "stats", "schema", "select", "aggregate"]
"""A select that asks for the schema only is of kind `schema`."""


class _Fault(BaseModel):
    """When a fault happens: of the requests that fit, `skip` pass, then every `every`-th, with `probability`, `times` times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: tuple[RequestKind, ...] = ("select",)
    table: str | None = None
    """Name or id; None for all."""
    matching: str = ""
    """Text that the filter, or the variables as JSON, must contain."""
    skip: NonNegativeInt = 0
    every: PositiveInt = 1
    times: NonNegativeInt | None = 1
    """None for no limit."""
    probability: float = Field(default=1.0, ge=0, le=1)
    seed: int = 0


class Status(_Fault):
    """Answer with an error status instead."""

    kind: Literal["status"]
    status: int = Field(ge=400, le=599)
    retry_after_s: NonNegativeFloat | None = None
    """Sent as Retry-After; no such header without it."""


class ExpireCursor(_Fault):
    """Answer a request that brings a cursor as if it came too late; other requests do not fit."""

    kind: Literal["expire"]


class _StreamFault(_Fault):
    """What happens after the head of a reply; a reply with fewer than `rows` rows meets it at its end."""

    rows: NonNegativeInt = 0


class StreamError(_StreamFault):
    """Report an error inside the stream, after `rows` rows."""

    kind: Literal["error"]
    message: str = "out of memory"


class Cut(_StreamFault):
    """Close the connection after `rows` rows, between two messages or half-way through the next one."""

    kind: Literal["cut"]
    inside: bool = False


class Stall(_StreamFault):
    """Send nothing for a while after `rows` rows, then go on."""

    kind: Literal["stall"]
    seconds: NonNegativeFloat


class Omit(_StreamFault):
    """End the reply properly after `rows` rows, as if there were no more."""

    kind: Literal["omit"]


class Repeat(_StreamFault):
    """Send the message that follows row `rows` twice."""

    kind: Literal["repeat"]


StreamFault = StreamError | Cut | Stall | Omit | Repeat
Fault = Status | ExpireCursor | StreamFault
FAULTS: TypeAdapter[list[Fault]] = TypeAdapter(list[Annotated[Fault, Field(discriminator="kind")]])
"""Reads faults from JSON. Raises pydantic's ValidationError, a ValueError that names the field."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What faults know of a request."""

    kind: RequestKind
    table: tuple[str, ...] = ()
    """The table's name and id."""
    text: str = ""
    with_cursor: bool = False


class _Armed:
    """A fault in force, and how often it could happen and did."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.happened = 0
        self._fitting = 0
        self._random = random.Random(fault.seed)  # noqa: S311 # no secret

    def meets(self, asked: Asked) -> bool:
        """Count a request, and say whether the fault happens to it."""
        fault = self.fault
        if not self._fits(asked):
            return False
        self._fitting += 1
        due = self._fitting > fault.skip and (self._fitting - fault.skip) % fault.every == 0
        over = fault.times is not None and self.happened >= fault.times
        if not due or over or self._random.random() >= fault.probability:
            return False
        self.happened += 1
        return True

    def _fits(self, asked: Asked) -> bool:
        fault = self.fault
        return (
            asked.kind in fault.requests
            and (fault.table is None or fault.table in asked.table)
            and fault.matching in asked.text
            and (asked.with_cursor or not isinstance(fault, ExpireCursor))
        )


class Faults:
    """The faults in force; safe to use from many threads."""

    def __init__(self) -> None:
        self._armed: tuple[_Armed, ...] = ()
        self._lock = threading.Lock()

    def add(self, faults: Iterable[Fault]) -> None:
        """Put more faults in force."""
        with self._lock:
            self._armed += tuple(map(_Armed, faults))

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._armed = ()

    def meeting(self, asked: Asked) -> tuple[Fault, ...]:
        """What happens to this request, which is counted."""
        if not self._armed:
            return ()
        with self._lock:
            return tuple(armed.fault for armed in self._armed if armed.meets(asked))

    def happened(self) -> dict[str, int]:
        """How often each kind of fault happened."""
        counts: Counter[str] = Counter()
        for armed in self._armed:
            counts[armed.fault.kind] += armed.happened
        return dict(counts)
