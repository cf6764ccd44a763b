"""The election: who takes the Lease, when, and who gives up."""

import asyncio
import datetime

from odp_dask_operator.shell.api import Api
from odp_dask_operator.shell.election import GIVE_UP_AFTER_S, Move, Sighting, look, move
from odp_dask_operator.shell.lease import Leadership
from odp_dask_operator.shell.retry import RetryPolicy
from tests.support.memory_transport import OneLease

TODAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Replicas:
    """Replicas on one Lease, with one clock."""

    def __init__(self, *names: str) -> None:
        self.server, self.now, self.said = OneLease(), 0.0, list[tuple[str, bool]]()
        self.by_name = {name: self._replica(name) for name in names}

    def _replica(self, name: str) -> Leadership:
        return Leadership(
            Api(self.server, policy=RetryPolicy(attempts=1)),
            namespace="system",
            name="lease",
            me=name,
            changed=lambda leads: self.said.append((name, leads)),
            clock=lambda: self.now,
            today=lambda: TODAY + datetime.timedelta(seconds=self.now),
        )

    def round(self, name: str) -> float:
        return asyncio.run(self.by_name[name].round())

    def leaders(self) -> list[str]:
        return [name for name, replica in self.by_name.items() if replica.leads]


def test_the_first_to_come_leads_and_renews() -> None:
    replicas = Replicas("a", "b")
    assert (replicas.round("a"), replicas.round("b")) == (5, 2)
    replicas.now = 5
    replicas.round("a")
    assert replicas.leaders() == ["a"]
    assert replicas.server.lease is not None
    assert replicas.server.lease["spec"] == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:05.000000Z",
        "leaseTransitions": 0,
    }
    assert replicas.said == [("a", True)]


def test_a_lease_that_stands_still_is_taken_after_its_duration_and_not_before() -> None:
    replicas = Replicas("a", "b")
    replicas.round("a")
    replicas.now = 4
    replicas.round("b")
    replicas.now = 18
    replicas.round("b")
    assert not replicas.by_name["b"].leads
    replicas.now = 19
    replicas.round("b")
    assert replicas.by_name["b"].leads
    replicas.round("a")
    assert replicas.leaders() == ["b"]
    assert replicas.server.lease is not None
    assert replicas.server.lease["spec"]["leaseTransitions"] == 1


def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    replicas = Replicas("a", "b")
    replicas.round("a")
    replicas.round("b")
    asyncio.run(replicas.by_name["a"].release())
    assert replicas.leaders() == []
    replicas.now = 2
    replicas.round("b")
    assert replicas.leaders() == ["b"]


def test_a_leader_that_cannot_renew_gives_up_before_another_may_take_over() -> None:
    replicas = Replicas("a", "b")
    replicas.round("a")
    replicas.server.fail = True
    while replicas.by_name["a"].leads:
        replicas.now += replicas.round("a")
    assert GIVE_UP_AFTER_S <= replicas.now <= GIVE_UP_AFTER_S + 1
    assert replicas.said == [("a", True), ("a", False)]


def test_of_two_that_reach_for_it_one_gets_it() -> None:
    replicas = Replicas("a", "b")
    replicas.server.between = lambda: replicas.server.lease or replicas.server.put({"holderIdentity": "b", "renewTime": "x"})
    replicas.round("a")
    assert replicas.leaders() == []


def test_what_was_not_ours_is_not_given_back() -> None:
    replicas = Replicas("a", "b")
    replicas.round("a")
    replicas.round("b")
    asyncio.run(replicas.by_name["b"].release())
    assert replicas.server.lease is not None
    assert replicas.server.lease["spec"]["holderIdentity"] == "a"


def test_only_our_own_clock_says_how_long_a_lease_has_stood_still() -> None:
    lease = {"spec": {"holderIdentity": "a", "renewTime": "1990-01-01T00:00:00Z", "leaseDurationSeconds": 15}}
    seen = look(lease, None, now=100.0)
    assert seen == Sighting("a", "1990-01-01T00:00:00Z", 15, 100.0)
    assert move(seen, me="b", now=100.0) is Move.WAIT
    assert move(look(lease, seen, now=115.0), me="b", now=115.0) is Move.TAKE
    renewed = {"spec": {**lease["spec"], "renewTime": "1990-01-01T00:00:05Z"}}
    assert move(look(renewed, seen, now=115.0), me="b", now=115.0) is Move.WAIT
