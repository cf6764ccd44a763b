"""A Kubernetes cluster in memory: the API server's rules about names, owners and deletion, and the operator's own part.

That part, to read a job's surroundings and to carry a decision out, is what a real shell does, without network, retries or watches.
"""

import copy
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from odp_dask_operator.core import waiting
from odp_dask_operator.core.decision import Removal
from odp_dask_operator.core.desired import Certificate, applied, manifest
from odp_dask_operator.core.names import JOB_LABEL, Child
from odp_dask_operator.core.observed import Facts, Refusal
from odp_dask_operator.core.observed.observe import ATOMIC
from odp_dask_operator.core.plan import Plan
from odp_dask_operator.core.preset import presets_for
from odp_dask_operator.core.reconcile import Step, reconcile
from odp_dask_operator.core.settings import Settings
from odp_dask_operator.core.status import to_json
from odp_dask_operator.shell.world import kept
from odp_dask_operator.spec.meta import format_time
from tests.support.operator_jobs import SETTINGS, START, built_in_presets

Key = tuple[str, str]
CERTIFICATE = Certificate(ca=b"CA", certificate=b"certificate", key=b"key")


class Killed(Exception):
    """The operator was killed between two of its writes."""


class FakeCluster:
    """One namespace with one job."""

    def __init__(self, job: Mapping[str, Any], *, settings: Settings = SETTINGS) -> None:
        self.job: dict[str, Any] | None = copy.deepcopy(dict(job))
        self.objects: dict[Key, dict[str, Any]] = {}
        self.presets: list[dict[str, Any]] = built_in_presets()
        self.events: list[dict[str, Any]] = []
        self.now = START
        self.dask_served = True
        self.dask_seen_at: datetime.datetime | None = None
        """When the Dask operator made something for another job."""
        self.progress: Mapping[str, Any] | None = None
        self.refusals: dict[Child, Refusal] = {}
        """Children that the API server does not take."""
        self.writes: list[str] = []
        """Everything the operator wrote, as `verb kind/name`."""
        self.notices: list[str] = []
        self.lives = 10**9
        """After so many writes the operator is killed."""
        self._settings = settings
        self._refusal: Refusal | None = None
        self._met: set[Key] = set()
        self._count = 0

    @property
    def status(self) -> dict[str, Any]:
        """What is recorded."""
        assert self.job is not None
        found: dict[str, Any] = self.job["status"]
        return found

    @property
    def said(self) -> tuple[str, str]:
        """Phase and reason."""
        return self.status["phase"], self.status["reason"]

    def condition(self, kind: str) -> dict[str, Any]:
        """One condition."""
        found: dict[str, Any] = next(condition for condition in self.status["conditions"] if condition["type"] == kind)
        return found

    # What the operator does

    def step(self) -> Step:
        """One pass of the operator."""
        assert self.job is not None
        facts = self._facts(events=())
        presets = presets_for(self.presets, job_namespace="ocean", operator_namespace=self._settings.namespace)
        step = reconcile(self.job, facts, presets=presets, settings=self._settings, now=self.now)
        if wanted := waiting.events_wanted(step.observed, now=self.now):
            facts = self._facts(events=[event for event in self.events if event["involvedObject"]["uid"] in wanted])
            step = reconcile(self.job, facts, presets=presets, settings=self._settings, now=self.now)
        self._refusal = self._carry_out(step)
        if step.status != step.job.status and self.job is not None:
            self._write("status", "OdpDaskJob", self.job["metadata"]["name"])
            self.job["status"] = to_json(step.status)
            self.notices += [f"{'Warning' if notice.warning else 'Normal'} {notice.reason}" for notice in step.notices]
        return step

    def settle(self, *, most: int = 12) -> Step:
        """Passes until nothing is written any more."""
        for _ in range(most):
            before = len(self.writes)
            step = self.step()
            if len(self.writes) == before:
                return step
        raise AssertionError(f"no rest after {most} passes: {self.writes[-8:]}")

    def restart(self) -> None:
        """The operator is started again; it remembers nothing."""
        self.lives = 10**9
        self._refusal = None
        self._met.clear()

    def wind_down(self) -> None:
        """The operator and the garbage collector in turn, until neither does anything."""
        for _ in range(6):
            self.settle()
            self.collect()

    def _facts(self, *, events: Sequence[Mapping[str, Any]]) -> Facts:
        assert self.job is not None
        name = self.job["metadata"]["name"]
        labelled = [raw for raw in self.objects.values() if (raw["metadata"].get("labels") or {}).get(JOB_LABEL) == name]
        met = [self.objects[key] for key in self._met if key in self.objects and self.objects[key] not in labelled]
        body = None if self.progress is None else json.dumps(self.progress).encode()
        return Facts(
            objects=copy.deepcopy([kept(raw) for raw in (*labelled, *met)]),
            events=events,
            progress=body,
            dask_served=self.dask_served,
            dask_seen_at=self.dask_seen_at,
            refusal=self._refusal,
        )

    def _carry_out(self, step: Step) -> Refusal | None:
        decision, plan = step.decision, step.plan
        for child in decision.create:
            assert isinstance(plan, Plan)
            if refusal := self._create(
                manifest(child, plan, certificate=CERTIFICATE, cluster_uid=self._uid_of_cluster(plan)), child
            ):
                return refusal
        for application in decision.apply:
            assert isinstance(plan, Plan)
            self._apply(applied(application.child, plan, uid=application.uid, cluster_uid=self._uid_of_cluster(plan)))
        for removal in decision.delete:
            self._delete(removal)
        return None

    def _write(self, verb: str, kind: str, name: str) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1
        self.writes.append(f"{verb} {kind}/{name}")

    def _create(self, made: dict[str, Any], child: Child) -> Refusal | None:
        key = (made["kind"], made["metadata"]["name"])
        self._write("create", *key)
        if child in self.refusals:
            return self.refusals[child]
        if key in self.objects:
            self._met.add(key)
        else:
            self.put(made)
        return None

    def _apply(self, wanted: dict[str, Any]) -> None:
        key = (wanted["kind"], wanted["metadata"]["name"])
        self._write("apply", *key)
        assert self.objects[key]["metadata"]["uid"] == wanted["metadata"]["uid"], "an object that is not ours was applied to"
        _merge(self.objects[key], wanted)

    def _delete(self, removal: Removal) -> None:
        self._write("delete", removal.resource.kind, removal.name)
        if removal.resource.kind == "OdpDaskJob":
            self.delete_job()
            return
        key = (removal.resource.kind, removal.name)
        if key in self.objects:
            there = self.objects[key]["metadata"]
            assert removal.uid in (None, there["uid"]), "an object of another UID was deleted"
            there.setdefault("deletionTimestamp", format_time(self.now))

    def _uid_of_cluster(self, plan: Plan) -> str | None:
        there = self.objects.get(("DaskCluster", plan.names.base))
        return there["metadata"]["uid"] if there else None

    # What others do

    def put(self, made: Mapping[str, Any], **meta: Any) -> dict[str, Any]:
        """An object appears."""
        self._count += 1
        raw = copy.deepcopy(dict(made))
        identity = {"uid": f"uid-{self._count}", "creationTimestamp": format_time(self.now), "namespace": "ocean"}
        raw["metadata"] = {**raw["metadata"], **identity, **meta}
        self.objects[raw["kind"], raw["metadata"]["name"]] = raw
        return raw

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.now += datetime.timedelta(seconds=seconds)

    def delete_job(self) -> None:
        """The job goes, and what it owns with it."""
        assert self.job is not None
        uid = self.job["metadata"]["uid"]
        self.job = None
        for raw in list(self.objects.values()):
            if any(owner["uid"] == uid for owner in raw["metadata"].get("ownerReferences") or ()):
                raw["metadata"].setdefault("deletionTimestamp", format_time(self.now))

    def collect(self) -> None:
        """The garbage collector: dependents of what is deleted go before it; nothing with a finalizer goes."""
        changed = True
        while changed:
            changed = False
            uids = {raw["metadata"]["uid"] for raw in self.objects.values()} | {self.job["metadata"]["uid"] if self.job else ""}
            for key, raw in list(self.objects.items()):
                owners = raw["metadata"].get("ownerReferences") or ()
                if owners and not any(owner["uid"] in uids for owner in owners):
                    raw["metadata"].setdefault("deletionTimestamp", format_time(self.now))
                if "deletionTimestamp" not in raw["metadata"]:
                    continue
                dependents = list(self._dependents(raw))
                for dependent in dependents:
                    dependent["metadata"].setdefault("deletionTimestamp", format_time(self.now))
                if not dependents and not raw["metadata"].get("finalizers"):
                    del self.objects[key]
                    changed = True

    def _dependents(self, raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for other in self.objects.values():
            if any(owner["uid"] == raw["metadata"]["uid"] for owner in other["metadata"].get("ownerReferences") or ()):
                yield other

    def only(self, kind: str, **labels: str) -> dict[str, Any]:
        """The one object of a kind, or the newest with some labels."""
        found = [
            raw
            for raw in self.objects.values()
            if raw["kind"] == kind and labels.items() <= (raw["metadata"].get("labels") or {}).items()
        ]
        assert found, f"there is no {kind} with {labels}"
        return found[-1]

    def kinds(self) -> set[str]:
        """Kinds of which there is an object."""
        return {kind for kind, _ in self.objects}


def _merge(there: dict[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(there.get(name), dict) and name not in ATOMIC:
            _merge(there[name], value)
        else:
            there[name] = copy.deepcopy(value)
