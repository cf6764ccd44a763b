"""The control endpoint of tests and benchmarks: faults, settings, growing tables, stale statistics, counters."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pyarrow as pa

from odp_server.faults import FAULTS
from odp_server.protocol import Refusal
from odp_server.service import Json, Service
from odp_server.tables import Table

_CLAIMS = frozenset({"num_rows", "size", "columns"})


class Control:
    """Answers what comes below /control/."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def reply(self, method: str, path: str, parameters: Mapping[str, str], body: bytes) -> Json:
        """Do it. Raises Refusal (400, 404) with what would be right."""
        try:
            match method, path:
                case "GET", "counters":
                    return Json(self._service.counters.report(self._service.faults.happened()))
                case "POST", "reset":
                    self._service.reset()
                case "POST", "faults":
                    self._service.faults.add(FAULTS.validate_json(body))
                case "POST", "settings":
                    self._service.settings = self._service.settings.changed(_object(body))
                case "POST", "append":
                    self._append(parameters, body)
                case "POST", "statistics":
                    self._service.stale_statistics[self._table(parameters).id] = _claims(_object(body))
                case _:
                    raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {method} /control/{path}")
        except (ValueError, pa.ArrowException) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        return Json({})

    def _table(self, parameters: Mapping[str, str]) -> Table:
        if (table := self._service.catalog.find(parameters.get("table_id", ""))) is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "name a table that is served: ?table_id=<dataset id>")
        return table

    def _append(self, parameters: Mapping[str, str], body: bytes) -> None:
        """Append the rows of an Arrow stream, now or after so many more selects of the table, with some text."""
        table = self._table(parameters)
        rows = table.fitted(pa.ipc.open_stream(body).read_all())
        self._service.grow(table, rows, int(parameters.get("after_selects", 0)), parameters.get("matching", ""))


def _claims(document: dict[str, Any]) -> dict[str, Any]:
    if unknown := [name for name in document if name not in _CLAIMS]:
        raise ValueError(f"statistics have no {unknown[0]!r}; they have {', '.join(sorted(_CLAIMS))}")
    return document


def _object(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("send a JSON object")
    return document
