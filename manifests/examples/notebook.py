# %% A table in a notebook: planned from its statistics, read by the workers, nothing held where you type.
import os

from dask.distributed import Client

from odp_loader import read_odp

client = Client()  # this machine's cores; on a cluster, whatever DASK_SCHEDULER_ADDRESS says
print(client.dashboard_link)

# %% Lazy: the server is asked for schema and statistics, for no row. The key is in ODP_API_KEY, and in no graph.
DATASET = "c4971709-a336-53bd-9ee2-4664ca74808d"
ocean = read_odp(
    DATASET,
    filter="lat >= $south",
    vars={"south": -60},
    columns=["time", "lat", "lon", "sst", "wspd"],
    target_bytes=2**20,  # small here, to have several; 128 MiB by default
    base_url=os.environ.get("ODP_BASE_URL"),  # None: the platform's own
)
print(ocean.npartitions, "partitions")

# %% The first rows, and any one partition by its number: only that one is read.
first = ocean.head(5, npartitions=-1)
third = ocean.get_partition(2).compute()

# %% Group by a column: each worker reads the two columns it needs.
by_latitude = ocean.groupby("lat").sst.agg(["mean", "min", "max", "count"]).compute().sort_index()


# %% Any pandas function, partition by partition.
def with_calendar(rows):
    return rows.assign(year=rows["time"].dt.year, month=rows["time"].dt.month)


calendar = ocean.map_partitions(with_calendar)
by_month = calendar.groupby("month").wspd.mean().compute().sort_index()
print(by_month)
