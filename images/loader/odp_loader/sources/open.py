"""Makes the source that a specification names."""

from collections.abc import Callable

import pyarrow as pa

from odp_loader import spec
from odp_loader.sources import Source


def open_source(
    source: spec.Source,
    *,
    schema: pa.Schema | None = None,
    ends_marked: bool = False,
    on_throttled: Callable[[], None] = lambda: None,
    note: Callable[[str], None] = lambda _: None,
) -> Source:
    """The source behind its protocol; what only one kind needs is imported only for it.

    `schema` and `ends_marked` are what the source's `describe` said, where that is known: it need not be asked again.
    `note` is told, in a sentence and from any thread, why the source takes long to answer.
    """
    if source.odp is not None:
        from odp_loader.sources.odp import OdpTable

        return OdpTable(source.odp, schema=schema, ends_marked=ends_marked, on_throttled=on_throttled, note=note)
    if source.files is not None:
        from odp_loader.sources.files import FilesSource

        return FilesSource(source.files, schema=schema)
    assert source.synthetic is not None
    from odp_loader.sources.synthetic import SyntheticSource

    return SyntheticSource(source.synthetic)
