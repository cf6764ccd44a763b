"""What stands beside the data so that a load can stop anywhere and go on: plan, receipts, manifest, and who owns the output.

<url>/plan.json                 written before the first file, read by every later run of the same load
<url>/receipts/<id>/00007.json  partition 7 is on disk; 00007.arrow beside it where the load aggregates
<url>/tmp/<id>/                 local outputs only: the staged data, gone when the load is done
<url>/data/                     the dataset
<url>/manifest.json             written last: the load is complete and verified
<url>/report.html               Dask's performance report, when asked for

`<id>` is the load's identifier: a hash of the load and of the generation, which counts how often the output was replaced.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from odp_loader.errors import OutputExists
from odp_loader.planning import Plan
from odp_loader.receipt import Receipt, receipt_from_json, receipt_to_json
from odp_loader.spec import IfExists, Load
from odp_loader.store import Store

PLAN = "plan.json"
MANIFEST = "manifest.json"
DATA = "data"
RECEIPTS = "receipts"
STAGING = "tmp"
REPORT = "report.html"
_PARALLEL_READS = 32


def load_hash(load: Load) -> str:
    """SHA-256 of all of a load that decides which rows end up in which files: not streams, verify, ifExists, nor any storage."""
    document = load.model_dump(mode="json", by_alias=True, exclude={"verify"})
    for part in (document["source"]["odp"], document["source"]["files"], document["sink"]["parquet"]):
        for field in ("streams", "ifExists", "storage"):
            (part or {}).pop(field, None)
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_id(of_load: str, generation: int) -> str:
    """The identifier of one load into one output: eight hexadecimal digits, part of every file's name."""
    return hashlib.sha256(f"{of_load}/{generation}".encode()).hexdigest()[:8]


def file_stem(of_id: str, partition: int) -> str:
    """The name, without its ending, of the file that a partition becomes."""
    return f"part-{of_id}-{partition:05d}"


@dataclass(frozen=True)
class Found:
    """What an output held when a run began."""

    generation: int
    """Of the load that this run carries out."""
    plan: Mapping[str, Any] | None = None
    """The plan of an earlier run of this load, to go on with."""
    manifest: Mapping[str, Any] | None = None
    """This load's own manifest: there is nothing left to do."""


def examine(store: Store, *, of_load: str, if_exists: IfExists) -> Found:
    """Decide whether this load may write here, and what it goes on with.

    Raises OutputExists when the output holds another load's data or a plan in progress, or files that no load wrote.
    """
    manifest = read_document(store, MANIFEST)
    plan = read_document(store, PLAN)
    generation = int(manifest["generation"]) if manifest else 0
    if plan is not None and plan["generation"] > generation:  # that load has not finished
        if plan["loadHash"] == of_load:
            return Found(generation=plan["generation"], plan=plan)
        if if_exists is not IfExists.OVERWRITE:
            raise OutputExists(
                f"{store.url} is being written by another load (hash {plan['loadHash'][:8]}): choose another url,"
                " finish that load first, or set ifExists: Overwrite to discard it"
            )
        return Found(generation=plan["generation"] + 1)
    if if_exists is IfExists.OVERWRITE:
        _refuse_foreign_files(store)
        return Found(generation=generation + 1)
    if manifest is None:
        if entry := next(iter(store.list(DATA)), None):
            raise OutputExists(
                f"{store.join(entry.path)} was not written by a load: choose an empty url, or set ifExists: Overwrite"
            )
        return Found(generation=1)
    if manifest["loadHash"] == of_load and if_exists is IfExists.RESUME:
        return Found(generation=generation, manifest=manifest)
    whose = "this load's" if manifest["loadHash"] == of_load else "another load's"
    raise OutputExists(f"{store.url} holds {whose} finished dataset: choose another url, or set ifExists: Overwrite to replace it")


def _refuse_foreign_files(store: Store) -> None:
    """Overwriting deletes a dataset, never anything else."""
    for entry in store.list(DATA):
        if not entry.path.endswith(".parquet"):
            raise OutputExists(
                f"{store.join(entry.path)} is no part of a dataset and will not be overwritten: move it, or choose another url"
            )


def read_document(store: Store, path: str) -> dict[str, Any] | None:
    """A plan or a manifest; None when there is none. Raises OutputExists for anything that no load wrote."""
    raw = store.read(path)
    if raw is None:
        return None
    try:
        document = json.loads(raw)
        if not isinstance(document, dict) or not {"id", "loadHash", "generation"} <= document.keys():
            raise ValueError
    except ValueError:
        raise OutputExists(f"{store.join(path)} was not written by a load: choose another url") from None
    return document


@dataclass(frozen=True)
class Ledger:
    """The receipts of one load."""

    store: Store
    id: str

    @property
    def staging(self) -> str:
        """The local folder that becomes `data/`."""
        return f"{STAGING}/{self.id}/{DATA}"

    def receipt_path(self, partition: int, ending: str = "json") -> str:
        """Where the receipt of a partition is, or with another ending what belongs to it."""
        return f"{RECEIPTS}/{self.id}/{partition:05d}.{ending}"

    def record(self, receipt: Receipt) -> None:
        """Commit a partition; its files must be in place. A receipt that a power failure takes only costs a second reading."""
        self.store.write(self.receipt_path(receipt.partition), json.dumps(receipt_to_json(receipt)).encode(), durable=False)

    def forget(self, partitions: Iterable[int]) -> None:
        """Take partitions back, so that they are read again."""
        for partition in partitions:
            self.store.delete(self.receipt_path(partition))

    def begin(self, plan: Plan) -> None:
        """Write the plan, before the first file. Raises OutputExists when another load has begun here meanwhile."""
        before = self.store.read(PLAN)
        if before is None:
            if not self.store.create(PLAN, plan.encode()):
                raise OutputExists(f"another load has just begun to write to {self.store.url}: choose another url")
        else:  # of a finished load, or of one that is being replaced
            self.store.write(PLAN, plan.encode())

    @property
    def started(self) -> bool:
        """Whether this load's plan is written."""
        plan = read_document(self.store, PLAN)
        return plan is not None and plan["id"] == self.id

    def receipts(self) -> dict[int, Receipt]:
        """All committed partitions whose files are still there, whole by their size.

        Files are staged, or in `data/` already: always in an object store, and locally when the load was stopped while publishing.
        """
        paths = [entry.path for entry in self.store.list(f"{RECEIPTS}/{self.id}") if entry.path.endswith(".json")]
        sizes = {
            entry.path.removeprefix(f"{folder}/"): entry.size
            for folder in (DATA, self.staging)
            for entry in self.store.list(folder)
        }
        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            receipts = [receipt for raw in pool.map(self.store.read, paths) if (receipt := _receipt(raw)) is not None]
        return {r.partition: r for r in receipts if all(sizes.get(file.path) == file.bytes for file in r.files)}


def _receipt(raw: bytes | None) -> Receipt | None:
    """A damaged receipt is no receipt: its partition is read again."""
    try:
        return None if raw is None else receipt_from_json(json.loads(raw))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
