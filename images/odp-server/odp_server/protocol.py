"""Parses what a client asks for and words what it is refused with, as odp-sdk 0.28.10 sends and understands both."""

import base64
import binascii
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

SCHEMA_QUERY = '"fetch" == "schema"'
"""What the SDK asks for to learn a table's schema: a filter no row matches (Table.schema)."""
DEFAULT_TIMEOUT_S = 30.0
Variables = Mapping[str, Any] | tuple[Any, ...]


class Refusal(Exception):
    """A request is answered with an error status and a text for its sender."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Query:
    """The body of a select or an aggregate request."""

    query: str
    """The filter; empty for all rows."""
    cols: tuple[str, ...] | None
    cursor: str
    aggr: Mapping[str, str]
    by: str
    vars: Variables
    sent_vars: Any
    """The variables as they were sent, for counters and fault matching."""
    timeout_s: float
    """How long to go on streaming before a cursor is handed out."""

    @classmethod
    def parse(cls, body: bytes) -> "Query":
        """Read a request's JSON. Raises Refusal (400)."""
        document = _json_object(body)
        cols = document.get("cols")
        if not (cols is None or (isinstance(cols, list) and all(isinstance(name, str) for name in cols))):
            raise Refusal(HTTPStatus.BAD_REQUEST, "cols must be a list of column names or null")
        aggr = document.get("aggr") or {}
        if not (isinstance(aggr, dict) and all(isinstance(function, str) for function in aggr.values())):
            raise Refusal(HTTPStatus.BAD_REQUEST, 'aggr must map columns to functions: {"temperature": "mean"}')
        timeout = document.get("timeout")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float | None) or (timeout is not None and timeout < 0):
            raise Refusal(HTTPStatus.BAD_REQUEST, "timeout must be a number of seconds or null")
        sent_vars = document.get("vars")
        return cls(
            query=_text(document, "query"),
            cols=tuple(cols) if cols else None,
            cursor=_text(document, "cursor"),
            aggr=aggr,
            by=_text(document, "by"),
            vars=_variables(sent_vars),
            sent_vars=sent_vars,
            timeout_s=DEFAULT_TIMEOUT_S if timeout is None else timeout,
        )

    @property
    def asks_for_schema(self) -> bool:
        """Whether only the schema is wanted."""
        return self.query.strip() == SCHEMA_QUERY

    @property
    def digest(self) -> str:
        """What two requests have in common that a cursor can be carried between."""
        asked = json.dumps([self.query, self.cols, self.sent_vars], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended. Everything a later request needs is inside: any connection may bring it back."""

    table_id: str
    digest: str
    batch: int
    """The first batch of the next page."""
    issued_at: float
    """Seconds since the epoch."""

    def continues(self, start: "Cursor") -> bool:
        """Whether this is a place in the rows of the query that `start` begins."""
        return (self.table_id, self.digest) == (start.table_id, start.digest) and self.batch >= start.batch

    def encode(self) -> str:
        """Return the opaque text a client gets."""
        return base64.urlsafe_b64encode(json.dumps([self.table_id, self.digest, self.batch, self.issued_at]).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Read a client's cursor. Raises Refusal (400) when it is none of ours."""
        try:
            table_id, digest, batch, issued_at = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
            return cls(str(table_id), str(digest), int(batch), float(issued_at))
        except (binascii.Error, ValueError, TypeError, OverflowError):
            raise Refusal(HTTPStatus.BAD_REQUEST, "malformed cursor: start the query again without one") from None


def expired_cursor() -> Refusal:
    """What a client hears whose cursor came too late."""
    return Refusal(HTTPStatus.BAD_REQUEST, "cursor expired: start the query again without one")


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "float": float,
    "string": str,
    "boolean": bool,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
}
"""The types of odp-sdk's vars_to_json; booleans arrive as integers there, because it tests for int first."""


def _variables(sent: Any) -> Variables:
    match sent:
        case None:
            return {}
        case dict():
            return {name: _variable(f"${name}", value) for name, value in sent.items()}
        case list():
            return tuple(_variable(f"number {index} (?)", value) for index, value in enumerate(sent, start=1))
    raise Refusal(HTTPStatus.BAD_REQUEST, "vars must be an object, a list or null")


def _variable(name: str, sent: Any) -> Any:
    if not (isinstance(sent, dict) and sent.keys() == {"type", "value"} and isinstance(sent["type"], str)):
        raise Refusal(HTTPStatus.BAD_REQUEST, f'variable {name} must be {{"type": ..., "value": ...}}')
    if (read := _READERS.get(sent["type"])) is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"variable {name} has the unknown type {sent['type']!r}; use {', '.join(_READERS)}")
    try:
        return read(sent["value"])
    except (TypeError, ValueError, OverflowError):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"variable {name}: {sent['value']!r} is no {sent['type']}") from None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the request's body is not JSON") from None
    if not isinstance(document, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the request's body is not a JSON object")
    return document


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str | None):
        raise Refusal(HTTPStatus.BAD_REQUEST, f"{key} must be a string or null")
    return value or ""
