"""The loader in its pod: runs one load or script against the cluster that its environment names, and says how it ended.

    python -m odp_loader job.json

`job.json` holds `{"load": ...}` or `{"script": ...}` as the job's spec has them. The scheduler is found by
DASK_SCHEDULER_ADDRESS and Dask's other settings, the ODP key by ODP_API_KEY. From the beginning of a load its progress is at
http://:8080/progress and /metrics; it is planned first, and only then looks for the scheduler, which may not be there yet. A
script begins when the scheduler answers.
The last word goes to the termination log (at most 4 KiB of JSON), and the exit status is the documented one: 0 done, 2 invalid,
3 credentials, 4 verification, 5 output exists, 6 the job's own code, else retryable.
"""

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dask
import distributed
from pydantic import ValidationError

from odp_loader.errors import InvalidLoad, LoadError, Transient
from odp_loader.key import without_key
from odp_loader.metrics import DEFAULT_PORT, ProgressServer
from odp_loader.progress import Progress, Result
from odp_loader.run import run_load
from odp_loader.scheduler import greet
from odp_loader.script import run_script
from odp_loader.spec import Load, Script

TERMINATION_LOG = "/dev/termination-log"
"""Kubernetes' default; what is written there becomes the container's termination message."""
_MESSAGE_BYTES = 4096
_LONGEST_TEXT = 1500
_CONNECT_S = 1800
"""Twice the time after which a job fails by default whose cluster does not start: the operator, which knows why, says so first."""
_log = logging.getLogger("odp_loader")


class _Narrator:
    """Serves progress and logs what a person should know."""

    def __init__(self, server: ProgressServer) -> None:
        self._server = server
        self._shown = -1

    def progress(self, progress: Progress) -> None:
        self._server.progress(progress)
        if progress.percent // 10 != self._shown:
            self._shown = progress.percent // 10
            _log.info("%s: %d %%, %s rows", progress.stage.value, progress.percent, f"{progress.rows:,}")

    def note(self, message: str) -> None:
        _log.info(message)


def termination_message(*, error: LoadError | None = None, result: Result | None = None) -> bytes:
    """At most 4096 bytes of JSON: `{"reason", "message", "result"}`."""
    document: dict[str, Any] = {"reason": error.reason if error else "LoadVerified", "message": str(error or "")[:_LONGEST_TEXT]}
    if result is not None:
        document["result"] = {**asdict(result), "notes": [note[:_LONGEST_TEXT] for note in result.notes[:1]]}
    encoded = json.dumps(document).encode()
    if len(encoded) > _MESSAGE_BYTES:  # urls may be long
        encoded = json.dumps({"reason": document["reason"], "message": document["message"][:500]}).encode()
    return encoded


def read_job(path: Path) -> Load | Script:
    """The work that a job's file describes. Raises InvalidLoad."""
    try:
        document: Mapping[str, Any] = json.loads(path.read_bytes())
        kind = Load if "load" in document else Script
        return kind.model_validate(document["load" if kind is Load else "script"], extra="ignore")
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise InvalidLoad(f"{path} describes no load or script: {error}") from None


def carry_out(work: Load | Script, *, port: int, config_maps: Path) -> tuple[int, Result | None]:
    """Do the work; returns the exit status. Raises LoadError when a load fails."""
    if isinstance(work, Script):
        folders = {folder.name: folder for folder in config_maps.iterdir()} if config_maps.is_dir() else {}
        _await_scheduler()  # its own `Client()` would wait for half a minute only
        return run_script(work, scheduler_address=None, config_maps=folders), None
    with ExitStack() as stack:
        server = stack.enter_context(ProgressServer(port, "0.0.0.0"))  # noqa: S104 # a pod; NetworkPolicy says who reaches it
        _log.info(server.notice)
        return 0, run_load(work, lambda: stack.enter_context(_connected()), observer=_Narrator(server), report=True)


def _await_scheduler() -> None:
    """Return when the scheduler of the environment answers, or where that names none. Raises Transient."""
    address = dask.config.get("scheduler-address", None)
    if address:
        _log.info("waits for the Dask scheduler")
        try:
            greet(address, patience_s=_CONNECT_S)
        except OSError as error:
            raise Transient(f"the Dask scheduler does not answer: {error}") from None


def _connected() -> distributed.Client:
    """A client of a cluster that has a worker. Raises Transient."""
    _await_scheduler()
    try:
        client = distributed.Client()
    except OSError as error:
        raise Transient(f"the Dask scheduler does not answer: {error}") from None
    _log.info("waits for a worker")
    try:
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except TimeoutError:
        client.close()
        raise Transient("the Dask scheduler has no workers") from None
    return client


def _stop(number: int, _: object) -> None:
    """End now; what is finished is kept. The first process of a container has no default action for a signal.

    Nothing is closed: the scheduler of a job that is deleted goes at the same moment, and its clients would wait for it.
    """
    os._exit(128 + number)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _stop)
    parser = argparse.ArgumentParser(prog="odp-loader", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path, help="the load or script, as JSON")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="of /progress and /metrics (default %(default)s)")
    parser.add_argument("--config-maps", type=Path, default=Path("/etc/odp-dask/config-maps"), help="a folder for each ConfigMap")
    parser.add_argument("--termination-log", type=Path, help=f"where the last word goes (default {TERMINATION_LOG}, where it is)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    error: LoadError | None = None
    status, result = 1, None
    try:
        status, result = carry_out(read_job(arguments.job), port=arguments.port, config_maps=arguments.config_maps)
    except LoadError as failure:
        error, status = failure, failure.exit_code
        _log.error("%s: %s", failure.reason, failure)
    except Exception as failure:  # a fault of this program or of a library; the pod's last word is all that many will read
        error = LoadError(without_key(f"{type(failure).__name__}: {failure}"))
        _log.error("%s", without_key(traceback.format_exc()))
    log = arguments.termination_log or (Path(TERMINATION_LOG) if Path(TERMINATION_LOG).exists() else None)
    try:
        if log is not None:
            log.write_bytes(termination_message(error=error, result=result))
    except OSError as failure:  # how it ended does not depend on whether that can be said
        _log.warning("%s cannot be written: %s", log, failure)
    sys.exit(status)


if __name__ == "__main__":
    main()
