"""Verification: looking at what agents delivered and reported, and saying who did not keep to it.

Every detector gives each agent looked at a score 1 - p, where p is the chance that an honest agent would have produced
evidence at least as bad, and flags p <= `false_alarm_rate`. So the rate at which honest agents are accused is stated
beforehand, per agent and call, and holds as far as the noise that is assumed of honest agents does. No detector knows
more of an agent than the evidence it is handed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.laws import Law
from celluler_sim.streams import Draws

Mask = npt.NDArray[np.bool_]

PRANA: Mapping[str, str] = {"unit": "PRANA"}  # metadata of the fields that are money

_CLAIMS = frozenset({Law.FALSE_ALARMS_STATED, Law.UNCHECKED_UNTOUCHED, Law.BLIND_TO_NAMES})


@dataclass(frozen=True)
class Evidence(Frozen):
    """What can be looked at, one delivery or report a row; a detector pays for the rows it looks at.

    A detector reads the columns its kind of check is about: `found` is what an exact meter would show, and detectors
    that measure see it through their own noise.
    """

    agent: Slots  # (n,) slot of whose work or report it is
    item: Slots  #  (n,) number of the row within the run, by which draws are indexed
    job: Slots  #   (n,) number of the job; rows of one job answer the same question
    claimed: Floats  # (n,) what was promised or reported, > 0: units/s, or a contribution
    found: Floats  #  (n,) what there really was, in the same unit
    answer: Slots  # (n,) digest of the result; equal results have equal digests
    failed: Mask  # (n,) whether the customer saw a failure

    @classmethod
    def of(
        cls,
        agent: npt.ArrayLike,
        item: npt.ArrayLike | None = None,
        job: npt.ArrayLike | None = None,
        claimed: npt.ArrayLike = 1.0,
        found: npt.ArrayLike | None = None,
        answer: npt.ArrayLike = 0,
        failed: npt.ArrayLike = 0,
    ) -> Evidence:
        """Return checked evidence; what is left out is number, number, 1, as claimed, 0 and no failure."""
        who = np.array(agent, dtype=np.int64).reshape(-1)
        number = np.arange(len(who))
        slots = [_column(number if c is None else c, len(who)).astype(np.int64) for c in (item, job, answer)]
        promised = _column(claimed, len(who)).astype(np.float64)
        there = promised if found is None else _column(found, len(who)).astype(np.float64)
        if (bad := ~(np.isfinite(promised) & (promised > 0))).any():
            raise ScenarioError(f"evidence.claimed must be > 0, got {promised[bad][0]}; leave such rows out")
        return cls(who, slots[0], slots[1], promised, there, slots[2], _column(failed, len(who)).astype(np.bool_))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.agent)


def _column(values: npt.ArrayLike, n: int) -> npt.NDArray[Any]:
    return np.array(np.broadcast_to(np.asarray(values), (n,)))


@dataclass(frozen=True)
class Verdicts(Frozen):
    """What a detector says of each agent it looked at, by slot."""

    agent: Slots  # (n,) each once, ascending
    score: Floats  # (n,) [0, 1] suspicion: 1 - p
    seen: Slots  #  (n,) pieces of evidence looked at
    threshold: float  # scores from here on are flagged
    cost: float  # PRANA spent on looking

    @property
    def flagged(self) -> Mask:
        """Who is accused, (n,)."""
        return np.asarray(self.score >= self.threshold)

    @property
    def accused(self) -> Slots:
        """The slots of those accused."""
        return self.agent[self.flagged]

    def scores(self, n: int) -> Floats:
        """Return everybody's score, (n_agents,): 0 for those not looked at."""
        everybody = np.zeros(n)
        everybody[self.agent] = self.score
        return everybody

    @classmethod
    def nobody(cls) -> Verdicts:
        """Return no verdict, for free."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), 1.0, 0.0)


@runtime_checkable
class Verification(Protocol):
    """Look at evidence and say who is suspect."""

    claims: ClassVar[frozenset[Law]]

    def chosen(self, item: Slots, draws: Draws) -> Mask:
        """Return which rows (or jobs) will be looked at, (n,), by their numbers."""
        ...

    def inspect(self, evidence: Evidence, draws: Draws) -> Verdicts:
        """Return the verdicts on everybody of whom something was looked at."""
        ...


@dataclass(frozen=True, kw_only=True)
class Detector:
    """What all detectors share: how often they look, what that costs, and how many honest agents they may accuse."""

    probability: float = 0.05  # that a row is looked at
    cost_per_check: float = field(default=1.0, metadata=PRANA)  # PRANA, for each row looked at
    false_alarm_rate: float = 0.01  # share of honest agents flagged per call, at most

    claims: ClassVar[frozenset[Law]] = _CLAIMS
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("verification.probability", self.probability, at_least=0, at_most=1)
        require("verification.cost_per_check", self.cost_per_check, at_least=0, unit="PRANA")
        require("verification.false_alarm_rate", self.false_alarm_rate, above=0, below=1)

    @property
    def threshold(self) -> float:
        """The score from which on an agent is flagged."""
        return 1.0 - self.false_alarm_rate

    def chosen(self, item: Slots, draws: Draws) -> Mask:
        """Return which rows will be looked at, (n,): each with `probability`, by its own draw."""
        return np.asarray(draws.uniform(2 * np.asarray(item)) < self.probability)

    def judged(self, agent: Slots, p: Floats, seen: Slots, checks: float) -> Verdicts:
        """Return the verdicts that chances ``p`` of an honest agent amount to."""
        return Verdicts(agent, np.clip(1.0 - p, 0.0, 1.0), seen, self.threshold, self.cost_per_check * checks)


@register("verification", "none")
@dataclass(frozen=True, kw_only=True)
class NoVerification:
    """Nobody looks."""

    claims: ClassVar[frozenset[Law]] = _CLAIMS

    def chosen(self, item: Slots, draws: Draws) -> Mask:  # noqa: ARG002 - nothing is drawn
        """Return that nothing is looked at, (n,)."""
        return np.zeros(np.shape(item), np.bool_)

    def inspect(self, evidence: Evidence, draws: Draws) -> Verdicts:  # noqa: ARG002 - nobody looks
        """Return no verdict."""
        return Verdicts.nobody()


@dataclass(frozen=True, kw_only=True)
class Metering(Detector):
    """A check that measures: of each row chosen, found over claimed with relative meter noise.

    The mean shortfall of m rows of an honest agent is normal with deviation noise / sqrt(m).
    """

    noise: float = 0.02  # standard deviation of one measurement, share of what is there
    tolerance: float = 0.05  # share by which an honest agent may fall short

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("verification.noise", self.noise, above=0)
        require("verification.tolerance", self.tolerance, at_least=0, below=1)

    def inspect(self, evidence: Evidence, draws: Draws) -> Verdicts:
        """Return the verdicts on everybody with a row that was measured."""
        rows = np.flatnonzero(self.chosen(evidence.item, draws))
        wobble = self.noise * draws.normal(2 * evidence.item[rows] + 1)
        off = 1.0 - evidence.found[rows] / evidence.claimed[rows] * (1.0 + wobble)
        agent, number = np.unique(evidence.agent[rows], return_inverse=True)
        seen = np.bincount(number, minlength=len(agent))
        z = np.bincount(number, off, len(agent)) / np.sqrt(np.maximum(seen, 1)) / self.noise
        return self.judged(agent, self.chance(z, np.sqrt(seen) * self.tolerance / self.noise), seen, len(rows))

    def chance(self, z: Floats, allowed: Floats) -> Floats:
        """Return the chance of an honest agent to be off by ``z`` deviations where ``allowed`` are granted, (n,)."""
        from scipy.special import ndtr

        return np.asarray(ndtr(allowed - z))


@register("verification", "spot_checks")
@dataclass(frozen=True, kw_only=True)
class SpotChecks(Metering):
    """Measure the capacity behind some deliveries: catches false provisioning."""


@register("verification", "profit_audit")
@dataclass(frozen=True, kw_only=True)
class ProfitAudit(Metering):
    """Recompute some reports of contributions from the meters: catches what is off either way."""

    def chance(self, z: Floats, allowed: Floats) -> Floats:
        """Return the chance of an honest agent to be off by ``z`` deviations either way, (n,)."""
        from scipy.special import ndtr

        return np.asarray(np.minimum(1.0, 2.0 * ndtr(allowed - np.abs(z))))


def _tail(bad: Floats | Slots, seen: Slots, rate: float) -> Floats:
    """Return P(at least ``bad`` of ``seen``), (n,), where each is bad with chance ``rate``."""
    from scipy.special import betainc

    some = bad > 0
    return np.where(some, betainc(np.where(some, bad, 1.0), np.maximum(seen - bad, 0.0) + 1.0, rate), 1.0)


@register("verification", "redundant_execution")
@dataclass(frozen=True, kw_only=True)
class RedundantExecution(Detector):
    """Have some jobs done by several, and count who disagrees with more than half of them: catches wrong results.

    Each job chosen is executed by `copies` agents; `copies` - 1 of the executions are what checking costs. Jobs that
    come with one row only were not repeated and say nothing. A coalition that is a majority of a job's executors is
    believed, so the stated rate holds where executors are drawn from a population with an honest majority.

    References
    ----------
    Sarmenta (2002), Sabotage-tolerance mechanisms for volunteer computing systems.
    """

    copies: int = 3  # executions of a job that is checked
    honest_error: float = 0.001  # chance that an honest agent's result is wrong

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("verification.copies", self.copies, at_least=2)
        require("verification.honest_error", self.honest_error, above=0, below=0.5)

    def inspect(self, evidence: Evidence, draws: Draws) -> Verdicts:  # noqa: ARG002 - `chosen` drew, before the jobs ran
        """Return the verdicts on everybody who shared a job."""
        _, job, copies = np.unique(evidence.job, return_inverse=True, return_counts=True)
        told = _with_majority(job, evidence.answer)
        shared = copies[job] > 1
        decided = shared & _any_in_group(job, told == 1)
        agent, number = np.unique(evidence.agent[decided], return_inverse=True)
        seen = np.bincount(number, minlength=len(agent))
        bad = np.bincount(number, told[decided] != 1, len(agent))
        extra = float(np.sum(copies[copies > 1] - 1))
        return self.judged(agent, _tail(bad, seen, self.honest_error), seen, extra)


def _with_majority(group: Slots, answer: Slots) -> Slots:
    """Return 1 for rows whose answer more than half of their group gave, else 0, (n,)."""
    _, same = np.unique(answer, return_inverse=True)
    _, kind, votes = np.unique(group * (int(same.max(initial=0)) + 1) + same, return_inverse=True, return_counts=True)
    size = np.bincount(group)
    return np.asarray(2 * votes[kind] > size[group], dtype=np.int64)


def _any_in_group(group: Slots, marked: Mask) -> Mask:
    """Return whether any row of each row's group is marked, (n,)."""
    return np.asarray(np.bincount(group, marked)[group] > 0) if len(group) else np.zeros(0, np.bool_)


@register("verification", "reputation_tracking")
@dataclass(frozen=True, kw_only=True)
class ReputationTracking(Detector):
    """Count the failures that customers report, and flag more of them than honest agents have; for free by default."""

    probability: float = 1.0  # that a report is counted
    cost_per_check: float = field(default=0.0, metadata=PRANA)  # PRANA, for each report counted
    honest_failure: float = 0.01  # chance that an honest agent's delivery fails; an uptime of 0.99

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("verification.honest_failure", self.honest_failure, above=0, below=1)

    def inspect(self, evidence: Evidence, draws: Draws) -> Verdicts:
        """Return the verdicts on everybody with a delivery that was counted."""
        rows = self.chosen(evidence.item, draws)
        agent, number = np.unique(evidence.agent[rows], return_inverse=True)
        seen = np.bincount(number, minlength=len(agent))
        bad = np.bincount(number, evidence.failed[rows], len(agent))
        return self.judged(agent, _tail(bad, seen, self.honest_failure), seen, float(rows.sum()))
