"""A store does the same wherever it is, and says what is wrong in words that help."""

import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError, Transient
from odp_loader.spec import Storage
from odp_loader.store import Store
from odp_loader.store.address import parse_address
from odp_loader.store.failures import storage_failure


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store.open(str(tmp_path / "out"))
    server = request.getfixturevalue("s3")
    server.secret_folder(request.getfixturevalue("secrets"))
    return Store.open(server.url(), server.storage())


class TestEverywhere:
    def test_what_is_written_is_read(self, store: Store) -> None:
        assert store.read("a/b.json") is None
        assert store.find("a/b.json") is None
        store.write("a/b.json", b"one")
        store.write("a/b.json", b"two")
        assert store.read("a/b.json") == b"two"
        found = store.find("a/b.json")
        assert found is not None
        assert (found.path, found.size) == ("a/b.json", 3)
        assert found.modified_ns
        assert store.find("a") is None

    def test_create_never_replaces(self, store: Store) -> None:
        assert store.create("plan.json", b"mine")
        assert not store.create("plan.json", b"yours")
        assert store.read("plan.json") == b"mine"
        assert [entry.path for entry in store.list("")] == ["plan.json"]

    def test_list_is_recursive_sorted_and_of_one_folder(self, store: Store) -> None:
        for path in ("data/b.parquet", "data/year=2024/a é+%20.parquet", "data2/c", "d"):
            store.write(path, b"xx")
        assert [(entry.path, entry.size) for entry in store.list("data")] == [
            ("data/b.parquet", 2),
            ("data/year=2024/a é+%20.parquet", 2),
        ]
        assert [entry.path for entry in store.list("")][-1] == "data2/c"
        assert list(store.list("nothing")) == []

    def test_delete_is_idempotent(self, store: Store) -> None:
        for path in ("tmp/x/1", "tmp/x/y/2", "tmp/3"):
            store.write(path, b"x")
        store.delete("tmp/3")
        store.delete("tmp/3")
        assert [entry.path for entry in store.list("")] == ["tmp/x/1", "tmp/x/y/2"]
        store.delete_folder("tmp")
        store.delete_folder("tmp")
        assert list(store.list("")) == []

    @pytest.mark.parametrize("size", [0, 1, 45 * 2**20 + 7], ids=["empty", "small", "many parts"])
    def test_upload_puts_all_bytes_there(self, store: Store, tmp_path: Path, size: int) -> None:
        local = tmp_path / "part.parquet"
        local.write_bytes(os.urandom(size))
        store.upload(local, "data/part.parquet")
        assert [entry.size for entry in store.list("data")] == [size]
        assert store.read("data/part.parquet") == local.read_bytes()

    def test_open_file_reads_anywhere(self, store: Store) -> None:
        store.write("x", b"0123456789")
        with store.translated("x"), store.open_file("x") as file:
            assert file.size() == 10
            assert file.read_at(3, 4) == b"456"

    def test_filesystem_and_path_fit_together(self, store: Store) -> None:
        store.write("data/x", b"1")
        assert store.filesystem.get_file_info(store.path("data/x")).size == 1
        assert store.join("data/x") == f"{store.url}/data/x"
        assert store.join("") == store.url

    @pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/"])
    def test_a_path_never_leaves_the_store(self, store: Store, path: str) -> None:
        for act in (store.read, store.delete, store.delete_folder, store.find, store.join):
            with pytest.raises(ValueError, match="no path within a store"):
                act(path)

    def test_a_store_does_not_delete_itself(self, store: Store) -> None:
        with pytest.raises(ValueError, match="itself"):
            store.delete_folder("")


