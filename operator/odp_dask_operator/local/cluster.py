"""Opens the Dask cluster that a job runs on: one of this machine's, for as long as the job lasts, or one that is there already."""

import logging
import os
import signal
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask
import distributed
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT
from distributed.utils import format_dashboard_link

from odp_dask_operator.local.interrupt import Interrupted, shielded
from odp_dask_operator.local.sizing import ClusterSize, Machine
from odp_loader.errors import LoadError
from odp_loader.memory import STREAMING_ENVIRONMENT, STREAMING_SETTINGS
from odp_loader.scheduling import CALM_SETTINGS, SCHEDULER_SETTINGS
from odp_loader.spec import Load

_HERE = "127.0.0.1"
_DASHBOARD_PORT = 8787
_CLOSE_S = 10.0
_LOUD = ("distributed", "bokeh", "tornado", "asyncio")


def this_machine() -> Machine:
    """Cores and memory that this process may use; a container's limits count."""
    return Machine(cores=CPU_COUNT, memory_bytes=MEMORY_LIMIT)


def _streams(load: Load | None) -> bool:
    """Whether rows go from the source to the files without pandas."""
    return load is not None and load.transform.map is None


@contextmanager
def local_cluster(
    size: ClusterSize, *, load: Load | None, profiled: bool, scratch: Path, verbose: bool
) -> Iterator[distributed.Client]:
    """A client of a cluster of our own, gone when the block is left: at once when it is left by an interrupt.

    Without a `load` it is a script's, and set up as Dask does. Workers that stream do without Dask's profiler unless they are to
    be `profiled`. Raises LoadError when no worker starts.
    """
    settings: dict[str, Any] = {"temporary-directory": str(scratch)}
    if load is not None:
        settings |= SCHEDULER_SETTINGS | CALM_SETTINGS
    if _streams(load) and not profiled:
        settings |= STREAMING_SETTINGS
    if _streams(load):
        settings |= {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in STREAMING_ENVIRONMENT.items()}
    with dask.config.set(settings), quiet(not verbose):
        cluster = _start(size, verbose=verbose)
        try:
            with shielded():  # a client that is cut off half way leaves its complaints for later
                client = distributed.Client(cluster)
            with client:
                yield client
        except BaseException as error:
            if not isinstance(error, Exception):
                _stop_now(cluster)
            raise
        finally:
            with shielded(), suppress(TimeoutError):
                cluster.close(timeout=_CLOSE_S)


def _start(size: ClusterSize, *, verbose: bool) -> distributed.LocalCluster:
    """A running cluster, or none: an interrupt is obeyed when all its processes are known."""
    cluster = None
    try:
        with shielded(), deaf_children():
            cluster = distributed.LocalCluster(
                n_workers=size.workers,
                threads_per_worker=size.threads,
                processes=not size.in_process,
                memory_limit=size.memory_bytes,
                dashboard_address=f"{_HERE}:{free_port(_DASHBOARD_PORT)}",
                silence_logs=logging.INFO if verbose else logging.CRITICAL,
            )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise LoadError(f"Dask's local cluster does not start: {error}; run with --verbose to see why") from None
    except Interrupted:
        assert cluster is not None
        _stop_now(cluster)
        cluster.close(timeout=_CLOSE_S)
        raise
    return cluster


@contextmanager
def deaf_children() -> Iterator[None]:
    """What starts in the block, and what that starts, never hears Ctrl-C; a terminal sends it to all, and this process ends them.

    A mask of signals is inherited by threads and processes, also across exec; this thread has its own back after the block.
    """
    resource_tracker.ensure_running()  # which lifts the mask when it is started first by a worker's start
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop_now(cluster: distributed.LocalCluster) -> None:
    """End the workers without waiting for their tasks: whatever they were writing is not in the ledger and is read again."""
    for worker in cluster.workers.values():
        if isinstance(worker, distributed.Nanny):
            pid = worker.pid
            worker.close_gracefully()  # which only means that it does not start its process again
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            cluster.sync(worker.close, executor_wait=False, timeout=_CLOSE_S)


@contextmanager
def quiet(wanted: bool) -> Iterator[None]:
    """Keeps Dask's own log lines and warnings from the terminal; what matters of them is said in our words."""
    if not wanted:
        logging.getLogger("distributed").setLevel(logging.INFO)
        yield
        return
    loggers = [logging.getLogger(name) for name in _LOUD]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            for package in ("distributed", "dask", "bokeh"):
                warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def free_port(preferred: int) -> int:
    """The preferred port of this machine, or 0, which stands for any, when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HERE, preferred))
        except OSError:
            return 0
    return preferred


def dashboard_url(client: distributed.Client, *, environment: Mapping[str, str], hub_prefix: str | None, local: bool) -> str | None:
    """Where a browser finds the dashboard; through the user's own server on a JupyterHub. None when there is none.

    A setting of `distributed.dashboard.link` is respected, as Dask's own display does.
    """
    services: Mapping[str, Any] = client.scheduler_info(n_workers=0).get("services", {})
    port = services.get("dashboard")
    if port is None:
        return None
    if not local:
        return str(client.dashboard_link)
    prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX") or hub_prefix
    return f"{prefix.rstrip('/')}/proxy/{port}/status" if prefix else format_dashboard_link(_HERE, port)
