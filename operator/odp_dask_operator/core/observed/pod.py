"""Reads a pod: whether it runs, why it does not, how it ended."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from odp_dask_operator.core.names import LOADER
from odp_dask_operator.core.observed.events import events_trouble
from odp_dask_operator.core.observed.record import PodEnd, PodSeen, Trouble
from odp_dask_operator.core.observed.trouble import scheduling_trouble, waiting_trouble
from odp_dask_operator.core.observed.words import read_last_word

Raw = Mapping[str, Any]


def time_of(value: object) -> datetime.datetime | None:
    """A time as the API server writes it."""
    return datetime.datetime.fromisoformat(value) if isinstance(value, str) else None


def labels_of(raw: Raw) -> Mapping[str, str]:
    """The labels of an object."""
    return raw["metadata"].get("labels") or {}


def pod_trouble(role: str, pod: PodSeen, events: Sequence[Raw]) -> Trouble | None:
    """What the pod says itself, else what Events say about it."""
    return pod.trouble or (events_trouble(role, pod.uid, events) if pod.silent else None)


def read_pod(raw: Raw, *, role: str) -> PodSeen:
    """A pod with one container of ours; a mesh's or a webhook's containers beside it are passed over."""
    meta, status = raw["metadata"], raw.get("status") or {}
    container = _container(status, role)
    state = container.get("state") or {}
    running, ended = state.get("running"), status.get("phase") in ("Succeeded", "Failed")
    exited = _exit(status, state) if ended or (role == LOADER and "terminated" in state) else None  # the others begin again
    trouble = None if running is not None or exited else _trouble(status, container, role=role)
    created = time_of(meta.get("creationTimestamp"))
    assert created is not None
    return PodSeen(
        uid=meta["uid"],
        created=created,
        deleting="deletionTimestamp" in meta,
        running_since=None if running is None else time_of(running.get("startedAt")) or created,
        address=status.get("podIP"),
        silent=running is None and exited is None and trouble is None,
        trouble=trouble,
        exit=exited,
        end=exited if ended else None,
    )


def _container(status: Raw, role: str) -> Raw:
    statuses = status.get("containerStatuses") or ()
    return next((container for container in statuses if container.get("name") == role), {})


def _exit(status: Raw, state: Raw) -> PodEnd:
    terminated = state.get("terminated") or {}
    return PodEnd(
        exit_code=terminated.get("exitCode"),
        at=time_of(terminated.get("finishedAt")),
        word=status.get("reason") or terminated.get("reason") or "",
        last_word=read_last_word(terminated.get("message") or ""),
    )


def _trouble(status: Raw, container: Raw, *, role: str) -> Trouble | None:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return scheduling_trouble(role, condition.get("message") or condition.get("reason") or "")
    waiting = (container.get("state") or {}).get("waiting")
    if waiting is None:
        return None
    last = (container.get("lastState") or {}).get("terminated") or {}
    return waiting_trouble(role, image=container.get("image") or "", waiting=waiting, last=last)
