"""A meter's rates and estimates, from samples with made-up times."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odp_loader.meter import Meter, Rates


def metered(*samples: tuple[float, int]) -> Meter:
    meter = Meter()
    for now, rows in samples:
        meter.add(now, rows=rows, bytes=rows * 50)
    return meter


@pytest.mark.parametrize("samples", [(), ((5.0, 100),), ((5.0, 0), (5.0, 100))])
def test_nothing_can_be_told_from_a_single_moment(samples: tuple[tuple[float, int], ...]) -> None:
    assert metered(*samples).rates() == Rates(0.0, 0.0)
    assert metered(*samples).eta(10) is None


def test_the_first_sample_is_the_start_of_measuring() -> None:
    meter = metered((100.0, 1_000_000), (102.0, 1_000_400))
    assert meter.rates() == Rates(200.0, 10_000.0)
    assert meter.eta(1_000) == 5.0


def test_only_about_the_last_ten_seconds_count() -> None:
    slow_then_fast = [(float(second), second) for second in range(60)]
    slow_then_fast += [(60.0 + second, 59 + 1_000 * (second + 1)) for second in range(11)]
    assert metered(*slow_then_fast).rates().rows_per_second == pytest.approx(1_000)


def test_samples_further_apart_than_the_window_are_still_measured() -> None:
    assert metered((0.0, 0), (60.0, 600), (120.0, 1_800)).rates().rows_per_second == 20.0


def test_a_repeated_partition_gives_no_negative_rate() -> None:
    assert metered((0.0, 500), (1.0, 200)).rates() == Rates(0.0, 0.0)


def test_a_stall_has_no_estimate_and_a_finished_load_needs_none() -> None:
    stalled = metered(*((float(second), 500) for second in range(30)))
    assert stalled.eta(10) is None
    assert stalled.eta(0) == 0.0


@given(st.floats(1e-5, 100), st.integers(1, 10**9), st.integers(2, 600))
@example(0.0625, 1, 600)
def test_a_steady_load_is_measured_however_often_it_is_sampled(interval: float, rows: int, samples: int) -> None:
    meter = metered(*((i * interval, i * rows) for i in range(samples)))
    assert meter.rates().rows_per_second == pytest.approx(rows / interval)
    assert len(meter._samples) <= 110
