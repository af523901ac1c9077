"""The seed's price by performance: a base price times what accuracy, latency and energy efficiency deserve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Load
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.pricing import PRANA_PER_UNIT, READINGS, PricingRule, UniformPrice

QUALITIES = ("accuracy", "latency", "energy_efficiency")


def combined(multipliers: Floats, weights: Floats, reading: str) -> Floats:
    """Return the factor on the base price that each row of multipliers, (m, n), amounts to, (m,).

    ``weights`` is (n,) with sum 1. product: prod m. mean: sum m / n. weighted_arithmetic: sum w m. weighted_geometric:
    prod m^w. additive_premiums: 1 + sum (m - 1), never below 0.
    """
    match reading:
        case "product":
            return np.asarray(multipliers.prod(axis=1))
        case "mean":
            return np.asarray(multipliers.mean(axis=1))
        case "weighted_arithmetic":
            return np.asarray(multipliers @ weights)
        case "weighted_geometric":
            return np.asarray(np.exp(np.log(multipliers) @ weights))
        case _:
            return np.asarray(np.maximum(1.0 + (multipliers - 1.0).sum(axis=1), 0.0))


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What was achieved, service by service, beside what was agreed; columns of one length."""

    accuracy: Floats  #          (m,) [0, 1]
    latency_ms: Floats  #        (m,) ms, > 0
    energy_efficiency: Floats  # (m,) >= 0, work per joule, in any one unit


@register("pricing", "performance")
@dataclass(frozen=True, kw_only=True)
class Performance(UniformPrice):
    """A base price times multipliers for accuracy (1.2), missed latency (0.8) and energy efficiency (1.1).

    How far a multiplier applies is a degree from 0 to 1: 1 + degree * (multiplier - 1). Accuracy and energy efficiency
    earn their premium in proportion to what was achieved of the target, all of it at the target; nothing is paid for
    more. The latency multiplier is a *discount for being slow*: it does not apply up to the agreed latency, applies in
    full at twice as much, and in between in proportion.

    A market that knows nothing of quality quotes by the three degrees that are fields: all 1 as the seed writes it,
    1000 * 1.2 * 0.8 * 1.1 = 1056. `prices` is for those who have measured.
    """

    base_price: float = field(default=1000.0, metadata=PRANA_PER_UNIT)  # PRANA per unit
    accuracy_multiplier: float = 1.2  # on the price where the target accuracy is reached
    latency_multiplier: float = 0.8  # on the price where latency is twice what was agreed, or worse
    energy_multiplier: float = 1.1  # on the price where the target energy efficiency is reached
    accuracy_target: float = 0.9  # accuracy that earns all of its premium
    latency_target_ms: float = 100.0  # ms, agreed latency
    energy_target: float = 1.0  # energy efficiency that earns all of its premium, in the unit in which it is measured
    accuracy_degree: float = 1.0  # how far the accuracy multiplier applies in a quote, 0 to 1
    latency_degree: float = 1.0  # how far the latency multiplier applies in a quote, 0 to 1
    energy_degree: float = 1.0  # how far the energy multiplier applies in a quote, 0 to 1
    reading: Literal["product", "mean", "weighted_arithmetic", "weighted_geometric", "additive_premiums"] = "product"
    accuracy_weight: float = 1.0  # of the weighted readings; the three are scaled to sum to 1
    latency_weight: float = 1.0
    energy_weight: float = 1.0

    claims: ClassVar[frozenset[Law]] = frozenset({
        Law.INDIVIDUALLY_RATIONAL, Law.MONOTONE_IN_LOAD, Law.HOMOGENEOUS, Law.BOUNDED, Law.STATIONARY,
        Law.CONTINUOUS_IN_TIME,
    })  # fmt: skip

    def __post_init__(self) -> None:
        """Check the ranges."""
        PricingRule.__post_init__(self)
        require("pricing.accuracy_multiplier", self.accuracy_multiplier, above=0)
        require("pricing.latency_multiplier", self.latency_multiplier, above=0)
        require("pricing.energy_multiplier", self.energy_multiplier, above=0)
        require("pricing.accuracy_target", self.accuracy_target, above=0, at_most=1)
        require("pricing.latency_target_ms", self.latency_target_ms, above=0, unit="ms")
        require("pricing.energy_target", self.energy_target, above=0)
        require("pricing.accuracy_degree", self.accuracy_degree, at_least=0, at_most=1)
        require("pricing.latency_degree", self.latency_degree, at_least=0, at_most=1)
        require("pricing.energy_degree", self.energy_degree, at_least=0, at_most=1)
        require("pricing.accuracy_weight", self.accuracy_weight, at_least=0)
        require("pricing.latency_weight", self.latency_weight, at_least=0)
        require("pricing.energy_weight", self.energy_weight, at_least=0)
        if self.reading not in READINGS:
            raise ScenarioError(f"pricing.reading must be one of {', '.join(READINGS)}, got {self.reading!r}")
        if not self.weights.sum() > 0:
            raise ScenarioError(
                "pricing.accuracy_weight, latency_weight and energy_weight must not all be 0; raise one"
            )

    @property
    def multipliers(self) -> Floats:
        """The three multipliers in full, (3,): accuracy, latency, energy efficiency."""
        return np.array([self.accuracy_multiplier, self.latency_multiplier, self.energy_multiplier])

    @property
    def weights(self) -> Floats:
        """Weights of the three, (3,), as given."""
        return np.array([self.accuracy_weight, self.latency_weight, self.energy_weight])

    def factor(self, degrees: npt.ArrayLike) -> Floats:
        """Return the factor on the base price, (m,), for degrees, (m, 3) in [0, 1]."""
        applied = 1.0 + np.asarray(degrees, dtype=np.float64) * (self.multipliers - 1.0)
        return combined(applied, self.weights / self.weights.sum(), self.reading)

    def degrees(self, achieved: Quality) -> Floats:
        """Return how far each multiplier applies to each service, (m, 3) in [0, 1]."""
        slow = achieved.latency_ms / self.latency_target_ms - 1.0
        found = achieved.accuracy / self.accuracy_target, slow, achieved.energy_efficiency / self.energy_target
        return np.clip(np.stack(found, axis=1), 0.0, 1.0)

    def prices(self, achieved: Quality) -> Floats:
        """Return what each service costs at the quality that was achieved, (m,), PRANA per unit."""
        return self.base_price * self.factor(self.degrees(achieved))

    def price(self, load: Load) -> float:  # noqa: ARG002 - load is given to every rule
        """Return the price of every offer at the degrees of the configuration, PRANA per unit."""
        degrees = np.array([[self.accuracy_degree, self.latency_degree, self.energy_degree]])
        return self.base_price * float(self.factor(degrees)[0])

    def price_bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest price that any quality can have, PRANA per unit."""
        corners = (
            np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
        )  # every reading rises or falls in each degree
        factors = self.factor(corners)
        return self.base_price * float(factors.min()), self.base_price * float(factors.max())
