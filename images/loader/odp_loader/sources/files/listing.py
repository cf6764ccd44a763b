"""Finds the files that a url means: one file, a folder, a pattern, or the data of a dataset that a load has written."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

import pyarrow as pa

from odp_loader import spec
from odp_loader.errors import InvalidLoad
from odp_loader.ledger import DATA, MANIFEST, PLAN
from odp_loader.manifest import arrow_schema
from odp_loader.spec import FileFormat
from odp_loader.store import Entry, Store

_ENDINGS = {
    ".parquet": FileFormat.PARQUET,
    ".pq": FileFormat.PARQUET,
    ".geoparquet": FileFormat.PARQUET,
    ".csv": FileFormat.CSV,
    ".jsonl": FileFormat.JSON_LINES,
    ".ndjson": FileFormat.JSON_LINES,
    ".json": FileFormat.JSON_LINES,
}
_COMPRESSED = re.compile(r"\.(?:gz|bz2|zst|lz4)$", re.IGNORECASE)
_NULL_KEY = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Listing:
    """What a url means at this moment."""

    store: Store
    format: FileFormat
    files: tuple[Entry, ...]
    """At least one, sorted by path; paths are relative to the store. A url of one file is that store, and its path empty."""
    key_types: Mapping[str, pa.DataType] = field(default_factory=dict)
    """Types of the columns in the folders' names, where a manifest tells them."""
    notes: tuple[str, ...] = ()


def locate(url: str, storage: spec.Storage | None) -> tuple[Store, str | None]:
    """Where the paths of files start, and the pattern that they must fit; no pattern when the url has none. Connects to nothing."""
    if "*" not in url:
        return Store.open(url, storage), None
    scheme, separator, rest = url.rpartition("://")
    segments = rest.split("/")
    first = next(index for index, segment in enumerate(segments) if "*" in segment)
    folder, pattern = "/".join(segments[:first]), "/".join(segments[first:])
    if scheme == "file":
        pattern = unquote(pattern)
    root = folder or ("/" if rest.startswith("/") else ".")
    return Store.open(f"{scheme}{separator}{root}", storage), pattern


def find_files(source: spec.FilesSource) -> Listing:
    """List the files of a source. Names that begin with `.` or `_` are left out, and so are folders with such names.

    Raises InvalidLoad when there are none, or of several formats.
    """
    store, pattern = locate(source.url, source.storage)
    if pattern is None:
        if (single := store.find("")) is not None:
            return _of_one_format(store, [single], source.format)
        if (raw := store.read(MANIFEST)) is not None and (written := _of_manifest(store, raw)) is not None:
            return written
        if store.find(PLAN) is not None:
            raise InvalidLoad(
                f"source.files.url: {store.url} is the output of a load that has not finished: finish that load first"
            )
    fits = _matcher(pattern) if pattern is not None else re.compile("")
    found = [entry for entry in store.list("") if _is_data(entry.path) and fits.match(entry.path)]
    if not found:
        what = f"no file in {store.url} fits {pattern}" if pattern else f"there is no file at {store.url}"
        raise InvalidLoad(f"source.files.url: {what}: write the url of a file, of a folder, or a pattern with *")
    return _of_one_format(store, found, source.format)


def format_of(path: str) -> FileFormat | None:
    """The format that a name's ending stands for; endings of compression do not count."""
    name = _COMPRESSED.sub("", path).lower()
    return next((each for ending, each in _ENDINGS.items() if name.endswith(ending)), None)


def folder_keys(path: str) -> dict[str, str | None]:
    """The columns in the names of a path's folders: `year=2024/…` says that year is "2024"."""
    pairs = (segment.partition("=") for segment in path.split("/")[:-1])
    return {unquote(name): None if text == _NULL_KEY else unquote(text) for name, equals, text in pairs if equals and name}


def _of_manifest(store: Store, raw: bytes) -> Listing | None:
    """The data of a finished load: exactly the files that its manifest lists."""
    try:
        manifest = json.loads(raw)
        schema = arrow_schema(manifest)
        paths = {f"{DATA}/{file['path']}" for file in manifest["files"]}
        keys = {name: schema.field(name).type for name in manifest["partitionOn"]}
    except (ValueError, KeyError, TypeError):
        return None
    files = tuple(entry for entry in store.list(DATA) if entry.path in paths)
    if len(files) < len(paths):
        missing = sorted(paths - {entry.path for entry in files})[0]
        raise InvalidLoad(f"{store.join(missing)} is missing, although {store.join(MANIFEST)} lists it: load that dataset again")
    return Listing(store, FileFormat.PARQUET, files, keys)


def _of_one_format(store: Store, files: Sequence[Entry], asked: FileFormat | None) -> Listing:
    if asked is not None:
        return Listing(store, asked, tuple(files))
    by_format: dict[FileFormat | None, list[Entry]] = {}
    for entry in files:
        by_format.setdefault(format_of(store.join(entry.path)), []).append(entry)
    others = by_format.pop(None, [])
    match list(by_format):
        case []:
            raise InvalidLoad(
                f"source.files.url: {store.join(files[0].path)} does not end in {', '.join(_ENDINGS)}: set source.files.format"
            )
        case [each] if each is not None:
            left_out = (
                f"{len(others)} files are left out, because their names do not say {each}: {others[0].path}" if others else ""
            )
            return Listing(store, each, tuple(by_format[each]), notes=(left_out,) if left_out else ())
    examples = " and ".join(found[0].path for found in by_format.values())
    raise InvalidLoad(
        f"source.files.url: files of several formats in {store.url}, such as {examples}: write a pattern that fits one of them"
    )


def _is_data(path: str) -> bool:
    return not any(segment.startswith((".", "_")) for segment in path.split("/"))


def _matcher(pattern: str) -> re.Pattern[str]:
    """`*` is any text within a name, `**` any number of folders; a folder that fits stands for all that is in it."""
    words = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*"}
    text = "".join(words.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*\*|\*)", pattern.rstrip("/")))
    return re.compile(f"{text}(?:/.*)?\\Z")
