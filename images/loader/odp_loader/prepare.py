"""From a load to its plan: describes the source, looks at its first rows, checks everything that can be wrong, and divides it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from odp_loader.manifest import versions
from odp_loader.partition import Partition, Predicate
from odp_loader.planning import Plan
from odp_loader.sink import check_schema
from odp_loader.sources import Cut, Source, TableDescription
from odp_loader.spec import Load
from odp_loader.transform import compile_chain, probe
from odp_loader.transform.aggregate import Reduction
from odp_loader.transform.pushdown import NotExpressible, server_aggregate

_BYTES_PER_ROW_OF_NOTHING = 50.0
"""Assumed for a source without rows."""
_OFFSET_BITS = 32
"""Of text and binaries without a byte of their own."""


def plan_load(load: Load, source: Source, *, load_id: str, load_hash: str, generation: int) -> Plan:
    """Plan a load. Reads the source's statistics, where needed its first chunk, and where they pay the counts of a histogram.

    The job's `map` runs once, on the first chunk, to learn what it returns. Raises InvalidLoad for whatever in the load does
    not fit the table or the sink, UserCodeFailed when `map` raises.
    """
    with ThreadPoolExecutor(1) as beside:
        beside.submit(versions)  # takes longer than one thinks, and is kept
        description = source.describe()
        if description.rows is None:
            description = replace(description, rows=source.count(None))
        assert description.rows is not None
        pushed_down, why = _push_down(load, source, description)
        widths = Widths(description.schema)
        foreseen = None
        if not pushed_down:
            foreseen = beside.submit(source.foresee, description, load.partitions, least_bytes_per_row=widths.least)
        first = None
        if load.transform.map is not None or widths.varying:
            first = source.preview(None if load.transform.map is not None else widths.varying)
        rows = probe(compile_chain(load.transform, description.schema), first if load.transform.map is not None else None)
        dataset_schema(load, rows)
        if foreseen is not None:
            foreseen.result()
    width = widths.bytes_per_row(first)
    if pushed_down:
        cut = Cut((Partition(0, Predicate("everything"), description.rows),))
    else:
        cut = source.divide(description, load.partitions, bytes_per_row=width)
    return Plan(
        id=load_id,
        load_hash=load_hash,
        generation=generation,
        schema=description.schema.serialize().to_pybytes(),
        output=rows.serialize().to_pybytes(),
        expected=description.rows,
        bytes_per_row=width,
        statistics=description.statistics,
        versions=versions(),
        pushed_down=pushed_down,
        ends_marked=description.ends_marked,
        notes=(*why, *cut.notes),
        partitions=cut.partitions,
    )


def _push_down(load: Load, source: Source, description: TableDescription) -> tuple[bool, tuple[str, ...]]:
    """Whether the server can group the rows itself, and why or why not."""
    if load.source.odp is None or load.transform.aggregate is None:
        return False, ()
    found = server_aggregate(load.source.odp, load.transform, description.schema)
    if isinstance(found, NotExpressible):
        return False, (found.reason,)
    for column in found.nan_columns:
        if source.count(Predicate("nan", column)):
            return False, (f"the rows are read and grouped by the workers: '{column}' holds NaN, which servers reduce differently",)
    return True, (found.reason,)


@dataclass(frozen=True)
class Widths:
    """What a row of a schema takes in Arrow, validity bits included."""

    schema: pa.Schema

    @property
    def varying(self) -> tuple[str, ...]:
        """The columns whose values differ in length, so that only rows tell."""
        return tuple(field.name for field in self.schema if _bits(field.type) is None)

    @property
    def least(self) -> float:
        """Bytes of a row whose varying values are all empty."""
        bits: int = sum((_bits(field.type) or _OFFSET_BITS) + field.nullable for field in self.schema)
        return bits / 8

    def bytes_per_row(self, first: pa.RecordBatch | None) -> float:
        """Bytes of a row, by a source's first rows where values vary."""
        varying = self.varying
        if not varying:
            return self.least
        if first is None or not first.num_rows:
            return _BYTES_PER_ROW_OF_NOTHING
        bits: int = sum((_bits(field.type) or 0) + field.nullable for field in self.schema if field.name not in varying)
        return bits / 8 + float(first.select(varying).nbytes / first.num_rows)


def _bits(kind: pa.DataType) -> int | None:
    """None where values differ in length."""
    try:
        return int(kind.bit_width)
    except ValueError:  # as pyarrow says that a type has no width
        return None


def dataset_schema(load: Load, rows: pa.Schema) -> pa.Schema:
    """The schema of the dataset, partitionOn columns included, from that of the rows after `map`.

    Raises InvalidLoad for what cannot be reduced or stored so.
    """
    assert load.sink.parquet is not None
    aggregate = load.transform.aggregate
    reduced = rows if aggregate is None else Reduction(aggregate, rows).result_schema
    return check_schema(reduced, load.sink.parquet.partition_on)
