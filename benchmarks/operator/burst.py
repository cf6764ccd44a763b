"""All jobs at once, ours in turn with DaskJobs: until everything is made, and what it cost."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.measure import busy_s
from benchmarks.operator import audit, bare, crowd
from benchmarks.operator.environment import ROOT
from benchmarks.operator.programs import DASK, OURS, Program, dask_operator, our_operator, wait_ready
from benchmarks.operator.settings import Settings
from benchmarks.operator.stage import Stage, stage, until
from benchmarks.results import Section, at_least, spread

MB = 2**20
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{crowd.NAMESPACE}/deployments"
PATIENCE_S = 3.0
"""For each job, until something is given up."""
ALONE = "ours, no Dask operator there"
BARE = "bare client, jobs whole"
BARE_CLUSTERS_LAST = "bare client, DaskClusters last"
SAME_PODS = "DaskJob with our pods"
CLUSTERS = f"/apis/kubernetes.dask.org/v1/namespaces/{crowd.NAMESPACE}/daskclusters"
HEADER = (
    "contestant",
    "s to the children of the last job",
    "s to the last Deployment",
    "operator: CPU-s a job",
    "requests a job",
    "MiB after it",
    "Dask operator beside it: CPU-s a job",
    "requests a job",
    "all of the machine: CPU-s a job",
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """One burst. Seconds are from the arrival of the first create."""

    children_s: float
    """Until the last job had all that its own operator makes."""
    deployments_s: float
    """Until the Dask operator had made the last Deployment; not a number where it was not there."""
    cpu_s: float
    """A job, of the job's own operator; so are the others."""
    requests: float
    resident_mb: float
    machine_cpu_s: float
    """Of everything on the machine, until the end."""
    dask_cpu_s: float = 0.0
    """Of the Dask operator, where it is another."""
    dask_requests: float = 0.0


def burst(settings: Settings) -> Section:
    """Rounds of ours, then DaskJobs, each on an API server of its own."""
    contestants: dict[str, Callable[[], Account]] = {
        "ours": lambda: _ours(settings.jobs),
        "DaskJob": lambda: _dask_jobs(settings.jobs, crowd.dask_job),
        ALONE: lambda: _alone(settings.jobs),
    }
    if settings.bare:
        contestants[BARE] = lambda: _bare(settings.jobs, clusters_last=False)
        contestants[BARE_CLUSTERS_LAST] = lambda: _bare(settings.jobs, clusters_last=True)
    if settings.same_pods:
        contestants[SAME_PODS] = lambda: _dask_jobs(settings.jobs, crowd.dask_job_of_our_pods)
    accounts: dict[str, list[Account]] = {name: [] for name in contestants}
    for _ in range(settings.rounds):
        for name, run in contestants.items():
            accounts[name].append(account := run())
            print(f"burst: {name}: {account}", flush=True)
    return section(accounts, jobs=settings.jobs)


def section(accounts: dict[str, list[Account]], *, jobs: int) -> Section:
    """The claims and the table of bursts that were measured in turn."""

    def ratio(figure: Callable[[Account], float], name: str = "ours") -> float:
        pairs = zip(accounts["DaskJob"], accounts[name], strict=True)
        return median(figure(theirs) / figure(other) for theirs, other in pairs)

    claims = (
        at_least(
            "times as fast as DaskJob: from the first create to all own children of the last job", ratio(lambda a: a.children_s), 3
        ),
        at_least("times as fast as DaskJob: to every Deployment of the Dask operator", ratio(lambda a: a.deployments_s), 1),
    )
    text = (
        f"{len(accounts['ours'])} rounds. No kube-controller-manager, no node: nothing but the operators makes objects."
        f" Own children: {', '.join(crowd.OUR_CHILDREN)} of ours; DaskCluster and runner pod of a DaskJob, which is as the"
        " documentation of dask-kubernetes has it."
    )
    if ALONE in accounts:
        text += f" {ALONE}: what ours takes where nothing else shares the cores; it is no least that the machine allows."
    if SAME_PODS in accounts:
        text += (
            f" {SAME_PODS}: probes, environment, security context and volumes of our pods, without certificates. That row shows"
            " what the size of the pods costs the Dask operator."
        )
    if BARE in accounts:
        children, deployments = (ratio(figure, BARE) for figure in (lambda a: a.children_s, lambda a: a.deployments_s))
        text += (
            f" {BARE}: a program that creates the children of our jobs beside the Dask operator and does nothing else: it sees no"
            f" job and writes no status. It is {children:.2f} times as fast as DaskJob to the children, and {deployments:.2f} times"
            f" to the Deployments. {BARE_CLUSTERS_LAST}: holds all DaskClusters back until everything else is there, so that the"
            f" Dask operator hardly begins before the end: {ratio(lambda a: a.children_s, BARE_CLUSTERS_LAST):.2f} times to the"
            " children."
        )
    return Section("burst", f"A burst of {jobs:,} jobs", text, HEADER, tuple(_row(*named) for named in accounts.items()), claims)


