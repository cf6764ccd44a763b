"""Finds in Events what the objects they are about do not say themselves."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from odp_dask_operator.core.observed.record import Trouble
from odp_dask_operator.core.observed.trouble import event_trouble


def events_trouble(
    role: str, uid: str, events: Sequence[Mapping[str, Any]], *, after: datetime.datetime | None = None
) -> Trouble | None:
    """From the latest Event about an object that tells of trouble, of those that came `after` a moment."""
    about = [event for event in events if (event.get("involvedObject") or {}).get("uid") == uid]
    if after is not None:
        about = [event for event in about if (when := _time(event)) is not None and when > after]
    about.sort(key=lambda event: _time(event) or _NEVER, reverse=True)
    found = (event_trouble(role, reason=event.get("reason") or "", message=event.get("message") or "") for event in about)
    return next((trouble for trouble in found if trouble), None)


_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def _time(event: Mapping[str, Any]) -> datetime.datetime | None:
    """Old clients set lastTimestamp, new ones eventTime and the series' last one."""
    series = event.get("series") or {}
    text = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return datetime.datetime.fromisoformat(text) if isinstance(text, str) else None