class TestLocal:
    def test_the_url_is_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert Store.open("out/../sst").url == str(tmp_path / "sst")
        assert Store.open("~/sst").url == str(tmp_path / "home/sst")
        assert Store.open("file:///data/a%20b").url == "/data/a b"
        assert Store.open("out").local_path("a/b") == tmp_path / "out/a/b"
        assert Store.open("out").is_local

    def test_only_one_of_many_creates(self, tmp_path: Path) -> None:
        won = []
        start = threading.Barrier(8)

        def race(number: int) -> None:
            start.wait()
            if Store.open(str(tmp_path)).create("plan.json", b"%d" % number):
                won.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert (tmp_path / "plan.json").read_bytes() == b"%d" % won[0]
        assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]

    def test_create_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "no links")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
        store = Store.open(str(tmp_path))
        assert store.create("plan.json", b"1")
        assert not store.create("plan.json", b"2")
        assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]
        assert store.read("plan.json") == b"1"

    def test_a_write_that_fails_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = Store.open(str(tmp_path))
        store.write("manifest.json", b"old")
        monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
        with pytest.raises(LoadError, match="Input/output error"):
            store.write("manifest.json", b"new")
        assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
        assert store.read("manifest.json") == b"old"

    def test_rename(self, tmp_path: Path) -> None:
        store = Store.open(str(tmp_path))
        store.write("tmp/1/data/x", b"1")
        store.rename("tmp/1/data", "data")
        assert [entry.path for entry in store.list("")] == ["data/x"]

    def test_links_are_followed_but_not_in_circles(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/f").write_bytes(b"1")
        (tmp_path / "in/sub").mkdir(parents=True)
        (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "in/sub/up").symlink_to(tmp_path / "in")
        (tmp_path / "in/dangling").symlink_to(tmp_path / "nothing")
        assert [entry.path for entry in Store.open(str(tmp_path / "in")).list("")] == ["linked/f"]

    def test_what_is_in_the_way_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        (tmp_path / "folder/x").mkdir(parents=True)
        with pytest.raises(InvalidLoad, match="file stands where a folder should be"):
            Store.open(str(tmp_path / "file")).write("x", b"")
        assert Store.open(str(tmp_path / "file")).read("x") is None
        with pytest.raises(InvalidLoad, match="folder stands where a file should be"):
            Store.open(str(tmp_path)).write("folder", b"")
        with pytest.raises(InvalidLoad, match="folder stands where a file should be"):
            Store.open(str(tmp_path)).read("folder")

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "write_bytes", refuse)  # permissions do not stop root
        with pytest.raises(InvalidLoad, match=r"x is out of reach for user \d+ \(Permission denied\)") as caught:
            Store.open(str(tmp_path)).write("x", b"")
        assert caught.value.exit_code == 2

    def test_a_full_disk(self, small_disk: Path, tmp_path: Path) -> None:
        store = Store.open(str(small_disk / "out"))
        store.write("receipts/1", b"kept")
        (tmp_path / "big").write_bytes(bytes(2 * 2**20))
        for act in (lambda: store.write("data/x", bytes(2 * 2**20)), lambda: store.upload(tmp_path / "big", "data/x")):
            with pytest.raises(LoadError, match=r"the disk is full, [\d.]+ MiB of 1.0 MiB are free") as caught:
                act()
            assert (caught.value.exit_code, caught.value.retryable) == (1, True)
        assert [entry.path for entry in store.list("")] == ["receipts/1"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "odp-test", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small tmpfs cannot be mounted: run the tests as root on Linux")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "parsed"),
        [
            ("s3://bucket/a/b/", ("s3", "bucket", "a/b", None)),
            ("S3://bucket", ("s3", "bucket", "", None)),
            ("gs://my.bucket/x", ("gs", "my.bucket", "x", None)),
            ("az://container/x", ("az", "container", "x", None)),
            ("abfss://c-1@account.dfs.core.windows.net/x/y", ("az", "c-1", "x/y", "account")),
        ],
    )
    def test_object_stores(self, url: str, parsed: tuple[Any, ...]) -> None:
        address = parse_address(url)
        assert (address.scheme, address.container, address.path, address.account) == parsed
        assert parse_address(address.url) == address

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("http://host/x", "http:// is no storage"),
            ("s3a://bucket/x", "write s3://"),
            ("gcs://bucket/x", "write gs://"),
            ("s3:///x", "no name of a bucket"),
            ("file://host/x", "another machine"),
            ("s3://bucket/x?region=eu", "belong into storage"),
            ("abfss://container/x", "abfss://container@account"),
            ("abfss://container@example.org/x", "abfss://container@account"),
        ],
    )
    def test_a_bad_url_says_what_to_write(self, url: str, words: str) -> None:
        with pytest.raises(InvalidLoad, match=words):
            Store.open(url)

    def test_a_key_in_a_url_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(InvalidLoad, match="Secret") as caught:
            Store.open("s3://AKIAIOSFODNN7:wJalrXUtnFEMI@bucket/x")
        assert "wJalr" not in str(caught.value)


class TestFailures:
    """Texts as pyarrow 18.1 gives them, taken from its S3, Google and Azure file systems."""

    @pytest.mark.parametrize(
        ("text", "kind", "words"),
        [
            ("AWS Error SIGNATURE_DOES_NOT_MATCH during ListObjectsV2 operation: The request …", CredentialsRefused, "SIGNATURE"),
            (
                "AWS Error UNKNOWN (HTTP status 400) during ListObjectsV2 operation: Unable to parse ExceptionName: ExpiredToken",
                CredentialsRefused,
                "ExpiredToken",
            ),
            (
                "google::cloud::Status(PERMISSION_DENIED: Permanent error, with a last message of x)",
                CredentialsRefused,
                "PERMISSION",
            ),
            (
                "Unknown error: google::cloud::Status(UNKNOWN: Could not create a OAuth2 access token to",
                CredentialsRefused,
                "OAuth2",
            ),
            (
                "Azure Error: [AuthenticationFailed] 403 Forbidden\nServer failed\nRequest ID: 1",
                CredentialsRefused,
                "Authentication",
            ),
            ("GetProperties failed for 'http://x'. Azure Error: [] 403 Forbidden\n", CredentialsRefused, "403"),
            (
                "AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation: The specified bucket",
                InvalidLoad,
                "no such bucket",
            ),
            ("UploadFrom failed. Azure Error: [ContainerNotFound] 404 Not Found", InvalidLoad, "no such bucket"),
            (
                "AWS Error UNKNOWN (HTTP status 301) during HeadObject operation: No response body. Looks like the configured"
                " region is 'us-east-1' while the bucket is located in 'eu-north-1'.",
                InvalidLoad,
                "set storage.region to eu-north-1",
            ),
            ("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 60, SSL peer cert", InvalidLoad, "SSL_CERT_FILE"),
            ("AWS Error SLOW_DOWN during UploadPart operation: Please reduce your request rate.", Transient, "SLOW_DOWN"),
            ("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body.", Transient, "503"),
            ("google::cloud::Status(UNAVAILABLE: Retry policy exhausted error_info={reason=})", Transient, r"exhausted$"),
            ("Azure Error: [ServerBusy] 503 Service Unavailable", Transient, "ServerBusy"),
        ],
    )
    def test_of_object_stores(self, text: str, kind: type[LoadError], words: str) -> None:
        failure = storage_failure(OSError(text), url="s3://b/x", storage=Storage(secret_name="keys"))
        assert type(failure) is kind
        assert str(failure).startswith("s3://b/x: ")
        with pytest.raises(kind, match=words):
            raise failure
