"""The server as a program: what it prints, what it refuses to start with, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from odp_server.__main__ import main
from odp_server.server import Server
from tests.support.odp_server import OdpServer, odp_server, start

TABLE = pa.table({"n": range(10)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.parquet"
    pq.write_table(TABLE.replace_schema_metadata({"description": "Ten numbers"}), path)
    return path


def test_help_says_what_is_served_with_which_key_and_how_to_try_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "*.parquet or *.arrow",
        "ODP_API_KEY",
        "every key that is not empty is accepted",
        "--control",
        "TMPDIR",
        "example:",
    ):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_it_says_in_words_where_it_serves_which_tables_until_ctrl_c(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "odp_server", str(path), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        first, second = server.stdout.readline(), server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
        assert server.stderr is not None
        assert server.stderr.read() == ""
    assert re.fullmatch(r"serving at http://127\.0\.0\.1:\d+ until Ctrl-C\n", first)
    assert re.fullmatch(r"numbers  [0-9a-f-]{36} +10 rows  Ten numbers\n", second)


def test_a_signal_ends_it_cleanly_even_while_it_streams(path: Path) -> None:
    server = start([path], "--control")
    server.fault("stall", seconds=60)
    with requests.post(
        f"{server.url}/api/table/v2/sdk/select?table_id=numbers",
        json={},
        headers={"Authorization": f"ApiKey {server.api_key}"},
        stream=True,
        timeout=10,
    ) as reply:
        assert reply.status_code == 200
        assert server.stop() == 0


def test_it_ends_with_the_process_that_started_it(path: Path) -> None:
    server = start([path])
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(10) == 0
    server.stop()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc, which this system does not have")
def test_it_leaves_no_file_and_holds_tables_on_disk_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with odp_server({"t": pa.table({"n": range(2_000_000)})}) as server:
        files = [str(entry.readlink()) for entry in Path(f"/proc/{server.process.pid}/fd").iterdir()]
        assert [file for file in files if file.startswith(str(tmp_path)) and file.endswith("(deleted)")]
        assert server.client().dataset("t").table.schema() is not None  # the first request takes what the allocator keeps
        before = anonymous_bytes(server)
        assert server.client().dataset("t").select().all(max_rows=3_000_000).table().num_rows == 2_000_000
        assert anonymous_bytes(server) - before < 8_000_000  # half of the table
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("odp-server-") and entry.is_file()]


def anonymous_bytes(server: OdpServer) -> int:
    """Memory that is no mapped file."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


def write(path: Path, *names: str, kind: pa.DataType | None = None) -> None:
    pq.write_table(pa.table([pa.nulls(1, kind or pa.int64())] * len(names), list(names)), path)


def test_what_it_cannot_serve_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists, torn, twins, mixed, empty = (tmp_path / name for name in ("lists", "torn", "twins", "mixed", "empty"))
    for folder in (lists, torn, twins, mixed / "one", empty):
        folder.mkdir(parents=True)
    write(lists / "a.parquet", "tags", kind=pa.list_(pa.int8()))
    (torn / "a.parquet").write_bytes(b"PAR1")
    write(twins / "a.parquet", "n")
    (twins / "a.arrow").write_bytes(b"")
    write(mixed / "one" / "a.parquet", "n")
    write(mixed / "one" / "b.parquet", "m")
    said = {
        lists: "column 'tags' is of type list<element: int8>",
        torn: f"{torn}/a.parquet cannot be read",
        twins: "two tables are called 'a'",
        mixed: f"{mixed}/one/b.parquet has other columns than",
        empty: f"{empty} holds no file ending in .parquet or .arrow",
        tmp_path / "missing": f"{tmp_path}/missing does not exist",
    }
    for path, words in said.items():
        assert main([str(path)]) == 2
        assert words in capsys.readouterr().err


def test_a_table_that_finds_no_room_is_said_with_the_folder(tmp_path: Path) -> None:
    with pa.ipc.new_file(tmp_path / "t.arrow", TABLE.schema) as writer:
        writer.write_table(pa.table({"n": range(200_000)}))
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$0" -m odp_server "$1" --port 0', sys.executable, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert limited.returncode == 2
    assert limited.stderr.startswith(f"odp_server: {tmp_path} cannot hold table 't': ")
    assert limited.stderr.endswith("; set TMPDIR to a folder with more room\n")


def test_a_file_that_is_broken_behind_its_head_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"n": range(100_000)}), path)
    content = bytearray(path.read_bytes())
    content[4:5000] = bytes(4996)
    path.write_bytes(content)
    assert main([str(path)]) == 2
    assert f"{path} cannot be read" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_and_not_waited_for(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(path), "--port", str(port)]) == 2
    assert f"port {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "bound", "said"),
    [
        ([], "127.0.0.1", r"serving at http://127\.0\.0\.1:\d+ until Ctrl-C"),
        (
            ["--host", "0.0.0.0"],
            "0.0.0.0",
            r"serving at http://127\.0\.0\.1:(\d+), and at port \1 of all addresses of this machine, until Ctrl-C",
        ),
    ],
)
def test_it_is_reached_from_this_machine_only_unless_told(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    bound: str,
    said: str,
) -> None:
    served: list[Server] = []
    monkeypatch.setattr(Server, "serve_forever", lambda server: served.append(server))
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    assert main([str(path), "--port", "0", *arguments]) == 0
    (server,) = served
    assert server.server_address[0] == bound
    assert server.url.startswith("http://127.0.0.1:")
    assert re.fullmatch(said, capsys.readouterr().out.splitlines()[0])


def test_options_that_make_no_sense_are_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([str(path), "--batch-rows", "0"])
    assert refused.value.code == 2
    assert "must be 1 or more" in capsys.readouterr().err


def test_the_key_can_be_in_another_variable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "secret")
    server = start([path], "--api-key-env", "OTHER_KEY", api_key="not-the-secret")
    try:
        url = f"{server.url}/api/catalog/v2/datasets"
        codes = [requests.get(url, headers={"Authorization": f"ApiKey {key}"}, timeout=10).status_code for key in ("secret", "no")]
        assert codes == [200, 401]
    finally:
        server.stop()
