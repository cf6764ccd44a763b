"""Finds the preset that a job's `scale` means, and takes the snapshot that the job keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from odp_dask_operator.core.record import read_tolerantly
from odp_dask_operator.presets import choose_preset, why_auto
from odp_dask_operator.spec import PresetSnapshot, PresetSpec, Reason

UNDECIDED = choose_preset(rows=None, size_bytes=None)
"""What `auto` means as long as nothing is known of the table: the loader's own pod is made by it."""


@dataclass(frozen=True)
class Problem:
    """Why a job cannot be carried out."""

    reason: Reason
    message: str
    permanent: bool
    """No change outside the job can cure it."""


@dataclass(frozen=True)
class Table:
    """What the loader says about the table it is going to read; None where it cannot tell."""

    rows: int | None
    size_bytes: int | None


Presets = Mapping[str, PresetSnapshot | Problem]


def presets_for(raw: Sequence[Mapping[str, Any]], *, job_namespace: str, operator_namespace: str) -> Presets:
    """The presets that a job of `job_namespace` can name: those beside it win over those beside the operator."""
    found: dict[str, PresetSnapshot | Problem] = {}
    for namespace in (operator_namespace, job_namespace):
        for preset in raw:
            if preset["metadata"].get("namespace") == namespace:
                found[preset["metadata"]["name"]] = _snapshot(preset)
    return found


def _snapshot(raw: Mapping[str, Any]) -> PresetSnapshot | Problem:
    meta = raw["metadata"]
    name, namespace = meta["name"], meta["namespace"]
    try:
        spec = read_tolerantly(PresetSpec, raw.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(("spec", *map(str, first["loc"])))
        message = f"the OdpDaskPreset {namespace}/{name} cannot be used: {place}: {first['msg']}; correct it, and the job goes on"
        return Problem(Reason.PRESET_INVALID, message, permanent=False)
    return PresetSnapshot(name=name, namespace=namespace, generation=meta.get("generation"), spec=spec)


def find_preset(name: str, presets: Presets) -> PresetSnapshot | Problem:
    """The preset of this name."""
    if name in presets:
        return presets[name]
    known = ", ".join(sorted(presets)) or "none"
    message = (
        f"there is no OdpDaskPreset {name!r} beside the job or the operator (there are: {known}); the job begins when one appears"
    )
    return Problem(Reason.PRESET_NOT_FOUND, message, permanent=False)


def choose(presets: Presets, table: Table | None, *, unknown: str) -> PresetSnapshot | Problem:
    """The preset that `auto` means for a table; `unknown` says why nothing is known when `table` is None."""
    rows, size_bytes = (table.rows, table.size_bytes) if table else (None, None)
    name = choose_preset(rows=rows, size_bytes=size_bytes)
    preset = find_preset(name, presets)
    if isinstance(preset, Problem):
        return preset
    why = why_auto(name, rows=rows, size_bytes=size_bytes) if table else f"auto is {name}: {unknown}"
    return preset.model_copy(update={"why": why})
