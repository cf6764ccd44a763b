"""What the operator's process is told by flags and environment."""

import enum
from dataclasses import dataclass

from odp_dask_operator.core.settings import Settings


class LogFormat(enum.StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, kw_only=True)
class Options:
    """One process."""

    settings: Settings
    namespaces: tuple[str, ...]
    """Whose jobs are served; empty for all."""
    identity: str
    """This process in the Lease."""
    lease_name: str
    workers: int
    resync_seconds: int
    metrics_port: int
    health_port: int
    log_format: LogFormat
    verbose: bool

    @property
    def watches_presets(self) -> bool:
        """The presets beside the operator are among what is watched."""
        return not self.namespaces or self.settings.namespace in self.namespaces
