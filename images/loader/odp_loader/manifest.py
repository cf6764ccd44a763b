"""The document written last: what the dataset holds, where each file came from and how all of it was verified."""

import base64
import datetime
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from odp_loader.partition import Partition, partition_to_json
from odp_loader.planning import Plan
from odp_loader.receipt import FileReceipt, Receipt, file_to_json
from odp_loader.spec import Load
from odp_loader.verify import Verdict

VERSION = 1
"""Raised when a reader of an older manifest would misread a newer one."""
_PACKAGES = ("dask", "distributed", "odp-loader", "odp-sdk", "pandas", "pyarrow")


@cache
def versions() -> Mapping[str, str]:
    """The versions that a dataset depends on, by package."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _PACKAGES}


def compose(
    load_id: str,
    load: Load,
    plan: Plan,
    receipts: Mapping[int, Receipt],
    files: Sequence[tuple[int | None, FileReceipt]],
    verdict: Verdict,
    *,
    schema: pa.Schema,
    statistics_after: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The manifest of a verified load."""
    sink = load.sink.parquet
    assert sink is not None
    return {
        "version": VERSION,
        "id": load_id,
        "loadHash": plan.load_hash,
        "generation": plan.generation,
        "finishedAt": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load": load.model_dump(mode="json", by_alias=True, exclude_none=True),
        "rows": {
            "expected": verdict.expected,
            "read": sum(receipt.rows_read for receipt in receipts.values()),
            "dropped": sum(receipt.rows_dropped for receipt in receipts.values()),
            "written": sum(file.rows for _, file in files),
        },
        "bytes": sum(file.bytes for _, file in files),
        "bytesRead": sum(receipt.bytes_read for receipt in receipts.values()),
        "seconds": round(seconds, 3),
        "workerSeconds": round(sum(receipt.seconds for receipt in receipts.values()), 3),
        "notes": list(verdict.notes),
        "planNotes": list(plan.notes),
        "statistics": {"before": plan.statistics, "after": statistics_after},
        "versions": versions(),
        "partitionOn": list(sink.partition_on),
        "schema": describe_schema(schema),
        "partitions": partition_entries(plan.partitions, receipts),
        "files": [{"partition": partition, **file_to_json(file)} for partition, file in files],
    }


def describe_schema(schema: pa.Schema) -> dict[str, Any]:
    """A schema twice: exactly, for `arrow_schema`, and column by column, for people."""
    columns = [
        {
            "name": column.name,
            "type": str(column.type),
            "metadata": {
                key.decode(errors="replace"): value.decode(errors="replace") for key, value in (column.metadata or {}).items()
            },
        }
        for column in schema
    ]
    return {"arrow": base64.b64encode(schema.serialize().to_pybytes()).decode(), "columns": columns}


def arrow_schema(manifest: Mapping[str, Any]) -> pa.Schema:
    """The dataset's schema, partitionOn columns included."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(manifest["schema"]["arrow"])))


def partition_entries(partitions: Sequence[Partition], receipts: Mapping[int, Receipt]) -> list[dict[str, Any]]:
    """What became of each partition."""
    return [
        {
            **partition_to_json(partition),
            "rowsRead": receipts[partition.index].rows_read,
            "rowsDropped": receipts[partition.index].rows_dropped,
            "rowsWritten": receipts[partition.index].rows_written,
            "attempts": receipts[partition.index].attempts,
            "seconds": receipts[partition.index].seconds,
        }
        for partition in partitions
    ]


def encode(manifest: Mapping[str, Any]) -> bytes:
    """One entry a line in the long lists, so that people and diffs can read it and it stays small."""
    long_lists = {name: manifest[name] for name in ("partitions", "files")}
    head = json.dumps({name: value for name, value in manifest.items() if name not in long_lists}, indent=1)
    parts = [head.rstrip().removesuffix("}").rstrip()]
    for name, entries in long_lists.items():
        lines = ",\n".join("  " + json.dumps(entry, separators=(",", ":")) for entry in entries)
        parts.append(f',\n "{name}": [\n{lines}\n ]')
    return ("".join(parts) + "\n}\n").encode()
