"""The end of a load that aggregates: partial results are merged on the workers, some at a time, until one is left and written."""

from collections.abc import Sequence
from typing import Any

import distributed
import pyarrow as pa

from odp_loader import task
from odp_loader.errors import LoadError
from odp_loader.fleet import Future
from odp_loader.ledger import RECEIPTS, Ledger
from odp_loader.receipt import FileReceipt
from odp_loader.staging import table_to_bytes
from odp_loader.store import Store
from odp_loader.transform.aggregate import Reduction

FAN_IN = 16
"""How many partial results one task merges; it holds no more than these in memory."""


def reduce_partials(
    client: distributed.Client, context: task.Context, ledger: Ledger, partitions: Sequence[int]
) -> tuple[FileReceipt, ...]:
    """Merge the partial results of all partitions and write the groups; returns the files.

    Raises the LoadError of a task that failed. Partial results stay where they are, so a later run goes on from them.
    """
    paths = [ledger.receipt_path(partition, "arrow") for partition in partitions]
    level = 0
    while len(paths) > FAN_IN:
        level += 1
        chunks = [tuple(paths[i : i + FAN_IN]) for i in range(0, len(paths), FAN_IN)]
        targets = [f"{RECEIPTS}/{context.id}/merged-{level}-{i:05d}.arrow" for i in range(len(chunks))]
        _gather(client, client.map(merge, chunks, targets, context=context, pure=False, key=f"odp-merge-{context.id}-{level}"))
        paths = targets
    files: tuple[FileReceipt, ...]
    (files,) = _gather(client, [client.submit(write_groups, tuple(paths), context=context, pure=False)])
    return files


def merge(paths: tuple[str, ...], target: str, *, context: task.Context) -> None:
    """Merge partial results into one, at `target` of the output."""
    store = _store(context)
    store.write(target, table_to_bytes(_reduction(context).combine(_tables(store, paths))))


def write_groups(paths: tuple[str, ...], *, context: task.Context) -> tuple[FileReceipt, ...]:
    """Merge the last partial results and write the groups, one row each."""
    store = _store(context)
    reduction = _reduction(context)
    groups = reduction.finish(reduction.combine(_tables(store, paths)))
    return task.write_rows(context, groups.to_batches(), groups.schema)


def _gather(client: distributed.Client, futures: list[Future]) -> list[Any]:
    try:
        return list(client.gather(futures))
    except LoadError:
        raise
    except Exception as error:  # whatever a lost worker or scheduler raises
        raise LoadError(f"merging the groups failed: {type(error).__name__}: {error}") from None


def _store(context: task.Context) -> Store:
    sink = context.load.sink.parquet
    assert sink is not None
    return Store.open(sink.url, sink.storage)


def _tables(store: Store, paths: Sequence[str]) -> list[pa.Table]:
    tables = []
    for path in paths:
        raw = store.read(path)
        if raw is None:
            raise LoadError(f"{store.join(path)} has vanished; delete {store.join(RECEIPTS)} and run the load again")
        tables.append(pa.ipc.open_file(pa.py_buffer(raw)).read_all())
    return tables


def _reduction(context: task.Context) -> Reduction:
    aggregate = context.load.transform.aggregate
    assert aggregate is not None
    return Reduction(aggregate, task.read_schema(context.output))
