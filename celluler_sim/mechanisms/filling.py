"""Dividing one capacity among claims: max-min (progressive filling), proportional and capped equal shares.

Pure functions of NumPy arrays; the allocation rules and the validation cases use the same ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats


def water_level(capacity: float, demands: Floats, weights: Floats) -> float:
    """Return the level at which sum min(demand, weight * level) reaches ``capacity``; inf where all demands fit.

    Progressive filling (Bertsekas and Gallager 1992, section 6.5): claims saturate in order of demand / weight; the
    level is where what is left, divided by the weights still growing, is below the next saturation.

    Parameters
    ----------
    capacity
        units/s, >= 0.
    demands, weights
        (n,) units/s >= 0, and > 0.
    """
    if demands.sum() <= capacity:
        return float(np.inf)
    saturation = demands / weights
    order = np.argsort(saturation, kind="stable")
    saturation, growing = saturation[order], np.cumsum(weights[order][::-1])[::-1]
    full = demands[order]
    left = capacity - np.concatenate(([0.0], np.cumsum(full[:-1])))  # after those that saturate before
    short = left <= saturation * growing
    if not short.any():  # the demands exceed the capacity by rounding only
        return float(np.inf)
    first = int(np.argmax(short))
    return max(0.0, float(left[first] / growing[first]))


def max_min(capacity: float, demands: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """Return the weighted max-min fair division of ``capacity``, (n,).

    Nobody's share can rise but at the cost of one that is smaller already. Everyone gets min(demand, weight * level),
    with the level at which the capacity is used up.

    Parameters
    ----------
    capacity
        units, >= 0.
    demands
        (n,) >= 0, in the same units; inf for a claim without ceiling.
    weights
        (n,) >= 0; equal where left out. A claim of weight 0 gets what nobody else wants: here nothing.

    Raises
    ------
    ValueError
        If a figure is negative or NaN or the lengths differ.

    >>> max_min(10, [2, 2.6, 4, 5]).round(9).tolist()
    [2.0, 2.6, 2.7, 2.7]
    """
    d = np.asarray(demands, dtype=np.float64)
    w = np.ones(d.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    _check(capacity, d, w)
    shares = np.zeros(d.shape)
    heavy = w > 0
    if heavy.any():
        level = water_level(float(capacity), d[heavy], w[heavy])
        shares[heavy] = np.minimum(d[heavy], w[heavy] * level)
    return shares


def proportional_share(capacity: float, weights: npt.ArrayLike, caps: npt.ArrayLike | None = None) -> Floats:
    """Return ``capacity * weight / sum(weights)``, (n,); what ``caps`` leave over goes to the rest by weight.

    With caps this is weighted max-min with the caps as demands.

    >>> proportional_share(100, [5, 3, 2]).tolist(), proportional_share(100, [5, 3, 2], [30, 100, 100]).tolist()
    ([50.0, 30.0, 20.0], [30.0, 42.0, 28.0])
    """
    w = np.asarray(weights, dtype=np.float64)
    return max_min(capacity, np.full(w.shape, np.inf) if caps is None else caps, w)


def capped_equal_share(capacity: float, demands: npt.ArrayLike, parts: int | None = None) -> Floats:
    """Return ``min(demand, capacity / parts)``, (n,): the one-pass rule, which strands what small claims leave.

    ``parts`` is the number of claims where left out. The seed divides by the number of *providers*: with more claims
    than that the shares can sum to more than the capacity, so somebody has to say who comes first.

    >>> capped_equal_share(10, [2, 2.6, 4, 5]).tolist()
    [2.0, 2.5, 2.5, 2.5]
    """
    d = np.asarray(demands, dtype=np.float64)
    _check(capacity, d, np.ones(d.shape))
    return np.minimum(d, capacity / max(d.size if parts is None else parts, 1))


def _check(capacity: float, demands: Floats, weights: Floats) -> None:
    if not (np.isfinite(capacity) and capacity >= 0):
        raise ValueError(f"capacity must be finite and >= 0, got {capacity}")
    if demands.ndim != 1 or weights.shape != demands.shape:
        raise ValueError(f"demands and weights must be of one length, got {demands.shape} and {weights.shape}")
    if not np.all(demands >= 0):
        raise ValueError(f"demands must be >= 0, got {demands[~(demands >= 0)][0]}")
    if not np.all((weights >= 0) & np.isfinite(weights)):
        raise ValueError(f"weights must be finite and >= 0, got {weights[~((weights >= 0) & np.isfinite(weights))][0]}")
