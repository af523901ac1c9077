"""When collusion holds: critical discount factors of rings of n, by how members compete and how they are watched.

A member compares its share of the collusive profit for ever with one deviation and the punishment after it. Everything
that the profits' unit cancels out of is exact where the profits are whole numbers or fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

Number = TypeVar("Number", float, Fraction)


@dataclass(frozen=True)
class Stage:
    """One period's profit of a ring member, in any unit."""

    collude: Fraction  # everybody keeps to the agreement
    deviate: Fraction  # this one breaks it, the others keep to it
    compete: Fraction  # nobody does


def _ring(n: int) -> int:
    if n != int(n) or n < 2:
        raise ValueError(f"n must be a whole number of members >= 2, got {n}")
    return int(n)


def bertrand(n: int) -> Stage:
    """Return the profits of price competition with equal constant costs, monopoly profit 1: share, all, nothing."""
    return Stage(Fraction(1, _ring(n)), Fraction(1), Fraction(0))


def cournot(n: int) -> Stage:
    """Return the profits of quantity competition with linear demand, in units of (a - c)^2 / b.

    Collusion: each sells 1/(2n) of (a - c)/b. Deviation: the best reply to the others' (n - 1)/(2n), that is
    (n + 1)/(4n). Competition: 1/(n + 1) each.
    """
    n = _ring(n)
    return Stage(Fraction(1, 4 * n), Fraction(n + 1, 4 * n) ** 2, Fraction(1, n + 1) ** 2)


def auction(n: int) -> Stage:
    """Return the profits of a ring that draws lots for who bids the reserve price while the others cover, cost 0.

    A member that undercuts takes the whole reserve; afterwards competition leaves nothing: as `bertrand`.
    """
    return bertrand(n)


def critical_discount(stage: Stage, lag: int = 1) -> Fraction | float:
    """Return the discount factor from which the grim trigger sustains the agreement, [0, 1).

    delta^lag = (deviate - collude) / (deviate - compete), where a deviation is noticed after ``lag`` periods of profit.

    References
    ----------
    Friedman (1971), A non-cooperative equilibrium for supergames. Tirole (1988), The Theory of Industrial Organization.
    """
    if lag < 1:
        raise ValueError(f"lag must be >= 1 period, got {lag}")
    if not stage.deviate > stage.compete:
        raise ValueError(f"deviate must be > compete, got {stage.deviate} and {stage.compete}")
    ratio = max(Fraction(0), Fraction(stage.deviate - stage.collude) / Fraction(stage.deviate - stage.compete))
    return ratio if lag == 1 else float(ratio) ** (1 / lag)


def rotation_discount(n: int) -> float:
    """Return the critical discount factor of a ring whose members win in turn rather than by lot.

    The member who has just won waits longest and is tempted most: delta^(n-1) / (1 - delta^n) >= 1, that is
    delta^(n-1) + delta^n = 1 at the threshold. Two members need the golden ratio, 0.618, where lots need 0.5.
    """
    n = _ring(n)
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle ** (n - 1) + middle**n < 1 else (low, middle)
    return high


def sustainable(stage: Stage, discount: float, lag: int = 1) -> bool:
    """Return whether a ring with this discount factor holds."""
    return discount >= critical_discount(stage, lag)


@dataclass(frozen=True)
class WatchedCartel:
    """A ring that an authority finds in each period with probability rho, kept to or not; then it is fined and over.

    Every member pays the fine once and earns 0 ever after; after a deviation it also earns 0 ever after.

    References
    ----------
    Motta and Polo (2003), Leniency programs and cartel prosecution: the set-up.
    """

    collude: float  # profit a period
    deviate: float  # profit of the period of a deviation
    rho: float  # probability to be found in a period, [0, 1)
    fine: float  # each member's

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.rho < 1:
            raise ValueError(f"rho must be >= 0 and < 1, got {self.rho}")
        if not (self.fine >= 0 and self.deviate > 0):
            raise ValueError(f"fine must be >= 0 and deviate > 0, got {self.fine} and {self.deviate}")

    def value(self, discount: float) -> float:
        """Return what keeping to the agreement is worth: (collude - rho F) / (1 - delta (1 - rho))."""
        return (self.collude - self.rho * self.fine) / (1 - discount * (1 - self.rho))

    def temptation(self) -> float:
        """Return what one deviation is worth: deviate - rho F."""
        return self.deviate - self.rho * self.fine

    @property
    def critical_discount(self) -> float:
        """(deviate - collude) / ((1 - rho)(deviate - rho F)); from 1 on no ring is stable, inf where none even pays."""
        tempting = (1 - self.rho) * self.temptation()
        if tempting <= 0:
            return math.inf
        return max(0.0, (self.deviate - self.collude) / tempting)

    @property
    def sustainable(self) -> bool:
        """Whether some discount factor below 1 sustains the ring."""
        return self.critical_discount < 1

    def holds(self, discount: float) -> bool:
        """Return whether the ring is stable at this discount factor."""
        return discount < 1 and discount >= self.critical_discount

    def deterring_fine(self, discount: float) -> float:
        """Return the fine from which the ring breaks at this discount factor; 0 where it does without one.

        delta (1 - rho)(deviate - rho F) = deviate - collude, solved for F; inf where nothing is ever found.
        """
        if self.rho == 0:
            return 0.0 if discount < (self.deviate - self.collude) / self.deviate else math.inf
        if discount <= 0:
            return 0.0
        left = self.deviate - (self.deviate - self.collude) / (discount * (1 - self.rho))
        return max(0.0, left / self.rho)
