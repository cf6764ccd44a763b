"""Keeps what the watches have told of jobs, their children and presets, and what our own writes returned, the newest of each.

Reading it costs no request. Kubernetes promises that resource versions of one resource can be compared as numbers (KEP-5504).
"""

import datetime
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odp_dask_operator.core.names import JOB_LABEL, JOB_RESOURCE, PRESET_RESOURCE
from odp_dask_operator.shell.line import Key

Raw = dict[str, Any]
UNCONFIRMED_S = 30.0
"""So long an object that we made counts as there though no watch has told of it."""
_SPEC_IS_READ = ("Service", "Ingress", "NetworkPolicy", "DaskAutoscaler", "OdpDaskJob", "OdpDaskPreset")
_ANNOTATIONS_ARE_READ = ("Service", "Ingress", "NetworkPolicy", "OdpDaskJob")
_STATUS_IS_READ = ("Job", "Service", "OdpDaskJob")
"""As a whole. That of a DaskCluster says nothing; of Pods and Deployments little is read, and they change most."""
_READ_OF_POD = ("phase", "reason", "podIP")
_READ_OF_CONTAINER = ("name", "image", "state", "lastState")
_KEPT_WHOLE = ("OdpDaskJob", "OdpDaskPreset")
_MADE_BY_DASK = ("Deployment", "DaskWorkerGroup")
_NOT_READ = ("resourceVersion", "generation")
"""Of the metadata of a child; they change with what is not read."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """A child as compressed JSON: as objects of Python it takes ten times the memory."""

    version: int
    text: bytes

    def unpacked(self) -> Raw:
        raw: Raw = json.loads(zlib.decompress(self.text))
        return raw


@dataclass
class World:
    """Objects by job. One thread; of jobs and presets no copy is handed out, and nobody changes what is."""

    _jobs: dict[Key, Raw] = field(default_factory=dict)
    _children: dict[Key, dict[str, _Packed]] = field(default_factory=dict)
    _presets: dict[Key, Raw] = field(default_factory=dict)
    _unconfirmed: dict[str, float] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    _made_by_dask_at: str = ""

    def begin_listing(self) -> None:
        """What is removed from now on may still be in the lists that are read next; what went before is not."""
        self._gone.clear()

    def jobs(self) -> tuple[Key, ...]:
        """All jobs that are known."""
        return tuple(self._jobs)

    def job(self, key: Key) -> Raw | None:
        """A job, at least as new as what we wrote last."""
        return self._jobs.get(key)

    def children(self, key: Key, *, now: float) -> tuple[Raw, ...]:
        """All objects that carry the job's label, those of a predecessor among them."""
        found = self._children.get(key, {})
        for uid in [uid for uid in found if self._unconfirmed.get(uid, now) < now]:
            del found[uid], self._unconfirmed[uid]
        return tuple(packed.unpacked() for packed in found.values())

    @property
    def dask_seen_at(self) -> datetime.datetime | None:
        """When the newest object was made that only the Dask operator makes, for whichever job."""
        return datetime.datetime.fromisoformat(self._made_by_dask_at) if self._made_by_dask_at else None

    def presets(self) -> tuple[Raw, ...]:
        """All presets that are known."""
        return tuple(self._presets.values())

    def put(self, raw: Mapping[str, Any]) -> bool:
        """Something that was read or heard of; returns whether a decision may differ by it. What is older than known is not."""
        kind, meta = raw["kind"], raw["metadata"]
        if meta["uid"] in self._gone:
            return False
        match kind:
            case JOB_RESOURCE.kind:
                return _keep(self._jobs, Key(meta["namespace"], meta["name"]), raw)
            case PRESET_RESOURCE.kind:
                return _keep(self._presets, Key(meta["namespace"], meta["name"]), raw)
        job, uid = job_of(raw), meta["uid"]
        if job is None:
            return False
        found = self._children.setdefault(job, {})
        self._unconfirmed.pop(uid, None)
        if kind in _MADE_BY_DASK:
            self._made_by_dask_at = max(self._made_by_dask_at, meta.get("creationTimestamp") or "")
        before, version = found.get(uid), _version(raw)
        if before is not None and before.version >= version:
            return False
        found[uid] = _packed(kept(raw), version)
        return before is None or before.text != found[uid].text

    def put_own(self, raw: Mapping[str, Any], *, now: float) -> None:
        """Something that we made ourselves just now; a watch may have been quicker than the answer."""
        uid, job = raw["metadata"]["uid"], job_of(raw)
        confirmed = job is not None and uid in self._children.get(job, {})
        if self.put(raw) and not confirmed:
            self._unconfirmed[uid] = now + UNCONFIRMED_S

    def remove(self, raw: Mapping[str, Any]) -> None:
        """Something is gone. A job that was made again under the same name stays."""
        kind, meta = raw["kind"], raw["metadata"]
        key = Key(meta["namespace"], meta["name"])
        self._gone.add(meta["uid"])
        match kind:
            case JOB_RESOURCE.kind:
                self.remove_job(key, uid=meta["uid"])
            case PRESET_RESOURCE.kind:
                self._presets.pop(key, None)
            case _ if (job := job_of(raw)) in self._children:
                self._children[job].pop(meta["uid"], None)
                self._unconfirmed.pop(meta["uid"], None)
                if not self._children[job]:
                    del self._children[job]

    def remove_job(self, key: Key, *, uid: str) -> None:
        """A job is gone."""
        there = self._jobs.get(key)
        if there is not None and there["metadata"]["uid"] == uid:
            del self._jobs[key]

    def mark_deleted(self, key: Key, uid: str, *, at: str) -> None:
        """We had a child deleted; until a watch tells more, it counts as going."""
        packed = self._children.get(key, {}).get(uid)
        if packed is None:
            return
        there = packed.unpacked()
        there["metadata"].setdefault("deletionTimestamp", at)
        self._children[key][uid] = _packed(there, packed.version)

    def clear_children(self) -> None:
        """The watches begin anew and will tell of all that is there; what went meanwhile they will not tell."""
        self._children.clear()
        self._presets.clear()
        self._unconfirmed.clear()

    def remove_child(self, key: Key, uid: str) -> None:
        """A child was not there when we had it deleted."""
        self._children.get(key, {}).pop(uid, None)
        self._unconfirmed.pop(uid, None)


