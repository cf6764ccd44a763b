"""The loader itself, as `odp-dask run` would call it: verification, ledger and manifest included."""

import importlib
import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.competitors import dask_cluster
from benchmarks.work import Prepared, Ready, Work
from odp_loader.memory import STREAMING_ENVIRONMENT, STREAMING_SETTINGS
from odp_loader.scheduling import CALM_SETTINGS, SCHEDULER_SETTINGS


class _Watcher:
    """Notes when planning ended; prints progress for whoever wants to stop the load half-way."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.planned_s: float | None = None
        self.notes: list[str] = []

    def progress(self, progress: Any) -> None:
        if self.planned_s is None and progress.stage != "Planning":
            self.planned_s = time.perf_counter() - self.started

    def note(self, message: str) -> None:
        self.notes.append(message)


@contextmanager
def ours(work: Work) -> Prepared:
    """`run_load` on a local cluster."""
    import distributed

    from odp_loader.run import run_load
    from odp_loader.spec import Load

    load_spec = Load.model_validate(specification(work))
    with dask_cluster(work, STREAMING_ENVIRONMENT, STREAMING_SETTINGS | SCHEDULER_SETTINGS | CALM_SETTINGS) as pids:
        client = distributed.default_client()
        client.run(_import_loader)
        _import_loader()

        def load() -> None:
            watcher = _Watcher()
            result = run_load(load_spec, client, observer=watcher)
            manifest = json.loads((Path(work.output) / "manifest.json").read_text())
            ready.details.update(
                planned_s=watcher.planned_s,
                partition_rows=partition_rows(manifest),
                resumed_partitions=result.resumed_partitions,
                notes=[*watcher.notes, *result.notes],
            )

        ready = Ready(load, pids)
        yield ready


def specification(work: Work) -> dict[str, Any]:
    """The load as a person would write it in YAML."""
    load: dict[str, Any] = {
        "source": {"odp": {"dataset": work.table, "baseURL": work.base_url}},
        "sink": {"parquet": {"url": work.output, "compression": "snappy"}},
    }
    if work.target_bytes is not None:
        load["partitions"] = {"targetBytes": work.target_bytes}
    return load


def partition_rows(manifest: dict[str, Any]) -> list[int]:
    """Rows read, partition by partition."""
    return [partition["rowsRead"] for partition in manifest["partitions"]]


def _import_loader() -> None:
    for module in ("odp.dataset", "odp_loader.fleet", "odp_loader.sources.odp", "odp_loader.store.local", "odp_loader.task"):
        importlib.import_module(module)
