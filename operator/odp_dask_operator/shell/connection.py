"""Connects to the API server with the credentials that the process has: its service account's, or a kubeconfig's."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio import client, config

from odp_dask_operator.core.names import FIELD_MANAGER
from odp_dask_operator.shell.api import Answer, Request

NO_LIMIT = 0
"""To connections that are open at once: the workers are one, and the Lease never waits for theirs."""


class Connection:
    """A transport over `kubernetes.aio`; to be closed."""

    def __init__(self, configuration: client.Configuration) -> None:
        configuration.connection_pool_maxsize = NO_LIMIT
        configuration.proxy = configuration.proxy or proxy_to(configuration.host)
        configuration.client_session_kwargs = {"trust_env": False}  # it would read the environment, in a thread, at each request
        self._configuration = configuration
        self._client = client.ApiClient(configuration)

    async def send(self, request: Request, *, timeout_s: float) -> Answer:
        """One request, once."""
        headers = {"Accept": request.accept, "Content-Type": request.content_type, "User-Agent": FIELD_MANAGER}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], request.path, request.method, request.body)
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url = self._configuration.host + request.path
        try:
            answer = await self._client.rest_client.request(
                request.method, url, headers=headers, body=request.body, _request_timeout=timeout
            )
            body = await answer.read()
        except aiohttp.ClientError as error:
            raise ConnectionError(type(error).__name__) from None  # its text may hold headers
        return Answer(answer.status, answer.headers, body)

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
