"""The laws that training jobs obey: error against training done, time against accelerators, power. No figures here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.errors import require

REFERENCE_ACCELERATORS = 8  # of kind H100 SXM5: the machine that most results of MLPerf Training v4.0 were run on


@dataclass(frozen=True)
class LearningCurve:
    """Error against training: floor + scale * (x + offset)^-exponent * d^-data_exponent.

    ``x`` is the training done as a share of what the target takes, ``d`` the data it was done on as a share of the
    full set. Both powers are the usual ones of learning curves; that they multiply is an assumption, since no public
    run of the round used less data.

    >>> curve = LearningCurve(floor=0.1, scale=0.2, exponent=1.0, offset=0.0, data_exponent=0.5)
    >>> curve.error(np.array([0.5, 1.0])).tolist(), curve.error(np.array([1.0]), np.array([0.25])).tolist()
    ([0.5, 0.30000000000000004], [0.5])

    References
    ----------
    Hestness, Narang, Ardalani et al. (2017), Deep learning scaling is predictable, empirically.
    """

    floor: float  #    error that no training removes
    scale: float  #    > 0
    exponent: float  # > 0
    offset: float  #   >= 0, training that what it starts from is worth
    data_exponent: float = 0.0  # >= 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("floor", "offset", "data_exponent"):
            require(f"learning_curve.{name}", getattr(self, name), at_least=0)
        for name in ("scale", "exponent"):
            require(f"learning_curve.{name}", getattr(self, name), above=0)

    def excess(self, x: Floats, data: Floats | float = 1.0) -> Floats:
        """Return the part of the error that more training or data would remove, shape of ``x``."""
        training = np.power(np.asarray(x, dtype=np.float64) + self.offset, -self.exponent)
        return np.asarray(self.scale * training * np.power(data, -self.data_exponent))

    def error(self, x: Floats, data: Floats | float = 1.0) -> Floats:
        """Return the error after training ``x``, shape of ``x``; infinite where nothing was trained from nothing."""
        with np.errstate(divide="ignore"):
            return self.floor + self.excess(x, data)

    def training(self, error: Floats, data: Floats | float = 1.0) -> Floats:
        """Return the training that brings the error down to ``error``, shape of it; infinite at the floor or below."""
        wanted = np.asarray(error, dtype=np.float64) - self.floor
        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.power(wanted / (self.scale * np.power(data, -self.data_exponent)), -1.0 / self.exponent)
        return np.where(wanted > 0, np.maximum(power - self.offset, 0.0), np.inf)


@dataclass(frozen=True)
class ScalingLaw:
    """Time to target against accelerators: log T = log seconds + slope * L + curvature * L^2, L = log(n / 8).

    A slope of -1 without curvature would be perfect scaling; a positive curvature says that each doubling helps less.
    ``relative`` multiplies the time of another kind of accelerator.
    """

    seconds: float  #   s, on 8 H100
    slope: float  #     at 8 accelerators
    curvature: float

    def time(self, n: Floats, relative: Floats | float = 1.0) -> Floats:
        """Return the time to target on ``n`` accelerators, shape of ``n``, s; constant beyond the law's minimum."""
        length = np.log(np.asarray(n, dtype=np.float64) / REFERENCE_ACCELERATORS)
        if self.curvature > 0:
            length = np.minimum(length, -self.slope / (2 * self.curvature))
        return np.asarray(self.seconds * np.exp(self.slope * length + self.curvature * length**2) * relative)

    def accelerator_hours(self, n: Floats) -> Floats:
        """Return n times the time, shape of ``n``, h: what the work costs."""
        return np.asarray(n * self.time(n) / 3600.0)


@dataclass(frozen=True)
class PowerLaw:
    """Power of one accelerator with its share of the node, at AC: watts * (n / 8)^slope."""

    watts: float  # W, on 8 accelerators
    slope: float

    def energy(self, n: Floats, seconds: Floats) -> Floats:
        """Return the energy of ``n`` accelerators over ``seconds``, shape of ``n``, kWh."""
        each = self.watts * np.power(np.asarray(n, dtype=np.float64) / REFERENCE_ACCELERATORS, self.slope)
        return np.asarray(each * n * seconds / 3.6e6)
