"""How every reply travels until it is said otherwise: speed, delay, limits, and how a stream ends."""

from typing import Any

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat


class Settings(BaseModel):
    """What holds for all requests; the defaults are those of a server in good health."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes_per_s: PositiveFloat | None = None
    """Bandwidth of each stream, evenly spaced."""
    latency_s: NonNegativeFloat = 0.0
    """Waited before each request is looked at."""
    max_selects: NonNegativeInt | None = None
    """More selects at once are answered 429."""
    retry_after_s: NonNegativeFloat | None = None
    """Retry-After of those 429."""
    close_delimited: bool = False
    """End bodies by closing the connection, as HTTP/1.0 did, instead of chunked."""
    end_of_stream: bool = True
    """Whether Arrow streams end with their marker."""

    def changed(self, fields: dict[str, Any]) -> "Settings":
        """These settings with some replaced. Raises pydantic's ValidationError, a ValueError that names the field."""
        return Settings.model_validate({**self.model_dump(), **fields})
