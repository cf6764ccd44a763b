"""Files as a source: Parquet, CSV and JSON lines, in a local folder or an object store, as one table with one schema."""

from odp_loader.sources.files.source import FilesSource

__all__ = ["FilesSource"]
