"""The line of jobs: each once, in a fair order, one pass at a time."""

import asyncio
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odp_dask_operator.shell.line import GATHER_S, NEW_IN_A_ROW, Key, Lane, Line
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.workers import LONGEST_PAUSE_S, pause_after

A, B, C = (Key("ocean", name) for name in "abc")


def drain(line: Line, *, now: float = 0.0) -> list[Key]:
    found = []
    while (key := line.take(now=now)) is not None:
        found.append(key)
        line.done(key)
    return found


def test_each_job_stands_in_line_once() -> None:
    line = Line()
    for key in (A, B, A):
        line.add(key, Lane.NEW)
    assert drain(line) == [B, A]


def test_what_is_looked_at_is_not_given_to_a_second_worker_and_comes_again() -> None:
    line = Line()
    line.add(A, Lane.NEW)
    assert line.take(now=0) == A
    line.add(A, Lane.NEW)
    assert line.take(now=0) is None
    line.done(A)
    assert line.take(now=0) == A
    line.done(A)
    assert line.take(now=0) is None


def test_new_jobs_go_first_but_not_for_ever() -> None:
    line = Line()
    line.add(Key("ocean", "begun"), Lane.BEGUN)
    for number in range(NEW_IN_A_ROW + 2):
        line.add(Key("ocean", str(number)), Lane.NEW)
    order = [key.name for key in drain(line)]
    assert order.index("begun") == NEW_IN_A_ROW


def test_a_job_that_goes_on_at_once_is_not_put_behind_the_others() -> None:
    line = Line()
    line.add(A, Lane.BEGUN)
    line.add(B, Lane.BEGUN)
    line.add(Key("ocean", "new"), Lane.NEW)
    line.add(C, Lane.BEGUN, first=True)
    assert drain(line) == [C, Key("ocean", "new"), A, B]


def test_news_of_a_job_that_has_begun_are_gathered_and_those_of_a_new_one_are_not() -> None:
    line = Line()
    line.hear(A, Lane.BEGUN, now=10)
    line.hear(B, Lane.NEW, now=10)
    line.hear(A, Lane.BEGUN, now=10 + GATHER_S / 2)
    assert drain(line, now=10) == [B]
    assert line.next_moment() == 10 + GATHER_S
    assert drain(line, now=10 + GATHER_S) == [A]


def test_news_that_come_during_a_look_are_not_forgotten_for_a_later_one() -> None:
    line = Line()
    line.add(A, Lane.BEGUN)
    assert line.take(now=0) == A
    line.hear(A, Lane.BEGUN, now=0)
    line.add_at(A, Lane.BEGUN, 30)
    line.done(A)
    assert drain(line, now=GATHER_S) == [A]
    assert drain(line, now=100) == []


def test_a_later_look_comes_when_it_is_due_and_the_soonest_counts() -> None:
    line = Line()
    line.add_at(A, Lane.NEW, 10)
    line.add_at(A, Lane.NEW, 5)
    line.add_at(A, Lane.NEW, 6)
    line.add_at(B, Lane.NEW, 7)
    assert line.next_moment() == 5
    assert drain(line, now=4) == []
    assert drain(line, now=7) == [A, B]
    assert (line.next_moment(), drain(line, now=100)) == (None, [])


def test_a_look_takes_the_place_of_a_later_one() -> None:
    line = Line()
    line.add_at(A, Lane.NEW, 10)
    line.add(A, Lane.NEW)
    assert drain(line) == [A]
    assert drain(line, now=100) == []


def test_a_job_that_the_server_wants_left_alone_is_left_alone() -> None:
    line = Line()
    line.add(A, Lane.NEW)
    assert line.take(now=0) == A
    line.add(A, Lane.NEW)
    line.rest(A, Lane.NEW, 10)
    line.done(A)
    line.add(A, Lane.BEGUN, first=True)
    assert drain(line, now=9) == []
    assert drain(line, now=10) == [A]
    line.add(A, Lane.NEW)
    assert drain(line, now=10) == [A], "it rests once"


def test_a_job_that_is_gone_is_forgotten() -> None:
    line = Line()
    line.add(A, Lane.NEW)
    line.add_at(A, Lane.NEW, 1)
    line.rest(B, Lane.NEW, 1000)
    line.forget(A)
    line.forget(B)
    assert drain(line, now=100) == []
    line.add(B, Lane.NEW)
    assert drain(line, now=100) == [B]


KEYS = st.sampled_from([A, B, C])
ACTS = st.one_of(
    st.tuples(st.just("add"), KEYS, st.sampled_from(list(Lane)), st.booleans()),
    st.tuples(st.just("hear"), KEYS, st.sampled_from(list(Lane))),
    st.tuples(st.just("later"), KEYS, st.sampled_from(list(Lane)), st.integers(0, 20)),
    st.tuples(st.just("rest"), KEYS, st.sampled_from(list(Lane)), st.integers(0, 20)),
    st.just(("take",)),
    st.just(("done",)),
)


@given(st.lists(ACTS, max_size=60))
def test_nothing_is_lost_and_nothing_is_taken_twice(acts: list[tuple]) -> None:  # type: ignore[type-arg]
    line, taken, owed = Line(), list[Key](), set[Key]()
    for now, act in enumerate(acts):
        match act:
            case ("add", key, lane, first):
                line.add(key, lane, first=first)
                owed.add(key)
            case ("hear", key, lane):
                line.hear(key, lane, now=now)
                owed.add(key)
            case ("later", key, lane, after):
                line.add_at(key, lane, now + after)
                owed.add(key)
            case ("rest", key, lane, after):
                line.rest(key, lane, now + after)
                owed.add(key)
            case ("take",):
                key = line.take(now=now)
                if key is not None:
                    assert key not in taken
                    taken.append(key)
                    owed.discard(key)
            case ("done",) if taken:
                line.done(taken.pop())
    for key in taken:
        line.done(key)
    assert owed <= set(drain(line, now=1000))
    assert len(line) == 0


def test_workers_that_wait_are_woken_for_each_job_and_for_later_ones() -> None:
    async def scene() -> list[Key]:
        queue = Queue()
        waiting = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(0)
        queue.add(A, Lane.NEW)
        queue.add(B, Lane.BEGUN)
        queue.add_after(C, Lane.NEW, datetime.timedelta(milliseconds=5))
        return sorted(await asyncio.wait_for(asyncio.gather(*waiting), 10))

    assert asyncio.run(scene()) == [A, B, C]


@pytest.mark.parametrize("turns", range(6))
def test_a_worker_that_is_ended_while_the_bell_rings_ends(turns: int) -> None:
    async def scene() -> None:
        queue = Queue()
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0.01)
        queue.done(A)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=10)
        assert waiting.cancelled()

    asyncio.run(scene())


def test_pauses_after_failures_grow_to_a_bound_and_heed_the_server() -> None:
    assert [pause_after(n).total_seconds() for n in (1, 2, 3, 10, 1000)] == [1, 2, 4, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert pause_after(1, asked_s=42).total_seconds() == 42
    assert pause_after(1, asked_s=1e9).total_seconds() == LONGEST_PAUSE_S
