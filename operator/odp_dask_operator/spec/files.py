"""Reads a file with one job, and whatever stands beside it: presets and ConfigMaps."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from odp_dask_operator.spec import shape
from odp_dask_operator.spec.assignment import assign
from odp_dask_operator.spec.document import Document, UnreadableDocument, read_documents
from odp_dask_operator.spec.faults import Fault, InvalidDocument, validate
from odp_dask_operator.spec.job import OdpDaskJob
from odp_dask_operator.spec.meta import API_VERSION
from odp_dask_operator.spec.preset import OdpDaskPreset

_JOB, _PRESET, _CONFIG_MAP = "OdpDaskJob", "OdpDaskPreset", "ConfigMap"


@dataclass(frozen=True)
class JobFile:
    """What a file holds that a run can use."""

    job: OdpDaskJob
    presets: Mapping[str, OdpDaskPreset] = field(default_factory=dict)
    config_maps: Mapping[str, Document] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    """Objects of other kinds, as `Secret/odp-api-key`: a cluster would use them, a run does not."""


def read_job(content: bytes, *, source: str, assignments: Iterable[str] = ()) -> JobFile:
    """The job in a file, with `path=value` assignments made. Raises UnreadableDocument or InvalidDocument."""
    documents = read_documents(content, source=source)
    by_kind = _by_kind(documents, source=source)
    job, flags = assign(OdpDaskJob, _only_job(by_kind.pop(_JOB, []), by_kind, source=source), assignments)
    presets = [validate(OdpDaskPreset, document) for document in by_kind.pop(_PRESET, [])]
    config_maps = by_kind.pop(_CONFIG_MAP, [])
    return JobFile(
        job=validate(OdpDaskJob, job, flags=flags),
        presets={preset.metadata.name: preset for preset in presets},
        config_maps={_name(document): document for document in config_maps},
        others=tuple(f"{kind}/{_name(document)}" for kind, several in by_kind.items() for document in several),
    )


def _by_kind(documents: Sequence[Document], *, source: str) -> dict[str, list[Document]]:
    if not documents:
        raise UnreadableDocument(f"{source}: the file is empty; a job begins with apiVersion: {API_VERSION}")
    found: dict[str, list[Document]] = {}
    for document in documents:
        kind = document.value.get("kind")
        close = shape.nearest(str(kind), (_JOB, _PRESET))
        ours = document.value.get("apiVersion") == API_VERSION
        place = f"{source}:{document.line(('kind',))}"
        if not isinstance(kind, str):
            raise InvalidDocument([Fault(("kind",), f"is required; a job has kind: {_JOB}", place)])
        if kind not in (_JOB, _PRESET) and (ours or (close and close.lower() == kind.lower())):
            raise InvalidDocument(
                [Fault(("kind",), f'"{kind}" is not one of {_JOB}, {_PRESET}; did you mean "{close or _JOB}"?', place)]
            )
        found.setdefault(kind, []).append(document)
    return found


def _only_job(jobs: Sequence[Document], others: Mapping[str, object], *, source: str) -> Document:
    if len(jobs) == 1:
        return jobs[0]
    if jobs:
        names = ", ".join(map(_name, jobs))
        raise UnreadableDocument(f"{source}: the file holds {len(jobs)} jobs ({names}); put each into a file of its own to run it")
    raise UnreadableDocument(f"{source}: there is no {_JOB} in the file, only {', '.join(others)}")


def _name(document: Document) -> str:
    metadata = document.value.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
