"""Times that a person writes, as exact integers of nanoseconds, so that no unit of any column loses one."""

import datetime
import re
import zoneinfo

_EPOCH = datetime.datetime(1970, 1, 1)
_CLOCK = r"(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_ISO = re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[Tt ]{_CLOCK}\s*([Zz]|[+-]\d{{2}}(?::?\d{{2}})?)?)?", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})?", re.ASCII)

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
"""In one step of each Arrow unit."""
DAY_NS = 86_400 * 10**9


def nanoseconds(value: str | datetime.date, zone: str | None) -> int:
    """Nanoseconds since 1970 of a time in ISO 8601, a datetime or a date, as a column with the time zone `zone` counts them.

    A time with a zone becomes UTC, and a column without one holds UTC. A time without a zone is wall clock of the column.
    Raises ValueError for text that is no time, and for a wall clock that the zone skips or has twice.
    """
    moment, extra_ns = _read(value) if isinstance(value, str) else _of(value)
    offset = moment.utcoffset() if zone is None or moment.tzinfo else _offset(moment, zone)
    # a difference, because a year 1 or 9999 that is moved by its offset is no datetime any more
    elapsed = moment.replace(tzinfo=None) - _EPOCH - (offset or datetime.timedelta())
    return (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000 + extra_ns


def clock_nanoseconds(value: str | datetime.time) -> int:
    """Nanoseconds since midnight. Raises ValueError for text that is no time of day, and for a time with a zone."""
    if isinstance(value, str):
        found = _TIME.fullmatch(value.strip())
        if not found:
            raise ValueError(f"{value!r} is no time of day; write it as 13:30 or 13:30:00.5")
        fraction = (found[4] or "").ljust(9, "0")
        value, extra_ns = datetime.time(int(found[1]), int(found[2]), int(found[3] or 0), int(fraction[:6])), int(fraction[6:])
    else:
        extra_ns = 0
    if value.tzinfo is not None:
        raise ValueError(f"{value} has a time zone, and a time of day has none")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 10**9 + value.microsecond * 1000 + extra_ns


def _read(text: str) -> tuple[datetime.datetime, int]:
    found = _ISO.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no time in ISO 8601; write it as 2024-01-31 or 2024-01-31T13:30:00Z")
    fraction = (found[7] or "").ljust(9, "0")
    clock = (int(found[4] or 0), int(found[5] or 0), int(found[6] or 0), int(fraction[:6]))
    try:
        moment = datetime.datetime(
            int(found[1]), int(found[2]), int(found[3]), *clock, tzinfo=_zone(found[8]) if found[8] else None
        )
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: {error}") from None
    return moment, int(fraction[6:])


def _of(value: datetime.date) -> tuple[datetime.datetime, int]:
    if isinstance(value, datetime.datetime):
        return value, getattr(value, "nanosecond", 0)  # pandas.Timestamp is a datetime that counts on
    return datetime.datetime(value.year, value.month, value.day), 0


def _zone(name: str) -> datetime.tzinfo:
    if name.upper() in ("Z", "UTC", "ETC/UTC", "GMT"):
        return datetime.UTC
    if offset := _OFFSET.fullmatch(name):
        distance = datetime.timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return datetime.timezone(-distance if offset[1] == "-" else distance)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"the time zone {name!r} is not known on this machine; write the time in UTC, with a Z") from None


def _offset(wall: datetime.datetime, zone: str) -> datetime.timedelta | None:
    info = _zone(zone)
    first, second = (wall.replace(tzinfo=info, fold=fold).utcoffset() for fold in (0, 1))
    if first != second:
        raise ValueError(f"the clocks of {zone} were changed at {wall}; write the time in UTC, with a Z")
    return first
