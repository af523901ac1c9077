"""Reputation: what agents did, and what others say of them, as a score and three metrics in [0, 1].

Every rule keeps weighted counts of good and bad outcomes per agent and metric and differs in how it forgets and how it
reads the counts. Outcomes arrive in consensus order; several of one agent in one call count one after the other, so the
length of a tick makes no difference. What a penalty took off a score comes back with a half-life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Codes, Floats, Frozen, Slots
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.laws import Law

METRICS = ("reliability", "performance", "fairness")
MARKET = -1  # the rater of an outcome that the market itself measured

_COUNTED = frozenset({
    Law.SCORES_BOUNDED, Law.MONOTONE_IN_OUTCOMES, Law.BLIND_TO_NAMES, Law.LOCAL, Law.TICK_FREE,
})  # fmt: skip


@dataclass(frozen=True)
class Ratings(Frozen):
    """Outcomes and opinions, one a row, in consensus order."""

    rater: Slots  # (n,) slot of who says so, or `MARKET` where it was measured
    ratee: Slots  # (n,) slot of whom it is about
    metric: Codes  # (n,) place in `METRICS`
    value: Floats  # (n,) 0 bad to 1 good
    time: Floats  #  (n,) s, never falling

    @classmethod
    def of(
        cls,
        ratee: npt.ArrayLike,
        value: npt.ArrayLike,
        metric: npt.ArrayLike = 0,
        rater: npt.ArrayLike = MARKET,
        time: npt.ArrayLike = 0.0,
    ) -> Ratings:
        """Return checked ratings; a single metric, rater or time stands for all rows.

        Raises
        ------
        ScenarioError
            If a value lies outside [0, 1], a metric is unknown, or a time is before the one a row above.
        """
        who = np.array(ratee, dtype=np.int64).reshape(-1)
        columns = [np.broadcast_to(np.asarray(c), who.shape) for c in (rater, metric, value, time)]
        ratings = cls(
            columns[0].astype(np.int64), who, columns[1].astype(np.int8),
            columns[2].astype(np.float64), columns[3].astype(np.float64),
        )  # fmt: skip
        if (bad := ~((ratings.value >= 0) & (ratings.value <= 1))).any():
            raise ScenarioError(f"ratings.value must be >= 0 and <= 1, got {ratings.value[bad][0]}")
        if (bad := (ratings.metric < 0) | (ratings.metric >= len(METRICS))).any():
            raise ScenarioError(f"ratings.metric must be a place in {METRICS}, got {ratings.metric[bad][0]}")
        if (np.diff(ratings.time) < 0).any():
            raise ScenarioError("ratings.time must never fall, got an earlier row below a later one; sort them")
        return ratings

    def __len__(self) -> int:
        """Return the number of ratings."""
        return len(self.ratee)

    def take(self, rows: npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Ratings:
        """Return these rows, in this order."""
        return Ratings(self.rater[rows], self.ratee[rows], self.metric[rows], self.value[rows], self.time[rows])

    def nth(self) -> Slots:
        """Return how many ratings of the same ratee stand above each row, (n,)."""
        return place_in_group(self.ratee)[0]


@dataclass(frozen=True)
class Links(Frozen):
    """Who rated whom: one row a pair, sorted; what `eigentrust` remembers."""

    truster: Slots  # (n_links,)
    trustee: Slots  # (n_links,)
    balance: Floats  # (n_links,) good less bad outcomes; trust where positive

    @classmethod
    def none(cls) -> Links:
        """Return no links."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class Standing(Frozen):
    """Where every agent stands after what has happened so far."""

    time: float  #   s, of the last update
    good: Floats  #  (n_agents, 3) weighted good outcomes per metric
    bad: Floats  #   (n_agents, 3) weighted bad outcomes per metric
    lost: Floats  #  (n_agents,) score that penalties took and time has not given back
    metrics: Floats  # (n_agents, 3) [0, 1], see `METRICS`
    merit: Floats  # (n_agents,) [0, 1], the score before penalties
    links: Links  #  who rated whom, where the rule asks for it
    trust: Floats  # (n_agents,) with sum 1 under `eigentrust`, else empty

    @property
    def score(self) -> Floats:
        """The reputation, (n_agents,), [0, 1]."""
        return np.clip(self.merit - self.lost, 0.0, 1.0)

    def __len__(self) -> int:
        """Return the number of agents."""
        return len(self.merit)


