"""Reads YAML as the API server does, and remembers the line of every field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from odp_dask_operator.spec.path import Path
from odp_dask_operator.spec.scalar import resolve_plain
from odp_loader.errors import InvalidLoad

MAX_FILE_BYTES = 2**20
"""etcd refuses objects beyond 1.5 MiB; a file of jobs is a few hundred lines."""
MAX_NODES = 100_000
"""Values of a document once its anchors are expanded: ten short lines of YAML can stand for billions."""
MAX_DEPTH = 64

_STRING, _MAPPING, _SEQUENCE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))
_PLAIN = "plain"


class UnreadableDocument(InvalidLoad):
    """A file that is no YAML of Kubernetes; the message says where and why."""

    reason = "InvalidYAML"


@dataclass(frozen=True)
class Document:
    """One object of a file."""

    value: dict[str, Any]
    """The object as JSON. A field without a value is left out, as the API server does."""
    lines: Mapping[Path, int] = field(default_factory=dict)
    """The line, from 1, of every field."""
    source: str = ""
    """The file's name."""

    def line(self, path: Path) -> int | None:
        """The line of a field, or of the nearest one around it that the file has."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)


class _Loader(yaml.SafeLoader):
    """Composes nodes; marks unquoted scalars instead of applying PyYAML's rules to them."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 # PyYAML's signature
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _STRING
        return _MAPPING if kind is yaml.MappingNode else _SEQUENCE


def read_documents(content: bytes, *, source: str) -> tuple[Document, ...]:
    """The objects in a file; empty documents are left out. Raises UnreadableDocument."""
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableDocument(f"{source}: the file is larger than {MAX_FILE_BYTES // 2**20} MiB; is it a job at all?")
    try:
        nodes = list(yaml.compose_all(content.decode("utf-8-sig"), Loader=_Loader))
    except UnicodeDecodeError as error:
        raise UnreadableDocument(f"{source}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except RecursionError:
        raise UnreadableDocument(f"{source}: the values are nested too deeply; at most {MAX_DEPTH} levels are read") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UnreadableDocument(f"{source}:{line}: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise UnreadableDocument(f"{source}: {' '.join(str(error).split())}") from None
    documents = (_Reader(source=source).document(node) for node in nodes if node is not None)
    return tuple(document for document in documents if document is not None)


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "this is not YAML"
    if "'\\t'" in problem:
        return "a tab where YAML wants spaces; indent with spaces"
    return f"{problem} ({error.context})" if error.context else problem


class _Reader:
    """Turns the nodes of one document into JSON."""

    def __init__(self, *, source: str) -> None:
        self._source = source
        self._lines: dict[Path, int] = {}
        self._nodes = 0

    def document(self, node: yaml.Node) -> Document | None:
        value = self._value(node, ())
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._error(node, "this is not an object; a job begins with apiVersion, kind, metadata and spec")
        self._lines.setdefault((), node.start_mark.line + 1)
        return Document(value, self._lines, self._source)

    def read_value(self, node: yaml.Node) -> Any:
        return self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(node, f"the anchors expand to more than {MAX_NODES} values; write them out or leave them out")
        if len(path) > MAX_DEPTH:
            raise self._error(
                node, f"the values are nested too deeply, or an anchor contains itself; at most {MAX_DEPTH} levels are read"
            )
        match node:
            case yaml.MappingNode(tag=tag) if tag == _MAPPING:
                return self._mapping(node, path)
            case yaml.SequenceNode(tag=tag) if tag == _SEQUENCE:
                return self._sequence(node, path)
            case yaml.ScalarNode(tag=tag) if tag in (_PLAIN, _STRING):
                return self._scalar(node)
            case _:
                raise self._error(node, f"the tag {node.tag} is not read here; leave it out")

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        try:
            node.value.encode()
            return node.value if node.tag == _STRING else resolve_plain(node.value)
        except UnicodeEncodeError:
            raise self._error(node, "half of a surrogate pair is no character") from None
        except ValueError as error:
            raise self._error(node, str(error)) from None

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self._lines[(*path, index)] = item.start_mark.line + 1
            items.append(self._value(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                fields.update(self._merged(value_node, path))
                continue
            key = self._key(key_node)
            if key in written:
                raise self._error(key_node, f"the field {key} stands here twice; keep one")
            written.add(key)
            self._lines[(*path, key)] = key_node.start_mark.line + 1
            value = self._value(value_node, (*path, key))
            if value is not None:
                fields[key] = value
            else:
                fields.pop(key, None)
        return fields

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """The fields that `<<` brings: earlier mappings of a list win."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        fields: dict[str, Any] = {}
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                raise self._error(source, "<< merges mappings; this is none")
            fields.update(self._value(source, path))
        return fields

    def _key(self, node: yaml.Node) -> str:
        """Names are text. Kubernetes would also turn `y` into "true" and 1.5 into "1.5"; nobody means that."""
        if not isinstance(node, yaml.ScalarNode) or node.tag not in (_PLAIN, _STRING):
            raise self._error(node, "the name of a field is text")
        key = self._scalar(node)
        if isinstance(key, str) or (isinstance(key, int) and str(key) == node.value):
            return str(key)
        raise self._error(node, f'unquoted, {node.value} is not text in Kubernetes; write "{node.value}" in quotes')

    def _error(self, node: yaml.Node, message: str) -> UnreadableDocument:
        return UnreadableDocument(f"{self._source}:{node.start_mark.line + 1}: {message}")


def read_value(text: str, *, source: str) -> Any:
    """One value, such as `[time, lat]` or `4`, by the same rules. Raises UnreadableDocument."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        problem = _problem(error) if isinstance(error, yaml.MarkedYAMLError) else " ".join(str(error).split())
        raise UnreadableDocument(f"{source}: {problem}") from None
    return None if node is None else _Reader(source=source).read_value(node)
