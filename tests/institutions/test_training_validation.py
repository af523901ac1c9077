"""Cross-validation: scores by hand, panels that are independent, and a power that the folds decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.cross_validation import CrossValidation, independent_panel
from tests.economies import run, tables
from tests.institutions.training_worlds import training_economy


def interval(successes: int, n: int, level: float = 0.99) -> tuple[float, float]:
    """Return the exact binomial interval of a rate (Clopper and Pearson 1934)."""
    tail = (1 - level) / 2
    low = stats.beta.ppf(tail, successes, n - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - tail, successes + 1, n - successes) if successes < n else 1.0
    return float(low), float(high)


def test_verdict_by_hand():
    """Folds 0.70, 0.72, 0.74: mean 0.72, spread 0.02, error 0.02/sqrt 3; a claim of 0.77 is 4.33 errors above."""
    verdict = CrossValidation(folds=3).judge(np.array([0.77, 0.72]), np.array([[0.70, 0.72, 0.74]] * 2))
    assert_allclose(verdict.mean, 0.72)
    assert_allclose(verdict.spread, 0.02)
    assert_allclose(verdict.statistic, [4.330127, 0.0], atol=1e-6)
    assert_allclose(verdict.p_value, [0.024702, 0.5], atol=1e-5)  # Student's t with 2 degrees of freedom
    assert verdict.refused.tolist() == [True, False]


def test_folds_that_all_agree_refuse_only_what_lies_above_them():
    """Without any spread a claim of a thousandth more is refused, an exact and a lower one stand."""
    verdict = CrossValidation(folds=3).judge(np.array([0.501, 0.5, 0.4]), np.full((3, 3), 0.5))
    assert verdict.refused.tolist() == [True, False, False]


@settings(max_examples=40)
@given(st.floats(0.02, 0.98), st.integers(1, 400), st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=20))
def test_scores_are_binomial(quality, samples, draws):
    """Without spread between folds a score is the binomial quantile of its draw, as SciPy's own distribution has it."""
    rule = CrossValidation(fold_samples=samples, fold_spread=0.0)
    u = np.array([draws])
    right = rule.scores(np.array([quality]), np.zeros_like(u), u) * samples
    assert_allclose(right, stats.binom.ppf(u, samples, quality), atol=1e-6)


@pytest.mark.parametrize("test", ["t", "normal"])
@pytest.mark.parametrize(("quality", "over"), [(0.72, 0.05), (0.72, 0.0), (0.35, 0.05), (0.5, 0.03)])
def test_refusals_agree_with_the_power_of_the_test(test, quality, over):
    """3,000 models per case: the share refused has the formula's power in its 99 % interval."""
    rule, n = CrossValidation(test=test), 3000
    rng = np.random.default_rng(17)
    scores = rule.scores(np.full(n, quality), rng.standard_normal((n, 5)), rng.random((n, 5)))
    assert_allclose(scores.std(), rule.fold_sigma(np.array(quality)), rtol=0.03)
    refused = int(rule.judge(np.full(n, quality + over), scores).refused.sum())
    low, high = interval(refused, n)
    assert low <= rule.power(np.array(quality), over) <= high


@settings(max_examples=40)
@given(st.floats(0.1, 0.9), st.floats(0.0, 0.09), st.floats(0.001, 0.01), st.sampled_from(["t", "normal"]))
def test_power_rises_with_the_lie_and_with_the_folds(quality, over, more, test):
    """A larger overstatement, or more folds, is never caught less often; a true claim at the significance."""
    rule = CrossValidation(test=test)
    q = np.array(quality)
    assert rule.power(q, over + more) >= rule.power(q, over) - 1e-9
    assert rule.power(q, over + more, folds=10) >= rule.power(q, over + more, folds=5) - 1e-9
    assert_allclose(rule.power(q, 0.0), rule.significance, atol=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(4, 8))
def test_panels_are_of_different_validators_with_nothing_to_do_with_it(seed, k, extra):
    """Each panel has k different members, none of those barred, whatever the draws."""
    rng = np.random.default_rng(seed)
    size = k + extra
    barred = np.array([[0, 2], [1, -1], [size - 1, 0]])
    panel = independent_panel(rng.random((3, size)), barred, k)
    for row, bar in zip(panel, barred, strict=True):
        assert len(set(row.tolist())) == k
        assert not set(row.tolist()) & set(bar.tolist())


def test_too_few_validators_for_a_panel_is_one_line():
    """Three validators of whom one is barred cannot seat three."""
    with pytest.raises(ScenarioError, match=r"panel of 3"):
        independent_panel(np.ones((1, 3)), np.array([[0]]), 3)


@pytest.mark.slow
def test_the_market_catches_overstatement_as_often_as_its_folds_say():
    """Where all trainers overstate by 0.05, the first panel's refusals agree with the mean power over the models."""
    world = run(
        training_economy({
            "tasks": {"bert": 0.5, "resnet": 0.5}, "trainers.overstating": 1.0, "trainers.count": 40,
            "trainers.disputing": 0.0, "trainers.endowment_prana": 1e6, "bond_share": 0.0,
            "consumers.orders_per_day": 12.0, "consumers.count": 40, "data_providers.size_median": 1.0,
        }, agents__providers__count=60),
        110,
    )  # fmt: skip
    found = tables(world)["validations"]
    assert_allclose(found["claimed"] - found["quality"], 0.05)
    power = CrossValidation().power(found["quality"].to_numpy(), 0.05)
    low, high = interval(int(found["refused"].sum()), len(found))
    assert len(found) > 250
    assert low <= power.mean() <= high
    assert 0.75 < power.mean() < 0.95
