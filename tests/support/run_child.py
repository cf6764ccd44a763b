"""Runs one load in a process of its own, as a victim for tests: `python run_child.py LOAD.json`; prints the result's counts."""

import json
import sys
from pathlib import Path

import distributed

from odp_loader.run import run_load
from odp_loader.spec import Load

if __name__ == "__main__":
    load = Load.model_validate_json(Path(sys.argv[1]).read_bytes())
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        result = run_load(load, client)
    json.dump({"read": result.rows_read, "resumed": result.resumed_partitions, "partitions": result.partitions}, sys.stdout)
