"""Where outputs, ledgers and source files live: one folder, local or in an object store, behind one class."""

from odp_loader.store.failures import local_failure
from odp_loader.store.store import Entry, Store

__all__ = ["Entry", "Store", "local_failure"]
