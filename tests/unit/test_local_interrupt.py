"""One signal is one exception; a shielded step is finished first."""

import signal
from collections.abc import Iterator

import pytest

from odp_dask_operator.local.interrupt import Interrupted, interruptible, shielded


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_an_exception_with_its_exit_code(number: signal.Signals, code: int) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        signal.raise_signal(number)
    assert caught.value.exit_code == code


def test_a_shielded_step_is_finished_before_the_signal_counts() -> None:
    steps = []
    with interruptible():
        try:
            with shielded():
                signal.raise_signal(signal.SIGINT)
                steps.append("finished")
            steps.append("not reached")
        except Interrupted:
            steps.append("interrupted")
    assert steps == ["finished", "interrupted"]


def test_cleaning_up_after_an_interrupt_is_not_interrupted_by_the_same_signal() -> None:
    steps = []
    with interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Interrupted:
            with shielded():
                steps.append("closing")
            steps.append("closed")
    assert steps == ["closing", "closed"]


def test_without_a_signal_everything_is_as_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), shielded():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
