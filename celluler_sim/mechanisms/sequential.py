"""Looking again and again: suspicion that adds up over calls without accusing the honest in the end.

A detector that flags one honest agent in a hundred per call has flagged nearly everybody after some hundred calls.
Here the verdicts of all calls are turned into one wager against each agent's honesty, whose stake an honest agent
multiplies a hundredfold with a chance of at most one in a hundred, however long it is watched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.verification import Verdicts

SMALLEST = 1e-16  # chances below it cannot be told from 0 in a score of 1 - p


@dataclass(frozen=True)
class Suspicion(Frozen):
    """What is held against every agent so far."""

    log_e: Floats  # (n_agents,) logarithm of the wager's stake; 0 at the start
    seen: Slots  #   (n_agents,) calls in which the agent was looked at

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self.log_e)


@dataclass(frozen=True, kw_only=True)
class Accumulation:
    """Add up verdicts over calls, each about fresh evidence.

    Every verdict's p bets: the stake is multiplied by e(p) = kappa p^(kappa - 1), whose mean is 1 if p is uniform, as
    it is for an honest agent at worst. An agent is flagged once its stake reaches 1 / `false_alarm_rate`.

    * ``run``: stakes only multiply. The chance that an honest agent is *ever* flagged is at most the rate (Ville). Who
      was honest for long has a low stake and is found late after a turn for the worse.
    * ``cusum``: a stake below 1 starts again from 1. Turns are found soon; an honest agent is flagged at most once in
      1 / rate calls on average.

    References
    ----------
    Ville (1939), Etude critique de la notion de collectif. Vovk and Wang (2021), E-values: calibration, combination
    and applications. Shin, Ramdas and Rinaldo (2023), E-detectors.
    """

    false_alarm_rate: float = 0.01  # see `memory`
    kappa: float = 0.5  # of the bet; smaller values bet on smaller chances
    memory: Literal["run", "cusum"] = "run"  # what the rate is a rate of

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("accumulation.false_alarm_rate", self.false_alarm_rate, above=0, below=1)
        require("accumulation.kappa", self.kappa, above=0, below=1)
        if self.memory not in ("run", "cusum"):
            raise ScenarioError(f"accumulation.memory must be one of run, cusum, got {self.memory!r}")

    def start(self, n: int) -> Suspicion:
        """Return that nothing is held against ``n`` agents."""
        return Suspicion(np.zeros(n), np.zeros(n, np.int64))

    def update(self, suspicion: Suspicion, verdicts: Verdicts) -> Suspicion:
        """Return the suspicion after one more call; agents not looked at keep theirs."""
        log_e, seen, agent = suspicion.log_e.copy(), suspicion.seen.copy(), verdicts.agent
        p = np.clip(1.0 - verdicts.score, SMALLEST, 1.0)
        before = np.maximum(log_e[agent], 0.0) if self.memory == "cusum" else log_e[agent]
        log_e[agent] = before + np.log(self.kappa) + (self.kappa - 1.0) * np.log(p)
        seen[agent] += 1
        return Suspicion(log_e, seen)

    def verdicts(self, suspicion: Suspicion) -> Verdicts:
        """Return the verdicts on everybody ever looked at: the score is 1 - 1/stake, at least 0."""
        agent = np.flatnonzero(suspicion.seen).astype(np.int64)
        score = -np.expm1(-np.maximum(suspicion.log_e[agent], 0.0))
        return Verdicts(agent, score, suspicion.seen[agent], 1.0 - self.false_alarm_rate, 0.0)

    def cleared(self, suspicion: Suspicion, agent: Slots) -> Suspicion:
        """Return the suspicion with nothing held against these agents: after a penalty was paid, or an appeal won."""
        log_e, seen = suspicion.log_e.copy(), suspicion.seen.copy()
        log_e[agent], seen[agent] = 0.0, 0
        return Suspicion(log_e, seen)

    def grow(self, suspicion: Suspicion, n: int) -> Suspicion:
        """Return the suspicion with ``n`` newcomers behind the agents it has."""
        new = self.start(n)
        return Suspicion(np.concatenate([suspicion.log_e, new.log_e]), np.concatenate([suspicion.seen, new.seen]))
