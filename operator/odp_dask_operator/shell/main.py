"""The command `odp-dask-operator`: flags and environment become one process."""

import asyncio
import gc
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from odp_dask_operator.core.settings import Settings
from odp_dask_operator.shell.logs import set_up_logs
from odp_dask_operator.shell.options import LogFormat, Options

PREFIX = "ODP_DASK_OPERATOR_"
COLLECTED_AFTER = (20_000, 20, 20)
"""Cycles are looked for thirty times more seldom than by default: most that is made is JSON of the API server, which has none."""
app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"auto_envvar_prefix": "ODP_DASK_OPERATOR"}
)


@app.command()
def operate(
    default_image: Annotated[str, typer.Option(help="Image of scheduler, workers and loader, for jobs that name none.")],
    namespace: Annotated[
        list[str] | None, typer.Option(help="Serve the jobs of this namespace; repeatable. Without: of all.")
    ] = None,
    operator_namespace: Annotated[
        str, typer.Option(help="Where the operator runs; its Lease and presets for all are there.")
    ] = "odp-dask-system",
    dask_operator_namespace: Annotated[str, typer.Option(help="Where the Dask operator runs.")] = "dask-operator",
    allow_namespace: Annotated[
        list[str] | None, typer.Option(help="Whose pods may open dashboards and metrics; repeatable.")
    ] = None,
    copy_label: Annotated[
        list[str] | None, typer.Option(help="A label that children take over, or a prefix that ends in /; repeatable.")
    ] = None,
    copy_annotation: Annotated[list[str] | None, typer.Option(help="An annotation likewise; repeatable.")] = None,
    user: Annotated[int, typer.Option(min=0, help="User and group of the pods; 0 where the platform assigns them.")] = 10001,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Jobs that are looked at at once.")] = 16,
    resync_seconds: Annotated[int, typer.Option(min=1, help="How often all jobs are looked at, whatever the watches tell.")] = 300,
    lease_name: Annotated[
        str, typer.Option(help="Name of the Lease by which one of several replicas leads.")
    ] = "odp-dask-operator",
    identity: Annotated[str | None, typer.Option(help="This replica in the Lease. Default: host name and process.")] = None,
    metrics_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of /metrics.")] = 9090,
    health_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of /healthz and /readyz.")] = 8081,
    log_format: Annotated[LogFormat, typer.Option(help="Log lines for machines or for people.")] = LogFormat.JSON,
    verbose: Annotated[bool, typer.Option(help="Log each object that is made or deleted.")] = False,
) -> None:
    """Run the operator: OdpDaskJobs become Dask clusters, loads and truthful statuses.

    Every option can be given in the environment: --default-image as ODP_DASK_OPERATOR_DEFAULT_IMAGE. A repeatable one takes its
    values separated by spaces there.
    """
    known = Settings(
        image=default_image,
        namespace=operator_namespace,
        dask_namespace=dask_operator_namespace,
        allowed_namespaces=tuple(allow_namespace or ()),
        copied_labels=tuple(copy_label) if copy_label else Settings.copied_labels,
        copied_annotations=tuple(copy_annotation or ()),
        user=user or None,
    )
    options = Options(
        settings=known,
        namespaces=tuple(dict.fromkeys(namespace or ())),
        identity=identity or f"{socket.gethostname()}_{os.getpid()}",
        lease_name=lease_name,
        workers=workers,
        resync_seconds=resync_seconds,
        metrics_port=metrics_port,
        health_port=health_port,
        log_format=log_format,
        verbose=verbose,
    )
    set_up_logs(options.log_format, verbose=options.verbose)
    _run_until_signal(options)


def _run_until_signal(options: Options) -> None:
    """In a thread of its own: in the main one Kopf would take the signals for itself, and the Lease would not be given back."""
    from odp_dask_operator.shell.connection import NoApiServer  # takes most of a second, which --help need not wait for
    from odp_dask_operator.shell.process import run

    gc.freeze()  # what was imported stays
    gc.set_threshold(*COLLECTED_AFTER)
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    with ThreadPoolExecutor(1, thread_name_prefix="operator") as executor:
        try:
            executor.submit(loop.run_until_complete, run(options, stop)).result()
        except NoApiServer as error:
            sys.exit(f"Error: {error}")
    loop.close()


def main() -> None:
    """The process."""
    sys.exit(app())
