"""Loads a table into a verified Parquet dataset with Dask."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odp_loader.dataset import open_dataset
    from odp_loader.frame import read_odp

__all__ = ["open_dataset", "read_odp"]

_HOMES = {"open_dataset": "odp_loader.dataset", "read_odp": "odp_loader.frame"}


def __getattr__(name: str) -> Any:
    """Import what needs Dask and pyarrow only when it is asked for: reading a specification needs neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
