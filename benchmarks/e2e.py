"""Apply to finished, in pairs: an OdpDaskJob against the same pods as a DaskJob of dask-kubernetes, on the cluster of KUBECONFIG.

    E2E_LOAD_IMAGE="<command that brings an image to the nodes>" make bench-e2e ARGS="--pairs 5"

Both run the loader's image with the same preset on the same table. Ours has TLS with mutual authentication, a NetworkPolicy and a
ledger of its own Job besides; the DaskJob gets the same pods without certificates, and counts as finished when it says Successful.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.same_pods import dask_job
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.preset import presets_for
from odp_dask_operator.core.record import read_job
from odp_dask_operator.core.settings import Settings
from tests.e2e import bundle
from tests.e2e.cluster import Cluster
from tests.e2e.eventually import eventually
from tests.e2e.servers import NAMESPACE as SERVERS
from tests.e2e.servers import servers
from tests.e2e.workspace import Workspace, removed, workspace

_ALLOWED_S = 1.0


def main() -> int:
    """Returns 1 when ours took more than a second longer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="how often both are run, in turns (default: %(default)s)")
    parser.add_argument("--skip-images", action="store_true", help="the nodes have the images already")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-e2e-") as folder:
        kubectl = shutil.which("kubectl") or "kubectl"
        cluster = Cluster(Path(os.environ["KUBECONFIG"]), kubectl, bundle.image_loader(None), Path(folder) / "api.json")
        if not asked.skip_images:
            bundle.build()
            bundle.load(cluster)
        with bundle.installed(cluster, evidence=Path(folder)), bundle.namespace(cluster, SERVERS):
            odp, s3 = servers(cluster)
            with workspace(cluster, "bench", odp=odp, s3=s3) as place:
                try:
                    return _compare(place, asked.pairs)
                finally:
                    place.clear()
                    place.remove()
                    removed(cluster)


def _compare(place: Workspace, pairs: int) -> int:
    both: dict[str, Callable[[Workspace, str], float]] = {"OdpDaskJob": _ours, "DaskJob": _theirs}
    seconds: dict[str, list[float]] = {name: [] for name in both}
    for number in range(pairs + 1):
        turn = list(both.items()) if number % 2 else list(reversed(both.items()))
        for name, run in turn:
            took = run(place, f"{name.lower()}-{number}")
            print(f"{name:12} {took:6.1f} s{'' if number else '  (warm-up)'}", flush=True)
            if number:
                seconds[name].append(took)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    difference = statistics.median([ours - theirs for ours, theirs in zip(*seconds.values(), strict=True)])
    print(f"median {medians}; ours - DaskJob, median of pairs: {difference:+.1f} s")
    return int(difference > _ALLOWED_S)


def _ours(place: Workspace, name: str) -> float:
    started = time.monotonic()
    job = place.submit(name)
    job.reaches("Succeeded")
    took = time.monotonic() - started
    job.delete()
    eventually(lambda: not place.left(), "nothing is left")
    return took


def _theirs(place: Workspace, name: str) -> float:
    raw, config = dask_job(_plan(place, name), name)
    started = time.monotonic()
    place.cluster.create(config, place.namespace)
    place.cluster.create(raw, place.namespace)

    def status() -> str:
        return str(((place.cluster.get("DaskJob", name, place.namespace) or {}).get("status") or {}).get("jobStatus", ""))

    eventually(lambda: status() in ("Successful", "Failed"), f"the DaskJob {name} has ended")
    took = time.monotonic() - started
    assert status() == "Successful"
    for kind, thing in (("DaskJob", name), ("ConfigMap", config["metadata"]["name"])):
        place.cluster.delete(kind, thing, place.namespace)
    eventually(lambda: not place.cluster.all("Pod", place.namespace), "nothing is left")
    return took


def _plan(place: Workspace, name: str) -> Plan:
    meta = {"name": name, "namespace": place.namespace, "uid": str(uuid.uuid4()), "generation": 1}
    spec = {"scale": "small", "credentials": {"secretName": "odp-api-key"}, "load": place.load(name)}
    raw = {"apiVersion": "odpdask.dev/v1alpha1", "kind": "OdpDaskJob", "metadata": meta, "spec": spec}
    settings = Settings(image=bundle.LOADER, namespace=bundle.NAMESPACE, dask_namespace=bundle.NAMESPACE)
    presets = presets_for(
        place.cluster.all("OdpDaskPreset", bundle.NAMESPACE), job_namespace=place.namespace, operator_namespace=bundle.NAMESPACE
    )
    plan = make_plan(read_job(raw), presets=presets, settings=settings)
    assert isinstance(plan, Plan), plan
    return plan


if __name__ == "__main__":
    sys.exit(main())
