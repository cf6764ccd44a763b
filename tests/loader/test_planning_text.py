"""Strings are cut where strings can be: in order, in UTF-8, and evenly among the characters that may occur."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odp_loader.planning.text import LONGEST_CUT, text_cuts

texts = st.text(max_size=8) | st.text("abc", max_size=4) | st.text("\ud7fe\ud7ff\ue000\ue001", max_size=3)


@given(texts, texts, st.integers(1, 200))
@example("\ud7f0", "\ue0f0", 64)
@example("", "\U0010ffff", 100)
@example("a", "a\x00", 5)
@example("x" * 5000 + "a", "x" * 5000 + "b", 5)
@example("x" * 240 + "a", "x" * 240 + "b" * 5000, 5)
def test_cuts_ascend_between_the_bounds(one: str, other: str, parts: int) -> None:
    low, high = sorted([one, other])
    cuts = text_cuts(low, high, parts)
    assert len(cuts) <= parts - 1
    assert all(low < cut <= high for cut in cuts)
    assert all(left < right and left.encode() < right.encode() for left, right in pairwise(cuts))
    assert all(len(cut) <= LONGEST_CUT for cut in cuts)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ([f"{i:04}" for i in range(10_000)], 16),
        ([f"station_{i:03}" for i in range(1, 900)], 10),
        ([f"{i:08x}" for i in range(0, 2**32, 500_009)], 8),
        ([a + b + c for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for c in "AZ"], 16),
        ([chr(0x4E00 + i) for i in range(5000)], 16),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else str(value),
)
def test_values_that_fill_their_range_are_cut_evenly(values: list[str], parts: int) -> None:
    ranks = np.searchsorted(np.array(values), np.array(text_cuts(values[0], values[-1], parts)))
    sizes = np.diff([0, *ranks, len(values)])
    assert len(sizes) == parts
    assert sizes.max() <= 2 * np.median(sizes)
