"""Critical discount factors by hand, and against discounted sums played out."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.analysis.cartel import (
    Stage,
    WatchedCartel,
    auction,
    bertrand,
    cournot,
    critical_discount,
    rotation_discount,
    sustainable,
)


def test_bertrand_by_hand():
    """Two share 1: 1/2 for ever against 1 once, so 1/2; three need 2/3. A ring that draws lots is no different."""
    assert critical_discount(bertrand(2)) == Fraction(1, 2)
    assert critical_discount(auction(3)) == Fraction(2, 3)


def test_cournot_duopoly_by_hand():
    """1/8 each, 9/64 for one who deviates, 1/9 in competition: (9/64 - 8/64) / (81/576 - 64/576) = 9/17."""
    stage = cournot(2)
    assert (stage.collude, stage.deviate, stage.compete) == (Fraction(1, 8), Fraction(9, 64), Fraction(1, 9))
    assert critical_discount(stage) == Fraction(9, 17)


@given(st.integers(2, 60))
def test_cournot_is_the_closed_form(n: int):
    assert critical_discount(cournot(n)) == Fraction((n + 1) ** 2, (n + 1) ** 2 + 4 * n)


@given(st.integers(2, 30))
def test_cournot_profits_are_those_of_the_market(n: int):
    """Price 1 - total quantity, no cost: the quantities of the three stages give the three profits."""
    joint, best, nash = Fraction(1, 2 * n), Fraction(n + 1, 4 * n), Fraction(1, n + 1)
    stage = cournot(n)
    assert stage.collude == joint * (1 - n * joint)
    assert stage.deviate == best * (1 - best - (n - 1) * joint)
    assert stage.compete == nash * (1 - n * nash)


def played(stage: Stage, delta: float, deviates: bool, periods: int = 4000) -> float:
    """Return the discounted sum of a member under the grim trigger."""
    later = stage.compete if deviates else stage.collude
    profit = np.full(periods, float(later))
    profit[0] = float(stage.deviate if deviates else stage.collude)
    return float(profit @ delta ** np.arange(periods))


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("form", [bertrand, cournot])
def test_rings_hold_on_the_right_side(form, n: int):
    """Played out for 4,000 periods: just above the threshold keeping on pays, just below deviating does."""
    stage = form(n)
    critical = float(critical_discount(stage))
    for delta in (critical + 0.01, critical - 0.01):
        keeps = played(stage, delta, deviates=False) > played(stage, delta, deviates=True)
        assert keeps == sustainable(stage, delta) == (delta > critical)


def test_taking_turns_needs_more_patience():
    """Two in turn need the golden ratio, three 0.7549; the one who has just won gains as much by staying."""
    assert rotation_discount(2) == pytest.approx((math.sqrt(5) - 1) / 2)
    for n in (2, 3, 4, 7):
        delta = rotation_discount(n)
        assert delta ** (n - 1) / (1 - delta**n) == pytest.approx(1.0)
        assert delta > critical_discount(bertrand(n))


def test_a_late_notice_helps_the_deviator():
    """Two periods of profit before anybody notices: the root of 1/2."""
    assert critical_discount(bertrand(2), lag=2) == pytest.approx(math.sqrt(0.5))


def test_a_watched_ring_by_hand():
    """50 against 100, found in one of ten periods and fined 100: 50 / (0.9 * 90)."""
    ring = WatchedCartel(collude=50, deviate=100, rho=0.1, fine=100)
    assert ring.critical_discount == pytest.approx(50 / 81)
    assert WatchedCartel(50, 100, 0.0, 0.0).critical_discount == 0.5


@given(st.floats(1, 100), st.floats(1.01, 10), st.floats(0, 0.9), st.floats(0, 50))
def test_a_watched_ring_is_indifferent_at_its_threshold(collude: float, factor: float, rho: float, fine: float):
    ring = WatchedCartel(collude, collude * factor, rho, fine)
    if ring.sustainable:
        value = ring.value(ring.critical_discount)
        assert value == pytest.approx(ring.temptation(), rel=1e-6, abs=1e-6)
    assert ring.critical_discount >= WatchedCartel(collude, collude * factor, 0.0, 0.0).critical_discount - 1e-12


def test_a_fine_that_takes_all_leaves_no_ring():
    assert WatchedCartel(50, 100, 0.5, 200).critical_discount == math.inf
    assert not WatchedCartel(50, 100, 0.5, 200).sustainable


@given(st.floats(0.7, 0.99), st.floats(0.01, 0.2))
def test_the_deterring_fine_breaks_the_ring(delta: float, rho: float):
    fine = WatchedCartel(50, 100, rho, 0.0).deterring_fine(delta)
    if fine > 1.0:
        assert not WatchedCartel(50, 100, rho, fine * 1.01).holds(delta)
        assert WatchedCartel(50, 100, rho, fine * 0.99).holds(delta)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bertrand(1), "n must be a whole number of members >= 2, got 1"),
        (lambda: critical_discount(bertrand(2), lag=0), "lag must be >= 1 period, got 0"),
        (lambda: critical_discount(Stage(Fraction(1), Fraction(1), Fraction(2))), "deviate must be > compete"),
        (lambda: WatchedCartel(1, 2, 1.0, 0), "rho must be >= 0 and < 1, got 1.0"),
        (lambda: WatchedCartel(1, 2, 0.1, -1), "fine must be >= 0 and deviate > 0"),
    ],
)
def test_refusals(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
