"""The operator as a process: with the rights of Roles only, as one of two replicas, and without the Dask operator."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ApiServer, until
from tests.support.by_hand import ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job
from tests.support.operator_process import OperatorProcess, operator
from tests.support.rights import account

pytestmark = pytest.mark.usefixtures("alone")

CHILDREN = {"Job", "Service", "NetworkPolicy", "ConfigMap", "Secret", "DaskCluster"}


@pytest.fixture
def system(server: ApiServer) -> Iterator[str]:
    """The operator's own namespace, with a preset."""
    with server.namespace() as name:
        raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
        ByHand(server, name).create({**raw, "metadata": {"name": "small"}})
        yield name


def test_roles_in_its_namespaces_are_all_that_it_needs(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    hand = ByHand(server, namespace)
    with server.namespace() as other:
        kubeconfig = account(server, tmp_path, namespace=system, served=[namespace])
        with operator(kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process:
            ByHand(server, other).create(load_job("sst"))
            hand.create(load_job("sst", workers={"minimum": 1, "maximum": 3}, dashboard={"ingress": {"host": "dask.example.org"}}))
            hand.dask_builds()
            pod = hand.loader_runs()
            hand.is_at("sst", "Running", "Loading")
            assert hand.of_jobs() == CHILDREN | {"Ingress", "DaskAutoscaler", "Deployment", "Pod"}
            wrong = [{"name": "http-dashboard", "port": 8787, "targetPort": 1}]
            hand.patch("Service", "sst-dashboard", {"spec": {"ports": wrong}})
            until(lambda: hand.only("Service")["spec"]["ports"][0]["targetPort"] != 1, "the Service is put right")
            hand.patch("OdpDaskJob", "sst", {"spec": {"backoffLimit": 5}})
            until(lambda: hand.only("Job")["spec"]["backoffLimit"] == 5, "the Job takes the new backoffLimit")
            hand.loader_ends(pod, 0, LAST_WORD)
            hand.is_at("sst", "Succeeded", "LoadVerified")

            def given_back() -> bool:
                hand.collect()
                return hand.of_jobs() == {"Job", "Pod", "ConfigMap"}

            until(given_back, "the cluster is given back")
            assert ByHand(server, other).status("sst") == {}, "the job of a namespace that is not served"
            assert process.end() == 0
        log = process.log.read_text()
        assert "orbidden" not in log, log
        assert "Traceback" not in log, log


def holder(server: ApiServer, system: str) -> str | None:
    lease = ByHand(server, system).get("Lease", "odp-dask-operator")
    return lease["spec"].get("holderIdentity") if lease else None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_second_replica_takes_over(
    server: ApiServer, system: str, namespace: str, tmp_path: Path, number: signal.Signals
) -> None:
    hand = ByHand(server, namespace)

    def replica(name: str) -> AbstractContextManager[OperatorProcess]:
        return operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace], name=name)

    with replica("first") as first:
        until(lambda: holder(server, system) == "first", "the first leads")
        with replica("second") as second:
            hand.create(load_job("before"))
            until(lambda: hand.of_jobs() == CHILDREN, "the first works")
            assert (first.metric("odp_dask_leader"), second.metric("odp_dask_leader")) == (1, 0)
            code = first.end(number)
            if number is signal.SIGTERM:
                assert code == 0, first.log.read_text()
                assert holder(server, system) in (None, "second"), "the Lease is not given back"
            hand.create(load_job("after"))
            until(lambda: holder(server, system) == "second", "the second leads")
            until(lambda: hand.get("Service", "after-dashboard") is not None, "the second works")
            hand.is_at("after", "Starting")
            assert hand.status("before")["runs"] == 1
            assert second.end() == 0
    assert "Traceback" not in second.log.read_text()


def test_what_the_last_process_began_the_next_one_ends(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    hand = ByHand(server, namespace)
    with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace], name="first") as first:
        hand.create(load_job("sst"))
        hand.dask_builds()
        pod = hand.loader_runs()
        hand.is_at("sst", "Running", "Loading")
        hand.create(load_job("gone"))
        until(lambda: hand.get("Service", "gone-dashboard") is not None, "the second job has begun")
        first.end()
    sst = hand.job("sst")["metadata"]["uid"]
    hand.patch("OdpDaskJob", "gone", {"spec": {"suspend": True}})
    (job,) = (raw for raw in hand.all("Job") if raw["metadata"]["ownerReferences"][0]["uid"] == sst)
    hand.loader_ends(pod, 0, LAST_WORD, job=job["metadata"]["name"])
    with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace], name="next") as process:
        hand.is_at("sst", "Succeeded", "LoadVerified", meanwhile=hand.collect)
        hand.is_at("gone", "Suspended", "Suspended", meanwhile=hand.collect)
        assert process.end() == 0
