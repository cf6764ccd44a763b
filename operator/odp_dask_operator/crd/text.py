"""Writes an object as plain YAML, the same on every machine."""

from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """Writes every value out: no anchors, and long text on lines of its own."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 # PyYAML's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Plain.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """A document, its fields in the order they have."""
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)
