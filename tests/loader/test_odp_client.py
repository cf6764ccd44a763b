"""What a person reads of a server that cannot be reached: which one, why, where to look, and that it is being tried again."""

from collections.abc import Iterator

import pytest

from odp_loader.errors import Transient
from odp_loader.odp.client import ATTEMPTS, OdpClient
from odp_loader.sources.odp import OdpTable
from odp_loader.spec import OdpSource
from tests.support.sockets import nobody, parrot

KEY = "the-key-of-this-test"


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What errors said; none may hold the key."""
    monkeypatch.setenv("ODP_API_KEY", KEY)
    said: list[str] = []
    yield said
    assert said
    assert not any(KEY in words for words in said)


def asked_of(url: str, words: list[str]) -> str:
    with pytest.raises(Transient) as raised:
        OdpClient(url, attempts=1).dataset("d").table.schema()
    assert raised.value.__context__ is None, "it would hold the request"
    words += [str(raised.value), repr(raised.value)]
    return str(raised.value)


def test_nobody_listens(words: list[str]):
    with nobody() as address:
        url = f"http://{address}"
        assert asked_of(url, words) == (
            f"{url} cannot be reached: Connection refused;"
            " check baseURL, HTTPS_PROXY and NO_PROXY, and whether a firewall or NetworkPolicy is in between"
        )


def test_the_proxy_is_not_there(words: list[str], monkeypatch: pytest.MonkeyPatch):
    with nobody() as address:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert "Connection refused; check baseURL, HTTPS_PROXY" in asked_of("https://odp.invalid/", words)


def test_what_answers_speaks_no_tls(words: list[str]):
    with parrot(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "[SSL" in asked_of(f"https://{address}/", words)


def test_a_question_is_asked_as_often_as_any_request_and_says_once_that_it_waits(words: list[str], monkeypatch: pytest.MonkeyPatch):
    waits: list[int] = []
    monkeypatch.setattr("odp_loader.patience.wait_s", lambda attempt, _: waits.append(attempt) or 0.0)
    with nobody() as address:
        source = OdpSource(dataset="d", base_url=f"http://{address}")
        with pytest.raises(Transient, match="Connection refused"):
            OdpTable(source, note=words.append).describe()
    assert sorted(waits) == sorted([*range(1, ATTEMPTS)] * 2), "schema and statistics, at once"
    assert [note.endswith("; trying again") for note in words] == [True]