@runtime_checkable
class Reputation(Protocol):
    """Turn outcomes and ratings into scores."""

    claims: ClassVar[frozenset[Law]]

    def start(self, n: int) -> Standing:
        """Return the standing of ``n`` agents of whom nothing is known."""
        ...

    def update(
        self, standing: Standing, ratings: Ratings, now: float | None = None, pretrusted: Floats | None = None
    ) -> Standing:
        """Return the standing after more ratings. ``pretrusted`` is (n_agents,), >= 0, used by `eigentrust` alone."""
        ...


def place_in_group(group: npt.NDArray[np.integer]) -> tuple[Slots, Slots]:
    """Return for each row (rows of its group above it, rows of its group below it), both (n,)."""
    order = np.argsort(group, kind="stable")
    _, first, count = np.unique(group[order], return_index=True, return_counts=True)
    place = np.arange(len(group)) - np.repeat(first, count)
    above, below = np.empty(len(group), np.int64), np.empty(len(group), np.int64)
    above[order], below[order] = place, np.repeat(count, count) - 1 - place
    return above, below


@dataclass(frozen=True, kw_only=True)
class CountingRule:
    """What all rules share: weights of the metrics, weighted counts, and penalties that fade."""

    reliability_weight: float = 1.0  # of the metric in the score, relative to the other two
    performance_weight: float = 1.0  # of the metric in the score, relative to the other two
    fairness_weight: float = 1.0  # of the metric in the score, relative to the other two
    rehabilitation_seconds: float | None = 604800.0  # s, half-life of what a penalty took; null: never comes back

    claims: ClassVar[frozenset[Law]] = _COUNTED
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        for metric in METRICS:
            require(f"reputation.{metric}_weight", getattr(self, f"{metric}_weight"), at_least=0)
        require("reputation.reliability_weight + performance_weight + fairness_weight", sum(self.weights), above=0)
        if self.rehabilitation_seconds is not None:
            require("reputation.rehabilitation_seconds", self.rehabilitation_seconds, above=0, unit="s")

    @property
    def weights(self) -> tuple[float, float, float]:
        """The weights of `METRICS`."""
        return self.reliability_weight, self.performance_weight, self.fairness_weight

    @property
    def keep(self) -> float:
        """The share of the counts that outlasts one more outcome."""
        return 1.0

    @property
    def gain(self) -> float:
        """What one outcome adds to the counts."""
        return 1.0

    def prior(self) -> tuple[float, float]:
        """Return the good and bad counts that an agent begins with."""
        return 0.0, 0.0

    def estimate(self, good: Floats, bad: Floats) -> Floats:
        """Return the metrics that counts amount to, shape of ``good``, [0, 1]."""
        seen = good + bad
        return np.where(seen > 0, good / np.where(seen > 0, seen, 1.0), 0.5)

    def fade(self, seconds: Floats) -> Floats:
        """Return the share of an outcome that outlasts so much time, shape of ``seconds``: here all of it."""
        return np.ones(np.shape(seconds))

    def start(self, n: int) -> Standing:
        """Return the standing of ``n`` agents of whom nothing is known."""
        good, bad = (np.full((n, len(METRICS)), count) for count in self.prior())
        empty = Standing(0.0, good, bad, np.zeros(n), np.zeros((n, 3)), np.zeros(n), Links.none(), np.zeros(0))
        return self.judged(empty, None)

    def update(
        self, standing: Standing, ratings: Ratings, now: float | None = None, pretrusted: Floats | None = None
    ) -> Standing:
        """Return the standing at ``now`` (s; the last rating's time where left out) after more ratings.

        Steps, for each agent and metric with outcomes x1 ... xk: good <- keep^k good + gain sum keep^(k-j) xj, and the
        same for bad with 1 - xj; older counts fade with time; the metrics are read from the counts.
        """
        last = float(ratings.time[-1]) if len(ratings) else standing.time
        now = max(standing.time, last if now is None else now)
        key = ratings.ratee * len(METRICS) + ratings.metric
        outlast = self.keep ** place_in_group(key)[1] * self.fade(now - ratings.time) * self.gain
        shape, fade = standing.good.shape, self.fade(np.array(now - standing.time))
        left = self.keep ** _summed(key, np.ones(len(key)), shape) * fade
        good = left * standing.good + _summed(key, outlast * ratings.value, shape)
        bad = left * standing.bad + _summed(key, outlast * (1.0 - ratings.value), shape)
        lost = standing.lost * self._forgiven(now - standing.time)
        links = self.linked(standing, ratings)
        return self.judged(replace(standing, time=now, good=good, bad=bad, lost=lost, links=links), pretrusted)

    def grow(self, standing: Standing, n: int) -> Standing:
        """Return the standing with ``n`` newcomers behind the agents it has; trust settles at the next update."""
        new = self.start(n)
        columns = ("good", "bad", "lost", "metrics", "merit")
        joined: dict[str, Any] = {c: np.concatenate([getattr(standing, c), getattr(new, c)]) for c in columns}
        return replace(standing, **joined, trust=np.zeros(0))

    def linked(self, standing: Standing, ratings: Ratings) -> Links:  # noqa: ARG002 - for rules that look at raters
        """Return who rated whom, as far as the rule asks for it: here, not at all."""
        return standing.links

    def judged(self, standing: Standing, pretrusted: Floats | None) -> Standing:  # noqa: ARG002 - see `EigenTrust`
        """Return the standing with metrics and merit read from its counts."""
        metrics = self.estimate(standing.good, standing.bad)
        weights = np.array(self.weights) / sum(self.weights)
        return replace(standing, metrics=metrics, merit=np.clip(metrics @ weights, 0.0, 1.0))

    def _forgiven(self, seconds: float) -> float:
        half_life = self.rehabilitation_seconds
        return 1.0 if half_life is None else 0.5 ** (seconds / half_life)


