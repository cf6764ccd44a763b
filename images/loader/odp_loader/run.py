"""A load from first request to manifest: claim the output, plan, hand out partitions, verify, publish."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distributed
import pyarrow as pa

from odp_loader.fleet import Fleet
from odp_loader.gauge import Gauge
from odp_loader.ledger import DATA, MANIFEST, REPORT, Found, Ledger, examine, load_hash, load_id
from odp_loader.manifest import compose
from odp_loader.partition import Partition
from odp_loader.planning import Plan
from odp_loader.prepare import dataset_schema, plan_load
from odp_loader.progress import Observer, Progress, Result, Stage
from odp_loader.publish import claim, publish, tidy
from odp_loader.receipt import FileReceipt, Receipt
from odp_loader.reduce import reduce_partials
from odp_loader.sink.folders import NULL
from odp_loader.sources import Source, TableDescription
from odp_loader.sources.open import open_source
from odp_loader.spec import Load
from odp_loader.store import Store
from odp_loader.task import Context, read_schema, write_rows
from odp_loader.verify import Verdict, verify

_DEFAULT_STREAMS = 64
"""Partitions in flight for sources that name no limit of their own."""


class _Unobserved:
    def progress(self, progress: Progress) -> None:
        pass

    def note(self, message: str) -> None:
        pass


def run_load(
    load: Load,
    client: distributed.Client | Callable[[], distributed.Client],
    *,
    observer: Observer | None = None,
    report: bool = False,
) -> Result:
    """Carry out a load on the cluster of `client`, or go on with it where an earlier run stopped.

    A plan needs no cluster: a function instead of a client is called for one when the plan is made, and may take its time.
    With `report`, Dask's performance report is left beside the data as report.html.
    Raises LoadError or one of its subclasses; what was finished by then is kept for the next run.
    """
    started = time.monotonic()
    sink = load.sink.parquet
    assert sink is not None
    observer = observer or _Unobserved()
    store = Store.open(sink.url, sink.storage)
    found = examine(store, of_load=load_hash(load), if_exists=sink.if_exists)
    if found.manifest is not None:
        tidy(Ledger(store, found.manifest["id"]), frozenset(file["path"] for file in found.manifest["files"]))
        observer.note(f"{store.url} holds this load's dataset already, complete and verified; nothing was read")
        return _result(store, found.manifest, resumed=len(found.manifest["partitions"]))
    with claim(store, load_id(load_hash(load), found.generation)) as ledger:
        return _Run(load, client, ledger, observer, Gauge(observer, started=started)).carry_out(found, report=report)


@dataclass
class _Run:
    load: Load
    cluster: distributed.Client | Callable[[], distributed.Client]
    ledger: Ledger
    observer: Observer
    gauge: Gauge
    receipts: dict[int, Receipt] = field(default_factory=dict)
    client: distributed.Client = field(init=False)

    def carry_out(self, found: Found, *, report: bool) -> Result:
        self.gauge.show(stage=Stage.PLANNING)
        earlier = None if found.plan is None else Plan.from_json(found.plan)
        schema = None if earlier is None else read_schema(earlier.schema)
        source = open_source(self.load.source, schema=schema, note=self.observer.note)
        plan = earlier or self.plan(source, generation=found.generation)
        size = round(plan.expected * plan.bytes_per_row)
        self.gauge.show(partitions_total=len(plan.partitions), rows_expected=plan.expected, bytes_expected=size)
        context = Context(
            self.load,
            self.ledger.id,
            schema=plan.schema,
            output=plan.output,
            pushed_down=plan.pushed_down,
            ends_marked=plan.ends_marked,
        )
        schema = dataset_schema(self.load, read_schema(plan.output))
        partitions = {partition.index: partition for partition in plan.partitions}
        if earlier is not None:
            self.receipts = self.earlier_receipts(partitions)
        resumed = len(self.receipts)
        self.connect()
        self.gauge.show(stage=Stage.LOADING)
        with self.performance_report(wanted=report):
            with Fleet(self.client, context, streams=self.streams, note=self.observer.note) as fleet:
                missing = [partition for index, partition in partitions.items() if index not in self.receipts]
                statistics = self.read_to_the_end(source, fleet, missing)
                self.gauge.show(stage=Stage.VERIFYING)
                verdict = self.verify(source, plan, partitions, fleet, moved=statistics != plan.statistics)
            files = self.files(context, schema)
        document = compose(
            self.ledger.id,
            self.load,
            plan,
            self.receipts,
            files,
            verdict,
            schema=schema,
            statistics_after=statistics,
            seconds=time.monotonic() - self.gauge.started,
        )
        publish(self.ledger, document, [file for _, file in files])
        self.gauge.show(stage=Stage.FINISHED)
        return _result(self.ledger.store, document, resumed=resumed)

    def connect(self) -> None:
        """Have a client. That clusters take time to start is not the load's doing."""
        since = time.monotonic()
        self.client = self.cluster if isinstance(self.cluster, distributed.Client) else self.cluster()
        self.gauge.started += time.monotonic() - since

    @property
    def streams(self) -> int:
        """How many partitions may be in flight."""
        return self.load.source.odp.streams if self.load.source.odp is not None else _DEFAULT_STREAMS

    def plan(self, source: Source, *, generation: int) -> Plan:
        """Make the plan and write it, before anything else is written."""
        plan = plan_load(self.load, source, load_id=self.ledger.id, load_hash=load_hash(self.load), generation=generation)
        for sentence in plan.notes:
            self.observer.note(sentence)
        self.ledger.begin(plan)
        return plan

    def earlier_receipts(self, partitions: Mapping[int, Partition]) -> dict[int, Receipt]:
        """What earlier runs of this load have finished."""
        receipts = {index: receipt for index, receipt in self.ledger.receipts().items() if index in partitions}
        if receipts:
            self.observer.note(f"{len(receipts)} of {len(partitions)} partitions are there already, from an earlier run")
        return receipts

    def read_to_the_end(self, source: Source, fleet: Fleet, partitions: Sequence[Partition]) -> Mapping[str, Any]:
        """Have partitions read; returns the statistics of a source of which no row is read any more.

        It is asked for them while the last files are written; a load that is stopped or fails then does not wait for the answer.
        """
        asked: list[Future[TableDescription]] = []
        beside = ThreadPoolExecutor(1)
        try:
            self.read(fleet, partitions, all_read=lambda: asked.append(beside.submit(source.describe)))
            return (asked[-1].result() if asked else source.describe()).statistics
        finally:
            beside.shutdown(wait=False, cancel_futures=True)

    def read(self, fleet: Fleet, partitions: Sequence[Partition], *, all_read: Callable[[], None] = lambda: None) -> None:
        """Have partitions read, and keep their receipts."""

        def show() -> None:
            self.gauge.count(
                self.receipts.values(),
                rows_in_flight=fleet.tally.rows,
                bytes_in_flight=fleet.tally.bytes,
                failures=dict(fleet.tally.failures),
                throttled=fleet.tally.throttled,
                workers=fleet.workers,
            )

        for receipt in fleet.run(partitions, tick=lambda: show() if self.gauge.due else None, all_read=all_read):
            self.receipts[receipt.partition] = receipt
        show()

    def verify(self, source: Source, plan: Plan, partitions: Mapping[int, Partition], fleet: Fleet, *, moved: bool) -> Verdict:
        """Compare what was read with what the source holds, and have read again what differs."""

        def reread(indices: Sequence[int]) -> None:
            for index in indices:
                del self.receipts[index]
            self.ledger.forget(indices)
            self.read(fleet, [partitions[index] for index in indices])

        return verify(
            source,
            partitions,
            self.receipts,
            expected=plan.expected,
            moved=moved,
            policy=self.load.verify,
            aggregated=self.load.transform.aggregate is not None,
            reread=reread,
            note=self.observer.note,
        )

    def files(self, context: Context, schema: pa.Schema) -> list[tuple[int | None, FileReceipt]]:
        """All files of the dataset with the partition each came from; a dataset without rows has one empty file."""
        files: list[tuple[int | None, FileReceipt]]
        if self.load.transform.aggregate is not None:
            files = [(None, file) for file in reduce_partials(self.client, context, self.ledger, sorted(self.receipts))]
        else:
            files = [(index, file) for index in sorted(self.receipts) for file in self.receipts[index].files]
            files = files or [(None, file) for file in write_rows(context, [], schema)]
        if any(NULL in file.path for _, file in files):
            note = f"partitionOn: null has a folder of its own, {NULL}, which Dask and pandas read only when told the type"
            self.observer.note(note)
        return files

    @contextmanager
    def performance_report(self, *, wanted: bool) -> Iterator[None]:
        """Leave Dask's performance report beside the data, also when the load fails."""
        if not wanted:
            yield
            return
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / REPORT
            try:
                with distributed.performance_report(filename=str(page)):
                    yield
            finally:
                if page.exists():
                    self.ledger.store.write(REPORT, page.read_bytes())


def _result(store: Store, manifest: Mapping[str, Any], *, resumed: int) -> Result:
    """What a manifest says, as its reader sees it."""
    rows = manifest["rows"]
    return Result(
        rows_read=rows["read"],
        rows_expected=rows["expected"],
        rows_dropped=rows["dropped"],
        rows_written=rows["written"],
        files=len(manifest["files"]),
        bytes=manifest["bytes"],
        data_url=store.join(DATA),
        manifest_url=store.join(MANIFEST),
        manifest_sha256=hashlib.sha256(store.read(MANIFEST) or b"").hexdigest(),
        seconds=manifest["seconds"],
        partitions=len(manifest["partitions"]),
        resumed_partitions=resumed,
        notes=tuple(manifest["notes"]),
    )
