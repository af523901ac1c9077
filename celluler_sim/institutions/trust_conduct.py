"""What providers really do: who cheats on which delivery, what they learn from it. Hidden from everybody who judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.behaviours.fraud import Fraud
from celluler_sim.behaviours.fraud_learning import Experience, Fixed, Learning
from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.institutions.base import Columns
from celluler_sim.institutions.trust import FraudConfig
from celluler_sim.mechanisms.base import registered
from celluler_sim.mechanisms.verification import Evidence
from celluler_sim.streams import Streams

Bools = npt.NDArray[np.bool_]
HONEST = -1  # the fraud of those who commit none


@dataclass(frozen=True)
class Deliveries(Frozen):
    """Deliveries as they really were, one a row."""

    fill: Slots  #     (n,) number of the fill
    provider: Slots  # (n,) slot
    claimed: Floats  # (n,) units/s sold
    found: Floats  #   (n,) units/s that were there
    answer: Slots  #   (n,) digest of the result: 0 is right
    failed: Bools  #   (n,) whether the customer saw that something was missing
    cheated: Bools  #  (n,) whether what was missing was missing on purpose

    @property
    def missing(self) -> Floats:
        """Share of the work that was not done, (n,)."""
        return np.asarray(1.0 - self.found / self.claimed)

    def evidence(self) -> Evidence:
        """Return what can be looked at: all but the purpose."""
        return Evidence.of(self.provider, self.fill, self.fill, self.claimed, self.found, self.answer, self.failed)


class Conduct:
    """The hidden side of all providers: kind of fraud, readiness to commit it, what came of it."""

    def __init__(self, streams: Streams, config: FraudConfig, failure_rate: float) -> None:
        self.streams, self.config, self.failure_rate = streams, config, failure_rate
        self.names = tuple(config.shares)
        self.frauds: list[Fraud] = [registered("fraud")[name]() for name in self.names]
        rules: dict[str, Learning] = {
            "none": Fixed(), "reinforcement": config.reinforcement, "replicator": config.replicator
        }  # fmt: skip
        self.rule = rules[config.learning]
        self.fraud: Slots = np.zeros(0, np.int64)  # (n_providers,) index into `frauds`, or `HONEST`
        self.propensity: Floats = np.zeros(0)  # (n_providers,) chance to cheat on a delivery
        self.tainted: Bools = np.zeros(0, np.bool_)  # (n_providers,) whether it has cheated since it was last cleared

    def grow(self, n: int, fronts: Slots | None = None) -> None:
        """Take in providers up to ``n``; types are drawn by slot, so that they do not depend on who else is there.

        ``fronts`` are providers as which others sell together: those are honest, whatever their members are.
        """
        slots = np.arange(len(self.fraud), n)
        if not len(slots):
            return
        edges = np.cumsum(list(self.config.shares.values()))
        kind = np.searchsorted(edges, self.streams.draws("trust.fraud").uniform(slots), side="right")
        fraud = np.where((kind < len(edges)) & ~np.isin(slots, [] if fronts is None else fronts), kind, HONEST)
        start = np.where(fraud == HONEST, 0.0, self.config.propensity)
        if self.config.learning == "replicator":
            start = (self.streams.draws("trust.propensity").uniform(slots) < start).astype(np.float64)
        self.fraud = np.concatenate([self.fraud, fraud])
        self.propensity = np.concatenate([self.propensity, start])
        self.tainted = np.concatenate([self.tainted, np.zeros(len(slots), np.bool_)])

    def trait(self, name: str, slots: Slots) -> npt.NDArray[Any]:
        """Return an attribute of these providers' frauds, (n,); that of the last row for the honest is its empty."""
        values = [getattr(fraud, name) for fraud in self.frauds]
        blank = type(values[0])() if values else False
        return np.array([*values, blank])[self.fraud[slots]]

    def missing(self, slots: Slots) -> Floats:
        """Return the share of the work that would be missing if they cheated, (n,)."""
        return np.array([*(f.missing(self.config.depth) for f in self.frauds), 0.0])[self.fraud[slots]]

    def answers(self, provider: Slots, fill: Slots) -> tuple[Bools, Slots]:
        """Return whether each would cheat on a delivery, and the digest of its result: no two wrong ones are alike."""
        uniform = self.streams.draws("trust.cheat").uniform(fill * 1_048_583 + provider)
        cheats = (self.fraud[provider] != HONEST) & (uniform < self.propensity[provider])
        cheats &= ~self.trait("reports", provider).astype(np.bool_)
        wrong = cheats & self.trait("wrong", provider).astype(np.bool_)
        return cheats, np.where(wrong, 1 + fill * 1_048_583 + provider, 0)

    def deliver(self, fills: Columns) -> Deliveries:
        """Return what became of fills that have ended."""
        provider, fill = fills["provider"], fills["fill"]
        cheats, answer = self.answers(provider, fill)
        fails = ~cheats & (self.streams.draws("trust.failure").uniform(fill) < self.failure_rate)
        missing = np.where(cheats, self.missing(provider), fails.astype(np.float64))
        self.tainted[provider[cheats]] = True
        seen = fails | (cheats & self.trait("seen", provider).astype(np.bool_))
        there = fills["quantity"] * (1.0 - missing)
        return Deliveries(fill, provider, fills["quantity"].copy(), there, answer, seen, cheats)

    def gains(self, deliveries: Deliveries, overcharge: Floats, cost: Floats) -> Floats:
        """Return what each fraud brings if nobody notices, (n,) PRANA.

        Parameters
        ----------
        overcharge
            Price of the work missing, (n,) PRANA.
        cost
            Cost of doing it, (n,) PRANA.
        """
        kind = self.trait("gains", deliveries.provider)
        return np.where(deliveries.cheated, np.where(kind == "price", overcharge, cost), 0.0)

    def overstates(self, member: Slots, report: Slots) -> Bools:
        """Return whether each tells its pool more than is true in a report, by the report's number, (n,)."""
        uniform = self.streams.draws("trust.report").uniform(report)
        lies = self.trait("reports", member).astype(np.bool_) & (uniform < self.propensity[member])
        self.tainted[member[lies]] = True
        return lies

    def learn(self, deliveries: Deliveries, payoff: Floats, tick: int) -> None:
        """Let cheats on deliveries learn from a tick; ``payoff`` is (n,), [-1, 1], see `Experience`."""
        self._learn(deliveries.provider, deliveries.cheated, payoff, "trust.learning", tick, reports=False)

    def learn_of_reports(self, member: Slots, lied: Bools, payoff: Floats, tick: int) -> None:
        """Let cheats on reports learn from a period; ``payoff`` is (n,), [-1, 1], see `Experience`."""
        self._learn(member, lied, payoff, "trust.learning.reports", tick, reports=True)

    def _learn(
        self, provider: Slots, cheated: Bools, payoff: Floats, stream: str, tick: int, *, reports: bool
    ) -> None:  # fmt: skip
        concerned = self.trait("reports", provider).astype(np.bool_) == reports
        rows = np.flatnonzero((self.fraud[provider] != HONEST) & concerned)
        if not len(rows):
            return
        learners = np.flatnonzero(self.fraud != HONEST)
        place = np.searchsorted(learners, provider[rows])
        experience = Experience(place, cheated[rows], payoff[rows])
        draws = self.streams.draws(stream, tick)
        self.propensity[learners] = self.rule.learned(self.propensity[learners], experience, draws)
