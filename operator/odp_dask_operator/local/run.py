"""Carries a job out on a Dask cluster from this process, and says how it ended."""

import datetime
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dask
import distributed

from odp_dask_operator.local.bindings import Bindings, import_path, on_volumes, volumes_of, write_config_map
from odp_dask_operator.local.cluster import dashboard_url, local_cluster, this_machine
from odp_dask_operator.local.environment import environment_of, link_secrets, set_environment
from odp_dask_operator.local.interrupt import Interrupted
from odp_dask_operator.local.outcome import Outcome, ScriptFailed
from odp_dask_operator.local.scale import find_preset, preset_named
from odp_dask_operator.local.scheduler import remote_cluster
from odp_dask_operator.local.sizing import describe_size, size_cluster
from odp_dask_operator.spec import AUTO, OdpDaskJob, OdpDaskPreset
from odp_dask_operator.spec.document import Document
from odp_loader.errors import LoadError
from odp_loader.progress import Observer, Progress, Result
from odp_loader.run import run_load
from odp_loader.script import run_script
from odp_loader.spec import Load, Script
from odp_loader.store.secret import SECRETS_VARIABLE

_PYTHON_PATH = "PYTHONPATH"


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    job: OdpDaskJob
    bindings: Bindings = field(default_factory=Bindings)
    config_maps: Mapping[str, Document] = field(default_factory=dict)
    """ConfigMaps that came in the job's own file."""
    presets: Mapping[str, OdpDaskPreset] = field(default_factory=dict)
    """Presets that came in the job's own file."""
    scheduler: str | None = None
    """Address of a scheduler to use; None for a cluster of our own."""
    report: Path | None = None
    """Where Dask's performance report goes."""
    verbose: bool = False


class _Recorder:
    """Passes on what the load says, and remembers what the outcome needs."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.last: Progress | None = None
        self.preset: str | None = None
        self.workers = 0
        self.dashboard_url: str | None = None

    def progress(self, progress: Progress) -> None:
        self.last = progress
        self._observer.progress(progress)

    def note(self, message: str) -> None:
        self._observer.note(message)


def run_job(request: Request, observer: Observer) -> Outcome:
    """Run the job to its end. Every way to fail is in the outcome, an interrupt among them; whatever else is raised is a bug."""
    started = datetime.datetime.now(datetime.UTC)
    recorder = _Recorder(observer)
    result: Result | None = None
    stop: LoadError | Interrupted | None = None
    try:
        result = _carry_out(request, recorder)
    except (LoadError, Interrupted) as error:
        stop = error
    return Outcome(
        started=started,
        ended=datetime.datetime.now(datetime.UTC),
        stop=stop,
        result=result,
        progress=recorder.last,
        preset=recorder.preset,
        workers=recorder.workers,
        dashboard_url=recorder.dashboard_url,
    )


def _carry_out(request: Request, recorder: _Recorder) -> Result | None:
    job = request.job
    if request.scheduler is None and job.spec.scale != AUTO:
        preset_named(job.spec.scale, request.presets)  # a misspelt word is told before what else is missing
    with ExitStack() as stack:
        place = dask.config.get("temporary-directory", None)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="odp-dask-", dir=place, ignore_cleanup_errors=True)))
        bindings = _with_own_config_maps(request, scratch / "config-maps")
        volumes = volumes_of(job.spec, bindings)
        load = on_volumes(job.spec, volumes)
        added = environment_of(job, bindings, given=os.environ)
        modules = import_path(job.spec, added.get(_PYTHON_PATH, ""), volumes)
        if modules:
            added[_PYTHON_PATH] = os.pathsep.join(modules)
        added[SECRETS_VARIABLE] = str(link_secrets(bindings.secrets, scratch / "secrets"))
        stack.enter_context(set_environment(added))
        stack.enter_context(_modules_of(str(Path.cwd()), *modules))
        client = stack.enter_context(_cluster(request, recorder, scratch))
        recorder.workers = len(client.scheduler_info(n_workers=-1)["workers"])
        recorder.dashboard_url = dashboard_url(
            client, environment=os.environ, hub_prefix=job.spec.dashboard.jupyter_hub_prefix, local=request.scheduler is None
        )
        if recorder.dashboard_url:
            recorder.note(f"dashboard: {recorder.dashboard_url}")
        with _performance_report(request.report, recorder):
            return _work(load or job.spec.script, client, recorder, bindings.config_maps)


@contextmanager
def _modules_of(*folders: str) -> Iterator[None]:
    """Lets `transform.map` name a module in these folders, as `python -m` would; worker processes take over this path."""
    sys.path.extend(folders)
    try:
        yield
    finally:
        for folder in folders:
            sys.path.remove(folder)


def _with_own_config_maps(request: Request, folder: Path) -> Bindings:
    """A ConfigMap of the job's own file stands for itself, unless a flag says otherwise."""
    own = {
        name: write_config_map(document, folder / name)
        for name, document in request.config_maps.items()
        if name not in request.bindings.config_maps
    }
    bindings = request.bindings
    return Bindings(bindings.secrets, {**own, **bindings.config_maps}, bindings.volumes)


@contextmanager
def _cluster(request: Request, recorder: _Recorder, scratch: Path) -> Iterator[distributed.Client]:
    spec = request.job.spec
    if request.scheduler is not None:
        with remote_cluster(request.scheduler, script=spec.script is not None, verbose=request.verbose) as client:
            recorder.note(
                f"the workers of {request.scheduler} have their own environment and folders; nothing of this machine's reaches them"
            )
            yield client
        return
    preset, why = find_preset(request.job, request.presets, recorder.note)
    recorder.preset = preset.metadata.name
    if why:
        recorder.note(why)
    machine = this_machine()
    size = size_cluster(preset, workers=spec.workers, machine=machine, script=spec.script is not None)
    recorder.note(describe_size(size, preset, workers=spec.workers, machine=machine))
    with local_cluster(
        size,
        load=spec.load,
        profiled=request.report is not None,
        scratch=scratch,
        verbose=request.verbose,
    ) as client:
        yield client


def _work(
    work: Load | Script | None, client: distributed.Client, recorder: _Recorder, config_maps: Mapping[str, Path]
) -> Result | None:
    if isinstance(work, Load):
        return run_load(work, client, observer=recorder)
    assert work is not None
    status = run_script(work, scheduler_address=client.scheduler_info(n_workers=0)["address"], config_maps=config_maps)
    if status in (130, 143):
        raise Interrupted(status - 128)
    if status:
        raise ScriptFailed(status)
    return None


@contextmanager
def _performance_report(page: Path | None, recorder: _Recorder) -> Iterator[None]:
    """Dask's performance report of what happens in the block, also when it fails."""
    if page is None:
        yield
        return
    report = distributed.performance_report(filename=str(page), mode="inline")
    report.__enter__()
    try:
        yield
    finally:
        try:
            report.__exit__(None, None, None)
            recorder.note(f"performance report: {page}")
        except (
            OSError,
            RuntimeError,
            TimeoutError,
        ) as error:  # the scheduler may be what failed; the load's own error matters more
            recorder.note(f"there is no performance report: {error}")
