"""Pricing rules: what an offer costs, given how busy the market is and what the clock says.

Every rule quotes before anything is allocated, so nobody's own trade moves the price it pays. A rule that names one
price for all offers expects that only willing sides trade: offers whose ask is above it stand aside.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar, Literal

import numpy as np

from celluler_sim.book import Floats, Load
from celluler_sim.errors import ScenarioError, require
from celluler_sim.mechanisms.base import When, register
from celluler_sim.mechanisms.laws import Law

PRANA_PER_UNIT: Mapping[str, str] = {"unit": "PRANA/unit"}  # metadata of the fields that are money
ATOMS = 10**18  # smallest parts of one PRANA; also the FLOP-seconds in a default unit of work
SWING = 1 / 3  # amplitude of the smooth cycle: dearest to cheapest is (1 + 1/3) / (1 - 1/3) = 2, as in the saw-tooth

_ALWAYS = frozenset({Law.INDIVIDUALLY_RATIONAL, Law.MONOTONE_IN_LOAD})
_CLOCKLESS = frozenset({Law.CONTINUOUS_IN_TIME, Law.STATIONARY})


@dataclass(frozen=True, kw_only=True)
class PricingRule:
    """What all pricing rules share: a base price, a window, and by default a clock that changes nothing."""

    base_price: float = field(default=100.0, metadata=PRANA_PER_UNIT)  # PRANA per unit, before the first quote
    window_seconds: float = 3600.0  # s, over which utilisation is averaged

    claims: ClassVar[frozenset[Law]] = frozenset()
    claims_when: ClassVar[Mapping[Law, When]] = {}

    def __post_init__(self) -> None:
        """Check the ranges."""
        require("pricing.base_price", self.base_price, above=0, unit="PRANA per unit")
        require("pricing.window_seconds", self.window_seconds, above=0, unit="s")

    def time_factor(self, time: Floats) -> Floats:
        """Return the factor by which the clock alone moves the price, shape of ``time`` (s): here 1."""
        return np.ones(np.shape(time))


@dataclass(frozen=True, kw_only=True)
class UniformPrice(PricingRule, ABC):
    """A rule that names one price for all offers; subclasses say which."""

    @abstractmethod
    def price(self, load: Load) -> float:
        """Return the price of every offer, PRANA per unit."""

    def quote(self, load: Load, ask: Floats) -> Floats:
        """Return the same price for each offer, (n_offers,), PRANA per unit."""
        return np.full(np.shape(ask), self.price(load))


@register("pricing", "fixed")
@dataclass(frozen=True, kw_only=True)
class Fixed(UniformPrice):
    """The base price, whatever happens: the market of queueing theory."""

    claims: ClassVar[frozenset[Law]] = _ALWAYS | _CLOCKLESS | {Law.HOMOGENEOUS, Law.BOUNDED}

    def price(self, load: Load) -> float:  # noqa: ARG002 - load is given to every rule
        """Return the base price, PRANA per unit."""
        return self.base_price

    def price_bounds(self) -> tuple[float, float]:
        """Return the lowest and the highest price, PRANA per unit."""
        return self.base_price, self.base_price


@register("pricing", "posted")
@dataclass(frozen=True, kw_only=True)
class Posted(PricingRule):
    """Each offer costs its provider's own ask; the base price only says where the first asks start."""

    claims: ClassVar[frozenset[Law]] = _ALWAYS | _CLOCKLESS | {Law.HOMOGENEOUS}

    def quote(self, load: Load, ask: Floats) -> Floats:  # noqa: ARG002 - load is given to every rule
        """Return each provider's ask, (n_offers,), PRANA per unit."""
        return np.array(ask, dtype=np.float64)


def _changes_slowly(rule: SlidingWindow) -> bool:
    """Return whether a second moves the price by under 1 %.

    d(log f)/dt of f = 1 + A sin(2 pi t/W) is at most (2 pi/W) A / sqrt(1 - A^2).
    """
    steepest = 2 * math.pi / rule.window_seconds * SWING / math.sqrt(1 - SWING**2)
    return rule.cycle == "none" or (rule.cycle == "smooth" and math.expm1(steepest) < 0.01)


