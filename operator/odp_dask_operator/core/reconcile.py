"""One pass over one job, from what was read to what is to be done, written and said."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from odp_dask_operator.core.decide import decide
from odp_dask_operator.core.decision import Decision
from odp_dask_operator.core.notices import Notice, notices
from odp_dask_operator.core.observed import Facts, Observed, observe
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.preset import Presets, Problem
from odp_dask_operator.core.record import JobRecord, read_job
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.core.status import next_status
from odp_dask_operator.spec import JobStatus


@dataclass(frozen=True)
class Step:
    """A pass: carry out `decision`, write `status` if it differs from `job.status`, then post `notices`."""

    job: JobRecord
    plan: Plan | Problem
    observed: Observed
    decision: Decision
    status: JobStatus
    notices: tuple[Notice, ...]


def reconcile(raw: Mapping[str, Any], facts: Facts, *, presets: Presets, settings: Settings, now: datetime.datetime) -> Step:
    """The next step of a job.

    `raw` must be at least as new as the last status that was written. Nothing else about the past matters.
    """
    job = read_job(raw)
    plan = make_plan(job, presets=presets, settings=settings)
    observed = observe(job.names, plan, facts)
    decision = decide(job, plan, observed, now=now)
    status = next_status(job, plan, observed, decision, now=now)
    return Step(job, plan, observed, decision, status, notices(job.status, status))
