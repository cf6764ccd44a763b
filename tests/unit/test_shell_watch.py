"""What the watches are known to have told, by the answers to their requests."""

from odp_dask_operator.shell.watch import Roll, Told

JOBS, PODS = "/apis/odpdask.dev/v1alpha1/odpdaskjobs", "/api/v1/pods"
LIST, NEXT, WATCH = {"limit": "100"}, {"limit": "100", "continue": "x"}, {"watch": "true"}


def test_all_stand_when_the_last_one_is_opened_and_are_said_to_once() -> None:
    roll = Roll([JOBS, PODS])
    answers = [(JOBS, LIST), (PODS, LIST), (PODS, NEXT), (JOBS, WATCH), (JOBS, WATCH)]
    assert [roll.answered(*answer) for answer in answers] == [None] * 5
    assert roll.answered(PODS, WATCH) == (PODS, Told.ALL_STAND)
    assert [roll.answered(place, WATCH) for place in (PODS, JOBS, PODS)] == [None] * 3, "quiet ones are opened again"


def test_one_that_is_listed_again_has_missed_something() -> None:
    roll = Roll([JOBS, PODS])
    assert [roll.answered(f"/behind/a/proxy{place}", LIST) for place in (JOBS, PODS)] == [None, None]
    assert roll.answered(f"/behind/a/proxy{PODS}", LIST) == (PODS, Told.MISSED)


def test_other_requests_tell_nothing() -> None:
    roll = Roll([JOBS])
    assert roll.answered("/apis/odpdask.dev/v1alpha1", {}) is None
    assert roll.answered(f"{JOBS}/sst", {}) is None
    assert roll.answered(JOBS, WATCH) == (JOBS, Told.ALL_STAND)
