"""A job in every state that it can be seen in, as the operator's own decisions write it on a cluster in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.fake_cluster import FakeCluster
from tests.support.fake_controllers import (
    LAST_WORD,
    RESULT,
    everything_runs,
    job_makes_pod,
    loader_ends,
    loader_waits,
)
from tests.support.operator_jobs import job


@dataclass(frozen=True)
class Recording:
    """A job, and how the GitOps tools should read it."""

    job: dict[str, Any]
    argo_cd: str
    kstatus: str


def record() -> dict[str, Recording]:
    """Every state by its name."""
    return {name: Recording(_seen(make()), argo_cd, kstatus) for name, (make, argo_cd, kstatus) in _STATES.items()}


def _seen(cluster: FakeCluster) -> dict[str, Any]:
    assert cluster.job is not None
    return {**cluster.job, "metadata": {**cluster.job["metadata"], "creationTimestamp": "2026-01-01T12:00:00Z"}}


def _running(**spec: Any) -> FakeCluster:
    cluster = FakeCluster(job(**spec))
    cluster.progress = {"percent": 40, "partitions": {"done": 5, "total": 12}, "rows": 400, "bytes": 4096, "stage": "Loading"}
    everything_runs(cluster)
    return cluster


def _accepted() -> FakeCluster:
    cluster = FakeCluster(job())
    cluster.step()
    return cluster


def _preset_missing() -> FakeCluster:
    cluster = FakeCluster(job(scale="huge"))
    cluster.settle()
    return cluster


def _starting() -> FakeCluster:
    cluster = FakeCluster(job())
    cluster.settle()
    return cluster


def _image_missing() -> FakeCluster:
    cluster = _starting()
    job_makes_pod(cluster)
    loader_waits(cluster, "ImagePullBackOff", "no such image")
    cluster.settle()
    return cluster


def _retrying() -> FakeCluster:
    cluster = _running()
    loader_ends(cluster, 1, {"reason": "Unavailable", "message": "the Dask scheduler is gone"}, last=False)
    cluster.settle()
    return cluster


def _changed() -> FakeCluster:
    """Somebody has asked for a stop, and the operator has not seen it."""
    cluster = _running()
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = True
    cluster.job["metadata"]["generation"] = 2
    return cluster


def _suspending() -> FakeCluster:
    cluster = _changed()
    cluster.step()
    return cluster


def _suspended() -> FakeCluster:
    cluster = _changed()
    cluster.wind_down()
    return cluster


def _resumed() -> FakeCluster:
    cluster = _suspended()
    assert cluster.job is not None
    cluster.job["spec"]["suspend"] = False
    cluster.job["metadata"]["generation"] = 3
    cluster.step()
    return cluster


def _ended(code: int, word: object, **spec: Any) -> FakeCluster:
    cluster = _running(**spec)
    cluster.tick(60)
    loader_ends(cluster, code, word)
    cluster.wind_down()
    return cluster


def _ended_and_changed() -> FakeCluster:
    """Its ttl was changed after its end."""
    cluster = _ended(0, LAST_WORD)
    assert cluster.job is not None
    cluster.job["spec"]["ttlSecondsAfterFinished"] = 3600
    cluster.job["metadata"]["generation"] = 2
    return cluster


def _too_late() -> FakeCluster:
    cluster = _running(activeDeadlineSeconds=60)
    cluster.tick(61)
    cluster.wind_down()
    return cluster


def _refused() -> FakeCluster:
    cluster = FakeCluster(job(workers={"replicas": 99}))
    cluster.settle()
    return cluster


def _deleting() -> FakeCluster:
    cluster = _running()
    assert cluster.job is not None
    cluster.job["metadata"]["deletionTimestamp"] = "2026-01-01T12:10:00Z"
    return cluster


_DIFFERS = {"reason": "LoadDiffers", "message": "", "result": {**RESULT, "rows_expected": 1001}}
_SCRIPT = {"module": "ocean.analysis"}
_STATES: dict[str, tuple[Callable[[], FakeCluster], str, str]] = {
    # An object without a status is Current to kstatus, whatever it is: the operator's first write comes at once for that reason.
    "new": (lambda: FakeCluster(job()), "Progressing", "Current"),
    "accepted": (_accepted, "Progressing", "InProgress"),
    "preset-missing": (_preset_missing, "Progressing", "InProgress"),
    "starting": (_starting, "Progressing", "InProgress"),
    "image-missing": (_image_missing, "Progressing", "InProgress"),
    "running": (_running, "Progressing", "InProgress"),
    "script-running": (lambda: _running(script=_SCRIPT), "Progressing", "InProgress"),
    "retrying": (_retrying, "Progressing", "InProgress"),
    "changed": (_changed, "Progressing", "InProgress"),
    "suspending": (_suspending, "Progressing", "InProgress"),
    "suspended": (_suspended, "Suspended", "Current"),
    "resumed": (_resumed, "Progressing", "InProgress"),
    "verified": (lambda: _ended(0, LAST_WORD), "Healthy", "Current"),
    "verified-and-changed": (_ended_and_changed, "Healthy", "InProgress"),
    "differs": (lambda: _ended(0, _DIFFERS), "Healthy", "Current"),
    "script-finished": (lambda: _ended(0, "", script=_SCRIPT), "Healthy", "Current"),
    "load-failed": (lambda: _ended(4, {"reason": "VerificationFailed", "message": "10 rows are missing"}), "Degraded", "Failed"),
    "script-failed": (lambda: _ended(7, "", script=_SCRIPT), "Degraded", "Failed"),
    "cluster-kept": (
        lambda: _ended(6, {"reason": "UserCodeFailed", "message": "map raised"}, keepCluster="OnFailure"),
        "Degraded",
        "Failed",
    ),
    "too-late": (_too_late, "Degraded", "Failed"),
    "refused": (_refused, "Degraded", "Failed"),
    "deleting": (_deleting, "Progressing", "Terminating"),
}
