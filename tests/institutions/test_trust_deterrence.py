"""Cheats that learn give up where cheating does not pay, and rings break where the future counts for little."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.analysis.cartel import auction, critical_discount, rotation_discount
from celluler_sim.analysis.deterrence import Fraud, crossing
from celluler_sim.behaviours.fraud_learning import Experience, Reinforcement, Replicator
from celluler_sim.behaviours.fraud_ring import agreed_asks, designated, ring_of, worth_keeping
from celluler_sim.institutions.trust_field import MarketSweep
from celluler_sim.institutions.trust_laboratory import RingTrial, Sweep
from celluler_sim.streams import Streams
from tests.institutions.trust_worlds import table, trust_of, trusting

DRAWS = Streams(3).draws("learning")


@pytest.mark.parametrize("reading", ["kept", "forfeited"])
@pytest.mark.parametrize("learning", ["reinforcement", "replicator"])
def test_the_cheating_share_falls_through_beckers_threshold(learning: str, reading: str) -> None:
    """In all replicates the share falls through one half, near g/F or g/(g + F)."""
    sweep = Sweep(learning=learning, reading=reading, agents=150, ticks=150)  # type: ignore[arg-type]
    theory = Fraud(gain=sweep.depth, fine=sweep.depth * sweep.fine_multiple).threshold(reading)  # type: ignore[arg-type]
    p = theory + np.array([-0.15, -0.05, 0.05, 0.15])
    shares = sweep.shares(p, 3)
    assert (np.diff(shares.mean(axis=0)) < 0).all()
    found = crossing(p, shares)
    assert found.n == 3
    assert abs(found.at - theory) < 0.05


def test_reinforcement_by_hand() -> None:
    """From 0.5 with rate 0.2: a fraud that paid in full gives 0.6, an honest delivery then 0.6 - 0.2 * 0.5 * 0.6."""
    rule = Reinforcement(rate=0.2, least=0.0)
    rows = Experience(np.array([0, 0, 1]), np.array([True, False, True]), np.array([1.0, 0.0, -1.0]))
    assert np.allclose(rule.learned(np.array([0.5, 0.5, 0.3]), rows, DRAWS), [0.54, 0.5, 0.3])


def test_imitators_copy_only_who_fared_better() -> None:
    """Where cheats fare worse, no honest agent becomes one without a whim."""
    n = 400
    cheats = np.arange(n) % 2 == 0
    rows = Experience(np.arange(n), cheats, np.where(cheats, -1.0, 0.0))
    after = Replicator(rate=1.0, whim=0.0).learned(cheats.astype(float), rows, DRAWS)
    assert (after[~cheats] == 0).all()
    assert 0.6 < after[cheats].mean() < 0.9  # half of them meet an honest one, and half of those follow it


def test_learning_without_experience_changes_nothing() -> None:
    """Agents without a delivery stay as they are."""
    none = Experience(np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0))
    for rule in (Reinforcement(), Replicator()):
        assert rule.learned(np.array([0.0, 1.0]).clip(0.01, 0.99).round(), none, DRAWS).round().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("turns", ["lot", "rotation"])
def test_rings_hold_or_break_on_the_right_side_of_the_threshold(size: int, turns: str) -> None:
    """A hundredth below the theoretical discount factor a ring breaks, a hundredth above it holds."""
    theory = rotation_discount(size) if turns == "rotation" else float(critical_discount(auction(size)))
    trials = [RingTrial(size=size, discount=theory + d, turns=turns).broken() for d in (-0.01, 0.01)]  # type: ignore[arg-type]
    assert trials[0] >= 0
    assert trials[1] == -1


def test_competition_that_pays_breaks_a_ring() -> None:
    """Where a member earns a third of the ring's profit in competition anyway, no patience keeps the ring."""
    assert worth_keeping(1.0, 0.0, 3, 0.9, "lot")
    assert not worth_keeping(1.0, 1 / 3, 3, 0.9, "lot")
    assert not worth_keeping(1.0, 0.0, 3, 0.0, "rotation")


def test_a_ring_s_asks() -> None:
    """The winner asks half more than the dearest cost, the others a tenth above that."""
    assert np.allclose(agreed_asks(np.array([1.0, 2.0, 1.5]), 2, 0.5, 0.1), [3.3, 3.3, 3.0])
    assert [designated(3, k, "rotation", 0.0) for k in range(4)] == [0, 1, 2, 0]
    assert designated(3, 7, "lot", 0.7) == 2
    assert [r.tolist() for r in ring_of(np.arange(7), 3)] == [[0, 1, 2], [3, 4, 5]]


def test_patient_rings_keep_prices_up_in_a_market() -> None:
    """Three sellers that are all there is: with patience the ring holds and earns more than it did in competition."""
    more = (
        "pricing=posted", "agents.providers.count=3", "trust.fraud.shares={ring:1.0}", "trust.quality.latency_ms=1000",
        "agents.providers.hardware={A100_SXM4:1.0}", "market.min_quality=0", "trust.ring.period_s=1200",
        "trust.ring.markup=1.0", "agents.consumers.count=30",
    )  # fmt: skip
    profit = {}
    for discount in (0.3, 0.95):
        economy = trusting(*more, f"trust.ring.discount={discount}")
        rows = table(economy, "rings")
        assert trust_of(economy).rings.holds == [discount > 0.5]
        profit[discount] = rows[rows.agreed].profit_prana.mean(), rows[~rows.agreed].profit_prana.mean()
    assert profit[0.95][0] > 1.2 * profit[0.95][1]


@pytest.mark.parametrize("reading", ["kept", "forfeited"])
def test_in_a_market_cheating_pays_below_beckers_threshold_and_not_above(reading: str) -> None:
    """In whole economies most deliveries of cheats are frauds 0.2 below g/F or g/(g + F), and few 0.2 above."""
    sweep = MarketSweep(reading=reading, providers=40, consumers=80, ticks=96)  # type: ignore[arg-type]
    theory = Fraud(gain=1.0, fine=3.0).threshold(reading)  # type: ignore[arg-type]
    shares = sweep.shares(theory + np.array([-0.2, 0.2]), 1)[0]
    assert shares[0] > 0.6
    assert shares[1] < 0.4


def test_learning_cheats_in_a_market() -> None:
    """In a running market, too, cheats learn from fines: the chance to cheat falls where every fraud is found."""
    economy = trusting(
        "trust.fraud.shares={overclaim:1.0}", "trust.fraud.propensity=0.5", "trust.fraud.learning=reinforcement",
        "trust.fine_multiple=3", "verification.probability=1", "trust.quality.latency_ms=1000",
        "trust.bond_prana=1000000",
    )  # fmt: skip
    mean = table(economy, "reputation").groupby("tick").propensity.mean()
    assert mean.iloc[-1] < mean.iloc[0] - 0.02
