"""Decides what to do about a job from what is recorded and what is there. Level-based: how it came about does not matter."""

import datetime

from odp_dask_operator.core.deadlines import deadlines, deleted_at, kept_until
from odp_dask_operator.core.decision import AT_ONCE, SELDOM, SOON, Application, Begin, Decision, Removal, Verdict
from odp_dask_operator.core.desired import wanted
from odp_dask_operator.core.ending import ending
from odp_dask_operator.core.names import JOB_RESOURCE, WORKER_GROUP_RESOURCE, Child
from odp_dask_operator.core.observed import Observed, Refusal, Whose
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.preset import Problem, choose
from odp_dask_operator.core.record import JobRecord
from odp_dask_operator.core.waiting import dask_missing, going_trouble, look_again, standing
from odp_dask_operator.spec import ConditionType, Phase, PresetSnapshot, Reason

TABLE_PATIENCE = datetime.timedelta(seconds=60)
"""How long a loader that runs may take to say how large its table is, until `auto` decides without."""
_UNSEEN = (Child.CONFIG_MAP, Child.SECRET)
_HOPELESS = (400, 413, 422)
"""Answers to a create that another try would not change: the job's specification is immutable."""


def decide(job: JobRecord, plan: Plan | Problem, observed: Observed, *, now: datetime.datetime) -> Decision:
    """One step. Doing what it says and asking again comes to rest, with nothing left to do but wait."""
    if job.deleting:
        return Decision(verdict=None)
    if job.end is not None:
        return _after_end(job, observed, ended_at=job.end.last_transition_time, now=now)
    if job.active and isinstance(plan, Plan) and (end := ending(plan, observed.loader)):
        return Decision(verdict=end, requeue_after=AT_ONCE)
    if problem := _permanent(job, plan, observed):
        return _fail(problem.reason, problem.message)
    if job.spec is not None and job.spec.suspend:
        return _suspend(job, observed, now=now)
    if isinstance(plan, Problem):
        verdict = Verdict(phase=Phase.PENDING, reason=plan.reason.value, message=plan.message)
        return Decision(verdict=verdict, requeue_after=SELDOM)
    if not job.active or observed.run > job.run:
        return _begin(job, plan, observed, now=now)
    return _go_on(job, plan, observed, now=now)


def _permanent(job: JobRecord, plan: Plan | Problem, observed: Observed) -> Problem | None:
    """What no waiting cures."""
    if isinstance(plan, Problem) and plan.permanent:
        return plan
    for child, seen in observed.children.items():
        if seen.whose is Whose.FOREIGN:
            what = f"{child.resource.kind} {job.names.of(child, run=job.run)}"
            message = (
                f"the {what} is there already and belongs to somebody else; delete it, or make the job again under another name"
            )
            return Problem(Reason.NAME_CONFLICT, message, permanent=True)
    if observed.refusal and _hopeless(observed.refusal):
        kind = observed.refusal.child.resource.kind
        message = f"the API server refuses the {kind} that the job asks for: {observed.refusal.message[:1500]}"
        return Problem(Reason.REFUSED, message, permanent=True)
    return None


def _hopeless(refusal: Refusal) -> bool:
    return refusal.verb == "create" and refusal.code in _HOPELESS


def _fail(reason: Reason, message: str) -> Decision:
    verdict = Verdict(phase=Phase.FAILED, reason=reason.value, message=message)
    return Decision(verdict=verdict, requeue_after=AT_ONCE)


