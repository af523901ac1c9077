"""Intervals, paired differences and Holm's correction, by hand and by their properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.experiments.statistics import holm, interval, paired

numbers = st.floats(-1e6, 1e6)


def test_an_interval_by_hand():
    """1, 2, 3: mean 2, sd 1, t(0.975; 2) = 4.302653, so 2 -+ 4.302653 / sqrt 3 = 2 -+ 2.484138."""
    found = interval([1.0, 2.0, 3.0, math.nan])
    assert (found.n, found.mean, found.sd) == (3, 2.0, 1.0)
    assert found.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert found.width == pytest.approx(2 * 2.484138, abs=1e-6)


def test_one_value_has_no_interval_and_none_no_mean():
    assert interval([5.0]).mean == 5.0
    assert math.isnan(interval([5.0]).low)
    assert math.isnan(interval([]).mean)


def test_equal_values_have_an_interval_of_width_zero():
    """The mean of three times 0.1 is off by a rounding; that is no spread."""
    assert interval([0.1, 0.1, 0.1]).width == 0.0


def test_pairing_by_hand():
    """A 11, 22, 33 and B 10, 20, 30 differ by 1, 2, 3: variances 121 and 100, of the difference 1: a ratio of 221."""
    found = paired([11, 22, 33], [10, 20, 30])
    assert (found.difference, found.variance_ratio) == pytest.approx((2.0, 221.0))
    assert found.p == pytest.approx(0.0741799, abs=1e-6)  # t = 2 sqrt 3 with 2 degrees of freedom


def test_pairing_with_a_world_that_lacks_the_figure():
    assert paired([1.0, math.nan, 3.0], [0.0, 5.0, 2.0]).n == 2


def test_the_same_difference_everywhere_is_infinitely_sharper_paired():
    found = paired([1.0, 2.0, 4.0], [0.0, 1.0, 3.0])
    assert (found.low, found.high, found.p, found.variance_ratio) == (1.0, 1.0, 0.0, math.inf)
    assert math.isnan(paired([1.0, 1.0], [1.0, 1.0]).variance_ratio)


@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=20))
def test_comparing_the_other_way_round_turns_the_sign(pairs: list[tuple[float, float]]):
    a, b = (list(side) for side in zip(*pairs, strict=True))
    one, other = paired(a, b), paired(b, a)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert one.low <= one.difference <= one.high


def test_holm_by_hand():
    """Of 0.01, 0.04, 0.03: 0.01 * 3, then 0.03 * 2, then 0.04 * 1, which may not fall below 0.06."""
    assert holm([0.01, 0.04, math.nan, 0.03]).tolist() == pytest.approx([0.03, 0.06, math.nan, 0.06], nan_ok=True)


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_keeps_the_order_and_never_helps(p: list[float]):
    corrected = holm(p)
    assert (corrected >= np.array(p)).all()
    assert (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= 0).all()


def test_intervals_cover():
    """Of 2,000 samples of 8 normals, 95 % of the intervals cover the mean, within 4 standard errors."""
    samples = np.random.default_rng(1).normal(3.0, 2.0, (2000, 8))
    covered = np.mean([i.low <= 3.0 <= i.high for i in map(interval, samples)])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)
