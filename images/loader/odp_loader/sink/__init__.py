"""Parquet files of an output: which types they may have, how they are encoded, named, divided into folders and summed up."""

from odp_loader.sink.schema import check_schema
from odp_loader.sink.writer import PartitionWriter, write_empty

__all__ = ["PartitionWriter", "check_schema", "write_empty"]
