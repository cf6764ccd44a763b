"""Into how many partitions a table is cut: a matter of its size only, never of workers, threads or the machine."""

from odp_loader.spec import Partitions

_STREAMS = 16
"""Partitions that a table gets before any is larger than it must be; enough streams for the presets of its size."""
_LEAST_SHARE = 8
"""No partition is planned smaller than this part of the target."""
_SINGLE_SHARE = 4
"""Up to this part of the target a table is read as one: below, starting a second stream costs more than it gains."""


def partition_count(rows: int, bytes_per_row: float, partitions: Partitions) -> int:
    """How many partitions `rows` rows of `bytes_per_row` bytes of Arrow data become.

    With the default target of 128 MiB: one up to 32 MiB; then one per 16 MiB up to sixteen, so that a table of 100 MB has 6
    streams and one of 500 MB has 16; from 2 GiB on, one per 128 MiB.
    """
    size, target = int(rows * bytes_per_row), partitions.target_bytes
    if size <= target // _SINGLE_SHARE:
        return 1
    parallel = min(_STREAMS, -(-size * _LEAST_SHARE // target))
    return min(max(-(-size // target), parallel), partitions.maximum)
