"""Finds the preset that a job's `scale` means on this machine."""

from collections.abc import Callable, Mapping

from odp_dask_operator.presets import BUILT_IN, choose_preset, why_auto
from odp_dask_operator.spec import AUTO, OdpDaskJob, OdpDaskPreset, shape
from odp_loader.errors import InvalidLoad
from odp_loader.spec import Load


def find_preset(
    job: OdpDaskJob, presets: Mapping[str, OdpDaskPreset], note: Callable[[str], None] = lambda _: None
) -> tuple[OdpDaskPreset, str | None]:
    """The preset, and for `auto` a sentence that says why. `presets` came with the job and win over the built-in ones.

    `auto` asks the source for its schema and statistics; `note` is told why that takes long. Raises InvalidLoad for a name
    that no preset has.
    """
    name, why = job.spec.scale, None
    if name == AUTO:
        rows, size_bytes = _table_size(job.spec.load, note) if job.spec.load else (None, None)
        name = choose_preset(rows=rows, size_bytes=size_bytes)
        why = why_auto(name, rows=rows, size_bytes=size_bytes)
    return preset_named(name, presets), why


def preset_named(name: str, presets: Mapping[str, OdpDaskPreset]) -> OdpDaskPreset:
    """A preset that came with the job, or a built-in one. Raises InvalidLoad."""
    known = {**BUILT_IN, **presets}
    if name not in known:
        close = shape.nearest(name, tuple(known))
        hint = (
            f'did you mean "{close}"?'
            if close
            else f"known here are {', '.join(known)} and auto; others may stand in the job's file"
        )
        raise InvalidLoad(f"spec.scale: there is no preset {name!r}; {hint}")
    return known[name]


def _table_size(load: Load, note: Callable[[str], None]) -> tuple[int | None, int | None]:
    """Rows and Arrow bytes of what a load reads, as far as its source says so without a count."""
    from odp_loader.sources.open import open_source  # brings pyarrow and the SDK, which a named preset does not need here

    source = open_source(load.source, note=note)
    rows = source.describe().rows
    if not rows:
        return rows, None
    first = source.preview()
    return rows, rows * first.nbytes // first.num_rows if first is not None and first.num_rows else None