@register("pricing", "sliding_window")
@dataclass(frozen=True, kw_only=True)
class SlidingWindow(UniformPrice):
    """base * (1+u)^2 times a cycle of the clock (sawtooth, smooth or none), u averaged over the window.

    The three cycles, with W the window and t the time in seconds:

    * ``sawtooth``: 1 + (t mod W)/W. It climbs to twice its start and falls back within a second, foreseeably; mean 1.5.
    * ``smooth``: 1 + sin(2 pi t/W)/3. Same period, same ratio 2 of dearest to cheapest, continuous, mean 1.
    * ``none``: 1.
    """

    cycle: Literal["sawtooth", "smooth", "none"] = "none"  # by which the clock alone moves the price

    claims: ClassVar[frozenset[Law]] = _ALWAYS | {Law.HOMOGENEOUS, Law.BOUNDED}
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.STATIONARY: When("cycle is none", lambda rule: rule.cycle == "none"),
        Law.CONTINUOUS_IN_TIME: When("cycle is none, or smooth with a window of 224 s or more", _changes_slowly),
    }

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if self.cycle not in ("sawtooth", "smooth", "none"):
            raise ScenarioError(f"pricing.cycle must be one of sawtooth, smooth, none, got {self.cycle!r}")

    def time_factor(self, time: Floats) -> Floats:
        """Return the cycle's factor, shape of ``time`` (s)."""
        phase = np.asarray(time, dtype=np.float64) % self.window_seconds / self.window_seconds
        if self.cycle == "sawtooth":
            return 1.0 + phase
        if self.cycle == "smooth":
            return 1.0 + SWING * np.sin(2 * np.pi * phase)
        return np.ones(phase.shape)

    def price(self, load: Load) -> float:
        """Return base * (1+u)^2 * factor, PRANA per unit."""
        rise = 1.0 + load.utilisation
        return self.base_price * rise * rise * float(self.time_factor(np.array(load.time)))

    def slope(self, utilisation: Floats) -> Floats:
        """Return dP/du where the factor is 1, shape of ``utilisation``, PRANA per unit."""
        return 2.0 * self.base_price * (1.0 + np.asarray(utilisation, dtype=np.float64))

    def price_bounds(self) -> tuple[float, float]:
        """Return the lowest price (idle, cheapest moment) and the highest (full, dearest moment), PRANA per unit."""
        low, high = {"none": (1.0, 1.0), "sawtooth": (1.0, 2.0), "smooth": (1 - SWING, 1 + SWING)}[self.cycle]
        return self.base_price * low, 4.0 * self.base_price * high


@register("pricing", "linear")
@dataclass(frozen=True, kw_only=True)
class Linear(UniformPrice):
    """The price rises by `utilization_factor` for every 10 % of utilisation: base * (1+u) by default.

    ``literal`` reads the factor as the slope itself, base * (1 + 0.1 u): 110 instead of 200 in a full market.
    """

    utilization_factor: float = 0.1  # share of the base price, per 10 % of utilisation (literal: per 100 %)
    literal: bool = False  # whether `utilization_factor` is the slope itself: base * (1 + 0.1 u)

    claims: ClassVar[frozenset[Law]] = _ALWAYS | _CLOCKLESS | {Law.HOMOGENEOUS, Law.BOUNDED}

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("pricing.utilization_factor", self.utilization_factor, at_least=0)

    @property
    def steepness(self) -> float:
        """How many base prices a full market costs above an idle one."""
        return self.utilization_factor if self.literal else self.utilization_factor / 0.1

    def price(self, load: Load) -> float:
        """Return base * (1 + steepness * u), PRANA per unit."""
        return self.base_price * (1.0 + self.steepness * load.utilisation)

    def slope(self, utilisation: Floats) -> Floats:
        """Return dP/du, the same everywhere, shape of ``utilisation``, PRANA per unit."""
        return np.full(np.shape(utilisation), self.base_price * self.steepness)

    def price_bounds(self) -> tuple[float, float]:
        """Return the price of an idle and of a full market, PRANA per unit."""
        return self.base_price, self.base_price * (1.0 + self.steepness)


