"""Deterrence by hand, and against simulated choices."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.analysis.deterrence import READINGS, Fraud, InspectionGame, caught_at_least_once, crossing

amounts = st.floats(0.01, 1e6)


def test_thresholds_by_hand():
    """A gain of 30 against a fine of 90: 1/3 where it is kept, 1/4 where it is forfeited."""
    fraud = Fraud(gain=30, fine=90)
    assert fraud.threshold("kept") == pytest.approx(1 / 3)
    assert fraud.threshold("forfeited") == 0.25
    assert fraud.profit(0.1, "kept") == pytest.approx(21)
    assert fraud.profit(0.1, "forfeited") == pytest.approx(18)


@given(amounts, amounts)
def test_profit_is_zero_at_the_threshold(gain: float, fine: float):
    for reading in READINGS:
        fraud = Fraud(gain, fine)
        if (p := fraud.threshold(reading)) <= 1:
            assert fraud.profit(p, reading) == pytest.approx(0, abs=1e-9 * (gain + fine))


@given(amounts, st.floats(0.01, 0.99))
def test_the_fine_needed_moves_the_threshold_there(gain: float, p: float):
    for reading in READINGS:
        fine = Fraud(gain, 0.0).fine_needed(p, reading)
        assert Fraud(gain, fine).threshold(reading) == pytest.approx(p)
        assert Fraud(gain, 1.01 * fine).deterred(p, reading)
        assert not Fraud(gain, 0.99 * fine).deterred(p, reading)


def test_corners():
    """Without a fine a kept gain is never deterred; a forfeited one only by certainty; no audit, an endless fine."""
    assert Fraud(10, 0).threshold("kept") == math.inf
    assert Fraud(10, 0).threshold("forfeited") == 1.0
    assert Fraud(10, 0).fine_needed(0.0, "kept") == math.inf
    assert Fraud(0, 0).threshold("kept") == 0.0


def test_caught_by_hand():
    """A coin twice: 3/4."""
    assert caught_at_least_once(0.5, 2) == pytest.approx(0.75)
    assert caught_at_least_once(1.0, 1) == 1.0
    assert caught_at_least_once(1.0, 0) == 0.0
    assert caught_at_least_once(1e-12, 10**6) == pytest.approx(1e-6)


@given(amounts, amounts, st.floats(0, 1e3), st.floats(0.1, 1e3))
def test_nobody_gains_by_leaving_the_equilibrium(gain: float, fine: float, cost: float, more: float):
    """Cheating pays the provider 0, as honesty does; auditing costs the inspector what not auditing does."""
    game = InspectionGame(gain, fine, cost, cost + more)
    a, c = game.audit_probability, game.cheat_probability
    assert (1 - a) * gain - a * fine == pytest.approx(0, abs=1e-9 * (gain + fine))
    assert game.audit_cost == pytest.approx(c * game.undetected_loss)


def test_a_higher_fine_lowers_audits_and_not_cheating():
    low, high = InspectionGame(10, 40, 3, 12), InspectionGame(10, 400, 3, 12)
    assert high.audit_probability < low.audit_probability
    assert high.cheat_probability == low.cheat_probability


def test_crossing_by_hand():
    """0.8 to 0.2 between 0.2 and 0.4 passes one half at 0.3; 0.9 to 0.4 at 0.36. A row that never does is left out."""
    found = crossing([0.0, 0.2, 0.4], [[1.0, 0.8, 0.2], [1.0, 0.9, 0.4], [1.0, 1.0, 0.9]])
    assert found.at == pytest.approx(0.33)
    assert found.n == 2
    half = 12.706 * 0.03  # the 97.5 % point of Student's t with one degree of freedom, times the standard error
    assert found.high - found.at == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize("reading", READINGS)
def test_a_sweep_of_learners_crosses_at_the_threshold(reading):
    """Agents who see the profit of a fraud give or take 20 PRANA cheat where they see one.

    In each of 12 replicates of 500 agents the share of cheats falls through one half at the theoretical audit
    probability, within the 95 % interval that is reported.
    """
    fraud, rng = Fraud(gain=100.0, fine=300.0), np.random.default_rng(3)
    p = np.linspace(0.1, 0.5, 41)
    profit = np.array([fraud.profit(float(each), reading) for each in p])
    share = np.mean(profit + rng.normal(0.0, 20.0, (12, 500, len(p))) > 0, axis=1)
    found = crossing(p, share)
    assert found.n == 12
    assert found.holds(fraud.threshold(reading))
    assert not found.holds(fraud.threshold("forfeited" if reading == "kept" else "kept"))
    assert found.high - found.low < 0.01


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Fraud(-1, 0), "gain must be a finite number >= 0, got -1"),
        (lambda: Fraud(1, 1).profit(1.5, "kept"), "p must be a finite number >= 0 and <= 1, got 1.5"),
        (lambda: InspectionGame(1, 1, 5, 5), "undetected_loss must be > audit_cost 5, got 5"),
        (lambda: InspectionGame(0, 0, 1, 5), "gain or fine must be > 0"),
        (lambda: crossing([0, 1], [[1, 0]]), "at least two replicates, got 1"),
    ],
)
def test_refusals(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
