"""Opens a finished dataset by its manifest, which is the truth where an object store may hold files of another load besides."""

import json

import pyarrow as pa
import pyarrow.dataset as ds

from odp_loader.errors import InvalidLoad
from odp_loader.ledger import DATA, MANIFEST
from odp_loader.manifest import arrow_schema
from odp_loader.spec import Storage
from odp_loader.store import Store


def open_dataset(url: str, storage: Storage | None = None) -> ds.Dataset:
    """The dataset that a load left at `url`, as a pyarrow.dataset.

    Raises InvalidLoad when no finished load is there.
    """
    store = Store.open(url, storage)
    raw = store.read(MANIFEST)
    if raw is None:
        raise InvalidLoad(f"{store.join(MANIFEST)} does not exist: no load into {url} has finished")
    manifest = json.loads(raw)
    paths = [store.path(f"{DATA}/{file['path']}") for file in manifest["files"]]
    schema = arrow_schema(manifest)
    keys = pa.schema([schema.field(name) for name in manifest["partitionOn"]])
    return ds.dataset(
        paths,
        schema=schema,
        format="parquet",
        filesystem=store.filesystem,
        partitioning=ds.partitioning(keys, flavor="hive") if keys else None,
        partition_base_dir=store.path(DATA),
    )
