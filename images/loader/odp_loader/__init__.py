"""Loads a table into a verified Parquet dataset with Dask."""