def _summed(key: Slots, weight: Floats, shape: tuple[int, ...]) -> Floats:
    return np.asarray(np.bincount(key, weight, shape[0] * shape[1]).reshape(shape), dtype=np.float64)


@register("reputation", "exponential")
@dataclass(frozen=True, kw_only=True)
class Exponential(CountingRule):
    """Exponential smoothing: each outcome moves its metric by the share `alpha` of the way towards it."""

    alpha: float = 0.2  # weight of the latest outcome
    initial: float = 0.5  # metric of an agent of whom nothing is known

    claims: ClassVar[frozenset[Law]] = _COUNTED

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("reputation.alpha", self.alpha, at_least=0, at_most=1)
        require("reputation.initial", self.initial, at_least=0, at_most=1)

    @property
    def keep(self) -> float:
        """The weight of all that was before."""
        return 1.0 - self.alpha

    @property
    def gain(self) -> float:
        """The weight of the latest outcome."""
        return self.alpha

    def prior(self) -> tuple[float, float]:
        """Return the initial metric and what it lacks to 1: the two always sum to 1."""
        return self.initial, 1.0 - self.initial


@register("reputation", "beta")
@dataclass(frozen=True, kw_only=True)
class Beta(CountingRule):
    """Beta reputation with forgetting: (r + 1) / (r + s + 2) for r good and s bad outcomes under a uniform prior.

    References
    ----------
    Josang and Ismail (2002), The beta reputation system.
    """

    forgetting: float = 0.99  # share of the counts that outlasts one more outcome
    half_life_seconds: float | None = None  # s, after which an outcome counts half; null: time alone forgets nothing
    prior_good: float = 1.0  # good outcomes that an unknown agent is credited with
    prior_bad: float = 1.0  # bad outcomes that an unknown agent is charged with

    claims: ClassVar[frozenset[Law]] = _COUNTED

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("reputation.forgetting", self.forgetting, at_least=0, at_most=1)
        require("reputation.prior_good", self.prior_good, above=0)
        require("reputation.prior_bad", self.prior_bad, above=0)
        if self.half_life_seconds is not None:
            require("reputation.half_life_seconds", self.half_life_seconds, above=0, unit="s")

    @property
    def keep(self) -> float:
        """The forgetting factor."""
        return self.forgetting

    def fade(self, seconds: Floats) -> Floats:
        """Return the share of an outcome that outlasts so much time, shape of ``seconds``."""
        h = self.half_life_seconds
        return np.ones(np.shape(seconds)) if h is None else np.asarray(0.5 ** (seconds / h))

    def estimate(self, good: Floats, bad: Floats) -> Floats:
        """Return the mean of Beta(good + prior_good, bad + prior_bad), shape of ``good``."""
        return (good + self.prior_good) / (good + bad + self.prior_good + self.prior_bad)

    def variance(self, good: Floats, bad: Floats) -> Floats:
        """Return the variance of Beta(good + prior_good, bad + prior_bad), shape of ``good``."""
        a, b = good + self.prior_good, bad + self.prior_bad
        return np.asarray(a * b / ((a + b) ** 2 * (a + b + 1)))


@register("reputation", "mean")
@dataclass(frozen=True, kw_only=True)
class Mean(CountingRule):
    """The plain mean of all outcomes, whoever reported them: what platforms show and a colluding pair inflates."""

    claims: ClassVar[frozenset[Law]] = _COUNTED
