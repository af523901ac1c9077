"""When fraud does not pay: Becker's thresholds, the inspection game, and where a sweep crosses them.

A fraud gains g, is audited with probability p and then fined F. Two readings differ in what happens to the gain: it is
kept and the fine comes on top (g - p F), or it is forfeited when caught ((1 - p) g - p F).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats

Reading = Literal["kept", "forfeited"]
READINGS: tuple[Reading, ...] = ("kept", "forfeited")


def _check(name: str, value: float, *, at_least: float = 0.0, at_most: float = math.inf) -> None:
    if not (math.isfinite(value) and at_least <= value <= at_most):
        upper = f" and <= {at_most:g}" if math.isfinite(at_most) else ""
        raise ValueError(f"{name} must be a finite number >= {at_least:g}{upper}, got {value}")


@dataclass(frozen=True)
class Fraud:
    """One kind of fraud and how it is punished.

    References
    ----------
    Becker (1968), Crime and punishment: an economic approach. Polinsky and Shavell (2000), The economic theory of
    public enforcement of law.

    >>> Fraud(gain=100, fine=400).threshold("kept"), Fraud(gain=100, fine=400).threshold("forfeited")
    (0.25, 0.2)
    """

    gain: float  # PRANA, what an undetected fraud brings
    fine: float  # PRANA, what a detected one costs, slashed stake and lost business included

    def __post_init__(self) -> None:
        """Refuse what is no fraud or no fine."""
        _check("gain", self.gain)
        _check("fine", self.fine)

    def profit(self, p: float, reading: Reading) -> float:
        """Return the expected profit of one fraud, PRANA, where a share ``p`` of frauds is detected."""
        _check("p", p, at_most=1)
        return (self.gain if reading == "kept" else (1 - p) * self.gain) - p * self.fine

    def threshold(self, reading: Reading) -> float:
        """Return the detection probability above which fraud does not pay, g/F or g/(g + F); above 1: never."""
        full = self.fine if reading == "kept" else self.gain + self.fine
        return self.gain / full if full else math.inf if self.gain else 0.0

    def deterred(self, p: float, reading: Reading) -> bool:
        """Return whether the expected profit is below 0."""
        return self.profit(p, reading) < 0

    def fine_needed(self, p: float, reading: Reading) -> float:
        """Return the fine above which fraud does not pay at detection probability ``p``, PRANA: g/p or (1 - p) g/p."""
        _check("p", p, at_most=1)
        kept = self.gain if reading == "kept" else (1 - p) * self.gain
        return kept / p if p else math.inf if kept else 0.0


def caught_at_least_once(p: float, n: int) -> float:
    """Return the chance to be caught at least once in ``n`` frauds: 1 - (1 - p)^n."""
    _check("p", p, at_most=1)
    _check("n", n)
    return -math.expm1(n * math.log1p(-p)) if p < 1 else float(n > 0)


@dataclass(frozen=True)
class InspectionGame:
    """A provider cheats or not, an inspector audits or not: only a mixed equilibrium.

    References
    ----------
    Avenhaus, von Stengel and Zamir (2002), Inspection games. Tsebelis (1990), Penalty has no impact on crime.
    """

    gain: float  # g > 0, PRANA, of cheating unaudited
    fine: float  # F > 0, PRANA, of cheating audited
    audit_cost: float  # k, PRANA
    undetected_loss: float  # D > k, PRANA, what an undetected fraud costs the inspector

    def __post_init__(self) -> None:
        """Refuse games whose equilibrium is not mixed."""
        for name in ("gain", "fine", "audit_cost"):
            _check(name, getattr(self, name))
        if not self.audit_cost < self.undetected_loss < math.inf:
            raise ValueError(f"undetected_loss must be > audit_cost {self.audit_cost:g}, got {self.undetected_loss:g}")
        if not self.gain + self.fine > 0:
            raise ValueError(f"gain or fine must be > 0, got {self.gain:g} and {self.fine:g}")

    @property
    def audit_probability(self) -> float:
        """The share audited that leaves the provider indifferent: g / (g + F)."""
        return self.gain / (self.gain + self.fine)

    @property
    def cheat_probability(self) -> float:
        """The share of cheats that leaves the inspector indifferent: k / D; the fine is not in it."""
        return self.audit_cost / self.undetected_loss


@dataclass(frozen=True)
class Crossing:
    """Where a falling share passes a level, located in every replicate."""

    at: float  # mean over replicates
    low: float  # lower end of the 95 % interval
    high: float  # upper end of the 95 % interval
    n: int  # replicates that cross at all

    def holds(self, theory: float) -> bool:
        """Return whether the interval covers a theoretical threshold."""
        return self.low <= theory <= self.high


def crossing(x: npt.ArrayLike, share: npt.ArrayLike, level: float = 0.5) -> Crossing:
    """Return where ``share`` falls through ``level`` as ``x`` grows, with a 95 % Student interval over replicates.

    Parameters
    ----------
    x
        (n_points,) ascending: the audit probability.
    share
        (n_replicates, n_points): the cheating share at each. In each replicate the first pair of points around the
        level is interpolated; one that never crosses is left out and shows in `Crossing.n`.

    Raises
    ------
    ValueError
        If fewer than two replicates cross.
    """
    from scipy.stats import t

    grid, rows = np.asarray(x, dtype=np.float64), np.atleast_2d(np.asarray(share, dtype=np.float64))
    found = np.array([where for row in rows if (where := _first_crossing(grid, row, level)) is not None])
    if len(found) < 2:
        raise ValueError(f"share must cross {level:g} in at least two replicates, got {len(found)}")
    middle, error = float(found.mean()), float(found.std(ddof=1) / math.sqrt(len(found)))
    half = float(t.ppf(0.975, len(found) - 1)) * error
    return Crossing(middle, middle - half, middle + half, len(found))


def _first_crossing(x: Floats, y: Floats, level: float) -> float | None:
    for i in range(len(x) - 1):
        if y[i] >= level > y[i + 1]:
            return float(x[i] + (x[i + 1] - x[i]) * (y[i] - level) / (y[i] - y[i + 1]))
    return None