def next_base_fee(fee: int, used: int, limit: int, elasticity: int = 2, denominator: int = 8) -> int:
    """Return the next block's base fee by EIP-1559, in the integers of ``fee``.

    1. target = limit // elasticity.
    2. delta = fee * |used - target| // target // denominator, floored after each division.
    3. Above target the fee rises by delta, at least 1; below it falls by delta, which may be 0.

    Raises
    ------
    ScenarioError
        If a figure is negative or the limit leaves no target.

    References
    ----------
    Buterin, Conner, Dudley, Slipper, Norden and Bakhta (2019), EIP-1559: Fee market change for ETH 1.0 chain.
    """
    if min(fee, used) < 0 or min(elasticity, denominator) < 1 or limit < elasticity:
        rule = "must have fee and used >= 0, elasticity and denominator >= 1, limit >= elasticity"
        raise ScenarioError(f"next_base_fee {rule}, got {(fee, used, elasticity, denominator, limit)}")
    target = limit // elasticity
    delta = fee * abs(used - target) // target // denominator
    if used > target:
        return fee + max(delta, 1)
    return fee - min(delta, fee)


def _atoms(amount: float) -> int:
    """Return ``amount`` in 1e-18 parts, rounded half to even, without passing through a float product."""
    return round(Fraction(amount) * ATOMS)


def _per_second_change_is_small(rule: Eip1559) -> bool:
    rise = math.expm1(math.log1p((rule.elasticity - 1) / rule.max_change_denominator) / rule.block_seconds)
    fall = -math.expm1(math.log1p(-1 / rule.max_change_denominator) / rule.block_seconds)
    return not rule.exact and max(rise, fall) < 0.01


@register("pricing", "eip1559")
@dataclass(frozen=True, kw_only=True)
class Eip1559(UniformPrice):
    """The base-fee rule: the last price, up while more than 1/elasticity of the capacity is used, down while less.

    One block of `block_seconds` multiplies the price by g = 1 + (used - target) / (target * denominator), where
    target = capacity / elasticity. A quote ``elapsed`` seconds after the last one multiplies it by g^(elapsed/block):
    a whole block gives the rule itself, and two half ticks under the same load give what one tick gives. Where the
    load differs between the halves the two agree to first order in the change.

    ``exact`` counts the price in 1e-18 PRANA and the capacity in 1e-18 units/s and floors as the protocol does; every
    tick must then hold a whole number of blocks. The price travels from tick to tick as a float, so figures beyond
    2^53 are exact per quote, not over a path (`next_base_fee` is, for those who need it).

    References
    ----------
    Buterin et al. (2019), EIP-1559. Leonardos, Monnot, Reijsbergen, Skoulakis and Piliouras (2021), Dynamical analysis
    of the EIP-1559 Ethereum fee market.
    """

    elasticity: int = 2  # capacity over target
    max_change_denominator: int = 8  # an idle block lowers the price by one part in this many
    block_seconds: float = 60.0  # s, length of a block
    exact: bool = False  # whether to count in integers, as the protocol does
    floor: float = field(default=1e-18, metadata=PRANA_PER_UNIT)  # PRANA per unit; by default the smallest payable

    claims: ClassVar[frozenset[Law]] = _ALWAYS | {Law.STATIONARY}
    claims_when: ClassVar[Mapping[Law, When]] = {
        Law.HOMOGENEOUS: When("exact is false (else to 1e-18 PRANA)", lambda rule: not rule.exact),
        Law.CONTINUOUS_IN_TIME: When(
            "exact is false and a block's greatest change spreads to under 1 % a second", _per_second_change_is_small
        ),
    }

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        require("pricing.elasticity", self.elasticity, at_least=2)
        require("pricing.max_change_denominator", self.max_change_denominator, at_least=2)
        require("pricing.block_seconds", self.block_seconds, above=0, unit="s")
        require("pricing.floor", self.floor, at_least=0, at_most=self.base_price, unit="PRANA per unit")

    def price(self, load: Load) -> float:
        """Return the last price moved by ``elapsed`` seconds of the load, PRANA per unit, never below the floor."""
        if load.capacity <= 0:
            return load.last_price
        if self.exact:
            return self._exact(load)
        target = load.capacity / self.elasticity
        used = min(max(load.used, 0.0), load.capacity)
        growth = 1.0 + (used - target) / (target * self.max_change_denominator)
        return float(max(self.floor, load.last_price * growth ** (load.elapsed / self.block_seconds)))

    def _exact(self, load: Load) -> float:
        """Return the price after the elapsed blocks in integers, PRANA per unit."""
        blocks = round(load.elapsed / self.block_seconds)
        if not math.isclose(blocks * self.block_seconds, load.elapsed, rel_tol=1e-9):
            rule = "must divide the time between quotes where pricing.exact is true"
            raise ScenarioError(f"pricing.block_seconds {rule}: {load.elapsed:g} s elapsed, got {self.block_seconds:g}")
        fee, limit = _atoms(load.last_price), _atoms(load.capacity)
        used = min(max(_atoms(load.used), 0), limit)
        for _ in range(blocks):
            fee = max(next_base_fee(fee, used, limit, self.elasticity, self.max_change_denominator), _atoms(self.floor))
        return fee / ATOMS


