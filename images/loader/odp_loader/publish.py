"""Who may write to an output, and the moment at which a verified load becomes the dataset that readers see."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from odp_loader.errors import OutputExists
from odp_loader.ledger import DATA, MANIFEST, PLAN, RECEIPTS, STAGING, Ledger, read_document
from odp_loader.manifest import encode
from odp_loader.receipt import FileReceipt
from odp_loader.store import Store


@contextmanager
def claim(store: Store, load: str) -> Iterator[Ledger]:
    """The ledger of load `load`, held for this process alone where the store is local.

    Object stores offer no lock; there the plan alone keeps a different load out, and twice the same load does no harm.
    Raises OutputExists when another process is carrying out the same load.
    """
    ledger = Ledger(store, load)
    if not store.is_local:
        yield ledger
        return
    folder = store.local_path(f"{STAGING}/{load}")
    with store.translated(STAGING):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputExists(f"{store.url} is being written by another process that runs this same load: let it finish") from None
        shutil.rmtree(folder / "work", ignore_errors=True)  # what killed attempts left
        try:
            yield ledger
        finally:
            if not ledger.started:
                _remove_empty(folder, store.local_path(""))


def publish(ledger: Ledger, manifest: Mapping[str, Any], files: Sequence[FileReceipt]) -> str:
    """Make the load's files the dataset, write the manifest, then remove what they replace.

    Returns the manifest's SHA-256. Stopped anywhere, the next run of the same load finishes it. Raises OutputExists when
    another load has taken the output over meanwhile.
    """
    store = ledger.store
    plan = read_document(store, PLAN)
    if plan is None or plan["id"] != ledger.id:
        raise OutputExists(f"{store.url} was taken over by another load while this one ran; nothing was published")
    keep = frozenset(file.path for file in files)
    if store.is_local:
        with store.translated(DATA):
            _swap_in(ledger, keep)
    document = encode(manifest)
    store.write(MANIFEST, document)
    tidy(ledger, keep)
    return hashlib.sha256(document).hexdigest()


def _swap_in(ledger: Ledger, keep: frozenset[str]) -> None:
    """Let `data/` appear by one rename; the dataset it replaces, if any, is moved aside first."""
    staged = ledger.store.local_path(ledger.staging)
    data = ledger.store.local_path(DATA)
    if not staged.exists():
        return  # an earlier run was stopped right after its rename
    _delete_all_but(staged, keep)
    for path in keep:
        if not (staged / path).exists():  # published by an earlier run that was stopped before its manifest
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (data / path).rename(staged / path)
    if data.exists():
        aside = staged.parent / "replaced"
        shutil.rmtree(aside, ignore_errors=True)
        data.rename(aside)
    for folder in {staged, *((staged / path).parent for path in keep)}:
        _sync_folder(folder)
    staged.rename(data)
    _sync_folder(data.parent)


def _delete_all_but(folder: Path, keep: frozenset[str]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in keep:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def tidy(ledger: Ledger, keep: frozenset[str]) -> None:
    """Remove what only older or unfinished loads needed; `keep` are the files of the dataset, relative to `data/`."""
    store = ledger.store
    if store.is_local:
        store.delete_folder(STAGING)
    else:
        for entry in store.list(DATA):
            if entry.path.removeprefix(f"{DATA}/") not in keep:
                store.delete(entry.path)
    for load in {entry.path.split("/")[1] for entry in store.list(RECEIPTS)} - {ledger.id}:
        store.delete_folder(f"{RECEIPTS}/{load}")
    for entry in store.list(f"{RECEIPTS}/{ledger.id}"):
        if entry.path.endswith(".arrow"):  # partial results
            store.delete(entry.path)


def _remove_empty(folder: Path, root: Path) -> None:
    """Undo what `claim` made for a load that never started."""
    (folder / "lock").unlink(missing_ok=True)
    for path in (folder, folder.parent, root):
        try:
            path.rmdir()
        except OSError:
            return  # somebody else's files are in it


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
