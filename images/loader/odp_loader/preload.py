"""Imports in a Dask worker what its tasks need, before the first one comes: `dask worker --preload odp_loader.preload`.

The command line imports this module in the nanny as well, which runs no tasks; the rest is imported when a worker is set up.
"""


def dask_setup(_worker: object) -> None:
    """Called by distributed in the process of the worker, before that registers with the scheduler."""
    import odp_loader.task  # noqa: F401
