"""The compiled draws: they are the laws they claim to be, and each slot's is its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from celluler_sim.streams import Draws, mix64
from celluler_sim.workloads.arrival_kernels import births, renewals, wander


def counts(key: int, rate, seconds: float = 1.0):
    slots, nth = births(key, rate, seconds)
    assert_array_equal(slots, np.sort(slots))
    assert_array_equal(nth, np.arange(len(slots)) - np.searchsorted(slots, slots))
    return np.bincount(slots, minlength=len(rate))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.floats(1e-6, 20))
def test_births_are_the_inverted_poisson_law_of_each_slots_uniform(key, scale):
    """Every slot's count is the Poisson quantile (SciPy's) of the uniform that `Draws` gives that slot."""
    mean = scale * np.linspace(0.01, 1.5, 700)
    uniform = Draws(key).uniform(np.arange(700))
    assert_array_equal(counts(key, mean), stats.poisson.ppf(uniform, mean))


def test_mean_and_variance_also_of_many_births_in_one_slot():
    """Poisson counts vary by their mean: here 1/60, 3 and 500."""
    for mean, slots in ((1 / 60, 100_000), (3.0, 100_000), (500.0, 2_000)):
        n = counts(7, np.full(slots, mean / 10.0), 10.0)
        assert abs(n.mean() - mean) < 4 * np.sqrt(mean / slots)
        assert abs(n.var() / mean - 1) < 4 * np.sqrt((2 + 1 / mean) / slots)


def test_one_more_slot_changes_no_other():
    """The draws of the first thousand slots are the same whoever comes behind."""
    rate = np.full(1000, 0.7)
    assert_array_equal(counts(3, rate), counts(3, np.append(rate, 50.0))[:1000])


def test_no_births_without_a_rate():
    """Zero, negative and undefined rates bring forth nothing; neither does an empty market."""
    assert counts(1, np.array([0.0, -5.0, np.nan])).sum() == 0
    assert counts(1, np.array([])).sum() == 0
    assert counts(1, np.full(10, 100.0), 0.0).sum() == 0


def drawn(cv: float, *, weibull: bool, rate: float = 2.0, length: float = 600.0, n: int = 400):
    """Return arrivals of many processes with one coefficient of variation of their gaps."""
    from celluler_sim.workloads.llm_clients import _shape

    law = np.full(n, weibull)
    return renewals(mix64(5, np.arange(n)), np.full(n, rate), _shape(np.full(n, cv), law), law, length)


@pytest.mark.parametrize("weibull", [False, True])
@pytest.mark.parametrize("cv", [0.5, 1.0, 2.5, 6.0])
def test_renewals_have_the_stated_rate_and_burstiness(cv, weibull):
    """Rate 2 per second from the first second on, and gaps with the stated coefficient of variation."""
    row, time = drawn(cv, weibull=weibull)
    assert np.all((time >= 0) & (time < 600))
    n = np.bincount(row, minlength=400)
    assert abs(n.mean() / 1200 - 1) < 4 * cv / np.sqrt(1200 * 400) + 0.03
    begins = np.bincount(row[time < 60], minlength=400)
    assert abs(begins.mean() / 120 - 1) < 4 * begins.std() / 120 / 20
    gaps = np.diff(time)[np.diff(row) == 0]
    assert_allclose(gaps.std() / gaps.mean(), cv, rtol=0.1)


def test_with_gaps_that_vary_as_much_as_their_mean_both_laws_are_poisson():
    """At a coefficient of variation of 1 gamma and Weibull gaps are exponential, and counts vary by their mean."""
    for weibull in (False, True):
        row, time = drawn(1.0, weibull=weibull, length=50.0)
        gaps = np.diff(time)[np.diff(row) == 0]
        assert stats.kstest(gaps[gaps < 3], stats.truncexpon(b=6, scale=0.5).cdf).pvalue > 1e-3
        n = np.bincount(row, minlength=400)
        assert 0.75 < n.var() / n.mean() < 1.3


def test_each_process_has_its_own_draws():
    """A process's arrivals depend on its own key and law alone."""
    keys, rate, shape = mix64(1, np.arange(3)), np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.3, 1.0])
    law = np.zeros(3, np.bool_)
    row, time = renewals(keys, rate, shape, law, 100.0)
    _, alone = renewals(keys[1:2], rate[1:2], shape[1:2], law[1:2], 100.0)
    assert_array_equal(time[row == 1], alone)
    assert not np.any(row == 2)


def test_wander_by_hand():
    """With no memory a path is its noise; with correlation 0.6 a step of 1 from rest moves by 0.8."""
    assert_allclose(wander(np.array([1.0, -2.0, 3.0]), 0.0, 2.0), [2.0, -4.0, 6.0])
    assert_allclose(wander(np.array([0.0, 1.0, 0.0]), 0.6, 1.0), [0.0, 0.8, 0.48])


def test_wander_keeps_its_spread():
    """A path is stationary: its standard deviation is the one asked for, at the beginning too."""
    paths = np.array([wander(row, 0.9, 1.5) for row in np.random.default_rng(0).standard_normal((4000, 20))])
    assert_allclose(paths.std(axis=0), 1.5, rtol=0.06)
