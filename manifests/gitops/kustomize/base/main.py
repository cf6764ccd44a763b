"""Mean sea surface temperature of each month."""

import os
import sys

from dask.distributed import Client

from odp_loader import read_odp

if __name__ == "__main__":
    with Client():
        table = read_odp(sys.argv[1], columns=["time", "sst"], base_url=os.environ.get("ODP_BASE_URL"))
        print(table.groupby(table.time.dt.month).sst.mean().compute().sort_index().round(2))