def _row(name: str, accounts: Sequence[Account]) -> tuple[str, ...]:
    def of(figure: Callable[[Account], float], form: str) -> str:
        middle = median(map(figure, accounts))
        return "" if math.isnan(middle) else form.format(middle)

    return (
        name,
        spread((a.children_s for a in accounts), "{:.1f}"),
        "" if math.isnan(accounts[0].deployments_s) else spread((a.deployments_s for a in accounts), "{:.1f}"),
        of(lambda a: a.cpu_s, "{:.3f}"),
        of(lambda a: a.requests, "{:.1f}"),
        of(lambda a: a.resident_mb, "{:.0f}"),
        of(lambda a: a.dask_cpu_s, "{:.3f}"),
        of(lambda a: a.dask_requests, "{:.1f}"),
        of(lambda a: a.machine_cpu_s, "{:.3f}"),
    )


def _ours(jobs: int) -> Account:
    with stage() as place, dask_operator(place.kubeconfig(DASK), place.folder) as dask:
        with our_operator(place.kubeconfig(OURS), place.folder) as own:
            ready(place, own, dask)
            before = own.cpu_s, dask.cpu_s, busy_s()
            begun = time.time()
            crowd.create(place.server, crowd.OUR_JOBS, crowd.our_job, jobs)
            _made(place, jobs)
            cpu_s, dask_cpu_s, machine_cpu_s = own.cpu_s - before[0], dask.cpu_s - before[1], busy_s() - before[2]
            resident = own.resident_bytes
        asked = place.requests()
    first = audit.first_create(asked, "odpdaskjobs")
    return Account(
        children_s=_to_last_child(asked),
        deployments_s=audit.last_create(asked, lambda r: r.what == "deployments") - first,
        cpu_s=cpu_s / jobs,
        requests=len(audit.of(asked, OURS, since=begun)) / jobs,
        resident_mb=resident / MB,
        machine_cpu_s=machine_cpu_s / jobs,
        dask_cpu_s=dask_cpu_s / jobs,
        dask_requests=len(audit.of(asked, DASK, since=begun)) / jobs,
    )


def _alone(jobs: int) -> Account:
    with stage() as place, our_operator(place.kubeconfig(OURS), place.folder) as own:
        wait_ready(own)
        before, begun = (own.cpu_s, busy_s()), time.time()
        crowd.create(place.server, crowd.OUR_JOBS, crowd.our_job, jobs)
        _have_clusters(place, jobs)
        cpu_s, machine_cpu_s, resident = own.cpu_s - before[0], busy_s() - before[1], own.resident_bytes
        asked = place.requests()
    return Account(
        children_s=_to_last_child(asked),
        deployments_s=math.nan,
        cpu_s=cpu_s / jobs,
        requests=len(audit.of(asked, OURS, since=begun)) / jobs,
        resident_mb=resident / MB,
        machine_cpu_s=machine_cpu_s / jobs,
    )


