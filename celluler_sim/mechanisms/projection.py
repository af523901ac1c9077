"""Floors and caps: the nearest division that keeps to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms.games import GameError


class Bounds(NamedTuple):
    """The least and the most that each member may get."""

    low: Floats  #   (n,)
    high: Floats  #  (n,)
    relaxed: bool  # whether a floor or cap had to give way


def bounds(total: float, n: int, floor: float | None, cap: float | None) -> Bounds:
    """Return what ``floor`` and ``cap``, fractions of ``total``, allow each of ``n`` members.

    n floors above the whole cannot be paid, and n caps below it cannot use it up: such a floor is lowered to 1/n, such
    a cap raised to 1/n (then all get the same), and ``relaxed`` says so. With a total below 0 the two change places.
    """
    least = -np.inf if floor is None else min(floor, 1 / n)
    most = np.inf if cap is None else max(cap, 1 / n)
    relaxed = (floor is not None and floor * n > 1 + 1e-12) or (cap is not None and cap * n < 1 - 1e-12)
    ends = [least * abs(total) if np.isfinite(least) else least, most * abs(total) if np.isfinite(most) else most]
    if total < 0:
        ends = [-ends[1], -ends[0]]
    return Bounds(np.full(n, ends[0]), np.full(n, ends[1]), relaxed)


def project(value: npt.ArrayLike, total: float, low: npt.ArrayLike, high: npt.ArrayLike) -> Floats:
    """Return the point nearest to ``value`` that sums to ``total`` and lies within the bounds, (n,).

    By the conditions of Karush, Kuhn and Tucker every share that touches no bound is moved by the same amount d:
    x = clip(value + d, low, high). The sum is a rising, piecewise linear function of d, so d is found between the
    two of its corners that hold the total.

    Parameters
    ----------
    value
        (n,)
    total
        What the shares sum to.
    low, high
        One number or (n,) each; infinite where there is no bound.

    Raises
    ------
    GameError
        If no shares within the bounds sum to the total.

    >>> project([700.0, 250.0, 50.0], 1000.0, 0.0, 500.0)
    array([500., 350., 150.])
    """
    x = np.asarray(value, dtype=np.float64)
    lo, hi = (np.broadcast_to(np.asarray(b, dtype=np.float64), x.shape) for b in (low, high))
    slack = 1e-9 * max(1.0, abs(total))
    if (lo > hi).any() or lo.sum() > total + slack or hi.sum() < total - slack:
        rule = f"must leave room for shares that sum to {total:g}"
        raise GameError(f"floors and caps {rule}, got {lo.tolist()} to {hi.tolist()}; lower the floors or raise caps")
    d = _within_segment(x, lo, hi, total)
    free = (lo < x + d) & (x + d < hi)
    kept = np.clip(x + d, lo, hi)
    if not free.any():
        return kept
    return np.where(free, x + (total - kept[~free].sum() - x[free].sum()) / free.sum(), kept)


def _within_segment(x: Floats, lo: Floats, hi: Floats, total: float) -> float:
    """Return a shift between the two neighbouring corners of sum clip(x + d, lo, hi) that hold the total."""
    corners = np.unique(np.concatenate((lo - x, hi - x)))
    corners = corners[np.isfinite(corners)]
    if not len(corners):
        return 0.0
    ends = np.concatenate(([corners[0] - 1.0], corners, [corners[-1] + 1.0]))
    reached = np.clip(x + corners[:, None], lo, hi).sum(axis=1)
    k = int(np.searchsorted(reached, total))
    return float((ends[k] + ends[k + 1]) / 2)
