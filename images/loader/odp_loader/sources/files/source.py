"""The source `files`: describes, divides, counts and reads many files as one table."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow as pa

from odp_loader import spec
from odp_loader.errors import InvalidExpression, InvalidLoad
from odp_loader.expression import filter_batch, parse, resolve
from odp_loader.partition import FileSlice, FileSlices, Predicate, Selection
from odp_loader.sources import Cut, TableDescription
from odp_loader.sources.files.bounds import Sieve
from odp_loader.sources.files.csv_text import CsvFiles
from odp_loader.sources.files.division import Piece, divide
from odp_loader.sources.files.json_lines import JsonLinesFiles
from odp_loader.sources.files.listing import Listing, find_files, folder_keys, format_of, locate
from odp_loader.sources.files.parquet import ParquetFiles
from odp_loader.sources.files.profile import Chunk, Format, Profile
from odp_loader.sources.files.table import key_column, needed, select, unite
from odp_loader.spec import FileFormat
from odp_loader.store import Entry

_FORMATS: dict[FileFormat, Callable[[], Format]] = {
    FileFormat.PARQUET: ParquetFiles,
    FileFormat.CSV: CsvFiles,
    FileFormat.JSON_LINES: JsonLinesFiles,
}


class FilesSource:
    """Parquet, CSV or JSON lines files as one table.

    `schema` is what `describe` said, where that is known: then nothing is looked at again.
    """

    def __init__(self, files: spec.FilesSource, *, schema: pa.Schema | None = None) -> None:
        self._spec = files
        self._schema = schema
        self._profiles: dict[Entry, Profile] = {}
        self._notes: tuple[str, ...] = ()
        self._store, _ = locate(files.url, files.storage)

    def describe(self) -> TableDescription:
        """List the files, and look at each: at its footer where the format is Parquet, else at all of it, for its types.

        When the schema is known already, they are only listed: a file that is new or changed since has no `rows`.
        Raises InvalidLoad when there are no files, when one is damaged, or when their types clash.
        """
        listing = find_files(self._spec)
        if self._schema is None:
            self._schema = self._look(listing)
        profiles = [self._profiles.get(entry) for entry in listing.files]
        counted = None if self._spec.filter else sum(profile.rows for profile in profiles if profile is not None)
        files = [
            {
                "path": entry.path,
                "size": entry.size,
                "modified": _iso(entry.modified_ns),
                **({} if profile is None else {"rows": profile.rows}),
            }
            for entry, profile in zip(listing.files, profiles, strict=True)
        ]
        statistics = {"url": self._store.url, "format": str(listing.format), "files": files}
        return TableDescription(self._schema, None if None in profiles else counted, statistics)

    def preview(self, columns: Sequence[str] | None = None) -> pa.RecordBatch | None:  # noqa: ARG002 # protocol
        """The first chunk of the query's rows; None when there are none."""
        return next(self.read(self._everything()), None)

    def foresee(self, description: TableDescription, partitions: spec.Partitions, *, least_bytes_per_row: float) -> None:
        """Nothing: `divide` asks nobody."""

    def divide(self, description: TableDescription, partitions: spec.Partitions, *, bytes_per_row: float) -> Cut:  # noqa: ARG002 # protocol
        """Group row groups, and files that have none, into partitions of about the target size in memory."""
        if not self._profiles:
            self._schema = self._look(find_files(self._spec))
        pieces = []
        for entry, profile in self._profiles.items():
            for index, (rows, encoded) in enumerate(profile.groups or ((profile.rows, 0),)):
                size = max(round(rows * bytes_per_row), 0 if self._spec.columns else encoded)
                pieces.append(Piece(entry.path, index if profile.groups else None, rows, size))
        cut = divide(pieces, partitions, rows_known=self._spec.filter is None)
        return Cut(cut.partitions, (*self._notes, *cut.notes))

    def count(self, selection: Selection | None) -> int:
        """The rows of `selection`, None for all: by what is known of the files where that will do, else by reading them.

        What statistics say of a filter is not believed here, so that a load that believed wrong ones fails.
        """
        columns = needed(self._known())
        if self._spec.filter is None:
            if selection is None and self._profiles:
                return sum(profile.rows for profile in self._profiles.values())
            return sum(chunk.rows for piece in self._slices(selection) for chunk in self._chunks(piece, pa.schema([]), None))
        names = parse(self._spec.filter).columns or columns.names[:1]
        columns = pa.schema([columns.field(name) for name in names])
        return sum(batch.num_rows for batch in self._batches(self._slices(selection), columns, skipping=False))

    def read(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        """The rows of `selection` that the filter keeps, in chunks of at most 120 000."""
        selected = self._known()
        for batch in self._batches(self._slices(selection), needed(selected), skipping=True):
            if batch.num_rows:
                yield pa.RecordBatch.from_arrays(batch.columns[: len(selected)], schema=selected)

    def _known(self) -> pa.Schema:
        """The schema of the query's rows."""
        if self._schema is None:
            self.describe()
        assert self._schema is not None
        return self._schema

    def _look(self, listing: Listing) -> pa.Schema:
        """Look at all files, and agree on one schema."""
        form = _FORMATS[listing.format]()
        with ThreadPoolExecutor(form.at_once) as pool:
            profiles = list(pool.map(lambda entry: form.profile(listing.store, entry), listing.files))
        with _of_filter():
            expression = None if self._spec.filter is None else parse(self._spec.filter)
        filtered = expression.columns if expression else ()
        only = frozenset((*self._spec.columns, *filtered)) if self._spec.columns else None
        table, self._notes = unite(listing, profiles, form, only=only)
        if not table.names:
            raise InvalidLoad(f"source.files.url: {listing.store.url} has no columns: every file is empty")
        with _of_filter():
            if expression is not None:  # names and types are right, and it is a condition
                filter_batch(expression, pa.RecordBatch.from_pylist([], schema=table))
        self._profiles = dict(zip(listing.files, profiles, strict=True))
        return select(table, self._spec.columns, filtered)

    def _everything(self) -> FileSlices:
        self._known()
        entries = list(self._profiles) or find_files(self._spec).files
        return FileSlices(tuple(FileSlice(entry.path) for entry in entries))

    def _slices(self, selection: Selection | None) -> tuple[FileSlice, ...]:
        match selection:
            case FileSlices():
                return selection.slices
            case None | Predicate("everything"):
                return self._everything().slices
        raise TypeError(f"files are not divided by {type(selection).__name__}")

    def _batches(self, slices: Sequence[FileSlice], columns: pa.Schema, *, skipping: bool) -> Iterator[pa.RecordBatch]:
        """The rows of pieces that the filter keeps; its columns must be among `columns`.

        With `skipping`, what surely holds none of them is not read.
        """
        condition = None if self._spec.filter is None else resolve(parse(self._spec.filter), columns)
        sieve = Sieve(condition) if skipping and condition is not None else None
        for piece in slices:
            for chunk in self._chunks(piece, columns, sieve):
                batch = pa.RecordBatch.from_arrays(chunk.columns, schema=columns)
                with _of_filter():
                    kept = batch if condition is None else condition.filter(batch)
                yield kept

    def _chunks(self, piece: FileSlice, columns: pa.Schema, sieve: Sieve | None) -> Iterator[Chunk]:
        """The rows of a piece, except such as `sieve` surely drops; columns in the folders' names are filled from there."""
        kind = self._spec.format or format_of(self._store.join(piece.path))
        if kind is None:
            raise InvalidLoad(f"{self._store.join(piece.path)}: its name does not say its format: set source.files.format")
        keys = folder_keys(piece.path)
        if sieve is not None:
            sieve = sieve.of_folders({c.name: key_column(keys[c.name], c.type, 1)[0] for c in columns if c.name in keys})
            if not sieve.passes({}):
                return
        stored = pa.schema([column for column in columns if column.name not in keys])
        for rows, found in _FORMATS[kind]().read(self._store, piece, stored, sieve):
            of_file = iter(found)
            yield Chunk(rows, [key_column(keys[c.name], c.type, rows) if c.name in keys else next(of_file) for c in columns])


@contextmanager
def _of_filter() -> Iterator[None]:
    try:
        yield
    except InvalidExpression as error:
        raise InvalidLoad(f"source.files.filter: {error}") from None


def _iso(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat()
