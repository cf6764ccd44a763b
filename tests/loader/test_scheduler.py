"""Waiting for a scheduler whose first packets are answered by nobody, and for what is none."""

import asyncio
import socket
from typing import Any

import distributed
import pytest

from odp_loader.scheduler import greet
from tests.support.sockets import parrot


class Network:
    """Swallows the first connections, each until its time is up."""

    def __init__(self, swallowed: int) -> None:
        self.swallowed = swallowed
        self.given_s: list[float] = []
        self.aborted = 0

    async def connect(self, address: str, *, timeout: float, **_: Any) -> "Network":  # as distributed's
        assert address == "tcp://there:8786"
        self.given_s.append(timeout)
        if len(self.given_s) <= self.swallowed:
            await asyncio.sleep(min(timeout, 0.01))
            raise OSError("no answer")
        return self

    def abort(self) -> None:
        self.aborted += 1


def test_a_lost_packet_costs_seconds_of_half_an_hour(monkeypatch: pytest.MonkeyPatch):
    network = Network(swallowed=3)
    monkeypatch.setattr(distributed.comm.core, "connect", network.connect)
    greet("tcp://there:8786", patience_s=1800)
    assert network.given_s == [10.0] * 4
    assert network.aborted == 1


def test_patience_ends(monkeypatch: pytest.MonkeyPatch):
    network = Network(swallowed=1_000_000)
    monkeypatch.setattr(distributed.comm.core, "connect", network.connect)
    with pytest.raises(OSError, match="no answer"):
        greet("tcp://there:8786", patience_s=0.1)
    assert len(network.given_s) > 1
    assert max(network.given_s) <= 0.1


def test_what_takes_connections_and_says_nothing_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("odp_loader.scheduler._ATTEMPT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="says nothing"):
        greet(f"tcp://127.0.0.1:{silent.getsockname()[1]}", patience_s=0.5)


def test_what_speaks_http_is_no_scheduler():
    with parrot(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address, pytest.raises(ValueError, match="no Dask scheduler"):
        greet(f"tcp://{address}", patience_s=10)
