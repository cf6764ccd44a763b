"""Every small state that a job and its surroundings can be in, explored: no leak, no adoption, no dead end, no return from an end.

A state is what is recorded and what is there, reduced to what matters. Moves are the operator's pass, whole or cut off after any of
its writes, and whatever users, controllers, nodes and time may do. Time either stands still or passes all deadlines at once.
"""

import datetime
import functools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from odp_dask_operator.core.decide import decide
from odp_dask_operator.core.decision import Decision
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.observed import ClusterSeen, LoaderSeen, Observed, PodEnd, PodSeen, Seen, Whose
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.preset import Problem
from odp_dask_operator.core.record import JobRecord, read_job
from odp_dask_operator.core.status import next_status
from odp_dask_operator.spec import JobStatus, Phase, Reason
from tests.support.kstatus import kstatus
from tests.support.operator_jobs import SETTINGS, START, job, presets

EPOCH = datetime.timedelta(days=1)
"""Longer than every deadline."""
MOST_RUNS = 2
ALIVE = ("fresh", "runs", "between", "told", "done", "failed")


@dataclass(frozen=True)
class World:
    """What is there. Objects are None, or the state they are in."""

    suspend: bool = False
    preset: bool = True
    dask: bool = True
    loader: str | None = None
    """fresh, runs, between (two attempts), done, failed, going."""
    loader_run: int = 0
    cluster: str | None = None
    """silent, up, ready, going."""
    cluster_run: int = 0
    remnants: bool = False
    service: str | None = None
    """ours, going, predecessor, foreign."""
    policy: bool = False
    secrets: frozenset[int] = frozenset()
    epoch: int = 0
    """0 or 1: whether time has passed since the last write of a time; how often does not matter."""


