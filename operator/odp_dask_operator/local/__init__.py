"""Running a job without Kubernetes: on this machine, or on a Dask scheduler that is there already."""