Reading = Literal["product", "mean", "weighted_arithmetic", "weighted_geometric", "additive_premiums"]
READINGS: tuple[Reading, ...] = ("product", "mean", "weighted_arithmetic", "weighted_geometric", "additive_premiums")


def performance_multiplier(multipliers: Floats, weights: Floats | None = None, reading: Reading = "product") -> float:
    """Return the factor on the base price that several quality multipliers amount to.

    A multiplier belongs to a condition that holds (accuracy above target: 1.2; latency *worse* than agreed: 0.8), so a
    multiplier below 1 compensates for a shortfall.

    Parameters
    ----------
    multipliers
        (n,), > 0, one per quality that applies.
    weights
        (n,), >= 0 with sum 1, used by the two weighted readings; equal where left out.
    reading
        product: prod m. mean: sum m / n. weighted_arithmetic: sum w m. weighted_geometric: prod m^w.
        additive_premiums: 1 + sum (m - 1).

    Raises
    ------
    ScenarioError
        If the figures are out of range or the reading is unknown.
    """
    m = np.asarray(multipliers, dtype=np.float64)
    w = np.full(m.shape, 1 / max(m.size, 1)) if weights is None else np.asarray(weights, dtype=np.float64)
    if m.ndim != 1 or not m.size or not np.all(np.isfinite(m) & (m > 0)):
        raise ScenarioError(f"pricing.multipliers must be finite numbers > 0, at least one, got {m.tolist()}")
    if w.shape != m.shape or not np.all(w >= 0) or not math.isclose(float(w.sum()), 1.0, abs_tol=1e-9):
        raise ScenarioError(f"pricing.weights must be {m.size} numbers >= 0 with sum 1, got {w.tolist()}")
    match reading:
        case "product":
            return float(np.prod(m))
        case "mean":
            return float(np.mean(m))
        case "weighted_arithmetic":
            return float(w @ m)
        case "weighted_geometric":
            return float(np.exp(w @ np.log(m)))
        case "additive_premiums":
            return float(1 + np.sum(m - 1))
    raise ScenarioError(f"pricing.reading must be one of {', '.join(READINGS)}, got {reading!r}")
