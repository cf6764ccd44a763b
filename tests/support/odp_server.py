"""An ODP-compatible server in a process of its own, for tests and benchmarks: start it, let it misbehave, read its counters.

    with odp_server({"sst": table}) as server:
        server.fault("cut", rows=1000, inside=True, times=2)
        rows = server.client().dataset(server.table_id("sst")).select().all().table()
        assert server.counters()["selects"]["started"] == 1

`{"name": pa.Table | Path}`: a table goes to a temporary Arrow file, which keeps its types; a path is served as it is.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests
from odp.client import Client

API_KEY = "a-key-of-the-tests"
_STOP_DEADLINE_S = 60
_CONTROL_DEADLINE_S = 240


@dataclass(frozen=True)
class OdpServer:
    """A running server. What is changed through it is undone by `reset`."""

    url: str
    api_key: str
    ids: Mapping[str, str]
    """Dataset id by table name."""
    process: subprocess.Popen[str]

    def table_id(self, name: str) -> str:
        """The dataset id of a table."""
        return self.ids[name]

    def client(self) -> Client:
        """The unmodified SDK's client, with the right key."""
        return Client(base_url=self.url, api_key=self.api_key)

    def fault(self, kind: str, **fields: Any) -> None:
        """Let requests go wrong: `odp_server.faults` says what each does, and when.

        status (status=429|500|502|503|504, retry_after_s) · error (rows, message) · cut (rows, inside) · stall (rows, seconds)
        · omit (rows) · repeat (rows) · expire.
        When: requests=["select"], table, matching="text of filter or vars", skip, every, times=1 (None: always), probability, seed.
        """
        self._control("POST", "faults", json=[{"kind": kind, **fields}])

    def settings(self, **fields: Any) -> None:
        """Change how all replies travel: bytes_per_s, latency_s, max_selects, retry_after_s, close_delimited, end_of_stream."""
        self._control("POST", "settings", json=fields)

    def append(self, name: str, rows: pa.Table, *, after_selects: int = 0, matching: str = "") -> None:
        """Let a table grow, now or as soon as so many more selects of it with this text have begun (they do not see the rows)."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        self._control(
            "POST",
            "append",
            params={"table_id": self.ids[name], "after_selects": after_selects, "matching": matching},
            data=sink.getvalue().to_pybytes(),
        )

    def claim(self, name: str, *, columns: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> None:
        """Let the statistics be wrong: `claim("sst", num_rows=7, columns={"time": {"min": None, "max": None}})`."""
        document = {**fields, **({} if columns is None else {"columns": columns})}
        self._control("POST", "statistics", params={"table_id": self.ids[name]}, json=document)

    def counters(self) -> dict[str, Any]:
        """Everything that was asked and sent since the start or the last reset.

        {"requests": {kind: n}, "statuses": {"200": n}, "faults": {kind: n}, "selects": {"started", "finished", "running", "peak",
        "rows", "bytes", "each": [{"table", "query", "vars", "cols", "page", "rows", "bytes", "outcome"}]}}
        """
        counters: dict[str, Any] = self._control("GET", "counters")
        return counters

    def reset(self) -> None:
        """Undo all faults, settings, claims and growth; count from zero."""
        self._control("POST", "reset")

    def cpu_s(self) -> float:
        """Processor time this server has used so far (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """Stop it and return its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(_STOP_DEADLINE_S)
        finally:
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()

    def _control(self, method: str, path: str, **request: Any) -> Any:
        reply = requests.request(
            method,
            f"{self.url}/control/{path}",
            headers={"Authorization": f"ApiKey {self.api_key}"},
            timeout=_CONTROL_DEADLINE_S,
            **request,
        )
        assert reply.status_code == 200, reply.text
        return reply.json()


@contextlib.contextmanager
def odp_server(
    tables: Mapping[str, pa.Table | Path], *arguments: str, api_key: str | None = API_KEY, control: bool = True
) -> Iterator[OdpServer]:
    """Serve these tables on a free port of this machine until the block ends; `arguments` go to the server's command line.

    Without an `api_key` the server accepts any key. It also ends when this process does, however that ends.
    """
    with tempfile.TemporaryDirectory(prefix="odp-server-test-") as folder:
        paths = [_path(Path(folder), name, table) for name, table in tables.items()]
        server = start(paths, *(["--control"] if control else []), *arguments, api_key=api_key)
        try:
            yield server
        finally:
            server.stop()


def start(paths: Sequence[Path], *arguments: str, api_key: str | None = API_KEY) -> OdpServer:
    """Serve these files and folders; whoever starts it stops it."""
    environment = {name: value for name, value in os.environ.items() if name != "ODP_API_KEY"}
    if api_key is not None:
        environment["ODP_API_KEY"] = api_key
    process = subprocess.Popen(
        [sys.executable, "-m", "odp_server", *map(str, paths), "--port", "0", "--output", "json", "--exit-on-eof", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        with process:
            raise RuntimeError(f"the server did not start: exit status {process.wait(_STOP_DEADLINE_S)}; standard error says why")
    ready = json.loads(line)
    return OdpServer(ready["url"], api_key or "any-key", {table["name"]: table["id"] for table in ready["tables"]}, process)


def _path(folder: Path, name: str, table: pa.Table | Path) -> Path:
    """Where a table's data is, under a name that makes it the table's."""
    if isinstance(table, pa.Table):
        path = folder / f"{name}.arrow"
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table.combine_chunks())
        return path
    link = folder / (f"{name}{table.suffix}" if table.is_file() else f"folder-of-{name}/{name}")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(table.resolve(), target_is_directory=table.is_dir())
    return link if table.is_file() else link.parent
