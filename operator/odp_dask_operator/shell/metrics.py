"""Counts what the operator does, for Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from odp_dask_operator.spec import Phase


class Metrics:
    """The operator's own figures; nothing per job, whose number has no bound."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = Gauge("odp_dask_jobs", "Jobs by phase.", ["phase"], registry=self.registry)
        self.reconcile_seconds = Histogram("odp_dask_reconcile_seconds", "Time of one pass over one job.", registry=self.registry)
        self.queue_depth = Gauge("odp_dask_queue_depth", "Jobs that wait for a pass.", registry=self.registry)
        self.api_calls = Counter(
            "odp_dask_api_calls",
            "Requests to the API server; code 0 is no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self.failures = Counter("odp_dask_job_failures", "Jobs that failed, by reason.", ["reason"], registry=self.registry)
        self.errors = Counter(
            "odp_dask_reconcile_errors", "Passes that could not be finished, by error.", ["error"], registry=self.registry
        )
        self.leader = Gauge("odp_dask_leader", "1 in the replica that reconciles.", registry=self.registry)

    def count_call(self, verb: str, plural: str, code: int) -> None:
        """One request."""
        self.api_calls.labels(verb, plural, str(code)).inc()

    def set_jobs(self, phases: Iterable[str]) -> None:
        """The phases of all jobs; one without a phase has not been looked at yet."""
        tally = Tally(phases)
        for phase in Phase:
            self.jobs.labels(phase.value).set(tally[phase.value])
        self.jobs.labels("").set(tally[""])
