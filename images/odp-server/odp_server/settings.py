"""How every reply travels until it is said otherwise: speed, delay, limits, and how a stream ends."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for all requests; the defaults are those of a server in good health."""

    bytes_per_s: float | None = None
    """Bandwidth of each stream, evenly spaced."""
    latency_s: float = 0.0
    """Waited before each request is looked at."""
    max_selects: int | None = None
    """More selects at once are answered 429."""
    retry_after_s: float | None = None
    """Retry-After of those 429."""
    close_delimited: bool = False
    """End bodies by closing the connection, as HTTP/1.0 did, instead of chunked."""
    end_of_stream: bool = True
    """Whether Arrow streams end with their marker."""

    def changed(self, document: Mapping[str, Any]) -> "Settings":
        """These settings with the fields of `document` replaced. Raises ValueError for an unknown field or a wrong value."""
        names = [field.name for field in dataclasses.fields(self)]
        if unknown := [name for name in document if name not in names]:
            raise ValueError(f"there is no setting {unknown[0]!r}; there are {', '.join(names)}")
        for name, value in document.items():
            if name in ("close_delimited", "end_of_stream"):
                if not isinstance(value, bool):
                    raise ValueError(f"{name} is true or false")
            elif value is None and name != "latency_s":
                continue
            elif (
                isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (name == "bytes_per_s" and value == 0)
            ):
                raise ValueError(f"{name} cannot be {value!r}")
        return dataclasses.replace(self, **document)
