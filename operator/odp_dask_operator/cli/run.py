"""`odp-dask run`: a job on this machine, or on a Dask scheduler that is there already."""

import os
import sys
from enum import StrEnum
from multiprocessing import util
from pathlib import Path
from typing import Annotated, NoReturn

import typer

_HELP = """\
Run a job here: the file that `kubectl apply` takes, without Kubernetes.

Dask's local cluster gets the size of the job's preset, clipped to this machine.
A load that was stopped goes on where it was when the same command is given
again. ConfigMaps and presets in the same file are used.

\b
Examples:
  odp-dask run job.yaml
  odp-dask run job.yaml --set spec.scale=large --report report.html
  odp-dask run job.yaml --secret odp-api-key=secrets/odp
      (a folder with a file ODP_API_KEY; or export ODP_API_KEY)
  odp-dask run job.yaml --scheduler tls://scheduler:8786
  odp-dask run - --output json < job.yaml | tail -1 | jq .result

\b
Exit status:
  0  done                       4  verification failed
  2  the job is invalid         5  the output exists, or is another load's
  3  credentials                6  the job's own code raised
  130  stopped by Ctrl-C        any other: may succeed when run again
  A script's own exit status is passed on.
"""


class Output(StrEnum):
    """What goes to standard output."""

    TEXT = "text"
    JSON = "json"


_File = Annotated[str, typer.Argument(metavar="FILE", help="The job's YAML; - reads standard input.", show_default=False)]
_Set = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change a field, such as spec.scale=large; an empty value removes it. Repeatable."
    ),
]
_Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Use the Dask scheduler at this tcp:// or tls:// address; TLS by Dask's own configuration."
    ),
]
_Secret = Annotated[
    list[str], typer.Option(metavar="NAME=DIR", help="Folder that stands for a Secret, a file for each key. Repeatable.")
]
_ConfigMap = Annotated[list[str], typer.Option(metavar="NAME=DIR", help="Folder that stands for a ConfigMap. Repeatable.")]
_Volume = Annotated[list[str], typer.Option(metavar="NAME=DIR", help="Folder that stands for a volume of the job. Repeatable.")]
_Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write Dask's performance report, an HTML page.", dir_okay=False)
]
_Output = Annotated[
    Output,
    typer.Option(
        "--output", "-o", help="json: the last line of standard output is the job's status, all else goes to standard error."
    ),
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Dask's own log, and stack traces.")]


def run(
    file: _File,
    *,
    set_: _Set = [],  # noqa: B006 # typer copies it
    scheduler: _Scheduler = None,
    secret: _Secret = [],  # noqa: B006
    config_map: _ConfigMap = [],  # noqa: B006
    volume: _Volume = [],  # noqa: B006
    report: _Report = None,
    output: _Output = Output.TEXT,
    verbose: _Verbose = False,
) -> None:
    """Read the flags; the rest needs Dask, which takes a second to import."""
    from odp_dask_operator.cli.session import Flags, run_session

    flags = Flags(
        file=file,
        assignments=tuple(set_),
        scheduler=scheduler,
        secrets=tuple(secret),
        config_maps=tuple(config_map),
        volumes=tuple(volume),
        report=report,
        verbose=verbose,
    )
    leave(run_session(flags, as_json=output is Output.JSON))


def leave(status: int) -> NoReturn:
    """End this process now that all is said and put away.

    The interpreter's own exit would take things apart under threads that still wait for a server, and tell of tasks that Dask has
    left behind: now and then a run ended in SIGABRT, or with a stray trace as its last line. Of what that exit does, one thing is
    done here: semaphores of worker processes are given back, or Python's resource tracker finds them and complains.
    """
    util._run_finalizers(0)  # type: ignore[attr-defined] # typeshed leaves it out
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


run.__doc__ = _HELP
