"""Who takes part in a burst: each makes so many jobs on an API server of its own, is waited for, and says what it took."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure import busy_s
from benchmarks.operator import audit, bare, crowd
from benchmarks.operator.environment import ROOT
from benchmarks.operator.programs import DASK, OURS, Program, dask_operator, our_operator, wait_ready
from benchmarks.operator.stage import Stage, stage, until

MB = 2**20
CLUSTERS = f"/apis/kubernetes.dask.org/v1/namespaces/{crowd.NAMESPACE}/daskclusters"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{crowd.NAMESPACE}/deployments"
PATIENCE_S = 3.0
"""For each job, until something is given up."""


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


def ours(jobs: int) -> Account:
    """Our operator beside the Dask operator, until all Deployments are there."""
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


def alone(jobs: int) -> Account:
    """Our operator and nobody else, until all DaskClusters are there."""
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


def bare_client(jobs: int, *, clusters_last: bool) -> Account:
    """A program that only creates our children, beside the Dask operator."""
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


def dask_jobs(jobs: int, make: Callable[[int], crowd.Raw]) -> Account:
    """The Dask operator with DaskJobs, as `make` numbers them."""
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