def _begin(job: JobRecord, plan: Plan, observed: Observed, *, now: datetime.datetime) -> Decision:
    """The first run, or the next one once everything of the last one is gone. Recorded before anything is made."""
    if job.stopped and observed.run <= job.run:
        delete, settled = _teardown(job, observed, with_job=True)
        if not settled:
            trouble = going_trouble(job.names.job, observed, now=now)
            message = trouble.message if trouble else "the cluster is being given back; the job then goes on"
            verdict = Verdict(phase=Phase.SUSPENDED, reason=Reason.SUSPENDING.value, message=message)
            return Decision(verdict=verdict, delete=delete, requeue_after=SOON)
    if not observed.dask_served:
        trouble = dask_missing()
        verdict = Verdict(phase=Phase.PENDING, reason=trouble.reason.value, message=trouble.message)
        return Decision(verdict=verdict, requeue_after=SELDOM)
    # What is there may be of a later run than the record, when that is read from a cache or was lost.
    run = max(observed.run, job.run + 1 if job.stopped else job.run, 1)
    message = "the job begins" if run == 1 else "the job goes on where it was"
    begin = Begin(run, plan.preset)
    verdict = Verdict(phase=Phase.PENDING, reason=Reason.ACCEPTED.value, message=message, begin=begin)
    return Decision(verdict=verdict, requeue_after=AT_ONCE)


def _go_on(job: JobRecord, plan: Plan, observed: Observed, *, now: datetime.datetime) -> Decision:
    """Make what is missing, choose what `auto` means, watch the deadlines."""
    verdict = standing(job, plan, observed, now=now)
    coming = deadlines(job, plan, observed, now=now)
    if coming and coming[0].at <= now:
        first = coming[0]
        because = f": {verdict.message}" if first.reason is Reason.STARTUP_DEADLINE_EXCEEDED else ""
        return _fail(first.reason, f"{first.message}{because}")
    if plan.preset is None and (chosen := _choose(plan, observed, now=now)):
        if isinstance(chosen, Problem):
            return Decision(
                verdict=Verdict(phase=Phase.STARTING, reason=chosen.reason.value, message=chosen.message), requeue_after=SELDOM
            )
        verdict = Verdict(phase=verdict.phase, reason=Reason.CLUSTER_STARTING.value, message=chosen.why or "", preset=chosen)
        return Decision(verdict=verdict, requeue_after=AT_ONCE)
    return Decision(
        verdict=verdict,
        create=_missing(plan, observed),
        apply=_outdated(plan, observed),
        delete=_orphans(observed),
        requeue_after=min([look_again(plan, observed, now=now), *(deadline.at - now for deadline in coming)]),
    )


def _choose(plan: Plan, observed: Observed, *, now: datetime.datetime) -> PresetSnapshot | Problem | None:
    """What `auto` means, as soon as the loader says how large its table is or has been silent for too long."""
    if observed.progress and observed.progress.table:
        return choose(plan.presets, observed.progress.table, unknown="")
    since = observed.loader.running_since
    if since is None or now - since < TABLE_PATIENCE:
        return None
    seconds = int(TABLE_PATIENCE.total_seconds())
    return choose(plan.presets, None, unknown=f"the loader did not say within {seconds} s how large the table is")


def _missing(plan: Plan, observed: Observed) -> tuple[Child, ...]:
    """The children to be made now. One that is being deleted is waited for; so is what hangs on its name."""
    missing = [child for child in wanted(plan) if child not in _UNSEEN and observed.child(child).absent]
    if observed.loader.living_pods and Child.JOB in missing:
        missing.remove(Child.JOB)  # a loader of an earlier Job still ends
    if Child.CLUSTER in missing and (observed.cluster.remnants or not observed.dask_served):
        missing.remove(Child.CLUSTER)
    if Child.AUTOSCALER in missing and not observed.child(Child.CLUSTER).alive:
        missing.remove(Child.AUTOSCALER)
    if Child.JOB in missing:
        missing.extend(_UNSEEN)
    return tuple(child for child in Child if child in missing)


def _outdated(plan: Plan, observed: Observed) -> tuple[Application, ...]:
    """The children that say something else than the plan: somebody changed them, or this is a newer operator."""
    seen = ((child, observed.child(child)) for child in wanted(plan))
    return tuple(Application(child, there.uid) for child, there in seen if there.alive and not there.current)


