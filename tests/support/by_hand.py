"""What controllers and nodes would do in a namespace of a real API server, done by the test, one act at a time."""

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from odp_dask_operator.core.names import JOB_LABEL
from tests.support.apiserver import ApiServer, until
from tests.support.jobs import load_job

Raw = dict[str, Any]
PLACES = {
    "OdpDaskJob": "/apis/odpdask.dev/v1alpha1/namespaces/{}/odpdaskjobs",
    "OdpDaskPreset": "/apis/odpdask.dev/v1alpha1/namespaces/{}/odpdaskpresets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Event": "/api/v1/namespaces/{}/events",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "DaskCluster": "/apis/kubernetes.dask.org/v1/namespaces/{}/daskclusters",
    "DaskWorkerGroup": "/apis/kubernetes.dask.org/v1/namespaces/{}/daskworkergroups",
    "DaskAutoscaler": "/apis/kubernetes.dask.org/v1/namespaces/{}/daskautoscalers",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
}
CHILDREN = {"Job", "Service", "NetworkPolicy", "ConfigMap", "Secret", "DaskCluster"}
"""Kinds that are made for the smallest job."""
KEPT = {"Job", "Pod", "ConfigMap"}
"""Of a job that has ended, until it is deleted: logs and what was asked for."""
MERGE = "application/merge-patch+json"


