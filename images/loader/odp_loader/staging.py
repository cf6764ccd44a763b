"""Where an attempt writes its files, and how they come to where the load keeps them."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from odp_loader.ledger import DATA, Ledger
from odp_loader.receipt import FileReceipt


@contextmanager
def scratch_folder(ledger: Ledger) -> Iterator[Path]:
    """A folder of one attempt's own; on the output's file system when that is local, so that a rename moves its files."""
    if not ledger.store.is_local:
        with tempfile.TemporaryDirectory(prefix="odp-load-") as folder:
            yield Path(folder)
        return
    scratch = ledger.store.local_path(ledger.staging).parent / "work" / uuid.uuid4().hex
    with ledger.store.translated(ledger.staging):
        scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def put_in_place(ledger: Ledger, scratch: Path, files: tuple[FileReceipt, ...]) -> None:
    """Move or upload finished files from a scratch folder to where the load keeps them; each appears whole."""
    for file in files:
        if not ledger.store.is_local:
            ledger.store.upload(scratch / file.path, f"{DATA}/{file.path}")
            continue
        target = ledger.store.local_path(f"{ledger.staging}/{file.path}")
        with ledger.store.translated(DATA):
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch / file.path).replace(target)


def table_to_bytes(table: pa.Table) -> bytes:
    """An Arrow file in memory, for tables known to be small."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
