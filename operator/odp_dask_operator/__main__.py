"""Runs the operator: `python -m odp_dask_operator`."""

from odp_dask_operator.shell.main import main

if __name__ == "__main__":
    main()
