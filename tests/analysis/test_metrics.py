"""Inequality and concentration by hand and by their properties."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.analysis import metrics

HOLDINGS = st.lists(st.floats(0, 1e9) | st.integers(0, 9), min_size=1, max_size=30)
MEASURES = [metrics.gini, metrics.theil, metrics.hhi, metrics.jain, metrics.effective_number, metrics.nakamoto]


def test_gini_by_hand():
    """1 and 3: pairs differ by 2 twice, 4 / (2 * 4 * 2) = 1/4. One of five holds all: 1 - 1/5."""
    assert metrics.gini([1, 3]) == 0.25
    assert metrics.gini([3, 1]) == 0.25
    assert metrics.gini([0, 0, 0, 0, 10]) == pytest.approx(0.8)


@given(HOLDINGS)
def test_gini_agrees_with_all_pairs(x: list[float]):
    """The definition, sum |xi - xj| / (2 n^2 mean), over every pair."""
    column = np.array(x, dtype=float)
    column = column / column.max() if column.max() > 0 else np.ones(len(x))
    pairs = np.abs(column[:, None] - column).sum() / (2 * len(x) ** 2 * column.mean())
    assert metrics.gini(x) == pytest.approx(pairs, abs=1e-12)


def test_lorenz_by_hand():
    """Of 1, 1, 2 the poorest third holds a quarter, two thirds hold half."""
    holders, held = metrics.lorenz([2, 1, 1])
    assert_allclose(holders, [0, 1 / 3, 2 / 3, 1])
    assert_allclose(held, [0, 0.25, 0.5, 1])


@given(HOLDINGS)
def test_gini_is_twice_the_area_above_the_lorenz_curve(x: list[float]):
    holders, held = metrics.lorenz(x)
    twice_below = np.sum((held[1:] + held[:-1]) * np.diff(holders))
    assert metrics.gini(x) == pytest.approx(1 - twice_below, abs=1e-12)


def test_theil_by_hand():
    """All in one of two hands: (2 ln 2)/2 = ln 2. Of 1 and 3: (0.5 ln 0.5 + 1.5 ln 1.5)/2."""
    assert metrics.theil([0, 5]) == pytest.approx(math.log(2))
    assert metrics.theil([1, 3]) == pytest.approx(0.130812035941137)


def test_concentration_by_hand():
    """Shares 1/2, 1/4, 1/4: HHI 3/8, as concentrated as 8/3 equal holders, Jain 8/9."""
    x = [2, 1, 1]
    assert metrics.hhi(x) == pytest.approx(3 / 8)
    assert metrics.effective_number(x) == pytest.approx(8 / 3)
    assert metrics.jain(x) == pytest.approx(8 / 9)


@pytest.mark.parametrize(
    ("x", "half", "third"),
    [([1, 2, 3, 4], 2, 1), ([25, 25, 25, 25], 3, 2), ([1, 1, 1], 2, 2), ([5], 1, 1), ([0, 0], 2, 1)],
)
def test_nakamoto_needs_strictly_more(x: list[float], half: int, third: int):
    """Two of four equal holders have exactly half, so three are needed; one of three has exactly a third."""
    assert metrics.nakamoto(x, Fraction(1, 2)) == half
    assert metrics.nakamoto(x, 1 / 3) == third


@pytest.mark.parametrize("unit", [0.1, 0.3, 1e-9, 1e27])
@pytest.mark.parametrize("n", [2, 6, 10, 60, 999, 1000])
def test_nakamoto_ties_survive_rounding(unit: float, n: int):
    """Of n equal holders, n//2 never have more than half, whatever their holding looks like in binary."""
    assert metrics.nakamoto([unit] * n) == n // 2 + 1


def test_nakamoto_sees_a_majority_of_one_in_a_quadrillion():
    assert metrics.nakamoto([5e14 + 1, 5e14 - 1]) == 1
    assert metrics.nakamoto([5e14, 5e14]) == 2


