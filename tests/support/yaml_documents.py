"""Reads YAML by the parser in C: kinds and rendered charts run to half a megabyte, for which the other takes seconds each time."""

from typing import Any

import yaml


def parsed(text: str) -> list[Any]:
    """The documents of a text, without those that are empty."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]
