"""How many partitions are in flight."""

from odp_loader.fleet import Tally, Window


def test_the_window_halves_once_for_a_storm_and_comes_back_one_by_one():
    window = Window(16)
    assert window.throttled(10.0)
    assert not window.throttled(10.5), "a second 429 within the second belongs to the same storm"
    assert window.size == 8
    assert window.throttled(11.5)
    assert window.size == 4
    for _ in range(4):
        window.succeeded()
    assert window.size == 5


def test_a_429_takes_back_what_successes_had_earned():
    window = Window(4)
    window.throttled(0.0)
    for _ in range(3):
        window.succeeded()
    window.throttled(0.1)
    window.succeeded()
    assert window.size == 2


def test_the_window_never_closes_and_never_grows_past_the_limit():
    window = Window(2)
    for second in range(10):
        window.throttled(10.0 * second)
    assert window.size == 1
    for _ in range(100):
        window.succeeded()
    assert window.size == 2


def test_the_tally_counts_attempts_once_and_forgets_what_is_no_longer_in_flight():
    tally = Tally(in_flight={7: (0, 0)})
    event = {"worker": "w0", "partition": 7, "rows": 0, "bytes": 0, "throttled": False, "failed": ""}
    tally.add(event | {"rows": 100, "bytes": 800})
    tally.add(event | {"failed": "the reply was cut"})
    tally.add(event | {"rows": 40, "bytes": 320})
    tally.add(event | {"throttled": True})
    tally.add(event | {"partition": 3, "rows": 9, "bytes": 9})
    assert (tally.rows, tally.bytes, tally.throttled) == (40, 320, 1)
    assert dict(tally.failures) == {"w0": 1}