def now() -> str:
    """As the API server writes times."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class ByHand:
    """One namespace."""

    server: ApiServer
    namespace: str
    pods: int = field(default=0)

    def place(self, kind: str) -> str:
        return PLACES[kind].format(self.namespace)

    def create(self, raw: Raw) -> Raw:
        answer = self.server.request("POST", self.place(raw["kind"]), raw)
        assert answer.status == 201, answer.body
        return answer.body

    def get(self, kind: str, name: str) -> Raw | None:
        answer = self.server.request("GET", f"{self.place(kind)}/{name}")
        return answer.body if answer.status == 200 else None

    def all(self, kind: str) -> list[Raw]:
        return [{"kind": kind, **raw} for raw in self.server.request("GET", self.place(kind)).body["items"]]

    def only(self, kind: str) -> Raw:
        (found,) = self.all(kind)
        return found

    def of_jobs(self) -> set[str]:
        """Kinds of which something with the label of a job is there."""
        kinds = [kind for kind in PLACES if kind not in ("OdpDaskJob", "OdpDaskPreset", "Event", "Lease")]
        return {kind for kind in kinds for raw in self.all(kind) if JOB_LABEL in (raw["metadata"].get("labels") or {})}

    def patch(self, kind: str, name: str, change: Raw, *, status: bool = False) -> None:
        path = f"{self.place(kind)}/{name}{'/status' if status else ''}"
        answer = self.server.request("PATCH", path, {"status": change} if status else change, content_type=MERGE)
        assert answer.status == 200, answer.body

    def delete(self, kind: str, name: str) -> None:
        answer = self.server.request("DELETE", f"{self.place(kind)}/{name}", {"propagationPolicy": "Foreground"})
        assert answer.status in (200, 202), answer.body

    def job(self, name: str) -> Raw:
        found = self.get("OdpDaskJob", name)
        assert found is not None
        return found

    def status(self, name: str) -> Raw:
        found: Raw = self.job(name).get("status") or {}
        return found

    def is_at(self, name: str, phase: str, reason: str = "", *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until a job says so."""

        def holds() -> bool:
            meanwhile()
            status = self.status(name)
            return status.get("phase") == phase and reason in ("", status.get("reason"))

        until(holds, f"{name} is {phase} {reason}", seconds=40)

    # the Dask operator

    def dask_builds(self) -> None:
        """Scheduler and workers, labelled as its controller does it, and all of them ready."""
        until(lambda: bool(self.all("DaskCluster")), "there is a DaskCluster")
        cluster = self.only("DaskCluster")
        name = cluster["metadata"]["name"]
        labels = {**cluster["metadata"]["labels"], "dask.org/cluster-name": name}
        roles = {f"{name}-scheduler": "scheduler"}
        roles |= {f"{name}-default-worker-{n:010x}": "worker" for n in range(cluster["spec"]["worker"]["replicas"])}
        for made, role in roles.items():
            of_role = {**labels, "dask.org/component": role}
            template = {"metadata": {"labels": of_role}, "spec": {"containers": [{"name": role, "image": "a"}]}}
            spec = {"replicas": 1, "selector": {"matchLabels": of_role}, "template": template}
            self.create(_owned(cluster, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}, made, of_role))
            self.patch("Deployment", made, {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}, status=True)

    # the Job controller and a node

    def loader_runs(self, *, address: str = "127.0.0.1", job: Raw | None = None) -> str:
        """A pod of the loader starts, of the only Job or the one that is given; returns its name."""
        until(lambda: bool(self.all("Job")), "there is a Job")
        job = job or self.only("Job")
        template, self.pods = job["spec"]["template"], self.pods + 1
        name, labels = f"{job['metadata']['name']}-{self.pods}", template["metadata"]["labels"]
        spec = {"restartPolicy": "Never", "containers": [{"name": "loader", "image": "a"}]}
        self.create(_owned(job, {"apiVersion": "v1", "kind": "Pod", "spec": spec}, name, labels))
        state = {"name": "loader", "image": "a", "imageID": "a", "ready": True, "restartCount": 0}
        statuses = [{**state, "state": {"running": {"startedAt": now()}}}]
        self.patch("Pod", name, {"phase": "Running", "podIP": address, "containerStatuses": statuses}, status=True)
        self.patch(
            "Job",
            job["metadata"]["name"],
            {"active": 1, "ready": 1, "startTime": job["metadata"]["creationTimestamp"]},
            status=True,
        )
        return name

    def loader_ends(self, pod: str, code: int, word: Raw | None = None, *, job: str | None = None, for_good: bool = True) -> None:
        """The pod ends, and when that is `for_good`, its Job with it: the only one, or the one that is named."""
        ended = {"exitCode": code, "startedAt": now(), "finishedAt": now(), "reason": "Error" if code else "Completed"}
        ended["message"] = json.dumps(word or {})
        state = {"name": "loader", "image": "a", "imageID": "a", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
        self.patch("Pod", pod, {"phase": "Failed" if code else "Succeeded", "containerStatuses": [state]}, status=True)
        first, last = ("FailureTarget", "Failed") if code else ("SuccessCriteriaMet", "Complete")
        conditions = [
            {"type": kind, "status": "True", "reason": "PodFailurePolicy", "message": "by hand", "lastTransitionTime": now()}
            for kind in (first, last)
        ]
        counts: Raw = {"active": None, "ready": None} | ({"conditions": conditions} if for_good else {})
        counts |= {"failed": 1} if code else {"succeeded": 1, "completionTime": now()}
        self.patch("Job", job or self.only("Job")["metadata"]["name"], counts, status=True)

    # all of them

    def starts(self, name: str, **spec: Any) -> str:
        """A new job gets as far as a loader that runs; returns the name of its pod."""
        self.create(load_job(name, **spec))
        self.dask_builds()
        pod = self.loader_runs()
        self.is_at(name, "Running", "Loading")
        return pod

    # the garbage collector

    def collect(self) -> None:
        """One round: what hangs on a deleted object goes, then the object itself; nothing with a finalizer of others."""
        things = [raw for kind in PLACES if kind != "Event" for raw in self.all(kind)]
        there = {raw["metadata"]["uid"] for raw in things}
        for raw in things:
            meta, owners = raw["metadata"], raw["metadata"].get("ownerReferences") or ()
            if owners and not any(owner["uid"] in there for owner in owners) and "deletionTimestamp" not in meta:
                self.server.request("DELETE", f"{self.place(raw['kind'])}/{meta['name']}", {"propagationPolicy": "Background"})
            if "foregroundDeletion" in (meta.get("finalizers") or ()):
                if dependents := list(_dependents(meta["uid"], things)):
                    for other in dependents:
                        path = f"{self.place(other['kind'])}/{other['metadata']['name']}"
                        options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
                        self.server.request("DELETE", path, options)
                else:
                    left = [one for one in meta["finalizers"] if one != "foregroundDeletion"]
                    path = f"{self.place(raw['kind'])}/{meta['name']}"
                    self.server.request("PATCH", path, {"metadata": {"finalizers": left or None}}, content_type=MERGE)


def _dependents(uid: str, things: list[Raw]) -> Iterator[Raw]:
    for other in things:
        if any(owner["uid"] == uid for owner in other["metadata"].get("ownerReferences") or ()):
            yield other


def _owned(owner: Raw, raw: Raw, name: str, labels: Raw) -> Raw:
    meta = owner["metadata"]
    reference = {
        "apiVersion": owner.get("apiVersion"),
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
    }
    if reference["apiVersion"] is None:
        reference["apiVersion"] = "kubernetes.dask.org/v1" if owner["kind"] == "DaskCluster" else "batch/v1"
    return {**raw, "metadata": {"name": name, "labels": labels, "ownerReferences": [reference]}}
