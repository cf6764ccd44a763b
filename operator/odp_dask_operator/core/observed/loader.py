"""Reads the batch/v1 Job and its pods."""

from collections.abc import Sequence

from odp_dask_operator.core.names import COMPONENT_LABEL, LOADER
from odp_dask_operator.core.observed.events import events_trouble
from odp_dask_operator.core.observed.pod import Raw, labels_of, pod_trouble, read_pod
from odp_dask_operator.core.observed.record import LoaderSeen, PodSeen, Seen, Silent, Trouble


def read_loader(job: Raw | None, own: Sequence[Raw], events: Sequence[Raw]) -> LoaderSeen:
    """What the Job says of itself, and its newest pods."""
    pods = [read_pod(raw, role=LOADER) for raw in own if raw["kind"] == "Pod" and labels_of(raw).get(COMPONENT_LABEL) == LOADER]
    living = sum(pod.end is None for pod in pods)
    if job is None:
        return LoaderSeen(living_pods=living)
    pods.sort(key=lambda pod: (pod.created, pod.uid))
    newest = pods[-1] if pods else None
    status = job.get("status") or {}
    verdict = next(
        (c for c in status.get("conditions") or () if c["type"] in ("Complete", "Failed") and c["status"] == "True"), None
    )
    done = newest.exit if newest and newest.exit and newest.exit.exit_code == 0 and newest.exit.last_word else None
    failed, succeeded, active = (status.get(name) or 0 for name in ("failed", "succeeded", "active"))
    return LoaderSeen(
        attempts=failed + succeeded + active,
        failures=failed,
        succeeded=verdict["type"] == "Complete" if verdict else (True if done else None),
        verdict="" if verdict is None else verdict.get("message") or "",
        pod=newest,
        last_end=done or next((pod.end for pod in reversed(pods) if pod.end), None),
        living_pods=living,
        trouble=_trouble(job["metadata"]["uid"], newest, events),
    )


def _trouble(uid: str, newest: PodSeen | None, events: Sequence[Raw]) -> Trouble | None:
    """Of the pod that is there; while there is none that lives, of the Job that should make one."""
    if newest is not None and newest.end is None:
        return pod_trouble(LOADER, newest, events)
    return events_trouble(LOADER, uid, events, after=newest.created if newest else None)


def silent_loader(job: Seen | None, loader: LoaderSeen) -> tuple[Silent, ...]:
    """The Job while it makes no pod, or the pod while it does not start, and neither says why."""
    if job is None or not job.alive or job.created is None or loader.succeeded is not None:
        return ()
    pod = loader.pod
    if pod is None:
        return (Silent(job.uid, job.created),)
    if pod.end is not None:
        return (Silent(job.uid, pod.end.at or pod.created),)
    return (Silent(pod.uid, pod.created),) if pod.silent else ()
