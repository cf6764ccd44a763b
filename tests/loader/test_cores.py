"""Cores go to those whose turn is first, one at a time, and always come back."""

import threading
import time
from collections.abc import Callable

import pytest

from odp_loader.cores import Cores


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.001)


def test_of_those_that_wait_the_lowest_turn_is_next():
    cores, order = Cores(1), list[int]()

    def compute(turn: int) -> None:
        with cores.held(turn=turn):
            order.append(turn)

    threads = [threading.Thread(target=compute, args=(turn,)) for turn in (5, 2, 9, 2, 0)]
    with cores.held(turn=7):
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(lambda number=number: len(cores._waiting) == number)
        assert order == []
    for thread in threads:
        thread.join()
    assert order == [0, 2, 2, 5, 9]


def test_no_more_compute_at_once_than_there_are_cores():
    cores, lock = Cores(3), threading.Lock()
    running, most = 0, 0

    def compute(turn: int) -> None:
        nonlocal running, most
        for _ in range(50):
            with cores.held(turn=turn):
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0)
                with lock:
                    running -= 1

    threads = [threading.Thread(target=compute, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running == 0
    assert 1 <= most <= 3


def test_a_failure_gives_its_core_back():
    cores = Cores(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), cores.held(turn=1):
            raise ZeroDivisionError
    with cores.held(turn=0):
        pass
