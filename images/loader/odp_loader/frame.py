"""A lazy Dask DataFrame over an ODP table, for people who write their own Dask."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from odp_loader.guard import alone
from odp_loader.partition import Partition
from odp_loader.patience import patiently
from odp_loader.prepare import Widths
from odp_loader.sources.odp import OdpTable
from odp_loader.spec import OdpSource, Partitions
from odp_loader.task import ATTEMPTS
from odp_loader.transform.frames import NULLABLE

if TYPE_CHECKING:
    import dask.dataframe as dd

Value = bool | int | float | str | datetime | date


def read_odp(
    dataset: str,
    *,
    filter: str | None = None,  # noqa: A002 # the word of the job's source
    vars: Mapping[str, Value] | None = None,  # noqa: A002 # likewise
    columns: Sequence[str] | None = None,
    split_by: str | None = None,
    base_url: str | None = None,
    target_bytes: int | None = None,
    maximum_partitions: int | None = None,
) -> "dd.DataFrame":
    """An ODP table as a lazy `dask.dataframe`: one partition per predicate, planned as a job's `source.odp` is.

    Building it asks for the schema, the statistics, some rows where they differ in width, and at most a histogram of the key.
    Rows are read by the workers, and only the columns that the computation uses. The API key is read from ODP_API_KEY where a
    partition is read, and is in no graph. Values of `vars` are those of the job's `vars`, dates and times included.

    Raises InvalidLoad for a table, column or filter that does not exist, CredentialsRefused without a valid key.
    """
    import dask.dataframe as dd

    given = {"baseURL": base_url} if base_url else {}
    source = OdpSource(
        dataset=dataset,
        filter=filter,
        vars={name: _plain(value) for name, value in (vars or {}).items()},
        columns=None if columns is None else tuple(columns),
        split_by=split_by,
        **given,
    )
    limits = {"target_bytes": target_bytes, "maximum": maximum_partitions}
    partitions = Partitions(**{name: limit for name, limit in limits.items() if limit is not None})
    table = OdpTable(source)
    description = table.describe()
    widths = Widths(description.schema)
    first = table.preview(widths.varying) if widths.varying else None
    cut = table.divide(description, partitions, bytes_per_row=widths.bytes_per_row(first))
    # Nullable columns keep their types in pandas whatever a partition holds, so that all partitions fit the meta.
    meta = to_pandas(description.schema.empty_table())
    frame: dd.DataFrame = dd.from_map(_read, cut.partitions, source=source, meta=meta, label="read-odp", enforce_metadata=False)
    return frame


def _read(partition: Partition, *, source: OdpSource, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """One partition, the whole of it or an error."""
    wanted = source if columns is None else source.model_copy(update={"columns": tuple(columns) or None})
    table = OdpTable(wanted)

    def read() -> pd.DataFrame:
        rows = patiently(lambda: list(table.read(partition.selection)), attempts=ATTEMPTS)
        return to_pandas(pa.Table.from_batches(rows, schema=table.schema))

    return alone(partition.index, read)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas with types that do not depend on the values: nullable integers and booleans, Arrow strings."""
    types: dict[pa.DataType, object] = {
        **NULLABLE,
        pa.string(): pd.StringDtype("pyarrow"),
        pa.date32(): pd.ArrowDtype(pa.date32()),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=types.get)
    return frame


def _plain(value: Value) -> bool | int | float | str:
    """Dates and times as the job file would write them."""
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()
    return value.isoformat() if isinstance(value, date) else value
