"""Estimate the mean wave height of many stations on whatever cluster the environment names, result by result."""
# ruff: noqa: T201 # a program talks to its user

import random
import statistics
import sys

from dask.distributed import Client, as_completed


def station_mean(station: int, hours: int) -> tuple[int, float]:
    """Mean of a station's significant wave heights in metres, made up but the same in every run."""
    heights = random.Random(station)
    return station, statistics.fmean(heights.lognormvariate(0.7, 0.4) for _ in range(hours))


if __name__ == "__main__":
    stations = int(sys.argv[1])
    with Client() as client:
        print(f"connected to {client.scheduler.address}")
        futures = [client.submit(station_mean, station, hours=24) for station in range(stations)]
        means = dict(future.result() for future in as_completed(futures))
    print(f"{len(means)} stations, mean height {statistics.fmean(means.values()):.3f} m")
