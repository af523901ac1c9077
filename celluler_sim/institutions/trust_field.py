"""Deterrence in the running market: whole economies whose cheats learn, at one audit probability after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.economy import Economy
from celluler_sim.recorder import Recorder

if TYPE_CHECKING:
    import pandas as pd

    from celluler_sim.scenario import Scenario

LATE = 0.8  # share of a run after which cheats are taken to have learned


@dataclass(frozen=True, kw_only=True)
class FieldSweep(ABC):
    """`trust_laboratory.Sweep` with an economy around it, in which nothing but the fine deters.

    Admission by reputation, appeals, failures and suspensions are left out, for Becker's threshold knows none of them;
    bonds cover every fine.
    """

    learning: Literal["reinforcement", "replicator"] = "reinforcement"
    reading: Literal["kept", "forfeited"] = "kept"
    fine_multiple: float = 3.0
    ticks: int = 144
    seed: int = 1

    @property
    @abstractmethod
    def scenario(self) -> Scenario:
        """The economy, at its own audit probability."""

    @abstractmethod
    def occasions(self, economy: Economy) -> tuple[pd.Series, pd.Series]:
        """Return (tick, whether it was a fraud) of every occasion that a cheat had."""

    @property
    def terms(self) -> list[str]:
        """What all these economies have in common."""
        return [
            f"seed={self.seed}", f"ticks={self.ticks}", f"trust.fraud.learning={self.learning}",
            "trust.fraud.propensity=0.5", f"trust.fine_multiple={self.fine_multiple}", "trust.bond_prana=1e6",
            f"trust.forfeits={str(self.reading == 'forfeited').lower()}", "trust.min_reputation=0",
            "trust.failure_rate=0", "trust.appeals=false", "trust.quality.latency_ms=1000", "record.agents_every=0",
            "variants={}", "claims={}",
        ]  # fmt: skip

    def economy(self, scenario: Scenario, probability: float, replicate: int) -> Economy:
        """Return the economy at an audit probability."""
        rule = replace(scenario.mechanisms["verification"], probability=float(probability))
        setup = replace(scenario, replicate=replicate, mechanisms={**scenario.mechanisms, "verification": rule})
        return Economy(setup, Recorder(None))

    def share(self, economy: Economy) -> float:
        """Run an economy, and return the share of occasions that cheats used in the last fifth, [0, 1]."""
        for _ in range(self.ticks):
            economy.step()
        tick, used = self.occasions(economy)
        return float(used[tick >= LATE * self.ticks].mean())

    def shares(self, probabilities: Floats, replicates: int) -> Floats:
        """Return the share of frauds, (n_replicates, n_probabilities); each cell is a world of its own."""
        scenario, n = self.scenario, len(probabilities)
        return np.array([
            [self.share(self.economy(scenario, p, 1 + r * n + k)) for k, p in enumerate(probabilities)]
            for r in range(replicates)
        ])  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MarketSweep(FieldSweep):
    """`fraud_wave` with jobs so short and many that every cheat learns from some hundred deliveries."""

    providers: int = 60
    consumers: int = 120
    jobs_per_day: float = 144.0  # of each consumer
    cheats: float = 0.5  # share of providers

    @property
    def scenario(self) -> Scenario:
        """The economy, at its own audit probability."""
        from celluler_sim.scenario import compose

        return compose("fraud_wave", [
            f"agents.providers.count={self.providers}", f"agents.consumers.count={self.consumers}",
            f"agents.consumers.jobs_per_day={self.jobs_per_day}", "workload.mean_seconds=300",
            "agents.consumers.behaviours={truthful: 1.0}", "market.min_quality=0",
            f"trust.fraud.shares={{overclaim: {self.cheats}}}", *self.terms,
        ])  # fmt: skip

    def occasions(self, economy: Economy) -> tuple[pd.Series, pd.Series]:
        """Return (tick, whether it was a fraud) of every delivery of a cheat."""
        rows = economy.recorder.arrow("deliveries").to_pandas()
        conduct = next(i.conduct for i in economy.institutions if hasattr(i, "conduct"))
        rows = rows[conduct.fraud[rows.provider] >= 0]
        return rows.tick, rows.cheated


@dataclass(frozen=True, kw_only=True)
class PoolSweep(FieldSweep):
    """`resource_pool` with loyal members, all of whom learn whether to overstate what they bring, tick by tick.

    Nobody is expelled for bringing too little: beside members that overstate it would be those that do not.
    """

    ticks: int = 120  # payouts

    @property
    def scenario(self) -> Scenario:
        """The economy, at its own audit probability."""
        from celluler_sim.scenario import compose

        return compose("resource_pool", [
            "trust=standard", "verification=spot_checks", "pools.period_s=900", "pools.formation=none",
            "pools.min_contribution=0.01", "pools.behaviours={loyal: 1.0}", "agents.consumers.jobs_per_day=8",
            "trust.fraud.shares={misreport: 1.0}", "trust.accumulation.false_alarm_rate=1e-300", *self.terms,
        ])  # fmt: skip

    def occasions(self, economy: Economy) -> tuple[pd.Series, pd.Series]:
        """Return (tick, whether it was overstated) of every report."""
        rows = economy.recorder.arrow("reports").to_pandas()
        return rows.tick, rows.overstated
