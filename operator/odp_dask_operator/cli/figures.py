"""Numbers as a person reads them."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: int, noun: str) -> str:
    """`1 file`, `12,345 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def amount(number: float) -> str:
    """`950`, `12.3 k`, `4.56 M`: three figures."""
    for unit, factor in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if number >= factor:
            return f"{_three(number / factor)}{unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """Bytes in powers of a thousand: `1.23 MB`."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{_three(number) if unit else f'{number:.0f}'} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """`0.42 s`, `3 s`, `12 s`, `3:05`, `2:03:05`."""
    if seconds < 10:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _three(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
