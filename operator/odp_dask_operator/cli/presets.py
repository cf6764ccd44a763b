"""`odp-dask presets`: the sizes that come with the program."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from odp_dask_operator.spec import OdpDaskPreset


class Format(StrEnum):
    """How something is printed."""

    TABLE = "table"
    YAML = "yaml"
    JSON = "json"


def presets(
    output: Annotated[Format, typer.Option("--output", "-o", help="YAML can be applied to a cluster as it is.")] = Format.TABLE,
) -> None:
    """Print the built-in presets: the sizes that a job asks for with `scale`."""
    import yaml

    from odp_dask_operator.presets import BUILT_IN

    documents = [_lean(preset.model_dump(mode="json", by_alias=True, exclude_none=True)) for preset in BUILT_IN.values()]
    match output:
        case Format.TABLE:
            typer.echo(_table(BUILT_IN.values()))
        case Format.YAML:
            typer.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)
        case Format.JSON:
            typer.echo(json.dumps(documents))


def _lean(document: dict[str, Any]) -> dict[str, Any]:
    """Without the lists and mappings that are empty."""
    fields = {name: _lean(value) if isinstance(value, dict) else value for name, value in document.items()}
    return {name: value for name, value in fields.items() if value not in ({}, [])}


def _table(all_presets: Iterable["OdpDaskPreset"]) -> str:
    from odp_dask_operator.spec.quantity import format_bytes_quantity, format_cpu

    row = "{:<10}{:>8}{:>6}{:>8}{:>9}{:>13}".format
    lines = [row("NAME", "WORKERS", "CPU", "MEMORY", "THREADS", "MAX WORKERS")]
    for preset in all_presets:
        spec = preset.spec
        cpu, memory = format_cpu(spec.worker.cpu), format_bytes_quantity(spec.worker.memory)
        lines.append(row(preset.metadata.name, spec.workers.most, cpu, memory, spec.worker.threads, spec.limits.max_workers))
    return "\n".join(lines)
