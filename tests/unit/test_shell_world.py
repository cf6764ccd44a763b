"""What is known of the cluster, the smallest patch, the probes and the certificate."""

import asyncio
import copy
import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from odp_dask_operator.shell.api import Answer, Api, Request
from odp_dask_operator.shell.certificates import new_certificate
from odp_dask_operator.shell.events import FRESH_S, EventReader
from odp_dask_operator.shell.line import Key
from odp_dask_operator.shell.merge import merge_patch
from odp_dask_operator.shell.probes import Health
from odp_dask_operator.shell.world import UNCONFIRMED_S, World, shed
from tests.support.memory_transport import answer

JOB = Key("ocean", "sst")


def thing(kind: str, name: str = "sst", *, uid: str = "u", version: int = 1, **more: Any) -> dict[str, Any]:
    labels = {} if kind == "OdpDaskJob" else {"odpdask.dev/job": "sst"}
    meta = {"namespace": "ocean", "name": name, "uid": uid, "resourceVersion": str(version), "labels": labels, "managedFields": [1]}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


def test_the_newest_version_is_kept_whatever_comes_last() -> None:
    world = World()
    world.put(thing("OdpDaskJob", version=10, status={"phase": "Running"}))
    world.put(thing("OdpDaskJob", version=9, status={"phase": "Pending"}))
    job = world.job(JOB)
    assert job is not None
    assert job["status"] == {"phase": "Running"}


def test_the_dask_operator_was_seen_when_it_made_its_newest_object() -> None:
    world = World()
    assert world.dask_seen_at is None

    def put(kind: str, uid: str, at: int) -> None:
        raw = thing(kind, uid, uid=uid)
        raw["metadata"]["creationTimestamp"] = f"2026-01-01T01:00:{at:02}Z"
        world.put(raw)

    put("DaskCluster", "ours", 9)
    assert world.dask_seen_at is None
    put("Deployment", "a", 5)
    put("DaskWorkerGroup", "b", 7)
    put("Deployment", "c", 6)
    assert world.dask_seen_at == datetime.datetime(2026, 1, 1, 1, 0, 7, tzinfo=datetime.UTC)


@pytest.mark.parametrize("kind", ["OdpDaskJob", "OdpDaskPreset", "Service"])
def test_news_are_what_is_newer_and_says_something_else(kind: str) -> None:
    world = World()

    def news(version: int, ports: int, uid: str = "u") -> bool:
        return world.put(thing(kind, uid=uid, version=version, spec={"ports": ports}))

    assert news(10, 1)
    assert [news(9, 2), news(10, 2), news(11, 1), news(12, 2)] == [False, False, False, True]
    assert news(13, 2, uid="another")


@pytest.mark.parametrize(
    ("kind", "change", "news"),
    [
        ("DaskCluster", {"status": {"phase": "Pending"}}, False),
        ("DaskWorkerGroup", {"spec": {"worker": 3}}, False),
        ("Pod", {"spec": {"nodeName": "a"}}, False),
        ("Pod", {"status": {"phase": "Running"}}, True),
        ("Job", {"spec": {"backoffLimit": 1}}, True),
        ("Deployment", {"status": {"readyReplicas": 1}}, True),
    ],
)
def test_what_no_decision_is_made_from_is_no_news(kind: str, change: dict[str, Any], news: bool) -> None:
    world = World()
    world.put(thing(kind, version=1))
    assert world.put(thing(kind, version=2, **change)) is news


def test_a_job_that_was_made_again_is_another_job() -> None:
    world = World()
    world.put(thing("OdpDaskJob", uid="old", version=9))
    world.put(thing("OdpDaskJob", uid="new", version=12))
    world.remove(thing("OdpDaskJob", uid="old", version=11))
    job = world.job(JOB)
    assert job is not None
    assert job["metadata"]["uid"] == "new"


def test_children_are_found_by_the_label_of_their_job_and_kept_small() -> None:
    world = World()
    world.put(thing("Pod", "p", spec={"containers": []}, status={"phase": "Running"}))
    (pod,) = world.children(JOB, now=0)
    assert (pod.keys(), "managedFields" in pod["metadata"]) == ({"apiVersion", "kind", "metadata", "status"}, False)
    world.remove(thing("Pod", "p"))
    assert world.children(JOB, now=0) == ()


@pytest.mark.parametrize("kind", ["Pod", "OdpDaskJob", "OdpDaskPreset"])
def test_what_went_while_it_was_listed_does_not_come_back(kind: str) -> None:
    world = World()

    def there() -> Any:
        return world.jobs(), world.children(JOB, now=0), world.presets()

    world.begin_listing()
    world.remove(thing(kind))
    assert world.put(thing(kind)) is False
    assert there() == ((), (), ())
    assert world.put(thing(kind, uid="successor")) is True
    assert there() != ((), (), ())


