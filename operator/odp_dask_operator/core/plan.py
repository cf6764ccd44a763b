"""Resolves a job and its preset into all that its children are made from, or says why that cannot be done."""

from collections.abc import Mapping
from dataclasses import dataclass

from odp_dask_operator.core.names import Names, copied
from odp_dask_operator.core.preset import UNDECIDED, Presets, Problem, choose, find_preset
from odp_dask_operator.core.record import JobRecord
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.presets import BUILT_IN
from odp_dask_operator.spec import AUTO, JobSpec, PresetSnapshot, PresetSpec, Reason
from odp_dask_operator.spec.job import ServiceType

OWN_VOLUMES = "odp-"
"""Beginning of the names of volumes that every pod has; a job's own may not begin so."""
TMP = "/tmp"  # noqa: S108 # a folder of each pod's own
OWN_FOLDER = "/etc/odp-dask"
"""Below it are the files that the operator mounts."""


@dataclass(frozen=True)
class WorkerRange:
    """How many workers."""

    least: int
    most: int
    adaptive: bool
    """As many as the work needs, between the two."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a job's children are made from. The same plan makes the same children."""

    names: Names
    run: int
    """Number of the run that the children belong to."""
    spec: JobSpec
    image: str
    preset: PresetSnapshot | None
    """The snapshot by which workers are made; None while `auto` has not decided."""
    loader_preset: PresetSpec
    """By which the loader's pod is made."""
    workers: WorkerRange | None
    """None while `auto` has not decided."""
    labels: Mapping[str, str]
    """Of every child, beside those by which it is found."""
    annotations: Mapping[str, str]
    presets: Presets
    """To choose from, while `auto` has not decided."""
    settings: Settings

    @property
    def cluster_preset(self) -> PresetSpec:
        """By which scheduler and workers are made; only to be asked for when `preset` is there."""
        assert self.preset is not None
        assert self.preset.spec is not None
        return self.preset.spec

    @property
    def adaptive(self) -> bool:
        """Whether the number of workers follows the work."""
        return self.workers is not None and self.workers.adaptive

    @property
    def streaming(self) -> bool:
        """Whether rows go from the source to the files without pandas."""
        return self.spec.load is not None and self.spec.load.transform.map is None


def make_plan(job: JobRecord, *, presets: Presets, settings: Settings) -> Plan | Problem:
    """The plan of a job. A preset that was recorded when the job began wins over what it says today."""
    if job.spec is None:
        return Problem(Reason.INVALID_SPEC, f"the job cannot be carried out: {job.fault}", permanent=True)
    snapshot = _snapshot(job, job.spec, presets)
    if isinstance(snapshot, Problem):
        return snapshot
    workers = _workers(job.spec, snapshot) if snapshot else None
    if isinstance(workers, Problem):
        return workers
    if problem := _not_possible(job.spec, adaptive=_asks_for_adaptive(job.spec, snapshot)):
        return problem
    return Plan(
        names=job.names,
        run=max(job.run, 1),
        spec=job.spec,
        image=job.spec.image or settings.image,
        preset=snapshot,
        loader_preset=_loader_preset(snapshot, presets),
        workers=workers,
        labels=copied(job.labels, allowed=settings.copied_labels),
        annotations=copied(job.annotations, allowed=settings.copied_annotations),
        presets=presets,
        settings=settings,
    )


def _snapshot(job: JobRecord, spec: JobSpec, presets: Presets) -> PresetSnapshot | Problem | None:
    """The preset of the workers; None when `auto` has to wait for the loader."""
    recorded = job.status.preset
    if recorded is not None and recorded.spec is not None:
        return recorded
    if spec.scale != AUTO:
        return find_preset(spec.scale, presets)
    return choose(presets, None, unknown="a script has no table") if spec.script else None


def _loader_preset(snapshot: PresetSnapshot | None, presets: Presets) -> PresetSpec:
    """While `auto` has not decided, the loader's pod is made as what `auto` means when nothing is known of the table."""
    known = snapshot or presets.get(UNDECIDED)
    if isinstance(known, PresetSnapshot) and known.spec is not None:
        return known.spec
    return BUILT_IN[UNDECIDED].spec


def _workers(spec: JobSpec, preset: PresetSnapshot) -> WorkerRange | Problem:
    assert preset.spec is not None
    asked = spec.workers or preset.spec.workers
    most = preset.spec.limits.max_workers
    if asked.most > most:
        message = (
            f"spec.workers asks for {asked.most}, and the preset {preset.name} allows {most};"
            " make the job again with fewer workers or another scale, or have limits.maxWorkers of the preset raised"
        )
        return Problem(Reason.LIMIT_EXCEEDED, message, permanent=True)
    return WorkerRange(asked.least, asked.most, adaptive=asked.replicas is None)


def _asks_for_adaptive(spec: JobSpec, preset: PresetSnapshot | None) -> bool:
    workers = spec.workers or (preset.spec.workers if preset and preset.spec else None)
    return workers is not None and workers.replicas is None


def _not_possible(spec: JobSpec, *, adaptive: bool) -> Problem | None:
    """What the types cannot say."""
    message = None
    if names := [volume.name for volume in spec.volumes if volume.name.startswith(OWN_VOLUMES)]:
        message = f"spec.volumes: {names[0]!r} begins with {OWN_VOLUMES!r}, which is kept for the operator; name it otherwise"
    for mount in spec.volume_mounts:
        path = mount.mount_path.rstrip("/")
        if path in (TMP, OWN_FOLDER) or path.startswith(f"{OWN_FOLDER}/"):
            message = f"spec.volumeMounts: {mount.mount_path} is in use by the operator; mount {mount.name!r} elsewhere"
    if adaptive and spec.dashboard.service.type is not ServiceType.CLUSTER_IP:
        message = (
            f"spec.dashboard.service.type {spec.dashboard.service.type} would publish the scheduler's HTTP API, which has no"
            " login and is on for jobs with minimum and maximum workers; use ClusterIP and an Ingress, or workers.replicas"
        )
    return Problem(Reason.INVALID_SPEC, message, permanent=True) if message else None
