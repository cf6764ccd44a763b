"""The SDK's client with what an unattended reader needs: timeouts, retries, kept connections, errors without secrets."""

import io
import json
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import odp.client
import pyarrow as pa
import requests
import urllib3
from requests.adapters import HTTPAdapter

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Throttled, Transient
from odp_loader.key import KEY_VARIABLE
from odp_loader.odp.body import StreamBody
from odp_loader.patience import patiently

TIMEOUT_S = (10.0, 60.0)
"""To connect, and between two bytes; the SDK sets none."""
ATTEMPTS = 8
"""Of one request, before its partition counts as failed: about half a minute of waiting."""
_SCHEMA_QUERY = '"fetch" == "schema"'
_AGAIN = frozenset({429, 500, 502, 503, 504})
_sessions = threading.local()


def _session() -> requests.Session:
    """Return this thread's session: its connections are kept from request to request."""
    found: requests.Session | None = getattr(_sessions, "session", None)
    if found is None:
        found = _sessions.session = requests.Session()
        for scheme in ("http://", "https://"):
            found.mount(scheme, HTTPAdapter(pool_connections=2, pool_maxsize=2))
    return found


@lru_cache
def _surroundings(base_url: str) -> dict[str, Any]:
    """Proxies and certificates by the usual variables, looked up once: requests would read the environment at every request."""
    return dict(requests.Session().merge_environment_settings(base_url, {}, True, None, None))


class OdpClient(odp.client.Client):  # type: ignore[misc] # the SDK is untyped
    """Reads the key from the environment and holds it in memory only: make one where it is used, never ship one.

    Raises CredentialsRefused where there is no key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        attempts: int = ATTEMPTS,
        known: pa.Schema | None = None,
        on_throttled: Callable[[], None] = lambda: None,
    ) -> None:
        """Speak to `base_url`.

        `known` are columns to select, of a server that was seen to mark the end of its streams: then neither is asked again, and
        a stream without its mark is taken for cut.
        """
        if not os.environ.get(KEY_VARIABLE):
            raise CredentialsRefused(
                f"no key for {base_url}: set the environment variable {KEY_VARIABLE},"
                " or name a Secret that holds it in credentials.secretName"
            )
        super().__init__(base_url=base_url)
        self._attempts = attempts
        self._on_throttled = on_throttled
        self._body: StreamBody | None = None
        self._body_is_schema = False
        self._known = known
        self.marker_proved = known is not None
        """Whether this server ends its Arrow streams with the marker: seen on the schema request that the SDK sends before a
        select, or before."""

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a client holds the API key and is never sent anywhere")

    def finish(self) -> None:
        """Give the connection of the last reply back; called by itself before the next request."""
        if self._body is None:
            return
        if self._body_is_schema:
            self.marker_proved = not self._body.ended_early
        self._body.finish()
        self._body = None

    def _request(self, req: requests.Request, retry: bool = True) -> requests.Response:  # noqa: ARG002 # every request here is a read
        """Send one request: the SDK's documented seam. Raises errors of `odp_loader.errors`; none holds the request."""
        self.finish()
        asked = req.data if isinstance(req.data, dict) else {}
        if self._known is not None and asked.get("query") == _SCHEMA_QUERY:
            return _schema_reply(self._known)
        req.headers.setdefault("Authorization", self._auth())
        req.headers.setdefault("User-Agent", "odp-loader")
        if asked:
            req.data = json.dumps(asked)
            req.headers.setdefault("Content-Type", "application/json")
        prepared = req.prepare()
        return patiently(lambda: self._answered(self._send(prepared), asked), attempts=self._attempts)

    def _send(self, prepared: requests.PreparedRequest) -> requests.Response:
        failure: LoadError
        try:
            return _session().send(prepared, timeout=TIMEOUT_S, **_surroundings(self.base_url))
        except requests.exceptions.Timeout:
            failure = Transient(f"{self.base_url} did not answer in time")
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
            failure = InvalidLoad(f"{self.base_url} is not an address; write baseURL as https://host/")
        except requests.exceptions.RequestException as error:
            failure = Transient(
                f"{self.base_url} cannot be reached: {_cause(error)};"
                " check baseURL, HTTPS_PROXY and NO_PROXY, and whether a firewall or NetworkPolicy is in between"
            )
        raise failure  # out here, where it has no context: that one holds the request with the key, and is pickled, too

    def _answered(self, response: requests.Response, asked: dict[str, Any]) -> requests.Response:
        status = response.status_code
        if status == 200:
            if asked:
                self._body_is_schema = asked.get("query") == _SCHEMA_QUERY
                self._body = response.raw = StreamBody(response.raw, marker_expected=self.marker_proved)
            return response
        words = _words(response)
        if status == 429:
            self._on_throttled()
            raise Throttled(f"{self.base_url} asks for fewer requests (429)", _retry_after_s(response))
        if status in _AGAIN:
            raise Transient(f"{self.base_url} answered {status}: {words[:200]}")
        raise self._refusal(status, words, asked)

    def _refusal(self, status: int, words: str, asked: dict[str, Any]) -> LoadError:
        if status in (401, 403):
            return CredentialsRefused(
                f"{self.base_url} refused the key in {KEY_VARIABLE} ({status}): check that it is current and may read the table"
            )
        if status in (204, 404):
            return InvalidLoad(f"{self.base_url} has no such table; look its UUID up in the catalogue")
        if status == 400 and asked.get("cursor"):
            return Transient(f"the server no longer knows its cursor: {words}")
        if status == 400:
            return InvalidLoad(f"the server refused the query: {words}")
        return LoadError(f"{self.base_url} answered {status}: {words[:200]}")


def _cause(error: BaseException) -> str:
    """What the operating system or TLS said, under the layers of requests and urllib3, whose own texts repeat the request."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _schema_reply(schema: pa.Schema) -> requests.Response:
    """What the server says when it is asked for the schema: one batch without rows."""
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema))
    stream.seek(0)
    response = requests.Response()
    response.status_code = 200
    response.raw = stream
    return response


def _words(response: requests.Response) -> str:
    """What the server said of a failure, at most 2 000 bytes of it; closes the response."""
    try:
        return bytes(response.raw.read(2000)).decode(errors="replace").strip()
    except (urllib3.exceptions.HTTPError, OSError):
        return ""
    finally:
        response.close()


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header; its other form, a date, is left to our own backoff."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
