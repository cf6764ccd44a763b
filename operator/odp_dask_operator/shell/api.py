"""The one client of the API server: every call has a timeout, is tried again where that is safe, is counted, and fails typed.

Facts about the requests are of the Kubernetes API conventions; `kubernetes.aio` brings the connection and the credentials.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from odp_dask_operator.core.names import FIELD_MANAGER, Resource
from odp_dask_operator.shell.errors import NO_ANSWER, ApiError, Gone, Unavailable, error_of
from odp_dask_operator.shell.retry import RetryPolicy

TIMEOUT_S = 15.0
PAGE = 500
"""Objects in one answer of a list."""
JSON, MERGE_PATCH, APPLY_PATCH = "application/json", "application/merge-patch+json", "application/apply-patch+yaml"
Raw = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `path` has its query."""

    method: str
    path: str
    content_type: str = JSON
    accept: str = JSON
    body: Raw | None = None


class Transport(Protocol):
    """Carries a request to the server. Raises OSError (TimeoutError is one) when there is no answer."""

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        """The answer, whatever its code."""
        ...


Counted = Callable[[str, str, int], None]
"""Is told verb, plural and code of each request that was made."""


def _not_counted(_verb: str, _plural: str, _code: int) -> None:
    """For calls that nobody counts."""


class Api:
    """Reads and writes objects as the API has them."""

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float = TIMEOUT_S,
        counted: Counted = _not_counted,
        policy: RetryPolicy = RetryPolicy(),  # noqa: B008 # frozen
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport, self._counted, self._policy, self._timeout_s = transport, counted, policy, timeout_s
        self._sleep, self._chance = sleep, chance

    async def get(self, resource: Resource, *, namespace: str, name: str) -> Raw:
        """One object."""
        return await self._call("get", resource.plural, Request(method="GET", path=path_of(resource, namespace, name)))

    async def list_all(self, resource: Resource, *, namespace: str | None = None, fields: str | None = None) -> list[Raw]:
        """All objects at once; from the beginning when a page came too late."""
        try:
            return [raw async for page in self.pages(resource, namespace, fields=fields) for raw in page]
        except Gone:
            return [raw async for page in self.pages(resource, namespace, fields=fields) for raw in page]

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        limit: int = PAGE,
        metadata_only: bool = False,
    ) -> AsyncIterator[list[Raw]]:
        """All objects, a page at a time. Each says its kind, as in a watch. Raises Gone when a page came too late."""
        query = {"limit": str(limit), "labelSelector": labels, "fieldSelector": fields, "continue": None}
        said = {"apiVersion": resource.api_version, "kind": resource.kind}
        while True:
            path, accept = path_of(resource, namespace, query=query), accepted(metadata_only=metadata_only, many=True)
            request = Request(method="GET", path=path, accept=accept)
            page = await self._call("list", resource.plural, request)
            query["continue"] = page["metadata"].get("continue")
            yield [{**item, **said} for item in page.pop("items", None) or ()]
            if not query["continue"]:
                return

    async def create(self, resource: Resource, body: Raw) -> Raw:
        """A new object. Tried again like a read: its name makes a second one impossible. Raises AlreadyExists.

        Server-side apply would make it, too, but could not be kept from changing an object of somebody else that has the name.
        """
        path = path_of(resource, body["metadata"]["namespace"], query={"fieldManager": FIELD_MANAGER})
        return await self._call("create", resource.plural, Request(method="POST", path=path, body=body))

    async def apply(self, resource: Resource, body: Raw) -> Raw:
        """Server-side apply; what others set without our saying so is theirs, what we say is ours."""
        meta, query = body["metadata"], {"fieldManager": FIELD_MANAGER, "force": "true"}
        path = path_of(resource, meta["namespace"], meta["name"], query=query)
        request = Request(method="PATCH", path=path, content_type=APPLY_PATCH, body=body)
        return await self._call("apply", resource.plural, request)

    async def patch(self, resource: Resource, body: Raw, *, namespace: str, name: str, subresource: str = "") -> Raw:
        """Merge patch. With a resourceVersion in the metadata it raises Conflict rather than overwrite another's change."""
        path = path_of(resource, namespace, name, subresource, query={"fieldManager": FIELD_MANAGER})
        request = Request(method="PATCH", path=path, content_type=MERGE_PATCH, body=body)
        return await self._call("patch", f"{resource.plural}/{subresource}" if subresource else resource.plural, request)

    async def delete(self, resource: Resource, *, namespace: str, name: str, uid: str | None) -> None:
        """Deletes in the foreground, and nothing but the object with this UID."""
        body: Raw = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        await self._call("delete", resource.plural, Request(method="DELETE", path=path_of(resource, namespace, name), body=body))

    async def kinds(self, api_version: str) -> frozenset[str]:
        """The kinds that the server knows of a group and version. Raises NotFound for a group that is not there."""
        found = await self._call("get", "discovery", Request(method="GET", path=f"{_root(api_version)}/{api_version}"))
        return frozenset(resource["kind"] for resource in found.get("resources") or ())

    async def _call(self, verb: str, plural: str, request: Request) -> Raw:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(verb, plural, request)
            except ApiError as error:
                pause = self._policy.pause_s(error, attempt=attempt, chance=self._chance())
                if pause is None:
                    raise
            await self._sleep(pause)

    async def _once(self, verb: str, plural: str, request: Request) -> Raw:
        try:
            answer = await self._transport.send(request, timeout_s=self._timeout_s)
        except OSError as error:
            self._counted(verb, plural, NO_ANSWER)
            what = f"the API server does not answer: {type(error).__name__}"
            raise Unavailable(what, code=NO_ANSWER) from None
        self._counted(verb, plural, answer.code)
        if answer.code >= 400:
            raise error_of(answer.code, answer.body, retry_after_s=_seconds(answer.headers.get("Retry-After")))
        document: Raw = json.loads(answer.body)
        return document


def accepted(*, metadata_only: bool, many: bool) -> str:
    """The form of an answer: whole objects, or their metadata alone, of which a list is a kind of its own and a watch is not.

    https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
    """
    kind = "PartialObjectMetadataList" if many else "PartialObjectMetadata"
    return f"{JSON};as={kind};g=meta.k8s.io;v=v1,{JSON}" if metadata_only else JSON


def _root(api_version: str) -> str:
    return "/apis" if "/" in api_version else "/api"


def path_of(
    resource: Resource, namespace: str | None, name: str = "", subresource: str = "", query: Mapping[str, str | None] | None = None
) -> str:
    """Where the API has a resource or an object."""
    places = ["namespaces", namespace] if namespace else []
    parts = [_root(resource.api_version), resource.api_version, *places, resource.plural, quote(name, safe=""), subresource]
    asked = {key: value for key, value in (query or {}).items() if value}
    return "/".join(part for part in parts if part) + (f"?{urlencode(asked)}" if asked else "")


def _seconds(header: str | None) -> float | None:
    """Kubernetes gives whole seconds, never a date."""
    return float(header) if header is not None and header.isdigit() else None
