"""Turns what kubelet, scheduler and admission say about a pod that does not start into a reason and a sentence."""

import re
from collections.abc import Mapping
from typing import Any

from odp_dask_operator.core.observed.record import Trouble
from odp_dask_operator.core.observed.words import text_of
from odp_dask_operator.spec import Reason

_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})
_LACKING = re.compile(r"Insufficient ([\w./-]*\w)")
_NO_OBJECT = re.compile(r'(?i:(secret|configmap)) "([^"]+)" not found')
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) [^/\s]+/(\S+)")
_NO_FILE = re.compile(r"references non-existent (secret|config) key: ([^\s,]+)")
_DETAIL = 600


def scheduling_trouble(role: str, message: str) -> Trouble:
    """From the condition PodScheduled, such as `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint`."""
    lacking = list(dict.fromkeys(_LACKING.findall(message)))
    detail = text_of(message.split(" preemption:")[0], longest=_DETAIL)
    if lacking:
        said = f"no node has room for the {role}: not enough {_list(lacking)}; make the cluster larger or choose a smaller preset"
    else:
        said = f"no node may take the {role}; look at nodeSelector, tolerations, affinity and volumes of job and preset"
    return Trouble(Reason.UNSCHEDULABLE, f"{said} ({detail})" if detail else said)


def waiting_trouble(role: str, *, image: str, waiting: Mapping[str, Any], last: Mapping[str, Any]) -> Trouble | None:
    """From a container's state `waiting`; `last` is how it ended before. None while it is merely on its way."""
    word, message = waiting.get("reason") or "", waiting.get("message") or ""
    if word in _STARTING:
        return None
    detail = text_of(message, longest=_DETAIL)
    if word in _IMAGE:
        said = f"the image {image} of the {role} cannot be pulled: {detail or word}"
        return Trouble(Reason.IMAGE_PULL_FAILED, f"{said}; correct spec.image, or name a Secret in spec.imagePullSecrets")
    if missing := _missing(role, message):
        return missing
    if word == "CrashLoopBackOff":
        return Trouble(Reason.POD_CRASHING, f"the {role} ends again and again: {_ended(last)}; its log says why")
    return Trouble(Reason.POD_NOT_STARTING, f"the {role} cannot be started: {word}: {detail}")


def event_trouble(role: str, *, reason: str, message: str) -> Trouble | None:
    """From an Event: a pod does not say itself that a volume cannot be mounted, nor a Job that its pod is refused."""
    if reason in ("FailedMount", "FailedAttachVolume"):
        detail = text_of(message, longest=_DETAIL)
        return _missing(role, message) or Trouble(Reason.POD_NOT_STARTING, f"a volume of the {role} cannot be mounted: {detail}")
    return admission_trouble(role, message) if reason == "FailedCreate" else None


def admission_trouble(role: str, message: str) -> Trouble:
    """From the API server's refusal of a pod."""
    detail = text_of(message, longest=_DETAIL)
    if "exceeded quota" in message:
        said = f"the quota of the namespace leaves no room for the {role}; free some, have it raised, or choose a smaller preset"
        return Trouble(Reason.QUOTA_EXCEEDED, f"{said} ({detail})")
    return Trouble(Reason.POD_REFUSED, f"the pod of the {role} is refused: {detail}")


def _missing(role: str, message: str) -> Trouble | None:
    if found := _NO_OBJECT.search(message):
        kind, name = found.groups()
        return _not_found(kind, f"{name} does not exist", role)
    if found := _NO_KEY.search(message):
        key, kind, name = found.groups()
        return _not_found(kind, f"{name} has no key {key}", role)
    if found := _NO_FILE.search(message):
        kind, key = found.groups()
        return _not_found(kind, f"that is mounted has no key {key}", role)
    return None


def _not_found(kind: str, fact: str, role: str) -> Trouble:
    secret = kind.lower().startswith("s")
    reason = Reason.SECRET_NOT_FOUND if secret else Reason.CONFIG_MAP_NOT_FOUND
    said = f"the {'Secret' if secret else 'ConfigMap'} {fact}"
    return Trouble(reason, f"{said}; the {role} starts when it is there, in the namespace of the job")


def _ended(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason") == "OOMKilled":
        return "it needs more memory than the preset gives it (OOMKilled)"
    return f"exit status {terminated['exitCode']}" if "exitCode" in terminated else "it does not say how"


def _list(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
