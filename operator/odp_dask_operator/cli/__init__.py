"""The command line `odp-dask`, also installed as `kubectl odpdask`."""

from odp_dask_operator.cli.app import main

__all__ = ["main"]
