"""Asks a loader how far it is. Losing the answer fails nothing."""

import aiohttp

from odp_dask_operator.core.observed.words import MAX_BODY_BYTES

TIMEOUT_S = 2.0


class ProgressReader:
    """Reads `/progress` of loaders; to be closed."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def read(self, url: str) -> bytes | None:
        """What the loader answers; None when it does not. No redirect is followed: the pod is the user's."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=False)
        try:
            async with self._session.get(url, allow_redirects=False) as answer:
                body = b""
                async for part in answer.content.iter_chunked(MAX_BODY_BYTES):
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        return None
                return body if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    async def close(self) -> None:
        """Gives the connections back."""
        if self._session is not None:
            await self._session.close()
