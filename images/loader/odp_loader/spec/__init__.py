"""The load specification: what to read, what to do with it and where it goes. Defined here once, for every way to run it."""

from odp_loader.spec.load import Load, Partitions, Script, ScriptConfigMap, Verify
from odp_loader.spec.model import Model
from odp_loader.spec.sink import Compression, IfExists, ParquetSink, Sink
from odp_loader.spec.source import FileFormat, FilesSource, OdpSource, Source, SyntheticSource
from odp_loader.spec.storage import Storage
from odp_loader.spec.transform import Aggregate, AggregateFunction, Transform

__all__ = [
    "Aggregate",
    "AggregateFunction",
    "Compression",
    "FileFormat",
    "FilesSource",
    "IfExists",
    "Load",
    "Model",
    "OdpSource",
    "ParquetSink",
    "Partitions",
    "Script",
    "ScriptConfigMap",
    "Sink",
    "Source",
    "Storage",
    "SyntheticSource",
    "Transform",
    "Verify",
]
