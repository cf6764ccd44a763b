"""Finds the files that become tables and reads them as record batches."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = (".parquet", ".arrow")
_FILE_MAGIC = b"ARROW1"
_FIELD_ID = b"PARQUET:field_id"
_SERVED = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_decimal,
    pa.types.is_time,
)
"""What an ODP table may hold (odp-sdk 0.28.10, Table._validate_parquet_schema), and the wide forms of text."""


class UnusableData(Exception):
    """Nothing can be served from a path; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class TableFiles:
    """A table's name and the files that hold its rows, in order."""

    name: str
    paths: tuple[Path, ...]


def find_tables(paths: Iterable[Path]) -> tuple[TableFiles, ...]:
    """Each file is a table, each folder's files are tables, and each folder inside such a folder is one table.

    Raises UnusableData when a path holds none, or two tables have one name.
    """
    found = [table for path in paths for table in _tables_at(path)]
    names = [table.name for table in found]
    for name in names:
        if names.count(name) > 1:
            raise UnusableData(f"two tables are called {name!r}: rename one of the files")
    return tuple(found)


def _tables_at(path: Path) -> list[TableFiles]:
    if path.is_file():
        return [TableFiles(_table_name(path.stem), (path,))]
    if not path.is_dir():
        raise UnusableData(f"{path} does not exist: give a folder or a file ending in {' or '.join(ENDINGS)}")
    tables = [TableFiles(_table_name(file.stem), (file,)) for file in _data_files(path.iterdir())]
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if files := _data_files(folder.rglob("*")):
            tables.append(TableFiles(_table_name(folder.name), tuple(files)))
    if not tables:
        raise UnusableData(f"{path} holds no file ending in {' or '.join(ENDINGS)}")
    return tables


def _data_files(entries: Iterable[Path]) -> list[Path]:
    return sorted(entry for entry in entries if entry.suffix in ENDINGS and entry.is_file() and entry.name[0] not in "._")


def _table_name(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", stem)


def served_schema(paths: Sequence[Path]) -> pa.Schema:
    """The schema a table is served with: dictionaries become their values, marks of the file format go.

    Raises UnusableData for a file that is none, a type ODP does not have, or files that differ.
    """
    schemas = [_plain_schema(path) for path in paths]
    for path, schema in zip(paths, schemas, strict=True):
        if not schema.equals(schemas[0]):
            raise UnusableData(f"{path} has other columns than {paths[0]}: files in one folder are one table")
    return schemas[0]


def _plain_schema(path: Path) -> pa.Schema:
    try:
        schema = pq.read_schema(path) if path.suffix == ".parquet" else _arrow_reader(path).schema
    except (pa.ArrowException, OSError) as error:
        raise UnusableData(f"{path} cannot be read: {error}") from error
    if not schema.names or len(set(schema.names)) < len(schema.names):
        raise UnusableData(f"{path}: a table has columns, and each has a name of its own; this one has {schema.names}")
    fields = []
    for field in schema:
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(known(plain) for known in _SERVED):
            raise UnusableData(f"{path}: column {field.name!r} is of type {field.type}, which ODP does not have: drop or cast it")
        metadata = {key: value for key, value in (field.metadata or {}).items() if key != _FIELD_ID}
        fields.append(pa.field(field.name, plain, field.nullable, metadata or None))
    return pa.schema(fields, schema.metadata)


def read_batches(paths: Iterable[Path], schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of `paths` as batches of at most `batch_rows` rows of `schema`, holding no more than a row group at a time.

    Raises UnusableData for a file that is broken.
    """
    for path in paths:
        try:
            for batch in _file_batches(path, batch_rows):
                yield from split(batch, schema, batch_rows)
        except (pa.ArrowException, OSError) as error:
            raise UnusableData(f"{path} cannot be read: {error}") from error


def split(batch: pa.RecordBatch, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """`batch` cast to `schema` in pieces of at most `batch_rows` rows; nothing for an empty one."""
    plain = pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
    )
    for start in range(0, plain.num_rows, batch_rows):
        yield plain.slice(start, batch_rows)


def _file_batches(path: Path, batch_rows: int) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_rows)
    else:
        reader = _arrow_reader(path)
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            yield from reader


def _arrow_reader(path: Path) -> pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader:
    source = pa.memory_map(str(path))
    is_file = source.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    source.seek(0)
    return pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
