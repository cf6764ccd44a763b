"""The sizes that every installation begins with, and which of them fits a table."""

from collections.abc import Mapping

from odp_dask_operator.spec.preset import OdpDaskPreset


def _preset(name: str, *, workers: int, cpu: int, memory: str, threads: int, max_workers: int) -> OdpDaskPreset:
    spec = {
        "workers": {"replicas": workers},
        "worker": {"cpu": cpu, "memory": memory, "threads": threads},
        "limits": {"maxWorkers": max_workers},
    }
    return OdpDaskPreset.model_validate({"metadata": {"name": name}, "spec": spec})


_PRESETS = (
    _preset("small", workers=1, cpu=1, memory="2Gi", threads=4, max_workers=4),
    _preset("medium", workers=2, cpu=2, memory="4Gi", threads=8, max_workers=20),
    _preset("large", workers=4, cpu=4, memory="8Gi", threads=16, max_workers=50),
)

BUILT_IN: Mapping[str, OdpDaskPreset] = {preset.metadata.name: preset for preset in _PRESETS}
"""small, medium and large: for about 100 thousand, 1 million, and 10 million rows and up."""

_UP_TO = (("small", 300_000, 32 * 2**20), ("medium", 3_000_000, 320 * 2**20))
"""Rows and Arrow bytes up to which a preset fits: about half way, in powers of ten, to the size that the next one stands for."""


def choose_preset(*, rows: int | None, size_bytes: int | None) -> str:
    """The preset that `scale: auto` means for a table of so many rows and Arrow bytes.

    The larger of the two decides; what is unknown decides nothing, and when nothing is known it is medium.
    """
    if rows is None and size_bytes is None:
        return "medium"
    for name, most_rows, most_bytes in _UP_TO:
        if (rows or 0) <= most_rows and (size_bytes or 0) <= most_bytes:
            return name
    return "large"


def why_auto(name: str, *, rows: int | None, size_bytes: int | None) -> str:
    """Why `auto` is the preset `name`, for a person."""
    counted = "the number of rows is not known" if rows is None else f"the table has {rows:,} rows"
    if size_bytes is None:
        return f"auto is {name}: {counted}"
    size = f"{round(size_bytes / 2**20):,} MiB" if size_bytes >= 2**20 else "less than 1 MiB"
    return f"auto is {name}: {counted}, {size}"
