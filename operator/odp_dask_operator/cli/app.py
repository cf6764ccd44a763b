"""The verbs of the command line. What a verb needs is imported when it is used, so that `--help` is quick."""

from typing import Annotated

import typer

from odp_dask_operator.cli.presets import presets
from odp_dask_operator.cli.run import run

app = typer.Typer(
    name="odp-dask",
    help="Load a table of the Ocean Data Platform into verified Parquet, from ten lines of YAML.",
    epilog="Begin with `odp-dask run --help`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Run a job on this machine, or on a Dask scheduler.")(run)
app.command(short_help="Print the built-in sizes.")(presets)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("odp-dask-operator"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Load a table of the Ocean Data Platform into verified Parquet, from ten lines of YAML."""


def main() -> None:
    """The entry point of the program."""
    app()
