"""The command line: serve these files on this address until told to stop."""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from odp_server.control import Control
from odp_server.files import UnusableData, find_tables
from odp_server.scan import Paging
from odp_server.server import Server
from odp_server.service import Options, Service
from odp_server.tables import Catalog, Table

_DESCRIPTION = """\
Serves Parquet and Arrow files as tables of the Ocean Data Platform, to the unmodified odp-sdk.

Each *.parquet or *.arrow file of a folder is a table, named like the file; a folder inside that folder
is one table made of all its files. The dataset id is made from the name and is the same on every machine;
the name itself works in its place. The catalogue shows `description` from the file's schema metadata. The
statistics show the fields' metadata; `index`, `isGeometry`, `class` and `units` mean what they mean on ODP.
"""
_EPILOGUE = """\
the key:
  Clients must send the key that is in the environment variable ODP_API_KEY when the server starts
  (another variable: --api-key-env). If it is not set, every key that is not empty is accepted.

example:
  python -m odp_server data/ --port 8000
  export ODP_API_KEY=demo
  python -c "from odp.client import Client
print(Client('http://127.0.0.1:8000').dataset('coads').table.stats())"

Tables are encoded once into an unnamed file in the temporary folder (TMPDIR), from where they are sent; they take
their Arrow size there, and next to no memory. The server reads only: requests that would write are refused with 403.
--control adds POST /control/faults, settings, append, statistics, reset and GET /control/counters, for tests and
benchmarks; the modules faults.py and settings.py document what can be asked for.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m odp_server",
        description=_DESCRIPTION,
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="a folder of tables, or a file")
    add("--host", default="127.0.0.1", help="address to listen on; the default is reached from this machine only")
    add("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
    add(
        "--api-key-env",
        default="ODP_API_KEY",
        metavar="NAME",
        help="variable that holds the key (default: ODP_API_KEY)",
    )
    add("--batch-rows", type=_positive, default=65_536, metavar="N", help="rows in a record batch, at most (default: 65536)")
    add(
        "--page-rows",
        type=_positive,
        metavar="N",
        help="end a page at the batch that reaches N rows (default: by time only)",
    )
    add("--cursor-seconds", type=float, default=600.0, metavar="S", help="how long a cursor is good for (default: 600)")
    add(
        "--aggregate-batch-rows",
        type=_positive,
        metavar="N",
        help="send a partial result of every N rows of the table, so that a key can come more than once (default: one result)",
    )
    add("--control", action="store_true", help="add the control endpoint (default: there is none)")
    add("--output", choices=("text", "json"), default="text", help="what to print when ready; json is one line (default: text)")
    add(
        "--exit-on-eof",
        action="store_true",
        help="stop when standard input closes, as when its parent ends",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, Ctrl-C or, if asked for, the end of standard input. Returns the exit status."""
    asked = _parser().parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            server = _server(asked)
        except (UnusableData, OSError) as error:
            print(f"odp_server: {error}", file=sys.stderr)  # noqa: T201 # a command line
            return 2
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if asked.exit_on_eof:
            threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
        with server:
            print(_ready_text(server, as_json=asked.output == "json"), flush=True)  # noqa: T201 # a command line
            server.serve_forever()
    return 0


def _server(asked: argparse.Namespace) -> Server:
    """A server that listens already. Raises UnusableData, and OSError for a folder that cannot be read."""
    options = Options(
        paging=Paging(asked.page_rows, asked.cursor_seconds),
        aggregate_rows=asked.aggregate_batch_rows,
        key=os.environ.get(asked.api_key_env) or None,
    )
    catalog = Catalog(Table(files, batch_rows=asked.batch_rows) for files in find_tables(asked.paths))
    service = Service(catalog, options)
    try:
        return Server((asked.host, asked.port), service, Control(service) if asked.control else None)
    except OSError as error:
        raise UnusableData(f"port {asked.port} of {asked.host}: {error.strerror}; choose another with --port or --host") from error


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _ready_text(server: Server, *, as_json: bool) -> str:
    tables = server.service.catalog.tables
    rows = {table.id: table.statistics()["num_rows"] for table in tables}
    if as_json:
        return json.dumps(
            {"url": server.url, "tables": [{"id": table.id, "name": table.name, "rows": rows[table.id]} for table in tables]}
        )
    width = max(len(table.name) for table in tables)
    lines = [f"{table.name:<{width}}  {table.id}  {rows[table.id]:>14,} rows  {table.description}" for table in tables]
    port = f", and at port {server.server_address[1]} of all addresses of this machine," if server.on_all_addresses else ""
    return "\n".join([f"serving at {server.url}{port} until Ctrl-C", *lines])


if __name__ == "__main__":
    sys.exit(main())
