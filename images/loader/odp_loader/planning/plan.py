"""The plan of a load as it stands in plan.json, which every later run of the load reads instead of planning again."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odp_loader.errors import OutputExists
from odp_loader.partition import Partition, partition_from_json, partition_to_json

FORMAT = 1
"""Raised when an older loader would misread a newer plan."""


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before the first row is read."""

    id: str
    """The load's identifier, part of every file's name."""
    load_hash: str
    """Of the load that was planned; another load's plan is not used."""
    generation: int
    """Counts how often the output was replaced."""
    partitions: tuple[Partition, ...]
    """Numbered from 0 without a gap; together they hold every row once."""
    schema: bytes
    """What the source delivers, as an Arrow IPC schema message."""
    output: bytes
    """What the transform makes of it before an aggregate, likewise."""
    expected: int
    """Rows of the query, by the source's statistics or count."""
    bytes_per_row: float
    """Of Arrow data, measured on the first rows."""
    statistics: Mapping[str, Any]
    """What the source said about the table; JSON."""
    pushed_down: bool = False
    """Whether the server groups the rows itself, so that only groups are read."""
    ends_marked: bool = False
    """Whether the source was seen to mark the end of its streams."""
    notes: tuple[str, ...] = ()
    """Why the table is divided like this."""
    versions: Mapping[str, str] | None = None
    """Of the packages that made the plan, by name."""

    def encode(self) -> bytes:
        """The document: JSON, one partition a line, so that people and diffs can read it. Equal plans give equal bytes."""
        head = {
            "format": FORMAT,
            "id": self.id,
            "loadHash": self.load_hash,
            "generation": self.generation,
            "expected": self.expected,
            "bytesPerRow": self.bytes_per_row,
            "pushedDown": self.pushed_down,
            "endsMarked": self.ends_marked,
            "notes": self.notes,
            "versions": self.versions,
            "statistics": self.statistics,
            "schema": base64.b64encode(self.schema).decode(),
            "output": base64.b64encode(self.output).decode(),
        }
        to_text = json.JSONEncoder(separators=(",", ":")).encode
        lines = ",\n".join(to_text(partition_to_json(partition)) for partition in self.partitions)
        return f'{json.dumps(head, indent=1)[:-2]},\n "partitions": [\n{lines}\n]}}\n'.encode()

    @classmethod
    def decode(cls, document: bytes) -> "Plan":
        """The inverse of `encode`. Raises OutputExists for what no load of this version wrote."""
        try:
            parsed = json.loads(document)
        except ValueError as error:
            raise _unreadable(f"it is no JSON: {error}") from None
        return cls.from_json(parsed)

    @classmethod
    def from_json(cls, document: Any) -> "Plan":
        """The same from the parsed document."""
        if not isinstance(document, Mapping):
            raise _unreadable("it is no object")
        if document.get("format") != FORMAT:
            raise _unreadable(f"its format is {document.get('format')!r}, this version reads format {FORMAT}")
        try:
            plan = cls(
                id=_typed(document, "id", str),
                load_hash=_typed(document, "loadHash", str),
                generation=_typed(document, "generation", int),
                partitions=tuple(map(partition_from_json, _typed(document, "partitions", list))),
                schema=base64.b64decode(_typed(document, "schema", str), validate=True),
                output=base64.b64decode(_typed(document, "output", str), validate=True),
                expected=_typed(document, "expected", int),
                bytes_per_row=float(_typed(document, "bytesPerRow", int | float)),
                statistics=_typed(document, "statistics", dict),
                pushed_down=bool(document["pushedDown"]),
                ends_marked=bool(document["endsMarked"]),
                notes=tuple(_typed(document, "notes", list)),
                versions=document["versions"],
            )
        except KeyError as error:
            raise _unreadable(f"{error.args[0]!r} is missing") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise _unreadable(str(error)) from None
        if any(partition.index != index for index, partition in enumerate(plan.partitions)) or not plan.partitions:
            raise _unreadable("its partitions are not numbered from 0 without a gap")
        return plan


def _typed(document: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = document[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{name!r} is a {type(value).__name__}")
    return value


def _unreadable(why: str) -> OutputExists:
    return OutputExists(
        f"plan.json cannot be read, {why}: it was damaged or written by another version; choose another url, or delete it and"
        " the load starts over"
    )
