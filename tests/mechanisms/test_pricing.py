"""Pricing rules by hand: numbers that can be checked on paper."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.book import Load
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.pricing import (
    Eip1559,
    Fixed,
    Linear,
    Posted,
    SlidingWindow,
    next_base_fee,
    performance_multiplier,
)

TWO_ASKS = np.array([70.0, 90.0])


def load(u: float = 0.0, *, time: float = 0.0, used: float = 0.0, elapsed: float = 60.0, last: float = 100.0) -> Load:
    """Return the load of a market with 10 units/s."""
    return Load(time=time, elapsed=elapsed, utilisation=u, used=used, capacity=10.0, last_price=last)


def test_sawtooth_at_half_load_in_mid_window():
    """100 * 1.5^2 * (1 + 1800/3600) = 225 * 1.5 = 337.5, the same for both offers."""
    rule = SlidingWindow(cycle="sawtooth")
    assert_allclose(rule.quote(load(0.5, time=1800), TWO_ASKS), [337.5, 337.5])


def test_sawtooth_falls_by_half_at_the_end_of_the_window():
    """Just before the hour 225 * 2, on the hour 225 again."""
    rule = SlidingWindow(cycle="sawtooth")
    assert rule.price(load(0.5, time=3600 - 1e-6)) == pytest.approx(450)
    assert rule.price(load(0.5, time=3600)) == 225


@pytest.mark.parametrize(("time", "price"), [(0, 100), (900, 400 / 3), (1800, 100), (2700, 200 / 3), (4500, 400 / 3)])
def test_smooth_cycle_swings_by_a_third(time: float, price: float):
    """An idle market costs 100 on average, 133.33 a quarter into the hour and 66.67 a quarter before its end."""
    assert SlidingWindow(cycle="smooth").price(load(time=time)) == pytest.approx(price)


@pytest.mark.parametrize(("cycle", "mean", "ratio"), [("sawtooth", 1.5, 2), ("smooth", 1, 2), ("none", 1, 1)])
def test_cycles_have_the_stated_mean_and_range(cycle: str, mean: float, ratio: float):
    factor = SlidingWindow(cycle=cycle).time_factor(np.arange(0, 7200, 0.01))
    assert factor.mean() == pytest.approx(mean, abs=1e-5)
    assert factor.max() / factor.min() == pytest.approx(ratio, rel=1e-5)


def test_no_cycle_by_default():
    """At full load the quadratic rule asks four times the base price, whatever the hour."""
    assert [SlidingWindow().price(load(1.0, time=t)) for t in (0, 1234, 3599)] == [400, 400, 400]


def test_linear_in_both_readings():
    """At half load 10 % per 10 % makes 150; the literal product 0.1 * u makes 105."""
    assert Linear().price(load(0.5)) == 150
    assert Linear(literal=True).price(load(0.5)) == 105
    assert Linear(utilization_factor=0.2).price(load(0.5)) == 200


def test_slopes_are_those_of_the_formulas():
    """d/du 100 (1+u)^2 is 200 at 0 and 300 at 1/2; the linear rules rise by 100 and by 10 per full market."""
    assert SlidingWindow().slope(np.array([0.0, 0.5])).tolist() == [200, 300]
    assert Linear().slope(np.zeros(2)).tolist() == [100, 100]
    assert Linear(literal=True).slope(np.zeros(1)).tolist() == pytest.approx([10])


@given(u=st.floats(0, 0.99))
def test_slope_is_the_quotes_own(u: float):
    for rule in (SlidingWindow(), Linear(), Linear(literal=True)):
        rise = (rule.price(load(u + 1e-6)) - rule.price(load(u))) / 1e-6
        assert rule.slope(np.array([u]))[0] == pytest.approx(rise, rel=1e-4)


def test_fixed_and_posted():
    """A fixed price hears neither load nor ask; a posted price is the ask."""
    assert Fixed(base_price=7).quote(load(0.9), TWO_ASKS).tolist() == [7, 7]
    assert Posted().quote(load(0.9), TWO_ASKS).tolist() == [70, 90]


@pytest.mark.parametrize(
    ("rule", "bounds"),
    [
        (SlidingWindow(), (100, 400)),
        (SlidingWindow(cycle="sawtooth"), (100, 800)),
        (SlidingWindow(cycle="smooth"), (200 / 3, 1600 / 3)),
        (Linear(), (100, 200)),
        (Linear(literal=True), (100, 110)),
        (Fixed(), (100, 100)),
    ],
)
def test_price_bounds(rule: SlidingWindow, bounds: tuple[float, float]):
    """An idle market at its cheapest moment, a full one at its dearest."""
    assert rule.price_bounds() == pytest.approx(bounds)


@pytest.mark.parametrize(("used", "price"), [(5, 100), (10, 112.5), (0, 87.5), (7.5, 106.25), (99, 112.5)])
def test_eip1559_one_block(used: float, price: float):
    """Target 5 of 10: full adds an eighth, idle takes one, half-way up adds a sixteenth; more than full is full."""
    assert Eip1559().price(load(used=used)) == price


def test_eip1559_half_ticks_compound_to_a_whole_one():
    """Two half blocks at full load multiply by 1.125^(1/2) each, so 100 becomes 106.066 and then 112.5."""
    first = Eip1559().price(load(used=10, elapsed=30))
    assert first == pytest.approx(106.0660171779821)
    assert Eip1559().price(load(used=10, elapsed=30, last=first)) == pytest.approx(112.5)


@given(st.floats(0, 10), st.floats(0, 10))
def test_eip1559_path_hardly_depends_on_the_tick(early: float, late: float):
    """Uneven halves agree with one block at their mean to first order: the gap is the spread of logs, g^2/8 at most."""
    rule = Eip1559()
    halves = rule.price(load(used=late, elapsed=30, last=rule.price(load(used=early, elapsed=30))))
    assert halves == pytest.approx(rule.price(load(used=(early + late) / 2)), rel=0.25**2 / 8 / 0.875)


def test_eip1559_floor_and_empty_market():
    """An idle block takes 1.05 to the floor of 1; a market without providers keeps its last price."""
    assert Eip1559(floor=1.0).price(load(last=1.05)) == 1
    assert Eip1559().price(Load(0, 60, 0, 0, 0, 42)) == 42


def test_eip1559_exact_counts_in_the_smallest_parts():
    """From 7e-18 PRANA an idle block takes 7 // 8 = 0 parts, a full one adds the least rise of 1; two add 2."""
    rule = Eip1559(exact=True, floor=0)
    tiny = 7e-18
    assert rule.price(load(used=0, last=tiny)) == tiny
    assert rule.price(load(used=10, last=tiny)) == 8e-18
    assert rule.price(load(used=10, last=tiny, elapsed=120)) == 9e-18