def job_of(raw: Mapping[str, Any]) -> Key | None:
    """The job that an object concerns: itself, or that of its label."""
    meta = raw["metadata"]
    name = meta["name"] if raw["kind"] == JOB_RESOURCE.kind else (meta.get("labels") or {}).get(JOB_LABEL)
    return Key(meta["namespace"], name) if name else None


def _keep(known: dict[Key, Raw], key: Key, raw: Mapping[str, Any]) -> bool:
    before = known.get(key)
    if before is not None and before["metadata"]["uid"] == raw["metadata"]["uid"] and _version(before) >= _version(raw):
        return False
    known[key] = kept(raw)
    return before is None or _but_for_version(before) != _but_for_version(known[key])


def _but_for_version(raw: Raw) -> Raw:
    return {**raw, "metadata": {**raw["metadata"], "resourceVersion": None}}


def _packed(raw: Raw, version: int) -> _Packed:
    text = json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode()
    return _Packed(version, zlib.compress(text, level=1))


def _version(raw: Mapping[str, Any]) -> int:
    return int(raw["metadata"]["resourceVersion"])


def shed(raw: Raw) -> None:
    """Lets go, in place, of the most that a world which has been told of the object does not keep."""
    raw["metadata"].pop("managedFields", None)
    for part in ("spec", "status") if raw["kind"] not in _KEPT_WHOLE else ():
        (raw.get(part) or {}).clear()


def kept(raw: Mapping[str, Any]) -> Raw:
    """What decisions are made from; a thousand jobs have some twenty thousand objects."""
    kind = raw["kind"]
    left_out = {"managedFields"} if kind in _ANNOTATIONS_ARE_READ else {"managedFields", "annotations"}
    if kind not in _KEPT_WHOLE:
        left_out.update(_NOT_READ)
    meta = {name: value for name, value in raw["metadata"].items() if name not in left_out}
    rest: Raw = {"apiVersion": raw.get("apiVersion"), "kind": kind, "metadata": meta}
    if kind in _SPEC_IS_READ:
        rest["spec"] = raw.get("spec")
    elif kind == "Job":
        rest["spec"] = {"backoffLimit": (raw.get("spec") or {}).get("backoffLimit")}
    match kind, raw.get("status"):
        case "Pod", Mapping() as status:
            rest["status"] = _only(status, _READ_OF_POD) | {
                "conditions": _conditions(status, "PodScheduled"),
                "containerStatuses": [_only(container, _READ_OF_CONTAINER) for container in status.get("containerStatuses") or ()],
            }
        case "Deployment", Mapping() as status:
            rest["status"] = _only(status, ("readyReplicas",)) | {"conditions": _conditions(status, "ReplicaFailure")}
        case _, Mapping() as status if kind in _STATUS_IS_READ:
            rest["status"] = status
    return rest


def _only(raw: Mapping[str, Any], names: Sequence[str]) -> Raw:
    return {name: raw[name] for name in names if name in raw}


def _conditions(status: Mapping[str, Any], kind: str) -> list[Raw]:
    return [condition for condition in status.get("conditions") or () if condition["type"] == kind]
