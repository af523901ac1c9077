"""Distributions by quantiles, and arrivals whose rate wanders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.workloads.fitted import BurstyArrivals, Quantiles

LAW = Quantiles((0, 0.5, 0.8, 1), (1, 10, 10, 1000))


def test_quantiles_by_hand():
    """Halfway between 1 and 10 on a log scale lies the root of 10; a flat piece stays flat."""
    assert_allclose(LAW.at(np.array([0.0, 0.25, 0.5, 0.7, 0.9, 1.0])), [1, 10**0.5, 10, 10, 100, 1000])
    assert_allclose(LAW.below(np.array([1.0, 10**0.5, 100, 1e6])), [0, 0.25, 0.9, 1])


def test_mean_by_hand():
    """Pieces: 9 / ln 10 over half of it, 10 over 0.3, and 990 / ln 100 over 0.2."""
    assert_allclose(LAW.mean, 0.5 * 9 / np.log(10) + 0.3 * 10 + 0.2 * 990 / np.log(100))
    assert_allclose(LAW.mean, LAW.at((np.arange(400_000) + 0.5) / 400_000).mean(), rtol=1e-4)


@given(st.floats(0.001, 0.499))
def test_below_inverts_at(p):
    """The share below a quantile is its probability, where the distribution is not flat."""
    assert_allclose(LAW.below(LAW.at(np.array([p]))), [p], atol=1e-9)


@pytest.mark.parametrize(
    ("p", "v"),
    [
        ((0, 1), (0, 1)),
        ((0, 1), (2, 1)),
        ((0.1, 1), (1, 2)),
        ((0, 0.9), (1, 2)),
        ((0, 1), (1,)),
        ((0, 0, 1), (1, 2, 3)),
    ],
)
def test_what_is_no_distribution_is_refused(p, v):
    """Values above 0, probabilities that rise from 0 to 1."""
    with pytest.raises(ScenarioError, match="quantiles must rise"):
        Quantiles(p, v)


def arrivals(**change):
    base = {"per_second": 1.0, "wander": (), "single": 1.0, "spread": 1.0, "step": 1.0}
    return BurstyArrivals(**{**base, **change})


def test_without_wandering_and_followers_arrivals_are_poisson():
    """Rate 1: gaps with coefficient of variation 1, counts that vary by their mean."""
    times = arrivals().times(np.random.default_rng(1), 20_000.0)
    gaps, n = np.diff(times), np.bincount((times // 10).astype(int))
    assert_allclose([len(times) / 20_000, gaps.std() / gaps.mean(), n.var() / n.mean()], 1.0, rtol=0.07)


def test_only_followers_are_delayed():
    """However far behind followers come, an arrival that has none comes when it comes."""
    on_time = arrivals(single=0.5, spread=1e9).times(np.random.default_rng(5), 10_000.0)
    assert_allclose(len(on_time), 5_000, rtol=0.05)


def test_followers_and_wandering_keep_the_mean_and_add_variance():
    """Half of all arrivals bring a follower on average: variance over mean rises from 1 to 1 + 2 * 0.5 / 0.5."""
    times = arrivals(single=0.5, spread=0.01).times(np.random.default_rng(2), 100_000.0)
    n = np.bincount((times // 10).astype(int))
    assert_allclose([n.mean() / 10, n.var() / n.mean()], [1.0, 3.0], rtol=0.05)
    wandering = arrivals(wander=((0.5, 200.0),)).times(np.random.default_rng(3), 200_000.0)
    n = np.bincount((wandering // 10).astype(int))
    assert_allclose(n.mean() / 10, 1.0, rtol=0.15)
    assert_allclose(n.var() / n.mean(), 1 + 10 * np.expm1(0.5), rtol=0.3)


def test_profile_moves_arrivals_to_its_hours():
    """With all weight on the first twelve hours nothing arrives in the others."""
    profile = np.repeat([2.0, 0.0], 12)
    times = arrivals(per_second=0.1).times(np.random.default_rng(4), 2 * 86400.0, profile)
    assert np.all((times // 3600) % 24 < 12)
    assert_allclose(len(times), 17280, rtol=0.05)
