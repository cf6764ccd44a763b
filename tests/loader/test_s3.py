"""Outputs in S3: credentials of every kind, rotated and expired, and uploads that break in the middle, against a real server."""

import os
import pickle
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Transient
from odp_loader.spec import Storage
from odp_loader.store import Store
from odp_loader.store.secret import SECRETS_VARIABLE
from tests.support.proxy import CuttingProxy, cutting_proxy
from tests.support.s3 import S3Server, sts


@pytest.fixture
def proxy(s3: S3Server, tmp_path: Path) -> Iterator[CuttingProxy]:
    with cutting_proxy(s3.endpoint, tmp_path / "proxy") as proxy:
        yield proxy


def spoken(error: LoadError) -> str:
    """All that another process learns of an error."""
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return repr(pickle.loads(pickle.dumps(error))) + str(error)


class TestCredentials:
    def test_of_the_process_itself(self, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
        store = Store.open(s3.url())
        store.write("x", b"1")
        assert store.read("x") == b"1"

    def test_source_and_sink_have_different_ones(self, s3: S3Server, secrets: Path) -> None:
        s3.secret_folder(secrets, "source", **s3.new_keys("reader"))
        s3.secret_folder(secrets, "sink", **s3.new_keys("writer"))
        url = s3.url()
        Store.open(url, s3.storage("sink")).write("x", b"1")
        assert Store.open(url, s3.storage("source")).read("x") == b"1"

    @pytest.mark.parametrize(
        ("name", "value"), [("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG"), ("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONG")]
    )
    def test_wrong_ones_are_refused_without_being_shown(self, s3: S3Server, secrets: Path, name: str, value: str) -> None:
        folder = s3.secret_folder(secrets)
        (folder / name).write_text(value)
        store = Store.open(s3.url(), s3.storage())
        acts = (
            lambda: store.read("x"),
            lambda: store.find("x"),
            lambda: list(store.list("")),
            lambda: store.write("x", b"1"),
            lambda: store.delete("x"),
            lambda: store.delete_folder("x"),
            lambda: store.open_file("x"),
        )
        for act in acts:
            with pytest.raises(CredentialsRefused, match="check the keys in Secret 's3'") as caught:
                act()
            assert caught.value.exit_code == 3
            for key in (value, s3.access_key, s3.secret_key):
                assert key not in spoken(caught.value)

    @pytest.mark.parametrize(
        ("spoil", "words"),
        [
            (lambda folder: folder.rename(folder.with_name("other")), "is not there"),
            (lambda folder: (folder / "AWS_ACCESS_KEY_ID").unlink(), "no key AWS_ACCESS_KEY_ID"),
            (lambda folder: (folder / "AWS_SECRET_ACCESS_KEY").write_text("\n"), "no key AWS_SECRET_ACCESS_KEY"),
            (lambda folder: (folder / "AWS_SECRET_ACCESS_KEY").write_bytes(b"\xff\xfe"), "cannot be read"),
        ],
    )
    def test_a_secret_that_lacks_something(self, s3: S3Server, secrets: Path, spoil: object, words: str) -> None:
        spoil(s3.secret_folder(secrets))  # type: ignore[operator]
        with pytest.raises(CredentialsRefused, match=words):
            Store.open(s3.url(), s3.storage()).read("x")

    def test_secrets_are_nowhere(self, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(SECRETS_VARIABLE, raising=False)
        with pytest.raises(CredentialsRefused, match=SECRETS_VARIABLE):
            Store.open(s3.url(), s3.storage()).read("x")

    @pytest.mark.parametrize("name", ["..", "a/b", "."])
    def test_a_secret_is_one_folder(self, s3: S3Server, secrets: Path, name: str) -> None:
        with pytest.raises(CredentialsRefused, match="is not there"):
            Store.open(s3.url(), s3.storage(name)).read("x")

    def test_a_store_holds_no_key(self, s3: S3Server, secrets: Path) -> None:
        s3.secret_folder(secrets)
        store = Store.open(s3.url(), s3.storage())
        store.write("x", b"1")
        carried = pickle.dumps(store)
        assert s3.secret_key.encode() not in carried
        assert s3.access_key.encode() not in carried
        assert s3.secret_key not in repr(store) + repr(vars(store))
        assert pickle.loads(carried).read("x") == b"1"


class TestRotation:
    def test_new_keys_are_taken_before_the_old_ones_end(self, s3: S3Server, secrets: Path) -> None:
        first, second = s3.new_keys("ada"), s3.new_keys("ada")
        folder = s3.secret_folder(secrets, **first)
        store = Store.open(s3.url(), s3.storage())
        store.write("x", b"1")
        (folder / "AWS_ACCESS_KEY_ID").write_text(second["AWS_ACCESS_KEY_ID"])
        (folder / "AWS_SECRET_ACCESS_KEY").write_text(second["AWS_SECRET_ACCESS_KEY"])
        s3.withdraw("ada", first)
        assert store.read("x") == b"1"
        s3.withdraw("ada", second)
        with pytest.raises(CredentialsRefused):
            store.read("x")

    def test_keys_that_change_during_a_request_are_tried_once_more(self, s3: S3Server, secrets: Path) -> None:
        """The Secret changes between the moment it is read and the moment the server refuses what was read."""
        first, second = s3.new_keys("bob"), s3.new_keys("bob")
        s3.secret_folder(secrets, **first)
        store = Store.open(s3.url(), s3.storage())
        store.write("x", b"1")
        s3.withdraw("bob", first)
        calls = []

        def operation(filesystem: pafs.FileSystem, key: str) -> bytes:
            calls.append(key)
            if len(calls) == 1:
                s3.secret_folder(secrets, **second)
            return bytes(filesystem.open_input_file(key).read())

        assert store._do("x", operation) == b"1"  # type: ignore[attr-defined]
        assert len(calls) == 2
        s3.withdraw("bob", second)

    def test_a_connection_is_kept_while_the_keys_are_the_same(self, s3: S3Server, secrets: Path) -> None:
        folder = s3.secret_folder(secrets)
        first, second = (Store.open(s3.url(), s3.storage()) for _ in range(2))
        assert first.filesystem is second.filesystem
        (folder / "AWS_ACCESS_KEY_ID").write_text(s3.access_key)  # rewritten, the same
        assert first.filesystem is second.filesystem

    def test_temporary_keys_that_end(self, s3: S3Server, secrets: Path) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "ASIATEMPORARY0000001", "AWS_SECRET_ACCESS_KEY": "temporary", "AWS_SESSION_TOKEN": "token-1"}
        s3.begin_session(keys, seconds=3600)
        s3.secret_folder(secrets, **keys)
        store = Store.open(s3.url(), s3.storage())
        store.write("x", b"1")
        s3.begin_session(keys, seconds=-1)
        with pytest.raises(CredentialsRefused, match="expired") as caught:
            store.read("x")
        assert "token-1" not in spoken(caught.value)
        fresh = keys | {"AWS_ACCESS_KEY_ID": "ASIATEMPORARY0000002", "AWS_SESSION_TOKEN": "token-2"}
        s3.begin_session(fresh, seconds=3600)
        s3.secret_folder(secrets, **fresh)
        assert store.read("x") == b"1"

    def test_keys_that_end_while_a_file_is_read(self, s3: S3Server, secrets: Path) -> None:
        keys = s3.new_keys("eve")
        s3.secret_folder(secrets, **keys)
        store = Store.open(s3.url(), s3.storage())
        store.write("x", bytes(2**20))
        file = store.open_file("x")
        s3.withdraw("eve", keys)
        with pytest.raises(Transient, match="credentials ended"), store.translated("x"):
            file.read()


@pytest.fixture(scope="module")
def role_server(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    with sts(s3, tmp_path_factory.mktemp("sts")) as found:
        yield found


def refuse_strangers(endpoint: str, *, after: str) -> None:
    """Have moto check the signatures of all requests after so many; it knows none of our keys."""
    headers = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", after.encode(), headers)).close()


class TestRole:
    ARN = "arn:aws:iam::000000000000:role/loader"

    def test_is_assumed_and_renewed(
        self, s3: S3Server, secrets: Path, role_server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint, issued = role_server
        s3.secret_folder(secrets)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
        store = Store.open(s3.url(), s3.storage(role_arn=self.ARN))
        store.write("x", b"1")
        assert store.read("x") == b"1"
        assert len(issued) == 1
        ahead = time.time() + 46 * 60  # less than a quarter of an hour is left
        with monkeypatch.context() as patch:
            patch.setattr("odp_loader.store.connection.time.time", lambda: ahead)
            assert store.read("x") == b"1"
        assert len(issued) == 2
        s3.begin_session(s3.session(issued[-1]), seconds=-1)  # ended before its time
        assert store.read("x") == b"1"
        assert len(issued) == 3

    def test_that_may_not_be_assumed(
        self, s3: S3Server, secrets: Path, role_server: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = role_server[0]
        s3.secret_folder(secrets)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", endpoint)
        refuse_strangers(endpoint, after="0")
        try:
            with pytest.raises(
                CredentialsRefused, match=r"STS answered 403 InvalidClientTokenId; check storage\.roleARN"
            ) as caught:
                Store.open(s3.url(), s3.storage(role_arn=f"{self.ARN}-1")).read("x")
        finally:
            refuse_strangers(endpoint, after="inf")
        assert s3.secret_key not in spoken(caught.value)

    def test_that_is_no_arn(self, s3: S3Server, secrets: Path) -> None:
        s3.secret_folder(secrets)
        with pytest.raises(InvalidLoad, match="'loader' is no ARN"):
            Store.open(s3.url(), s3.storage(role_arn="loader")).read("x")

    def test_sts_does_not_answer(self, s3: S3Server, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        s3.secret_folder(secrets)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        with pytest.raises(Transient, match="STS does not answer"):
            Store.open(s3.url(), s3.storage(role_arn=f"{self.ARN}-2")).read("x")

    def test_without_any_identity(self, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with pytest.raises(CredentialsRefused, match="this process has no AWS identity"):
            Store.open(s3.url(), Storage(endpoint=s3.endpoint, role_arn=self.ARN)).read("x")


class TestFaults:
    def test_no_such_bucket(self, s3: S3Server, secrets: Path) -> None:
        s3.secret_folder(secrets)
        store = Store.open("s3://no-such-bucket/x", s3.storage())
        for act in (lambda: store.write("x", b"1"), lambda: list(store.list("")), lambda: store.create("x", b"1")):
            with pytest.raises(InvalidLoad, match=r"s3://no-such-bucket/x.*there is no (such )?bucket") as caught:
                act()
            assert caught.value.exit_code == 2

    def test_nobody_listens(self, s3: S3Server, secrets: Path) -> None:
        s3.secret_folder(secrets)
        with pytest.raises(Transient, match="Couldn't connect"):
            Store.open(s3.url(), s3.storage(endpoint="http://127.0.0.1:9")).read("x")

    @pytest.mark.parametrize("endpoint", ["minio:9000", "ftp://x", "https://key:secret@minio:9000", "https://"])
    def test_a_bad_endpoint(self, s3: S3Server, secrets: Path, endpoint: str) -> None:
        s3.secret_folder(secrets)
        with pytest.raises(InvalidLoad, match=r"storage\.endpoint must be") as caught:
            Store.open(s3.url(), s3.storage(endpoint=endpoint)).read("x")
        assert "secret@" not in str(caught.value)

    @pytest.mark.parametrize("cut", ["partNumber=3&", "partNumber=5&", r"POST \S+\?uploadId"])
    def test_an_upload_that_breaks_leaves_no_object(
        self, s3: S3Server, secrets: Path, proxy: CuttingProxy, tmp_path: Path, cut: str
    ) -> None:
        s3.secret_folder(secrets)
        url = s3.url()
        store = Store.open(url, s3.storage(endpoint=proxy.endpoint))
        local = tmp_path / "part.parquet"
        local.write_bytes(bytes(range(256)) * 170_000)  # 43 MB: five parts
        proxy.cut = cut
        with pytest.raises(Transient, match="NETWORK_CONNECTION"):
            store.upload(local, "data/part.parquet")
        assert any(re.search(cut, request) for request in proxy.requests)
        through_another_way = Store.open(url, s3.storage())
        assert list(through_another_way.list("")) == []
        proxy.cut = None
        store.upload(local, "data/part.parquet")
        assert through_another_way.read("data/part.parquet") == local.read_bytes()

    def test_an_upload_that_breaks_leaves_the_older_object(
        self, s3: S3Server, secrets: Path, proxy: CuttingProxy, tmp_path: Path
    ) -> None:
        s3.secret_folder(secrets)
        store = Store.open(s3.url(), s3.storage(endpoint=proxy.endpoint))
        store.write("x", b"old")
        (tmp_path / "new").write_bytes(bytes(25 * 2**20))
        proxy.cut = "partNumber=2"
        with pytest.raises(Transient):
            store.upload(tmp_path / "new", "x")
        with pytest.raises(Transient):
            store.write("x", bytes(25 * 2**20))
        proxy.cut = None
        assert store.read("x") == b"old"

    def test_an_upload_is_bounded_in_memory(self, s3: S3Server, secrets: Path, proxy: CuttingProxy, tmp_path: Path) -> None:
        """Parts wait for those before them: no more than two are on their way at once."""
        s3.secret_folder(secrets)
        store = Store.open(s3.url(), s3.storage(endpoint=proxy.endpoint))
        (tmp_path / "x").write_bytes(bytes(65 * 2**20))
        store.upload(tmp_path / "x", "x")
        parts = [int(found[1]) for request in proxy.requests if (found := re.search(r"partNumber=(\d+)", request))]
        assert sorted(parts) == [1, 2, 3, 4, 5, 6, 7]
        assert [(part - 1) // 2 for part in parts] == [0, 0, 1, 1, 2, 2, 3]

    def test_the_proxy_of_the_environment(
        self, s3: S3Server, secrets: Path, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s3.secret_folder(secrets)
        monkeypatch.setenv("http_proxy", proxy.endpoint)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        url = s3.url("behind-a-proxy")
        Store.open(url, s3.storage()).write("x", b"1")
        assert proxy.requests == []
        assert Store.open(url, s3.storage(endpoint="http://s3.example.invalid")).read("x") == b"1"
        assert all(" http://s3.example.invalid" in request for request in proxy.requests)


def test_many_threads_share_a_connection(s3: S3Server, secrets: Path) -> None:
    s3.secret_folder(secrets)
    store = Store.open(s3.url(), s3.storage())
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            store.write(f"{number}", b"%d" % number)
            assert store.read(f"{number}") == b"%d" % number
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(store.list(""))) == 16


METADATA_SERVICE = """
import os, socket, threading
from odp_loader.spec import Storage
from odp_loader.store.address import Address
from odp_loader.store.connection import connect

service, asked = socket.create_server(("127.0.0.1", 0)), []

def answer():
    while True:
        connection, peer = service.accept()
        asked.append(peer)
        connection.close()

threading.Thread(target=answer, daemon=True).start()
os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = f"http://127.0.0.1:{service.getsockname()[1]}"
connect(Address("s3", "bucket", ""), Storage(**STORAGE))
print(bool(asked), "AWS_DEFAULT_REGION" in os.environ)
"""


@pytest.mark.parametrize(
    ("storage", "asked"),
    [
        ({"endpoint": "http://127.0.0.1:9", "region": "eu-north-1"}, False),
        ({"endpoint": "http://127.0.0.1:9"}, False),
        ({"region": "eu-north-1"}, False),
        ({}, True),
    ],
    ids=["both", "no region at a server of one's own", "AWS", "only the machine knows"],
)
def test_the_machine_is_asked_for_a_region_only_when_nobody_else_knows_it(storage: dict[str, str], asked: bool):
    """The SDK reads these variables once in a process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    script = METADATA_SERVICE.replace("STORAGE", repr(storage))
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment | keys, capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split() == [str(asked), "False"]
