"""An API server that is busy, forgetful or away, one without the Dask operator, and an operator that is killed after any write."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import web

from odp_dask_operator.presets import BUILT_IN
from tests.support.api_proxy import WRITES, api_proxy
from tests.support.apiserver import CRDS, DASK_CRDS, ApiServer, api_server, until
from tests.support.by_hand import ByHand
from tests.support.fake_controllers import LAST_WORD
from tests.support.jobs import load_job
from tests.support.operator_process import operator

pytestmark = pytest.mark.usefixtures("alone")

KEPT = {"Job", "Pod", "ConfigMap"}
BUSY = '{"kind": "Status", "reason": "TooManyRequests", "message": "busy"}'


def put_preset(server: ApiServer, namespace: str) -> None:
    raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
    ByHand(server, namespace).create({**raw, "metadata": {"name": "small"}})


@pytest.fixture
def system(server: ApiServer) -> Iterator[str]:
    with server.namespace() as name:
        put_preset(server, name)
        yield name


def whole_life(hand: ByHand) -> None:
    """From a new job to one that has given its cluster back, with nothing missing and nothing left."""
    hand.create(load_job("sst"))
    hand.dask_builds()
    pod = hand.loader_runs()
    hand.is_at("sst", "Running", "Loading")
    hand.loader_ends(pod, 0, LAST_WORD)
    hand.is_at("sst", "Succeeded", "LoadVerified")

    def given_back() -> bool:
        hand.collect()
        return hand.of_jobs() == KEPT

    until(given_back, "the cluster is given back", seconds=60)
    assert hand.status("sst")["runs"] == 1


def test_a_busy_and_forgetful_server_changes_nothing(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    """Each write meets one of: 429 with Retry-After, 500, an answer that is lost, a connection that breaks; watches are dropped."""
    tried: dict[str, int] = {}

    def fault(_number: int, method: str, path: str) -> web.Response | str | None:
        if method not in WRITES:
            return None
        tried[f"{method} {path}"] = count = tried.get(f"{method} {path}", 0) + 1
        if count > 1:
            return None
        match len(tried) % 4:
            case 0:
                return web.Response(status=429, text=BUSY, headers={"Retry-After": "1"}, content_type="application/json")
            case 1:
                return web.Response(status=500, text="{}", content_type="application/json")
            case 2:
                return "lost"
            case _:
                return "cut"

    hand = ByHand(server, namespace)
    with (
        api_proxy(server, tmp_path) as (proxy, kubeconfig),
        operator(kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process,
    ):
        proxy.fault = fault
        proxy.drop_watches()
        whole_life(hand)
        assert len(tried) > 10
        proxy.drop_watches()
        hand.create(load_job("next"))
        until(lambda: hand.get("Service", "next-dashboard") is not None, "the watches are back")
        assert process.end() == 0
    assert "Traceback" not in process.log.read_text()


def test_a_server_that_is_away_is_waited_for(server: ApiServer, system: str, namespace: str, tmp_path: Path) -> None:
    hand = ByHand(server, namespace)
    with (
        api_proxy(server, tmp_path) as (proxy, kubeconfig),
        operator(kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process,
    ):
        proxy.fault = lambda number, method, path: "cut"
        proxy.drop_watches()
        hand.create(load_job("sst"))
        until(lambda: process.probe("readyz") == 503, "the operator says that it is of no use", seconds=60)
        assert process.probe("healthz") == 200
        proxy.fault = lambda number, method, path: None
        until(lambda: hand.get("Service", "sst-dashboard") is not None, "the operator goes on", seconds=60)
        assert process.process.poll() is None


def test_an_operator_is_not_ready_before_all_its_watches_stand(
    server: ApiServer, system: str, namespace: str, tmp_path: Path
) -> None:
    """Also where there is no job, of which a watch would tell."""
    with api_proxy(server, tmp_path) as (proxy, kubeconfig):
        asked: list[str] = []

        def fault(_number: int, method: str, path: str) -> str | None:
            asked.append(path)
            return "cut" if method == "GET" and path.endswith("/networkpolicies") else None

        proxy.fault = fault
        with operator(kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace], ready=False) as process:
            until(lambda: sum(path.endswith("/networkpolicies") for path in asked) > 1, "the watch is tried again", seconds=60)
            until(lambda: process.probe("healthz") == 200, "the operator serves its probes")
            assert process.probe("readyz") == 503
            proxy.fault = lambda number, method, path: None
            until(lambda: process.probe("readyz") == 200, "the operator is ready", seconds=60)


def others_act(hand: ByHand) -> None:
    """What controllers and nodes have to do now."""
    if any("deletionTimestamp" not in raw["metadata"] for raw in hand.all("DaskCluster")) and not hand.all("Deployment"):
        hand.dask_builds()
    if hand.all("Job") and not hand.all("Pod"):
        hand.loader_runs()
    running = [pod for pod in hand.all("Pod") if pod["status"]["phase"] == "Running"]
    if running and hand.status("sst").get("phase") == "Running":
        hand.loader_ends(running[0]["metadata"]["name"], 0, LAST_WORD)
    hand.collect()


def is_over(hand: ByHand) -> bool:
    """The job has succeeded, and the cluster is given back."""
    others_act(hand)
    return hand.status("sst").get("phase") == "Succeeded" and hand.of_jobs() == KEPT


def dies_after(server: ApiServer, folder: Path, system: str, namespace: str, writes: int) -> bool:
    """A life up to so many writes of the operator, which is then killed; False when it has not so many."""
    hand = ByHand(server, namespace)
    name = f"killed-{writes}"
    (place := folder / name).mkdir()
    with api_proxy(server, place) as (proxy, kubeconfig):
        proxy.fault = lambda number, method, _path: "cut" if method in WRITES and number >= writes else None
        with operator(kubeconfig, place, operator_namespace=system, namespaces=[namespace], name=name, lease=name) as process:
            hand.create(load_job("sst"))
            until(lambda: is_over(hand) or len(proxy.writes) >= writes, f"there are {writes} writes", seconds=60)
            reached = len(proxy.writes) >= writes
            process.end(signal.SIGKILL)
    return reached


def test_an_operator_that_is_killed_between_any_two_of_its_writes_is_continued(
    server: ApiServer, system: str, tmp_path: Path
) -> None:
    """One life for each gap, until a life has no more gaps; then one operator that goes on with all of them."""
    with ExitStack() as stack:
        gaps = [stack.enter_context(server.namespace())]
        while dies_after(server, tmp_path, system, gaps[-1], len(gaps) - 1):
            gaps.append(stack.enter_context(server.namespace()))
            assert len(gaps) < 40
        assert len(gaps) > 15, "a life has more writes than that"
        with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=gaps, lease="next") as process:
            for namespace in gaps:
                hand = ByHand(server, namespace)
                until(lambda hand=hand: is_over(hand), f"the life in {namespace} comes to its end", seconds=60)  # type: ignore[misc]
                assert hand.status("sst")["runs"] == 1
                assert hand.status("sst")["result"]["rows"] == LAST_WORD["result"]["rows_written"]  # type: ignore[index]
            assert process.end() == 0
        assert "Traceback" not in process.log.read_text()


def test_a_dask_operator_that_comes_later_is_noticed(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        server.install_crds(CRDS)
        with server.namespace() as system, server.namespace() as namespace:
            put_preset(server, system)
            hand = ByHand(server, namespace)
            with operator(server.kubeconfig, tmp_path, operator_namespace=system, namespaces=[namespace]) as process:
                hand.create(load_job("sst"))
                hand.is_at("sst", "Pending", "DaskOperatorMissing")
                server.install_crds(DASK_CRDS)
                until(lambda: bool(hand.all("DaskCluster")), "the job goes on", seconds=60)
                assert process.end() == 0
            assert "Traceback" not in process.log.read_text()