@pytest.mark.parametrize("kind", ["Pod", "Service", "Job", "OdpDaskJob"])
def test_what_is_kept_of_an_object_stays_when_the_rest_is_let_go(kind: str) -> None:
    world, raw = World(), thing(kind, spec={"backoffLimit": 3, "containers": [1]}, status={"phase": "Running"})
    world.put(raw)

    def kept() -> Any:
        return world.job(JOB), world.children(JOB, now=0)

    before = copy.deepcopy(kept())
    shed(raw)
    assert kept() == before
    assert "managedFields" not in raw["metadata"]
    if kind != "OdpDaskJob":
        assert (raw["spec"], raw["status"]) == ({}, {})


def test_warnings_are_read_once_for_all_that_wait_and_again_when_they_may_have_changed() -> None:
    asked: list[str] = []
    now = 0.0

    class Transport:
        async def send(self, request: Request, *, timeout_s: float) -> Answer:
            asked.append(request.path)
            await asyncio.sleep(0)
            about = [{"involvedObject": {"uid": uid}, "reason": f"{uid} {len(asked)}", "metadata": {}} for uid in ("a", "b", "a")]
            return answer(200, {"metadata": {}, "items": about})

    reader = EventReader(Api(Transport()), clock=lambda: now)

    async def read(*uids: str, namespace: str = "ocean") -> list[str]:
        return [event["reason"] for event in await reader.about(uids, namespace=namespace)]

    async def all_at_once() -> list[list[str]]:
        return await asyncio.gather(read("a"), read("b", "c"), read())

    assert asyncio.run(all_at_once()) == [["a 1", "a 1"], ["b 1"], []]
    assert asyncio.run(read("b", namespace="lake")) == ["b 2"]
    now = FRESH_S - 1
    assert asyncio.run(read("c", "a", "b")) == ["a 1", "a 1", "b 1"]
    now = FRESH_S
    assert asyncio.run(read("c", "a", "b")) == ["a 3", "a 3", "b 3"]
    path = "/api/v1/namespaces/{}/events?limit=500&fieldSelector=type%3DWarning"
    assert asked == [path.format("ocean"), path.format("lake"), path.format("ocean")]


def test_what_we_made_counts_until_a_watch_confirms_it_or_stays_silent() -> None:
    world = World()
    world.put_own(thing("Service", uid="a"), now=0)
    world.put_own(thing("Job", uid="b"), now=0)
    world.put(thing("Job", uid="b", version=2))
    world.put(thing("Ingress", uid="c"))
    world.put_own(thing("Ingress", uid="c"), now=0)
    assert len(world.children(JOB, now=UNCONFIRMED_S)) == 3
    assert [raw["kind"] for raw in world.children(JOB, now=UNCONFIRMED_S + 1)] == ["Job", "Ingress"]


def test_what_we_had_deleted_counts_as_going() -> None:
    world = World()
    world.put(thing("Service", uid="a"))
    world.mark_deleted(JOB, "a", at="2026-01-01T00:00:00Z")
    (service,) = world.children(JOB, now=0)
    assert service["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"


JSON = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


def merged(before: Any, patch: Any) -> Any:
    """RFC 7396, section 2, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(OBJECTS, OBJECTS)
def test_a_patch_makes_one_version_into_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merged(before, merge_patch(before, after)) == after
    assert merge_patch(after, after) == {}


def test_a_process_is_ill_when_its_resync_does_not_come_round_and_only_then() -> None:
    time = 0.0
    health = Health(lambda: time, overdue_after_s=100)
    assert (health.ill(), health.unready()) == (None, "the API server does not answer")
    time = 100.0
    assert health.ill() is None
    health.resynced(reachable=False)
    time = 200.0
    assert health.ill() is None
    time = 201.0
    assert health.ill() == "the resync is overdue: the last one was 101 s ago"
    health.resynced(reachable=True)
    assert (health.ill(), health.unready()) == (None, "the watches have not told of everything yet")
    health.synced = True
    assert health.unready() is None


def test_a_process_whose_watches_never_tell_anything_is_ill_where_the_server_answers() -> None:
    time = 0.0
    health = Health(lambda: time, overdue_after_s=100)

    def after(seconds: float, *, reachable: bool) -> str | None:
        nonlocal time
        time += seconds
        health.resynced(reachable=reachable)
        return health.ill()

    assert after(1000, reachable=False) is None
    assert after(1000, reachable=True) is None
    assert after(100, reachable=True) is None
    assert after(1, reachable=True) == "the watches have not told of everything for 101 s, though the API server answers"
    health.begun()
    assert health.ill() is None
    health.synced = True
    assert after(1000, reachable=True) is None
    health.begun()
    assert after(101, reachable=True) is not None


def test_a_certificate_serves_both_sides_and_is_signed_by_a_ca_of_its_own() -> None:
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made, other = (new_certificate("sst-3f2a1-scheduler", now=now) for _ in range(2))
    ca, leaf = (x509.load_pem_x509_certificate(pem) for pem in (made.ca, made.certificate))
    leaf.verify_directly_issued_by(ca)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {use._name for use in usage} == {"clientAuth", "serverAuth"}
    key = load_pem_private_key(made.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == leaf.public_key()
    assert leaf.not_valid_before_utc < now < leaf.not_valid_after_utc
    assert made.ca != other.ca
    assert made.key.decode() not in repr(made)
