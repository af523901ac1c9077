"""Asset fairness and the competitive equilibrium, by hand and by the conditions that define them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import nnls

from celluler_sim.analysis.fairness import asset_fairness, competitive_equilibrium

DEMAND = st.integers(0, 5) | st.floats(0.01, 5)


@st.composite
def economies(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return capacities (m,) and demands per task (n, m), every user needing something."""
    n, m = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    demand = np.array(draw(st.lists(st.lists(DEMAND, min_size=m, max_size=m), min_size=n, max_size=n)), dtype=float)
    demand[:, 0] += demand.sum(axis=1) == 0
    return np.array(draw(st.lists(st.floats(1, 100), min_size=m, max_size=m))), demand


def test_ghodsi_example():
    """9 CPU, 18 GB, tasks of <1, 4> and <3, 1>: 2.52 and 2.16 by assets, 45/11 and 18/11 in equilibrium."""
    assert_allclose(asset_fairness([9, 18], [[1, 4], [3, 1]]), [2.52, 2.16], rtol=1e-12)
    assert_allclose(competitive_equilibrium([9, 18], [[1, 4], [3, 1]]), [45 / 11, 18 / 11], rtol=1e-12)


def test_weights_are_incomes():
    """One resource of 12, tasks of 1, 2 and 3, incomes 1, 2, 3: a sixth, a third, a half of it, so 2 tasks each."""
    for rule in (asset_fairness, competitive_equilibrium):
        assert_allclose(rule([12], [[1], [2], [3]], [1, 2, 3]), [2, 2, 2], rtol=1e-12)


def test_who_needs_nothing_scarce_goes_on():
    """Two users exhaust the second resource with 5 tasks each; the third takes what is left of the first: 30."""
    for rule in (asset_fairness, competitive_equilibrium):
        assert_allclose(rule([40, 10], [[1, 0], [1, 1], [1, 1]]), [30, 5, 5], rtol=1e-9)


@given(economies())
@settings(deadline=None)
def test_equilibrium_has_supporting_prices(economy: tuple[np.ndarray, np.ndarray]):
    """Prices >= 0 of the exhausted resources exist at which every bundle costs the same income."""
    capacity, demand = economy
    tasks = competitive_equilibrium(capacity, demand)
    left = 1 - tasks @ demand / capacity
    assert left.min() > -1e-9
    _, distance = nnls((demand / capacity)[:, left < 1e-7] * tasks[:, None], np.full(len(tasks), 1 / len(tasks)))
    assert distance < 1e-8


@given(economies())
def test_asset_fairness_leaves_nobody_able_to_grow(economy: tuple[np.ndarray, np.ndarray]):
    """Nothing is over-used, and everybody needs something that is exhausted."""
    capacity, demand = economy
    tasks = asset_fairness(capacity, demand)
    used = tasks @ demand / capacity
    assert used.max() <= 1 + 1e-9
    assert np.all((demand[:, used > 1 - 1e-9] > 0).any(axis=1))


@given(economies())
def test_asset_fairness_equalises_the_sums_of_shares(economy: tuple[np.ndarray, np.ndarray]):
    """Users who need every resource stop together, with equal sums of shares."""
    capacity, demand = economy
    share = (demand + 0.01) / capacity
    assets = asset_fairness(capacity, demand + 0.01) * share.sum(axis=1)
    assert_allclose(assets, assets[0], rtol=1e-9)


@pytest.mark.parametrize("rule", [asset_fairness, competitive_equilibrium])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [[1]]), "demand must have one column per resource, got (1, 1) for (2,)"),
        (([0], [[1]]), "capacity must be finite and > 0"),
        (([1], [[1], [0]]), "each user must need some resource, got a demand of 0 throughout at row 1"),
        (([1], [[1]], [0]), "weights must be 1 finite numbers > 0, got [0.0]"),
    ],
)
def test_refuses_what_is_no_economy(rule: object, arguments: tuple[object, ...], message: str):
    with pytest.raises(ValueError, match=r"must") as caught:
        rule(*arguments)
    assert str(caught.value).startswith(message)
