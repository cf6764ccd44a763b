"""The whole life of jobs, from create to given back, ours beside DaskJobs: requests and CPU time; and what ended jobs cost."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.operator import audit, crowd
from benchmarks.operator.contestants import CLUSTERS, MB, PATIENCE_S, ready
from benchmarks.operator.nodes import PODS, nodes
from benchmarks.operator.programs import DASK, OURS, dask_operator, our_operator, wait_ready
from benchmarks.operator.settings import Settings
from benchmarks.operator.stage import Stage, stage, until
from benchmarks.operator.steady import calm
from benchmarks.results import Section, at_most
from tests.support.apiserver import kube_controller_manager

JOBS_AT_MOST = 150
"""More of them tell nothing more of one."""
PER_SECOND = 2
RUN_S = 12.0
"""How long a loader works; two looks at its progress fall into it."""
IDLE_S = 120.0
RESYNC_S = 60
CONTROLLERS = ("deployment-controller", "replicaset-controller", "job-controller", "garbage-collector-controller")
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{crowd.NAMESPACE}/networkpolicies"


@dataclass(frozen=True, kw_only=True)
class Account:
    """One kind of job; figures are for each job."""

    cpu_s: float
    requests: float
    progress_writes: float
    mix: Sequence[tuple[str, float]]
    """What the requests were, the most frequent first."""
    dask_cpu_s: float = 0.0
    dask_requests: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Idle:
    """The operator beside jobs that have ended."""

    cpu_s: float
    """A job, for its whole life."""
    resident_mb: float
    per_minute: float
    """Requests beside the Lease."""
    idle_cpu_s: float
    """A minute."""


def life(settings: Settings) -> Section:
    """Ours, then DaskJobs."""
    jobs = min(settings.jobs, JOBS_AT_MOST)
    return life_section(_ours(jobs), _dask_jobs(jobs), jobs=jobs)


def life_section(ours: Account, theirs: Account, *, jobs: int) -> Section:
    """The claims and the table of two lives."""
    beside = ours.requests - ours.progress_writes
    claims = (
        at_most("API requests of our operator over the life of a job, beside progress writes", beside, 20, "{:.1f}"),
        at_most("CPU-s of our operator over the life of a job", ours.cpu_s, 0.1, "{:.3f}"),
    )
    rows = (
        ("operator: requests", f"{ours.requests:.1f}", f"{theirs.requests:.1f}"),
        ("of them progress writes", f"{ours.progress_writes:.1f}", "0"),
        ("operator: CPU-s", f"{ours.cpu_s:.3f}", f"{theirs.cpu_s:.3f}"),
        ("Dask operator beside it: requests", f"{ours.dask_requests:.1f}", ""),
        ("Dask operator beside it: CPU-s", f"{ours.dask_cpu_s:.3f}", ""),
    )
    text = (
        f"{jobs} jobs, {PER_SECOND} a second, each at work for {RUN_S:.0f} s from when its cluster runs."
        " kube-controller-manager makes the pods and collects the garbage, pods are set ready and done by the benchmark."
        f"\n\nOurs asks for: {_listed(ours.mix)}.\n\n"
        f"DaskJob's operator asks for: {_listed(theirs.mix)}."
    )
    return Section("life", "The life of a job", text, ("for each job", "ours", "DaskJob"), rows, claims)


def _listed(mix: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{count:.1f} {what}" for what, count in mix if count >= 0.05)


def _ours(jobs: int) -> Account:
    with stage() as place, ExitStack() as stack:
        dask = stack.enter_context(dask_operator(place.kubeconfig(DASK), place.folder))
        own = stack.enter_context(our_operator(place.kubeconfig(OURS), place.folder))
        ready(place, own, dask)
        stack.enter_context(kube_controller_manager(place.server, place.folder, CONTROLLERS))
        stack.enter_context(nodes(place.server, run_s=RUN_S, helpers=crowd.DEPLOYMENTS))
        before, begun = (own.cpu_s, dask.cpu_s), time.time()
        crowd.create(place.server, crowd.OUR_JOBS, crowd.our_job, jobs, per_second=PER_SECOND)
        _given_back(place, jobs)
        calm(own)
        cpu_s, dask_cpu_s = own.cpu_s - before[0], dask.cpu_s - before[1]
        asked = place.requests()
    mine = audit.of(asked, OURS, since=begun)
    return Account(
        cpu_s=cpu_s / jobs,
        requests=len(mine) / jobs,
        progress_writes=sum(request.progress_only for request in mine) / jobs,
        mix=tuple(audit.shares(mine, jobs)),
        dask_cpu_s=dask_cpu_s / jobs,
        dask_requests=len(audit.of(asked, DASK, since=begun)) / jobs,
    )


def _dask_jobs(jobs: int) -> Account:
    with stage() as place, ExitStack() as stack:
        dask = stack.enter_context(dask_operator(place.kubeconfig(DASK), place.folder))
        ready(place, dask)
        stack.enter_context(kube_controller_manager(place.server, place.folder, CONTROLLERS))
        stack.enter_context(nodes(place.server, run_s=RUN_S, helpers=crowd.DEPLOYMENTS))
        before, begun = dask.cpu_s, time.time()
        crowd.create(place.server, crowd.DASK_JOBS, crowd.dask_job, jobs, per_second=PER_SECOND)
        _given_back(place, jobs)
        cpu_s = dask.cpu_s - before
        asked = audit.of(place.requests(), DASK, since=begun)
    mix = tuple(audit.shares(asked, jobs))
    return Account(cpu_s=cpu_s / jobs, requests=len(asked) / jobs, progress_writes=0.0, mix=mix)


def _given_back(place: Stage, jobs: int) -> None:
    """Until nothing is left of any job but the pod that did the work."""

    def holds() -> bool:
        return place.count(PODS) == jobs and place.count(CLUSTERS) == 0 and place.count(POLICIES) == 0

    until(holds, "all jobs have ended and are cleared away", seconds=600 + PATIENCE_S * jobs)


def idle(settings: Settings) -> Section:
    """All jobs at once, whose loaders end at once; then nothing happens any more. Without the Dask operator, which takes long."""
    with stage() as place, ExitStack() as stack:
        own = stack.enter_context(our_operator(place.kubeconfig(OURS), place.folder, flags=[f"--resync-seconds={RESYNC_S}"]))
        wait_ready(own)
        stack.enter_context(kube_controller_manager(place.server, place.folder, CONTROLLERS))
        stack.enter_context(nodes(place.server, run_s=0.0))
        before = own.cpu_s
        crowd.create(place.server, crowd.OUR_JOBS, crowd.our_job, settings.jobs)
        _given_back(place, settings.jobs)
        calm(own)
        cpu_s, before, begun = own.cpu_s - before, own.cpu_s, time.time()
        time.sleep(IDLE_S)
        asked = audit.of(place.requests(), OURS, since=begun)
        account = Idle(
            cpu_s=cpu_s / settings.jobs,
            resident_mb=own.resident_bytes / MB,
            per_minute=len(asked) * 60 / IDLE_S,
            idle_cpu_s=(own.cpu_s - before) * 60 / IDLE_S,
        )
    return idle_section(account, jobs=settings.jobs)


def idle_section(account: Idle, *, jobs: int) -> Section:
    """The claims and the figures behind them."""
    claims = (
        at_most(f"requests a minute beside the Lease, idle with {jobs:,} finished jobs", account.per_minute, 10, "{:.1f}"),
        at_most("CPU-s of our operator a job, without the Dask operator's objects", account.cpu_s, 0.1, "{:.3f}"),
    )
    rows = (
        ("CPU-s a minute", f"{account.idle_cpu_s:.2f}"),
        ("MiB resident", f"{account.resident_mb:.0f}"),
    )
    text = (
        f"Watched for {IDLE_S:.0f} s. A resync falls into each {RESYNC_S} s of it; by default there is one in five minutes."
        " The jobs were made at once, and the Dask operator was not there: their clusters were made, waited for, and deleted."
    )
    return Section("idle", f"{jobs:,} jobs that have ended", text, ("figure", "measured"), rows, claims)
