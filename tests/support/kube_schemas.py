"""Writes the schemas of a real API server as kubeconform reads them: one file a kind, closed to unknown fields."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.apiserver import ApiServer

LOCATION = "{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"
"""Where kubeconform looks below the folder. No two groups of ours have a kind and a version in common."""


def write_schemas(server: ApiServer, folder: Path) -> None:
    """Every kind that the server serves."""
    definitions = server.request("GET", "/openapi/v2").body["definitions"]
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            closed = {each: _closed(definitions[each]) for each in sorted(_needed(name, definitions))}
            schema = {"$ref": f"#/definitions/{name}", "definitions": closed}
            (folder / f"{kind['kind'].lower()}_{kind['version']}.json").write_text(json.dumps(schema))


def _needed(name: str, definitions: dict[str, Any]) -> set[str]:
    found, open_ends = {name}, [name]
    while open_ends:
        for other in _references(definitions[open_ends.pop()]):
            if other not in found:
                found.add(other)
                open_ends.append(other)
    return found


def _references(fragment: Any) -> Iterator[str]:
    if isinstance(fragment, dict):
        if isinstance(fragment.get("$ref"), str):
            yield fragment["$ref"].rpartition("/")[2]
        for value in fragment.values():
            yield from _references(value)
    elif isinstance(fragment, list):
        for value in fragment:
            yield from _references(value)


def _closed(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema:
        closed["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}  # a name may be "format"
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed.setdefault("additionalProperties", False)
    return closed
