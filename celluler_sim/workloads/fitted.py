"""Building blocks of the generators: a distribution known by its quantiles, and arrivals whose rate wanders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError


@dataclass(frozen=True)
class Quantiles:
    """A positive distribution given by quantiles: between two of them, log value is linear in probability.

    >>> import numpy as np
    >>> Quantiles((0.0, 0.5, 1.0), (1.0, 10.0, 1000.0)).at(np.array([0.5, 0.75])).round(6).tolist()
    [10.0, 100.0]
    """

    probability: tuple[float, ...]  # rising from 0 to 1
    value: tuple[float, ...]  # rising, > 0

    def __post_init__(self) -> None:
        """Refuse knots that are no distribution."""
        p, v = np.array(self.probability), np.array(self.value)
        rising = len(p) == len(v) > 1 and bool(np.all(np.diff(p) > 0) and np.all(np.diff(v) >= 0))
        if not (rising and p[0] == 0 and p[-1] == 1 and v[0] > 0):
            raise ScenarioError(f"quantiles must rise from probability 0 to 1 with values > 0, got {p} and {v}")

    def at(self, probability: Floats) -> Floats:
        """Return the value below which each share of the distribution lies, shape of ``probability``."""
        return np.exp(np.interp(probability, self.probability, np.log(self.value)))

    def below(self, value: Floats) -> Floats:
        """Return the share of the distribution below each value, shape of ``value``."""
        with np.errstate(divide="ignore"):
            return np.interp(np.log(value), np.log(self.value), self.probability)

    @property
    def mean(self) -> float:
        """Mean: a piece from a to b is log-uniform, whose mean is (b - a) / ln(b / a)."""
        low, high = np.array(self.value[:-1]), np.array(self.value[1:])
        ratio = np.log(high / low)
        piece = np.where(ratio > 0, (high - low) / np.where(ratio > 0, ratio, 1.0), low)
        return float(np.sum(piece * np.diff(self.probability)))


@dataclass(frozen=True)
class BurstyArrivals:
    """Arrivals of a Poisson process whose rate wanders, each of which may bring a few more close behind.

    The rate is multiplied by an hour-of-day profile and by exp of independent Ornstein-Uhlenbeck paths (a log-Gaussian
    process of Cox, 1955), and every arrival is followed by a geometric number of others (Neyman and Scott, 1958).
    """

    per_second: float  # mean arrivals, followers included
    wander: tuple[tuple[float, float], ...]  # variance of log rate, and s over which it is forgotten, of each path
    single: float  # probability that nothing (more) follows an arrival, (0, 1]
    spread: float  # s, mean delay of a follower
    step: float  # s, over which the rate is taken as constant

    def times(self, rng: np.random.Generator, seconds: float, profile: Floats | None = None) -> Floats:
        """Return the arrival times in [0, seconds), ascending; ``profile`` holds the 24 hours' factors, mean 1."""
        from celluler_sim.workloads.arrival_kernels import wander

        start = np.arange(0.0, seconds, self.step)
        rate = np.full(len(start), self.per_second * self.single)
        if profile is not None:
            rate *= profile[(start // 3600.0).astype(np.int64) % 24]
        for variance, memory in self.wander:
            path = wander(rng.standard_normal(len(start)), np.exp(-self.step / memory), np.sqrt(variance))
            rate *= np.exp(path - variance / 2)
        count = rng.poisson(rate * self.step)
        lead = np.repeat(start, count) + rng.random(int(count.sum())) * self.step
        group = rng.geometric(self.single, len(lead)).astype(np.int64)
        delay: Floats = rng.exponential(self.spread, int(group.sum()))
        times = np.repeat(lead, group) + delay * _is_follower(group)
        return np.sort(times[times < seconds])


def _is_follower(group: Slots) -> Floats:
    """Return 0 for the first of each group and 1 for the others, (sum of group,)."""
    follower = np.ones(int(group.sum()))
    follower[np.cumsum(group) - group] = 0.0
    return follower