def _bare(jobs: int, *, clusters_last: bool) -> Account:
    posts = bare.requests_of([crowd.plan_of(number) for number in range(jobs)], clusters_last=clusters_last)
    with stage() as place, dask_operator(place.kubeconfig(DASK), place.folder) as dask:
        file = place.folder / "posts"
        file.write_text("".join(f"{json.dumps(job)}\n" for job in posts))
        ready(place, dask)
        before, begun = (dask.cpu_s, busy_s()), time.time()
        command = [sys.executable, "-m", "benchmarks.operator.bare", str(place.kubeconfig(OURS)), str(file)]
        with subprocess.Popen(command, cwd=ROOT) as client:
            if clusters_last:
                _have_clusters(place, jobs)
            else:
                _made(place, jobs)
        if client.returncode:
            raise RuntimeError(f"the bare client ended with {client.returncode}")
        dask_cpu_s, machine_cpu_s = dask.cpu_s - before[0], busy_s() - before[1]
        asked = place.requests()
    made = [request for request in audit.of(asked, OURS, since=begun) if request.made and request.what in crowd.OUR_CHILDREN]
    first = min(request.received for request in made)
    return Account(
        children_s=max(request.done for request in made) - first,
        deployments_s=math.nan if clusters_last else audit.last_create(asked, lambda r: r.what == "deployments") - first,
        cpu_s=math.nan,
        requests=len(made) / jobs,
        resident_mb=math.nan,
        machine_cpu_s=machine_cpu_s / jobs,
        dask_cpu_s=dask_cpu_s / jobs,
        dask_requests=len(audit.of(asked, DASK, since=begun)) / jobs,
    )


def _to_last_child(asked: Sequence[audit.Request]) -> float:
    last = audit.last_create(asked, lambda r: r.user == OURS and r.what in crowd.OUR_CHILDREN)
    return last - audit.first_create(asked, "odpdaskjobs")


def _dask_jobs(jobs: int, make: Callable[[int], crowd.Raw]) -> Account:
    with stage() as place, dask_operator(place.kubeconfig(DASK), place.folder) as dask:
        ready(place, dask)
        before, begun = (dask.cpu_s, busy_s()), time.time()
        crowd.create(place.server, crowd.DASK_JOBS, make, jobs)
        _made(place, jobs)
        cpu_s, machine_cpu_s, resident = dask.cpu_s - before[0], busy_s() - before[1], dask.resident_bytes
        asked = place.requests()
    first = audit.first_create(asked, "daskjobs")
    return Account(
        children_s=audit.last_create(asked, lambda r: r.what in ("daskclusters", "pods")) - first,
        deployments_s=audit.last_create(asked, lambda r: r.what == "deployments") - first,
        cpu_s=cpu_s / jobs,
        requests=len(audit.of(asked, DASK, since=begun)) / jobs,
        resident_mb=resident / MB,
        machine_cpu_s=machine_cpu_s / jobs,
    )


def ready(place: Stage, *programs: Program) -> None:
    """They answer their probes, and the Dask operator, whose probe says nothing of that, watches."""
    for program in programs:
        wait_ready(program)
    until(lambda: _watches(place), "the Dask operator watches", seconds=60)


def _watches(place: Stage) -> bool:
    """Whether the Dask operator watches what it must."""
    watched = {request.what for request in audit.of(place.requests(), DASK) if request.verb == "watch"}
    return watched >= {"daskjobs", "daskclusters", "daskworkergroups", "services", "pods"}


def _have_clusters(place: Stage, jobs: int) -> None:
    until(lambda: place.count(CLUSTERS) == jobs, f"there are {jobs} DaskClusters", seconds=300 + PATIENCE_S * jobs)


def _made(place: Stage, jobs: int) -> None:
    wanted = jobs * crowd.DEPLOYMENTS
    until(lambda: place.count(DEPLOYMENTS) == wanted, f"there are {wanted} Deployments", seconds=300 + PATIENCE_S * jobs)