@given(HOLDINGS, st.fractions(0, Fraction(9, 10)))
def test_nakamoto_coalition_is_smallest(x: list[float], threshold: Fraction):
    """The count has more than the bar, one fewer has not, up to the rounding of a sum."""
    largest = sorted(x, reverse=True) if any(x) else [1.0] * len(x)
    count, bar = metrics.nakamoto(x, threshold), float(threshold) * math.fsum(largest)
    assert math.fsum(largest[:count]) >= bar
    assert count == 1 or math.fsum(largest[: count - 1]) <= bar * (1 + 1e-15)


@given(HOLDINGS, st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
def test_measures_know_neither_scale_nor_names(x: list[float], scale: float, luck: object):
    """Another currency and another order of holders change nothing."""
    other = [scale * value for value in x]
    luck.shuffle(other)
    for measure in MEASURES[:-1]:  # a tie may be rounded apart when rescaled, which the last one counts
        assert measure(other) == pytest.approx(measure(x), rel=1e-9, abs=1e-9)


@given(HOLDINGS)
def test_ranges(x: list[float]):
    n = len(x)
    assert 0 <= metrics.gini(x) <= 1 - 1 / n + 1e-12
    assert 0 <= metrics.theil(x) <= math.log(n) + 1e-12
    assert 1 / n - 1e-12 <= metrics.hhi(x) <= 1 + 1e-12
    assert 1 / n - 1e-12 <= metrics.jain(x) <= 1
    assert 1 <= metrics.nakamoto(x) <= n // 2 + 1


@given(st.integers(1, 40), st.sampled_from([0.0, 1e-300, 0.1, 7.0, 1e308]))
def test_equal_holders_are_equal(n: int, each: float):
    """So are those who all hold nothing, and sums neither overflow nor vanish."""
    x = [each] * n
    assert metrics.gini(x) == pytest.approx(0, abs=1e-12)
    assert metrics.theil(x) == pytest.approx(0, abs=1e-12)
    assert metrics.jain(x) == pytest.approx(1)
    assert metrics.effective_number(x) == pytest.approx(n)


@pytest.mark.parametrize("measure", [*MEASURES, metrics.lorenz])
@pytest.mark.parametrize(
    ("x", "problem"),
    [
        ([], "needs one row of at least one holding, got shape (0,)"),
        ([[1, 2]], "needs one row of at least one holding, got shape (1, 2)"),
        ([1, -2], "needs finite holdings >= 0, got -2.0 at row 1"),
        ([1, math.nan], "needs finite holdings >= 0, got nan at row 1"),
        ([math.inf], "needs finite holdings >= 0, got inf at row 0"),
    ],
)
def test_refuses_what_is_no_holding(measure: object, x: list[float], problem: str):
    with pytest.raises(ValueError, match=r"needs") as caught:
        measure(x)
    assert str(caught.value).endswith(problem)


@pytest.mark.parametrize("threshold", [-0.1, 1.0, math.nan])
def test_nakamoto_threshold(threshold: float):
    with pytest.raises(ValueError, match=r"^nakamoto threshold must be >= 0 and < 1, got"):
        metrics.nakamoto([1], threshold)


def test_gini_of_distributions_against_samples():
    """A large sample has about the closed form's Gini; for the uniform on [1, 3] it is 2/12."""
    rng = np.random.default_rng(1)
    n = 200_000
    assert metrics.gini(rng.lognormal(0, 0.8, n)) == pytest.approx(metrics.gini_lognormal(0.8), abs=0.005)
    assert metrics.gini(1 + rng.pareto(3, n)) == pytest.approx(metrics.gini_pareto(3), abs=0.005)
    assert metrics.gini(rng.exponential(7, n)) == pytest.approx(metrics.gini_exponential(), abs=0.005)
    assert metrics.gini(rng.uniform(1, 3, n)) == pytest.approx(metrics.gini_uniform(1, 3), abs=0.005)
    assert metrics.gini_uniform() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("measure", "arguments"),
    [
        (metrics.gini_lognormal, (0,)),
        (metrics.gini_pareto, (1,)),
        (metrics.gini_uniform, (2, 1)),
        (metrics.gini_uniform, (-1, 1)),
    ],
)
def test_distributions_refuse_impossible_parameters(measure: object, arguments: tuple[float, ...]):
    with pytest.raises(ValueError, match=r"must be"):
        measure(*arguments)