def _suspend(job: JobRecord, observed: Observed, *, now: datetime.datetime) -> Decision:
    """Record the stop, give everything back, and say so when it is done."""
    if job.active or observed.run > job.run:
        begin = Begin(observed.run, job.status.preset) if observed.run > job.run else None
        message = "the job stops and gives its cluster back"
        verdict = Verdict(phase=Phase.SUSPENDED, reason=Reason.SUSPENDING.value, message=message, begin=begin)
        return Decision(verdict=verdict, requeue_after=AT_ONCE)
    delete, settled = _teardown(job, observed, with_job=True) if job.run else ((), True)
    if not settled:
        trouble = going_trouble(job.names.job, observed, now=now)
        message = trouble.message if trouble else "the job stops and gives its cluster back"
        verdict = Verdict(phase=Phase.SUSPENDED, reason=Reason.SUSPENDING.value, message=message)
        return Decision(verdict=verdict, delete=delete, requeue_after=SOON)
    message = "spec.suspend is true; what is finished is kept, and false lets the job go on"
    return Decision(verdict=Verdict(phase=Phase.SUSPENDED, reason=Reason.SUSPENDED.value, message=message))


def _after_end(job: JobRecord, observed: Observed, *, ended_at: datetime.datetime, now: datetime.datetime) -> Decision:
    """Give the cluster back, at once or when it has been kept long enough; in the end delete the job itself, if it wants that."""
    gone_at = deleted_at(job, ended_at=ended_at)
    if gone_at is not None and gone_at <= now:
        own = Removal(JOB_RESOURCE, job.names.job, job.names.uid)
        return Decision(verdict=None, delete=(own,), requeue_after=SOON)
    kept = kept_until(job, failed_at=ended_at) if job.holds(ConditionType.FAILED) else None
    running = observed.loader.succeeded is None
    if kept is not None and now < kept:
        delete = _removals(job, observed, (Child.JOB,)) if running else ()
        settled, next_step = False, kept - now
    else:
        delete, settled = _teardown(job, observed, with_job=running)
        next_step = SOON if delete else SELDOM
    waits = [] if settled else [next_step]
    if gone_at is not None:
        waits.append(gone_at - now)
    return Decision(verdict=None, delete=delete, requeue_after=min(waits, default=None))


def _teardown(job: JobRecord, observed: Observed, *, with_job: bool) -> tuple[tuple[Removal, ...], bool]:
    """What to delete next, and whether nothing is left: the loader first, the policy and the certificate after the last pod.

    A Job that has ended stays, with its pods and their logs, until the job itself is deleted; so does the ConfigMap.
    """
    first = (*((Child.JOB,) if with_job else ()), Child.INGRESS, Child.SERVICE, Child.CLUSTER)
    delete = (*_removals(job, observed, first), *_orphans(observed))
    left = any(observed.child(child).ours for child in (*first, Child.AUTOSCALER)) or bool(observed.cluster.remnants)
    if not left:
        # The Secret cannot be seen. The policy is there as long as the Secret is, so it says when that is still to be deleted.
        delete = _removals(job, observed, (Child.NETWORK_POLICY,))
        if delete:
            secret = Child.SECRET
            delete = (Removal(secret.resource, job.names.of(secret, run=job.run), None), *delete)
        left = observed.child(Child.NETWORK_POLICY).ours
    return delete, not left


def _removals(job: JobRecord, observed: Observed, children: tuple[Child, ...]) -> tuple[Removal, ...]:
    return tuple(
        Removal(child.resource, job.names.of(child, run=job.run), observed.child(child).uid)
        for child in children
        if observed.child(child).alive
    )


def _orphans(observed: Observed) -> tuple[Removal, ...]:
    return tuple(Removal(WORKER_GROUP_RESOURCE, orphan.name, orphan.uid) for orphan in observed.cluster.orphans)