@dataclass(frozen=True)
class State:
    """The world and the record."""

    world: World
    status: JobStatus
    now: datetime.datetime

    @functools.cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for states between which no decision can tell."""
        status = self.status
        end = [condition for condition in status.conditions if condition.type.value in ("Complete", "Failed")]
        times = (status.start_time, *(c.last_transition_time for c in status.conditions if c.type.value == "ClusterReady"))
        ended = tuple(condition.last_transition_time == self.now for condition in end if condition.status.value == "True")
        conditions = tuple((condition.type, condition.status) for condition in status.conditions)
        recorded = (status.phase, status.reason, status.runs, status.attempts, status.preset is None, conditions)
        return (self.world, recorded, tuple(moment == self.now for moment in times), ended)


class Explorer:
    """One kind of job, and all that can happen to it."""

    def __init__(self, **spec: Any) -> None:
        self._raw = {suspend: job(**spec, suspend=suspend) for suspend in (False, True)}
        self._records = {suspend: read_job(raw) for suspend, raw in self._raw.items()}
        self._plans: dict[object, Plan | Problem] = {}

    def record(self, state: State) -> JobRecord:
        return replace(self._records[state.world.suspend], status=state.status)

    def plan(self, state: State) -> Plan | Problem:
        key = (state.world.suspend, state.world.preset, state.status.runs, state.status.preset is None)
        if key not in self._plans:
            known = presets() if state.world.preset else {}
            self._plans[key] = make_plan(self.record(state), presets=known, settings=SETTINGS)
        return self._plans[key]

    def passes(self, state: State) -> tuple[bool, list[State]]:
        """Whether the operator touches anything; and its pass, killed after each of its writes, and at last whole."""
        record, plan, observed = self.record(state), self.plan(state), seen(state)
        decision = decide(record, plan, observed, now=state.now)
        status = next_status(record, plan, observed, decision, now=state.now)
        check(record, state, decision, status)
        writes = [("create", child) for child in decision.create]
        writes += [("delete", removal.resource) for removal in decision.delete]  # type: ignore[misc]
        run = status.runs or 0
        worlds = [state.world]
        for verb, what in writes:
            before = worlds[-1]
            worlds.append(created(before, what, run=run) if verb == "create" else deleted(before, what, run=state.status.runs or 0))
        cut_off = [State(world, state.status, state.now) for world in worlds[1:]]
        return bool(writes), [*cut_off, State(worlds[-1], status, state.now)]


def seen(state: State) -> Observed:
    world, old = state.world, state.now - EPOCH
    children = {}

    def add(child: Child, what: str | None, run: int = 0) -> None:
        if what is not None:
            whose = {"foreign": Whose.FOREIGN, "predecessor": Whose.PREDECESSOR}.get(what, Whose.OURS)
            going = state.now if what == "going" else None
            children[child] = Seen(whose=whose, uid=f"{child.name}-{run}", run=run, created=old, deleting_since=going)

    add(Child.JOB, world.loader, world.loader_run)
    add(Child.CLUSTER, world.cluster, world.cluster_run)
    add(Child.SERVICE, world.service)
    add(Child.NETWORK_POLICY, "ours" if world.policy else None)
    up = world.cluster in ("up", "ready")
    return Observed(
        children=children,
        loader=loader_seen(world.loader, state.now),
        cluster=ClusterSeen(
            objects=int(up or world.remnants),
            remnants=("Deployment x",) if world.remnants else (),
            scheduler_ready=world.cluster == "ready",
            workers=int(up),
            workers_ready=int(world.cluster == "ready"),
        ),
        dask_served=world.dask,
    )


def loader_seen(what: str | None, now: datetime.datetime) -> LoaderSeen:
    end = PodEnd(exit_code=1, at=now)
    ended = PodSeen(uid="ended", created=now, exit=end, end=end)
    match what:
        case "runs":
            return LoaderSeen(attempts=1, living_pods=1, pod=PodSeen(uid="runs", created=now, running_since=now))
        case "between":
            return LoaderSeen(attempts=1, failures=1, pod=ended, last_end=end)
        case "told":
            return LoaderSeen(attempts=1, succeeded=True, living_pods=1)
        case "done":
            return LoaderSeen(attempts=1, succeeded=True)
        case "failed":
            return LoaderSeen(attempts=4, failures=4, succeeded=False, pod=ended, last_end=end)
        case "going":
            return LoaderSeen(attempts=1, living_pods=1)
        case _:
            return LoaderSeen()


def created(world: World, child: Child, *, run: int) -> World:
    match child:
        case Child.JOB:
            assert world.loader is None, "a Job is made while there is one"
            assert world.policy, "a pod before its policy"
            assert run in world.secrets, "a pod before its certificate"
            return replace(world, loader="fresh", loader_run=run)
        case Child.CLUSTER:
            assert world.cluster is None, "a cluster is made while there is one"
            assert not world.remnants, "a cluster is made over the remnants of another"
            assert world.dask
            assert world.loader is not None, "workers before the loader"
            assert run in world.secrets, "a pod before its certificate"
            return replace(world, cluster="silent", cluster_run=run)
        case Child.SERVICE:
            assert world.service is None, "a name that is taken"
            return replace(world, service="ours")
        case Child.NETWORK_POLICY:
            return replace(world, policy=True)
        case Child.SECRET:
            return replace(world, secrets=world.secrets | {run})
        case _:
            return world


def deleted(world: World, resource: object, *, run: int) -> World:
    match resource:
        case Child.JOB.resource:
            assert world.loader in ALIVE
            return replace(world, loader="going")
        case Child.CLUSTER.resource:
            assert world.cluster in ("silent", "up", "ready")
            return replace(world, cluster="going")
        case Child.SERVICE.resource:
            assert world.service == "ours", "an object of somebody else's is deleted"
            return replace(world, service="going")
        case Child.NETWORK_POLICY.resource:
            assert world.cluster is None, "pods without a policy"
            return replace(world, policy=False)
        case Child.SECRET.resource:
            assert world.cluster is None
            return replace(world, secrets=world.secrets - {run})
    raise AssertionError(resource)


def check(record: JobRecord, state: State, decision: Decision, status: JobStatus) -> None:
    """What holds for every single pass."""
    world, after = state.world, replace(record, status=status)
    if decision.delete:
        assert record.end or record.stopped, "deleted what was not recorded as over"
        assert not decision.create
    if record.end:
        assert after.end == record.end, "an end is the end"
        assert (status.phase, status.reason, status.result) == (state.status.phase, state.status.reason, state.status.result)
        assert not (world.loader in ("told", "done", "failed") and any(gone.resource.kind == "Job" for gone in decision.delete)), (
            "logs lost"
        )
    if decision.create:
        assert record.active, "made for a run that is not recorded"
    if world.service == "foreign" and not record.end and not world.suspend and (world.preset or record.run):
        assert status.phase is Phase.FAILED
    if decision.requeue_after is None:
        clean = (
            world.cluster is None and not world.remnants and world.service in (None, "foreign", "predecessor") and not world.policy
        )
        assert clean, "nobody looks again and something is left"
        assert record.end or status.reason == Reason.SUSPENDED, "nobody looks again and nothing is decided"
    expected = {Phase.SUCCEEDED: "Current", Phase.FAILED: "Failed"}.get(status.phase or Phase.PENDING, "InProgress")
    if status.phase is Phase.SUSPENDED and status.reason == Reason.SUSPENDED:
        expected = "Current"
    conditions = [{"type": condition.type.value, "status": condition.status.value} for condition in status.conditions]
    assert kstatus({"status": {"conditions": conditions}}) == expected


def worlds_of_users(state: State) -> Iterator[World]:
    """They suspend and resume at any moment, delete what is not theirs, and install what is missing."""
    world, runs = state.world, state.status.runs or 0
    if world.suspend:
        yield replace(world, suspend=False)
    elif runs < MOST_RUNS:
        yield replace(world, suspend=True)
    if runs == 0:
        yield replace(world, preset=not world.preset)
        yield replace(world, dask=not world.dask)
    if world.service == "predecessor":
        return
    if world.loader in ALIVE:
        yield replace(world, loader="going")
    if world.cluster in ("silent", "up", "ready"):
        yield replace(world, cluster="going")


def worlds_of_controllers(world: World) -> Iterator[World]:
    if world.service == "predecessor":
        return  # what they do is the same as without; only its going matters
    steps = {"fresh": ("runs",), "runs": ("between", "told", "done", "failed"), "told": ("done",), "between": ("runs", "failed")}
    for after in steps.get(world.loader or "", ()):
        yield replace(world, loader=after)
    for after in {"silent": ("up",), "up": ("ready",), "ready": ("up",)}.get(world.cluster or "", ()):
        yield replace(world, cluster=after)
    if world.cluster == "going":
        yield replace(world, cluster=None, remnants=True)


def collected(world: World) -> Iterator[World]:
    """What the garbage collector does."""
    if world.loader == "going":
        yield replace(world, loader=None)
    if world.cluster == "going":
        yield replace(world, cluster=None)
    if world.remnants:
        yield replace(world, remnants=False)
    if world.service in ("going", "predecessor"):
        yield replace(world, service=None)


@dataclass(frozen=True)
class Node:
    """A state and what may follow it, by key."""

    state: State
    rests: bool
    """The operator has nothing to do or to say here."""
    after_pass: object
    after_collection: object | None
    after_time: object | None
    others: tuple[object, ...]

    @property
    def following(self) -> tuple[object, ...]:
        known = (self.after_pass, self.after_collection, self.after_time, *self.others)
        return tuple(key for key in known if key is not None)


Graph = dict[object, Node]


def explore(explorer: Explorer, *begin: World) -> Graph:
    """Every state that can be reached."""
    queue = deque(State(world, JobStatus(), START) for world in begin)
    graph: Graph = {}

    def key(state: State | None) -> object | None:
        if state is None:
            return None
        if state.key not in graph:
            queue.append(state)
        return state.key

    while queue:
        state = queue.popleft()
        if state.key in graph:
            continue
        world = state.world
        touches, afterwards = explorer.passes(state)
        *cut_off, whole = (rested(after, before=state) for after in afterwards)
        swept = next(collected(world), None)
        others = (replace(state, world=changed) for changed in (*worlds_of_users(state), *worlds_of_controllers(world)))
        graph[state.key] = Node(
            state,
            rests=not touches and whole.key == state.key,
            after_pass=key(whole),
            after_collection=key(replace(state, world=swept) if swept else None),
            after_time=key(replace(state, world=replace(world, epoch=1), now=state.now + EPOCH) if world.epoch == 0 else None),
            others=tuple(key(after) for after in (*cut_off, *others)),
        )
    return graph


def rested(after: State, *, before: State) -> State:
    """After something was recorded, time may pass again."""
    if after.status is before.status or after.world.epoch == 0:
        return after
    return replace(after, world=replace(after.world, epoch=0))


def is_over(state: State) -> bool:
    return state.status.phase in (Phase.SUCCEEDED, Phase.FAILED)


def left(world: World) -> tuple[object, ...]:
    service = world.service if world.service not in ("foreign", "predecessor") else None
    return (world.cluster, world.remnants, service, world.policy, world.secrets)


NOTHING = (None, False, None, False, frozenset())


def at_rest(graph: Graph, node: Node) -> Node:
    """The operator alone, until it has nothing more to do."""
    for _ in range(6):
        if node.rests:
            return node
        node = graph[node.after_pass]
    raise AssertionError(f"no rest: {node.state}")


def wound_down(graph: Graph, node: Node) -> Node:
    """The operator and the garbage collector, until neither has anything to do."""
    for _ in range(12):
        node = at_rest(graph, node)
        if node.after_collection is None:
            return node
        while node.after_collection is not None:
            node = graph[node.after_collection]
    raise AssertionError(f"no end of deleting: {node.state}")


def without_an_end(graph: Graph) -> set[object]:
    """The states from which no end can be reached at which nothing is left."""
    backwards: dict[object, list[object]] = {}
    for key, node in graph.items():
        for after in node.following:
            backwards.setdefault(after, []).append(key)
    good = deque(key for key, node in graph.items() if is_over(node.state) and left(node.state.world) == NOTHING)
    reaching = set(good)
    while good:
        for before in backwards.get(good.popleft(), ()):
            if before not in reaching:
                reaching.add(before)
                good.append(before)
    return graph.keys() - reaching


@pytest.mark.parametrize(
    "spec",
    [{}, {"keepCluster": "OnFailure", "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 10**9}],
    ids=["plain", "kept and limited"],
)
def test_every_small_state(spec: dict[str, Any]) -> None:
    taken = [World(service="foreign"), World(service="predecessor"), World(preset=False, dask=False)]
    graph = explore(Explorer(**spec), World(), *taken)
    assert len(graph) > 1_000, "so few states are no model of anything"
    assert not without_an_end(graph)
    for node in graph.values():
        at_rest(graph, node)
        if is_over(node.state):
            late = graph[node.after_time] if node.after_time is not None else node  # what is kept is kept no longer
            assert left(wound_down(graph, late).state.world) == NOTHING, "something is left when a job has ended"
        elif node.state.world.suspend and node.state.world.service != "foreign":
            quiet = wound_down(graph, node).state
            nothing = (left(quiet.world), quiet.world.loader) == (NOTHING, None)
            assert is_over(quiet) or (quiet.status.reason == Reason.SUSPENDED and nothing)
