"""Decides who leads by a Lease: a leader renews it, another takes it when it has stood still for its whole duration.

Clocks of other machines are not believed: a Lease counts as standing still by our own clock, from when we saw it last change.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

DURATION_S = 15
RENEW_EVERY_S = 5.0
RETRY_EVERY_S = 1.0
"""After a renewal that failed."""
WATCH_EVERY_S = 2.0
"""How often one that does not lead looks."""
GIVE_UP_AFTER_S = 10.0
"""A leader that could not renew for so long stops before anybody else may begin."""
Raw = Mapping[str, Any]


class Move(Enum):
    """What to do about the Lease."""

    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True)
class Sighting:
    """A Lease as we saw it, and since when it has been so."""

    holder: str
    renewed: str
    duration_s: int
    since: float


def look(lease: Raw | None, before: Sighting | None, *, now: float) -> Sighting | None:
    """The Lease as it is now; None when there is none."""
    if lease is None:
        return None
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
    same = before is not None and (before.holder, before.renewed) == (holder, renewed)
    duration = spec.get("leaseDurationSeconds") or DURATION_S
    return Sighting(holder, renewed, duration, before.since if same and before else now)


def move(seen: Sighting | None, *, me: str, now: float) -> Move:
    """What `me` does now."""
    if seen is None or not seen.holder:
        return Move.TAKE
    if seen.holder == me:
        return Move.RENEW
    return Move.TAKE if now - seen.since >= seen.duration_s else Move.WAIT


def lease_spec(lease: Raw | None, *, me: str, now: datetime.datetime) -> dict[str, Any]:
    """The Lease of `me`, taken or renewed now."""
    before = (lease or {}).get("spec") or {}
    mine = before.get("holderIdentity") == me
    time = now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "holderIdentity": me,
        "leaseDurationSeconds": DURATION_S,
        "renewTime": time,
        "acquireTime": before.get("acquireTime") or time if mine else time,
        "leaseTransitions": (before.get("leaseTransitions") or 0) + (0 if mine or lease is None else 1),
    }


def released_spec() -> dict[str, Any]:
    """The Lease that anybody may take at once."""
    return {"holderIdentity": None, "leaseDurationSeconds": 1}
