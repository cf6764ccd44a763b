"""The requests that the loader makes itself, beside the SDK's select: statistics, counts and groups."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from odp.tabular_v2.util import vars_to_json

from odp_loader.errors import LoadError, Transient
from odp_loader.odp.client import OdpClient

TOTAL = "'TOTAL'"
"""The SDK's own expression for one group of all rows."""
_SERVER_ERROR = "server error: "
_SELECT_SECONDS = 30.0
"""How long the server may stream before it hands out a cursor; the SDK's default."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the SDK and Arrow raise over a reply into Transient: all of it is cured, if at all, by asking again."""
    try:
        yield
    except LoadError:
        raise
    except ValueError as error:  # pa.ArrowInvalid is one too
        words = str(error)
        if words.startswith(_SERVER_ERROR):
            raise Transient(f"the server broke off with an error: {words.removeprefix(_SERVER_ERROR)}") from None
        raise Transient(f"the reply is damaged: {words}") from None
    except (OSError, AssertionError) as error:  # AssertionError: the SDK, when a schema reply holds no batch
        raise Transient(f"the reply is damaged: {type(error).__name__} {error}") from None


def statistics(client: OdpClient, dataset: str) -> dict[str, Any]:
    """The reply of /stats as it is; the SDK's own record refuses keys it does not know."""
    with translated():
        reply = client.request("/api/table/v2/stats", params={"table_id": dataset}, retry=True).json()
    if not isinstance(reply, dict):
        raise Transient("the server's statistics are no JSON object")
    return reply


def groups(
    client: OdpClient,
    dataset: str,
    *,
    query: str | None,
    values: Mapping[str, Any],
    by: str,
    reduce: Mapping[str, str],
    at_most: int | None = None,
) -> pa.Table:
    """The reply of /sdk/aggregate, messages joined but not merged: column `""` is the key, `*` the rows of the group.

    A key may stand in several messages, each with its part; the SDK merges them by a group-by that loses null keys.
    Stops reading once there are more than `at_most` groups.
    """
    tables = []
    cursor: str | None = ""
    while cursor is not None:
        with translated():
            response = client.request(
                "/api/table/v2/sdk/aggregate",
                params={"table_id": dataset, "tx_id": ""},
                data={
                    "query": query,
                    "cols": None,
                    "cursor": cursor,
                    "aggr": dict(reduce),
                    "by": by,
                    "vars": vars_to_json(dict(values)),
                    "timeout": _SELECT_SECONDS,
                },
                retry=True,
            )
            cursor = None
            with pa.ipc.open_stream(response.reader()) as stream:
                for message in stream.iter_batches_with_custom_metadata():
                    metadata = message.custom_metadata or {}
                    if b"error" in metadata:
                        raise ValueError(_SERVER_ERROR + metadata[b"error"].decode())
                    if b"cursor" in metadata:
                        cursor = metadata[b"cursor"].decode()
                    tables.append(message.batch)
                    if at_most is not None and sum(batch.num_rows for batch in tables) > at_most:
                        return pa.Table.from_batches(tables)
                schema = stream.schema
    return pa.Table.from_batches(tables, schema=schema)
