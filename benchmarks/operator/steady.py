"""Jobs that come one by one: how long each waits for its children, the memory that all of them cost, and a restart among them."""

import math
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.operator import audit, crowd
from benchmarks.operator.contestants import DEPLOYMENTS, MB, PATIENCE_S, ready
from benchmarks.operator.nodes import PODS, nodes
from benchmarks.operator.programs import DASK, OURS, Program, dask_operator, our_operator, wait_ready
from benchmarks.operator.settings import Settings
from benchmarks.operator.stage import Stage, stage, until
from benchmarks.results import Section, at_most
from tests.support.apiserver import kube_controller_manager

PER_SECOND = 5
CONTROLLERS = ("deployment-controller", "replicaset-controller", "job-controller")
PODS_OF_A_JOB = crowd.DEPLOYMENTS + 1
CALM_S = 15.0
"""So long nothing may be left to do before memory is read."""
HEADER = ("figure", "measured")


@dataclass(frozen=True, kw_only=True)
class Restart:
    """An operator that takes over all jobs."""

    seconds: float
    """From its start until it had looked at each of them."""
    peak_mb: float
    requests: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """The figures of one run."""

    waits_s: Sequence[float]
    """Of each job, from its create to its last child."""
    resident_mb: float
    peak_mb: float
    restarts: dict[str, Restart]
    """By what had ended the one before."""


def steady(settings: Settings) -> Section:
    """One run."""
    with stage() as place, ExitStack() as stack:
        dask = stack.enter_context(dask_operator(place.kubeconfig(DASK), place.folder))
        kubeconfig = place.kubeconfig(OURS)
        own = stack.enter_context(our_operator(kubeconfig, place.folder, name="first"))
        ready(place, own, dask)
        crowd.create(place.server, crowd.OUR_JOBS, crowd.our_job, settings.jobs, per_second=PER_SECOND)
        _all_there(place, stack, settings.jobs)
        calm(own)
        waits = audit.seconds_to_last(
            place.requests(),
            kind="odpdaskjobs",
            children=lambda r: r.user == OURS and r.what in crowd.OUR_CHILDREN,
            each=len(crowd.OUR_CHILDREN),
        )
        resident, peak = own.resident_bytes / MB, own.peak_bytes / MB
        restarts = {}
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGKILL, "SIGKILL")):
            own.end(number)
            began = time.time()
            own = stack.enter_context(our_operator(kubeconfig, place.folder, name=name))
            seconds = _looked_at_all(own, settings.jobs)
            asked = len(audit.of(place.requests(), OURS, since=began))
            restarts[name] = Restart(seconds=seconds, peak_mb=own.peak_bytes / MB, requests=asked)
            calm(own)
        account = Account(waits_s=tuple(waits.values()), resident_mb=resident, peak_mb=peak, restarts=restarts)
    return section(account, jobs=settings.jobs)


def section(account: Account, *, jobs: int) -> Section:
    """The claims and the figures behind them."""
    p95 = percentile(account.waits_s, 0.95)
    slowest, hungriest = (max(restart[i] for restart in _figures(account)) for i in (0, 1))
    claims = (
        at_most(f"s from create to the last child, p95 of {len(account.waits_s):,} jobs", p95, 2.0),
        at_most(f"MiB resident with {jobs:,} jobs", account.resident_mb, 150, "{:.0f}"),
        at_most(f"s until a new process has looked at {jobs:,} jobs", slowest, 30, "{:.1f}"),
        at_most("MiB at the peak of that", hungriest, 250, "{:.0f}"),
    )
    waits = ", ".join(f"p{share * 100:.0f} {percentile(account.waits_s, share):.2f}" for share in (0.5, 0.9, 0.95, 0.99, 1.0))
    rows = [
        ("s from create to the last child", waits),
        ("jobs that have all their children", f"{len(account.waits_s):,} of {jobs:,}"),
        ("MiB resident with all jobs; at the peak before", f"{account.resident_mb:.0f}; {account.peak_mb:.0f}"),
    ]
    rows += [
        (f"the next process after {name}", f"{again.seconds:.1f} s, peak {again.peak_mb:.0f} MiB, {again.requests} requests")
        for name, again in account.restarts.items()
    ]
    text = (
        f"{PER_SECOND} jobs a second, the Dask operator at work beside. Then kube-controller-manager makes all pods"
        f" ({PODS_OF_A_JOB} a job), which wait unscheduled while memory is read."
        " A process that was killed leaves its Lease to run out, up to 15 s."
    )
    return Section("steady", f"{jobs:,} jobs, one after the other", text, HEADER, tuple(rows), claims)


def _figures(account: Account) -> list[tuple[float, float]]:
    return [(again.seconds, again.peak_mb) for again in account.restarts.values()]


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that is not less than this share of them."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else math.nan


def _all_there(place: Stage, stack: ExitStack, jobs: int) -> None:
    """Deployments first; what makes pods of them would take their makers' CPU."""
    wanted = jobs * crowd.DEPLOYMENTS
    until(lambda: place.count(DEPLOYMENTS) == wanted, f"there are {wanted} Deployments", seconds=300 + PATIENCE_S * jobs)
    stack.enter_context(kube_controller_manager(place.server, place.folder, CONTROLLERS))
    stack.enter_context(nodes(place.server, run_s=None))
    pods = jobs * PODS_OF_A_JOB
    until(lambda: place.count(PODS) == pods, f"there are {pods} pods", seconds=300 + jobs)


def calm(own: Program) -> None:
    """Until nothing has waited in its queue for a while."""
    since = time.monotonic()

    def calm() -> bool:
        nonlocal since
        if own.metric("odp_dask_queue_depth") > 0:
            since = time.monotonic()
        return time.monotonic() - since > CALM_S

    until(calm, "the operator has nothing left to do", seconds=300)


def _looked_at_all(own: Program, jobs: int) -> float:
    """Seconds from now until it is ready, leads, and has made a pass over every job."""
    begun = time.monotonic()
    wait_ready(own)
    passes = "odp_dask_reconcile_seconds_count"
    until(lambda: own.metric(passes) >= jobs and own.metric("odp_dask_queue_depth") == 0, "each job was looked at", seconds=300)
    return time.monotonic() - begun
