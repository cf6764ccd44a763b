"""An ODP-compatible server over Parquet files: for demos, tests and benchmarks, never part of a production install."""
