"""One fraud by itself: many cheats, equal deliveries, no market around them; what deterrence comes to.

Conduct, checks, money and learning are those of `trust_running`; only the market that brings jobs is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from celluler_sim.behaviours.fraud_ring import agreed_asks, designated, worth_keeping
from celluler_sim.book import Floats
from celluler_sim.institutions.trust import FraudConfig, StandardTrust
from celluler_sim.institutions.trust_conduct import Conduct
from celluler_sim.institutions.trust_judging import examine
from celluler_sim.institutions.trust_money import consequences, payoffs
from celluler_sim.mechanisms.penalties import Additive
from celluler_sim.mechanisms.verification import SpotChecks
from celluler_sim.streams import Streams


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep of the audit probability over learning cheats.

    Every delivery has the price 1. A fraud gains g = `depth`, and is fined `fine_multiple` times that where a check
    finds it, so Becker's thresholds are 1 / m where the gain is kept, and 1 / (1 + m) where it is forfeited.
    """

    learning: Literal["reinforcement", "replicator"] = "replicator"
    reading: Literal["kept", "forfeited"] = "kept"
    fine_multiple: float = 3.0
    depth: float = 0.5
    agents: int = 300
    ticks: int = 200  # deliveries of each agent
    seed: int = 1

    @property
    def rule(self) -> StandardTrust:
        """The rules of the market that is left out."""
        fraud = FraudConfig(
            shares={"overclaim": 1.0}, propensity=0.5, depth=self.depth, learning=self.learning
        )  # fmt: skip
        forfeits = self.reading == "forfeited"
        return StandardTrust(
            fraud=fraud, fine_multiple=self.fine_multiple, bond_prana=1.0, forfeits=forfeits, failure_rate=0.0
        )

    def share(self, probability: float, replicate: int = 0) -> float:
        """Return the share of deliveries that are frauds once cheats have learned, [0, 1], in the last fifth."""
        streams, rule = Streams(self.seed, replicate), self.rule
        conduct, verification = Conduct(streams, rule.fraud, 0.0), SpotChecks(probability=probability)
        conduct.grow(self.agents)
        ones, who = np.ones(self.agents), np.arange(self.agents)
        draws, cheated = streams.draws("trust.verification"), []
        for tick in range(self.ticks):
            d = conduct.deliver({"fill": tick * self.agents + who, "provider": who, "quantity": ones})
            f = examine(verification, d.evidence(), draws, who, lambda _, item: item)
            share, fine = consequences(rule, Additive(), verification, ones, d, f)
            conduct.learn(d, payoffs(rule, conduct, ones, 0.0 * ones, d, share, fine), tick)
            cheated.append(d.cheated.mean())
        return float(np.mean(cheated[-max(1, self.ticks // 5) :]))

    def shares(self, probabilities: Floats, replicates: int) -> Floats:
        """Return the share of frauds, (n_replicates, n_probabilities); each cell is a world of its own."""
        return np.array([
            [replace(self, seed=self.seed + k).share(float(p), r) for k, p in enumerate(probabilities)]
            for r in range(replicates)
        ])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RingTrial:
    """A ring of the only sellers there are, in auctions whose buyer pays at most a random reserve; costs are 0.

    Members compete at first, then agree on the reserve they expect, and go on as long as `worth_keeping` says so of
    the profits that they have seen.
    """

    size: int = 3
    discount: float = 0.9
    turns: Literal["lot", "rotation"] = "lot"
    patience: int = 20  # periods of competition, and of agreement before anybody asks
    periods: int = 60
    seed: int = 1

    def broken(self) -> int:
        """Return the period in which a member undercut, -1 where the ring held to the end."""
        draws = Streams(self.seed).draws("ring.reserve")
        reserve = 0.5 + draws.uniform(np.arange(self.periods))
        agreed = competed = 0.0
        for period in range(self.periods):
            if period < self.patience:
                competed += self._profit(np.zeros(self.size), reserve[period])
                continue
            winner = designated(self.size, period, self.turns, float(draws.uniform(np.array([-1 - period]))[0]))
            agreed += self._profit(agreed_asks(np.full(self.size, 0.3), winner, 0.5, 0.1), reserve[period])
            seen = period + 1 - self.patience
            compete = competed / self.patience / self.size
            if seen >= self.patience and not worth_keeping(
                agreed / seen, compete, self.size, self.discount, self.turns
            ):
                return period
        return -1

    def _profit(self, ask: Floats, reserve: float) -> float:
        lowest = float(ask.min())
        return lowest if lowest <= reserve else 0.0
