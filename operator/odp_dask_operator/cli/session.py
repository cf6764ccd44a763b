"""One `odp-dask run` from its flags to its exit status: reads the job, shows the run, says how it ended."""

import datetime
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from odp_dask_operator.cli.display import open_display
from odp_dask_operator.cli.summary import summarise
from odp_dask_operator.local.bindings import bind
from odp_dask_operator.local.interrupt import Interrupted, interruptible
from odp_dask_operator.local.outcome import Outcome, Unexpected, status_of
from odp_dask_operator.spec.files import JobFile, read_job
from odp_dask_operator.spec.pod import API_KEY_VARIABLE
from odp_loader.errors import InvalidLoad, LoadError


@dataclass(frozen=True)
class Flags:
    """The command line."""

    file: str
    assignments: tuple[str, ...] = ()
    scheduler: str | None = None
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    report: Path | None = None
    verbose: bool = False


def run_session(flags: Flags, *, as_json: bool) -> int:
    """The exit status. The summary goes to standard output; with `as_json` the status goes there and all else to standard error."""
    with interruptible(), _standard_output(reserved=as_json) as reserved:
        outcome = _attempt(flags)
        failed = outcome.stop is not None
        print(summarise(outcome), file=sys.stderr if failed or as_json else sys.stdout, flush=True)
        if as_json:
            print(status_of(outcome).model_dump_json(by_alias=True, exclude_none=True), file=reserved, flush=True)
    return outcome.exit_code


def _attempt(flags: Flags) -> Outcome:
    """How the run ended, whatever happens."""
    started = datetime.datetime.now(datetime.UTC)
    stop: LoadError | Interrupted
    try:
        return _run(flags)
    except (LoadError, Interrupted) as error:
        stop = error
    except Exception as error:  # the outermost line: a fault of ours is reported like any other
        if flags.verbose:
            traceback.print_exc()
        stop = Unexpected(_without_key(f"{type(error).__name__}: {error}"))
    return Outcome(started=started, ended=datetime.datetime.now(datetime.UTC), stop=stop)


def _run(flags: Flags) -> Outcome:
    job_file = read_job(_read(flags.file), source=_source(flags.file), assignments=flags.assignments)
    spec = job_file.job.spec
    bindings = bind(spec, secrets=flags.secrets, config_maps=flags.config_maps, volumes=flags.volumes)
    if flags.report is not None and not flags.report.absolute().parent.is_dir():
        raise InvalidLoad(f"--report: there is no folder {flags.report.absolute().parent}; make it, or name another")
    with open_display(sys.stderr, plain=flags.verbose or spec.load is None) as display:
        for note in _notes(job_file):
            display.note(note)
        try:
            from odp_dask_operator.local.run import Request, run_job
        except ModuleNotFoundError as error:
            raise InvalidLoad(
                f"odp-dask run needs {error.name} on this machine; install this project with its extra `local`"
            ) from None
        request = Request(
            job=job_file.job,
            bindings=bindings,
            config_maps=job_file.config_maps,
            presets=job_file.presets,
            scheduler=flags.scheduler,
            report=flags.report,
            verbose=flags.verbose,
        )
        return run_job(request, display)


def _notes(job_file: JobFile) -> Iterator[str]:
    if job_file.others:
        yield f"not used here: {', '.join(job_file.others)}"
    if job_file.job.spec.suspend:
        yield "spec.suspend is true: a cluster would not run this job; here it runs"


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidLoad(
            f"{file}: {(error.strerror or str(error)).lower()}; name the job's YAML file, or - for standard input"
        ) from None


def _source(file: str) -> str:
    return "standard input" if file == "-" else file


def _without_key(text: str) -> str:
    key = os.environ.get(API_KEY_VARIABLE)
    return text.replace(key, "***") if key else text


@contextmanager
def _standard_output(*, reserved: bool) -> Iterator[TextIO]:
    """Standard output for the result alone: whatever else is written there, by a script for one, goes to standard error."""
    if not reserved:
        yield sys.stdout
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(saved, "w") as result:
        try:
            yield result
        finally:
            sys.stdout.flush()
            result.flush()
            os.dup2(saved, 1)