@given(st.floats(0, 10), st.floats(0.01, 1e6))
def test_eip1559_exact_agrees_with_floats_in_size(used: float, last: float):
    both = [Eip1559(exact=exact, floor=0).price(load(used=used, last=last)) for exact in (True, False)]
    assert both[0] == pytest.approx(both[1], rel=1e-12)


@given(st.floats(0.01, 1e6))
def test_eip1559_exact_keeps_a_price_at_target(last: float):
    """Into whole 1e-18 parts and back nothing is lost: not a bit moves while half the capacity is used."""
    assert Eip1559(exact=True, floor=0).price(load(used=5, last=last)) == last


def test_eip1559_exact_needs_whole_blocks():
    with pytest.raises(ScenarioError, match=r"^pricing\.block_seconds must divide .*: 90 s elapsed, got 60$"):
        Eip1559(exact=True).price(load(elapsed=90))


@pytest.mark.parametrize(
    ("fee", "used", "limit", "expected"),
    [(1000, 20, 20, 1125), (1000, 0, 20, 875), (1000, 10, 20, 1000), (7, 20, 20, 8), (7, 0, 20, 7), (0, 1, 20, 0)],
)
def test_next_base_fee(fee: int, used: int, limit: int, expected: int):
    """An eighth up and down at the ends, nothing at target, at least 1 up, 7 // 8 = 0 down."""
    assert next_base_fee(fee, used, limit) == expected


@pytest.mark.parametrize(("fee", "used", "limit"), [(-1, 0, 20), (1, -1, 20), (1, 0, 1), (1, 0, 0)])
def test_next_base_fee_refuses_nonsense(fee: int, used: int, limit: int):
    with pytest.raises(ScenarioError, match="next_base_fee must have"):
        next_base_fee(fee, used, limit)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Fixed(base_price=-5), "pricing.base_price must be > 0 PRANA per unit, got -5"),
        (lambda: Posted(base_price=math.nan), "pricing.base_price must be > 0 PRANA per unit, got nan"),
        (lambda: SlidingWindow(window_seconds=0), "pricing.window_seconds must be > 0 s, got 0"),
        (lambda: SlidingWindow(cycle="saw"), "pricing.cycle must be one of sawtooth, smooth, none, got 'saw'"),
        (lambda: Linear(utilization_factor=-0.1), "pricing.utilization_factor must be >= 0, got -0.1"),
        (lambda: Eip1559(elasticity=1), "pricing.elasticity must be >= 2, got 1"),
        (lambda: Eip1559(max_change_denominator=0), "pricing.max_change_denominator must be >= 2, got 0"),
        (lambda: Eip1559(block_seconds=0), "pricing.block_seconds must be > 0 s, got 0"),
        (lambda: Eip1559(floor=101), "pricing.floor must be >= 0 and <= 100 PRANA per unit, got 101"),
    ],
)
def test_ranges(build: object, message: str):
    with pytest.raises(ScenarioError) as caught:
        build()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ("product", 1.056),
        ("mean", 3.1 / 3),
        ("weighted_arithmetic", 1.06),
        ("weighted_geometric", 1.2**0.5 * 0.8**0.3 * 1.1**0.2),
        ("additive_premiums", 1.1),
    ],
)
def test_performance_readings(reading: str, expected: float):
    """1.2 * 0.8 * 1.1 = 1.056; their mean is 3.1/3; 0.6 + 0.24 + 0.22 = 1.06; 1 + 0.2 - 0.2 + 0.1 = 1.1."""
    assert performance_multiplier([1.2, 0.8, 1.1], [0.5, 0.3, 0.2], reading) == pytest.approx(expected, rel=1e-12)


def test_performance_weights_are_equal_where_left_out():
    """With equal weights the weighted arithmetic reading is the mean."""
    assert performance_multiplier([1.2, 0.8], reading="weighted_arithmetic") == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "pricing.multipliers must be finite numbers > 0, at least one, got []"),
        (([1.0, 0.0],), "pricing.multipliers must be finite numbers > 0, at least one, got [1.0, 0.0]"),
        (([1.0], [0.5]), "pricing.weights must be 1 numbers >= 0 with sum 1, got [0.5]"),
        (([1.0], None, "best"), "pricing.reading must be one of product, mean, weighted_arithmetic"),
    ],
)
def test_performance_refuses_nonsense(arguments: tuple[object, ...], message: str):
    with pytest.raises(ScenarioError) as caught:
        performance_multiplier(*arguments)
    assert str(caught.value).startswith(message)
