"""What a sharing rule answers: one share a member, how sure it is of each, and the exact payment that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen
from celluler_sim.mechanisms.games import GameError

if TYPE_CHECKING:
    from celluler_sim.ledger import Amounts

Negative = Literal["clip", "owe"]


@dataclass(frozen=True, eq=False)
class Shares(Frozen):
    """One share a member, in the unit of the game's worth, with standard errors where it was sampled; read-only."""

    value: Floats  #          (n,)
    standard_error: Floats  # (n,) 0 where exact
    orders: int = 0  #        orders of the members that were sampled; 0 where exact
    degrees: float = np.inf  # degrees of freedom behind the standard errors
    defined: bool = True  #   false where the rule has no answer (it divides 0 by 0) and all get the same instead
    relaxed: bool = False  #  true where floor or cap could not be kept by so many members and were moved to 1/n

    @classmethod
    def exact(cls, value: npt.ArrayLike, *, defined: bool = True) -> Shares:
        """Return shares that are not estimated."""
        found = np.array(value, dtype=np.float64)
        return cls(found, np.zeros(found.shape), defined=defined)

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Return lower and upper ends of each share's confidence interval, (n,) each, by Student's t."""
        from scipy.special import stdtrit

        quantile = float(stdtrit(min(self.degrees, 1e9), 0.5 + level / 2))
        return self.value - quantile * self.standard_error, self.value + quantile * self.standard_error

    def fractions(self) -> Floats:
        """Return the shares as fractions of their sum, (n,); equal ones where the sum is 0."""
        total = float(self.value.sum())
        return self.value / total if total else np.full(self.value.shape, 1 / len(self.value))

    def payout_units(self, total: int, negative: Negative = "clip") -> list[int]:
        """Split ``total`` units of 1e-18 PRANA by the shares; see the function `payout_units`."""
        return payout_units(self.value, total, negative)


def payout_units(value: Sequence[float] | Floats, total: int, negative: Negative = "clip") -> list[int]:
    """Split ``total`` units by shares, exactly: the payments sum to the total, each within a unit of its due.

    A share is the exact rational that its float stands for, so nothing is rounded but the unit.

    Parameters
    ----------
    value
        (n,) shares, in any unit.
    total
        Units of 1e-18 PRANA, >= 0.
    negative
        What a negative share means. clip: its owner gets nothing, the others divide the total in proportion to theirs
        (a pool pays out what it has and charges nobody). owe: its owner owes that part, a negative number of
        units, and the others get as much more; who pays first is up to the caller.

    Where no share is positive (owe: the shares do not sum to more than 0) everybody gets the same.

    >>> payout_units([2.0, 1.0, -1.0], 100)
    [67, 33, 0]
    >>> payout_units([2.0, 1.0, -1.0], 100, "owe")
    [100, 50, -50]
    """
    from celluler_sim.ledger import split_units

    exact = [Fraction(float(v)) for v in value] if np.isfinite(np.asarray(value, dtype=np.float64)).all() else []
    if not exact:
        raise GameError(f"shares must be finite numbers, at least one, to be paid, got {list(value)}")
    if negative == "clip":
        exact = [max(v, Fraction(0)) for v in exact]
    scale = 1
    for v in exact:
        scale = max(scale, v.denominator)  # powers of two: the largest is a multiple of all
    weights = [int(v * scale) for v in exact]
    if sum(weights) <= 0:
        weights = [1] * len(weights)
    return split_units(total, weights) if min(weights) >= 0 else _signed_split(total, weights)


def _signed_split(total: int, weights: Sequence[int]) -> list[int]:
    """Split by largest remainders where weights may be negative but sum to more than 0."""
    whole = sum(weights)
    parts, remainders = zip(*(divmod(total * w, whole) for w in weights), strict=True)
    late = sorted(range(len(parts)), key=lambda i: -remainders[i])[: total - sum(parts)]
    return [part + (i in late) for i, part in enumerate(parts)]


def payouts(value: npt.ArrayLike, total: Amounts, start: npt.ArrayLike) -> Amounts:
    """Split the totals of many pools at once, exactly; negative shares get nothing, as under ``clip``.

    Parameters
    ----------
    value
        (n_members,) shares, the members of a pool following one another.
    total
        (n_pools,) what each pool pays out.
    start
        (n_pools,) row of each pool's first member, ascending from 0.

    Returns
    -------
    The payments, (n_members,). A pool without a positive share pays everybody the same. `GameError` for a pool that
    has money but no member, or a share that is no number.
    """
    from celluler_sim.ledger import split_groups

    weight = np.maximum(np.asarray(value, dtype=np.float64), 0.0)
    first = np.asarray(start, dtype=np.int64)
    count = np.diff(np.concatenate((first, [len(weight)])))
    money = total.to_prana() > 0
    if not np.isfinite(weight).all() or (money & (count <= 0)).any():
        raise GameError("payouts must have finite shares and a member in each pool with money; drop the empty pools")
    pool = np.repeat(np.arange(len(first)), count)
    whole = np.bincount(pool, weights=weight, minlength=len(first))
    return split_groups(total, np.where(whole[pool] > 0, weight, 1.0), first)
