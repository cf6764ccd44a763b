"""Waits for a Dask scheduler that may not be there yet."""

import asyncio
import time
from typing import Any

import distributed

_ATTEMPT_S = 10.0
"""distributed gives its first connection a fifth of the time it has, and the others all of it. A packet to a pod that has just gone
is lost, and with minutes to spare it would wait as long for the reply."""


def greet(address: str, *, patience_s: float) -> None:
    """Return when the scheduler at `address` answers; for TLS by Dask's own configuration.

    Without a Client: one that could not start is closed by the garbage collector, and when that happens while the next one
    starts, both wait for the same lock for ever (`LoopRunner` of distributed 2026.8).

    Raises OSError when there was no answer for `patience_s` seconds, ValueError for an unknown protocol and for an answer that
    is not Dask's, TypeError for TLS without certificates.
    """
    asyncio.run(_greet(address, patience_s))


async def _greet(address: str, patience_s: float) -> None:
    connect: Any = distributed.comm.core.connect
    certificates = distributed.Security().get_connection_args("client")
    deadline = time.monotonic() + patience_s
    while True:
        left = deadline - time.monotonic()
        try:
            async with asyncio.timeout(_ATTEMPT_S):  # distributed's own ends with the connection, before the handshake
                comm = await connect(address, timeout=min(_ATTEMPT_S, left), **certificates)
        except MemoryError:  # the first bytes of an answer are a length: those of "HTTP/1.1" are three exbibytes
            raise ValueError("what answers there is no Dask scheduler; the dashboard's port is another one") from None
        except OSError as error:
            if time.monotonic() >= deadline:
                raise OSError(str(error) or "it takes connections and says nothing, as the dashboard's port does") from None
        else:
            comm.abort()
            return
