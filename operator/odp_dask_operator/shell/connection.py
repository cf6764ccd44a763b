"""Connects to the API server with the credentials that the process has: its service account's, or a kubeconfig's."""

import os
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import RESTResponse

from odp_dask_operator.core.names import FIELD_MANAGER
from odp_dask_operator.shell.api import Answer, Request
from odp_dask_operator.shell.errors import error_of

CONNECT_S = 15.0
"""So long a connection for a stream may take to stand."""


class Connection:
    """A transport over `kubernetes.aio`; to be closed."""

    def __init__(self, configuration: client.Configuration) -> None:
        configuration.connection_pool_maxsize = 0  # as many as there are watches and workers, and one for the Lease
        configuration.proxy = configuration.proxy or proxy_to(configuration.host)
        configuration.client_session_kwargs = {"trust_env": False}  # it would read the environment, in a thread, at each request
        self._configuration = configuration
        self._client = client.ApiClient(configuration)

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        """One request, once."""
        try:
            answer = await self._ask(request, aiohttp.ClientTimeout(total=timeout_s))
            body = await answer.read()
        except aiohttp.ClientError as error:
            raise ConnectionError(type(error).__name__) from None  # its text may hold headers
        return Answer(answer.status, answer.headers, body)

    async def lines(self, request: Request, *, silence_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on. Raises ApiError when it is refused, OSError when it breaks off or falls silent."""
        try:
            answer = await self._ask(request, aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=silence_s))
            try:
                if answer.status != 200:
                    raise error_of(answer.status, await answer.read())
                rest = b""
                async for part in answer.response.content.iter_any():
                    *whole, rest = (rest + part).split(b"\n")
                    for line in whole:
                        yield line
            finally:
                answer.response.close()
        except aiohttp.ClientError as error:
            raise ConnectionError(type(error).__name__) from None

    async def _ask(self, request: Request, timeout: aiohttp.ClientTimeout) -> RESTResponse:
        headers = {"Accept": "application/json", "Content-Type": request.content_type, "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], request.path, request.method, request.body)
        url = self._configuration.host + request.path
        answer: RESTResponse = await self._client.rest_client.request(
            request.method, url, headers=headers, body=request.body, _request_timeout=timeout
        )
        return answer

    async def close(self) -> None:
        """Gives the connections back."""
        await self._client.close()


def proxy_to(host: str) -> str | None:
    """The proxy on the way to a server, by HTTPS_PROXY and NO_PROXY; None where there is none."""
    parts = urlsplit(host)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


class NoApiServer(Exception):
    """Nothing says where the API server is, or as whom to speak to it."""


async def connect() -> Connection:
    """Inside a cluster as its service account, elsewhere by the kubeconfig. Raises NoApiServer when there is neither."""
    configuration = client.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            await config.load_kube_config(client_configuration=configuration)
    except (config.ConfigException, OSError, TypeError, ValueError, yaml.YAMLError) as error:
        # A file of another shape is not quoted: it may hold a token.
        cause = str(error).rstrip(".") if isinstance(error, config.ConfigException) else "the kubeconfig cannot be understood"
        cure = "in a pod mount a service account's token, elsewhere name in KUBECONFIG a file with a current context"
        raise NoApiServer(f"no API server is known ({cause}); {cure}") from None
    return Connection(configuration)
