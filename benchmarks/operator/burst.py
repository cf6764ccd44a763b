"""All jobs at once, ours in turn with DaskJobs: until everything is made, and what it cost."""

import math
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.operator import crowd
from benchmarks.operator.contestants import Account, alone, bare_client, dask_jobs, ours
from benchmarks.operator.settings import Settings
from benchmarks.results import Section, at_least, spread

ALONE = "ours, no Dask operator there"
BARE = "bare client, jobs whole"
BARE_CLUSTERS_LAST = "bare client, DaskClusters last"
SAME_PODS = "DaskJob with our pods"
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


def burst(settings: Settings) -> Section:
    """Rounds of ours, then DaskJobs, each on an API server of its own."""
    contestants: dict[str, Callable[[], Account]] = {
        "ours": lambda: ours(settings.jobs),
        "DaskJob": lambda: dask_jobs(settings.jobs, crowd.dask_job),
        ALONE: lambda: alone(settings.jobs),
    }
    if settings.bare:
        contestants[BARE] = lambda: bare_client(settings.jobs, clusters_last=False)
        contestants[BARE_CLUSTERS_LAST] = lambda: bare_client(settings.jobs, clusters_last=True)
    if settings.same_pods:
        contestants[SAME_PODS] = lambda: dask_jobs(settings.jobs, crowd.dask_job_of_our_pods)
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
