"""Decides which requests go wrong, and how: what a test or a benchmark asked for through the control endpoint."""

import dataclasses
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

REQUEST_KINDS = ("catalog", "stats", "schema", "select", "aggregate")


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with an error status instead."""

    kind: ClassVar[str] = "status"
    status: int
    """429, 500, 502, 503, 504 or any other."""
    retry_after_s: float | None = None
    """Sent as Retry-After; no such header without it."""


@dataclass(frozen=True, slots=True)
class ExpireCursor:
    """Answer a request that brings a cursor as if it came too late; others are not counted."""

    kind: ClassVar[str] = "expire"


@dataclass(frozen=True, slots=True)
class StreamError:
    """Report an error inside the stream, after `rows` rows."""

    kind: ClassVar[str] = "error"
    rows: int = 0
    message: str = "out of memory"


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection after `rows` rows, between two messages or half-way through the next one."""

    kind: ClassVar[str] = "cut"
    rows: int = 0
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing for a while after `rows` rows, then go on."""

    kind: ClassVar[str] = "stall"
    rows: int = 0
    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Omit:
    """End the reply properly after `rows` rows, as if there were no more."""

    kind: ClassVar[str] = "omit"
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the first `rows` rows twice."""

    kind: ClassVar[str] = "repeat"
    rows: int = 0


Effect = Status | ExpireCursor | StreamError | Cut | Stall | Omit | Repeat
StreamEffect = StreamError | Cut | Stall | Omit | Repeat
"""What happens after the head of a reply; a reply with fewer rows than `rows` meets it at its end."""
_EFFECTS: Mapping[str, type[Effect]] = {
    effect.kind: effect for effect in (Status, ExpireCursor, StreamError, Cut, Stall, Omit, Repeat)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Which requests a fault meets: of those that fit, `skip` pass, then every `every`-th, with `probability`, at most `times`."""

    requests: tuple[str, ...] = ("select",)
    table: str | None = None
    """Name or id."""
    matching: str = ""
    """Text the filter or the variables, as JSON, must contain."""
    skip: int = 0
    every: int = 1
    times: int | None = 1
    """None for no limit."""
    probability: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What faults know of a request."""

    kind: str
    table: tuple[str, ...] = ()
    """The table's name and id."""
    text: str = ""
    with_cursor: bool = False


class Fault:
    """A trigger, an effect, and how often it happened."""

    def __init__(self, trigger: Trigger, effect: Effect) -> None:
        self.trigger = trigger
        self.effect = effect
        self.happened = 0
        self._fitting = 0
        self._random = random.Random(trigger.seed)  # noqa: S311 # no secret

    def meets(self, asked: Asked) -> bool:
        """Count a request, and say whether the fault happens to it."""
        trigger = self.trigger
        if asked.kind not in trigger.requests or (trigger.table and trigger.table not in asked.table):
            return False
        if trigger.matching not in asked.text or (isinstance(self.effect, ExpireCursor) and not asked.with_cursor):
            return False
        self._fitting += 1
        due = self._fitting > trigger.skip and (self._fitting - trigger.skip) % trigger.every == 0
        if (
            not due
            or (trigger.times is not None and self.happened >= trigger.times)
            or self._random.random() >= trigger.probability
        ):
            return False
        self.happened += 1
        return True


class Faults:
    """The faults in force; safe to use from many threads."""

    def __init__(self) -> None:
        self._faults: tuple[Fault, ...] = ()
        self._lock = threading.Lock()

    def add(self, faults: Sequence[Fault]) -> None:
        """Put more faults in force."""
        with self._lock:
            self._faults += tuple(faults)

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._faults = ()

    def meeting(self, asked: Asked) -> tuple[Effect, ...]:
        """What happens to this request, which is counted."""
        if not self._faults:
            return ()
        with self._lock:
            return tuple(fault.effect for fault in self._faults if fault.meets(asked))

    def happened(self) -> dict[str, int]:
        """How often each kind of fault happened."""
        counts: dict[str, int] = {}
        for fault in self._faults:
            counts[fault.effect.kind] = counts.get(fault.effect.kind, 0) + fault.happened
        return counts


def parse_fault(document: Mapping[str, Any]) -> Fault:
    """A fault from JSON: `kind`, the fields of that effect, the fields of `Trigger`. Raises ValueError naming what is wrong."""
    fields = dict(document)
    effect_type = _EFFECTS.get(str(fields.pop("kind", None)))
    if effect_type is None:
        raise ValueError(f"a fault's kind is one of {', '.join(_EFFECTS)}")
    trigger = {field.name: fields.pop(field.name) for field in dataclasses.fields(Trigger) if field.name in fields}
    requests = tuple(trigger.get("requests", ("select",)))
    if unknown := [kind for kind in requests if kind not in REQUEST_KINDS]:
        raise ValueError(f"there are no requests of kind {unknown[0]!r}; there are {', '.join(REQUEST_KINDS)}")
    if trigger.get("every", 1) < 1:
        raise ValueError("every must be 1 or more")
    try:
        return Fault(Trigger(**{**trigger, "requests": requests}), effect_type(**fields))
    except TypeError:
        names = ", ".join(field.name for part in (effect_type, Trigger) for field in dataclasses.fields(part))
        raise ValueError(f"a fault of kind {effect_type.kind} has the fields {names}; {fields} do not fit") from None
