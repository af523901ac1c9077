"""Rules that divide several resources at once, as contrast to dominant resource fairness.

Tasks are divisible; one task of user i takes ``demand[i, r]`` of resource r, of which there is ``capacity[r]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats
from celluler_sim.mechanisms.drf import progressive_filling


def _shares_per_task(capacity: npt.ArrayLike, demand: npt.ArrayLike) -> Floats:
    """Return the share of each resource that one task takes, (n_users, n_resources)."""
    total, wanted = np.asarray(capacity, dtype=np.float64), np.asarray(demand, dtype=np.float64)
    if total.ndim != 1 or wanted.ndim != 2 or wanted.shape[1] != total.size:
        raise ValueError(f"demand must have one column per resource, got {wanted.shape} for {total.shape}")
    if not (np.all(np.isfinite(total) & (total > 0)) and np.all(np.isfinite(wanted) & (wanted >= 0))):
        raise ValueError("capacity must be finite and > 0, demand finite and >= 0, got another figure")
    if not np.all(wanted.any(axis=1)):
        row = int(np.argmin(wanted.any(axis=1)))
        raise ValueError(f"each user must need some resource, got a demand of 0 throughout at row {row}")
    return np.asarray(wanted / total)


def _weights(weights: npt.ArrayLike | None, n: int) -> Floats:
    column = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if column.shape != (n,) or not np.all(np.isfinite(column) & (column > 0)):
        raise ValueError(f"weights must be {n} finite numbers > 0, got {column.tolist()}")
    return column


def asset_fairness(capacity: npt.ArrayLike, demand: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Floats:
    """Return the tasks of each user, (n_users,), when the sums of their resource shares are equal (per weight).

    Progressive filling: all grow until a resource is exhausted; users who do not need it go on.

    References
    ----------
    Ghodsi, Zaharia, Hindman, Konwinski, Shenker and Stoica (2011), Dominant Resource Fairness, section 4.1.

    >>> asset_fairness([9, 18], [[1, 4], [3, 1]]).round(9).tolist()
    [2.52, 2.16]
    """
    share = _shares_per_task(capacity, demand)
    speed = _weights(weights, len(share)) / share.sum(axis=1)  # tasks per unit of level
    return progressive_filling(np.ones(share.shape[1]), share, speed, np.full(len(share), np.inf))


def competitive_equilibrium(
    capacity: npt.ArrayLike, demand: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Floats:
    """Return the tasks of each user, (n_users,), in the competitive equilibrium from equal incomes (per weight).

    It maximises sum w log(tasks) subject to the capacities (Eisenberg and Gale 1959). With p the price of a resource
    and s what is left of it, the conditions are w / x = D p, s = 1 - D'x >= 0, p >= 0, p s = 0: solved by Newton's
    method on p s = m with m falling to nothing, p and s kept positive.

    References
    ----------
    Varian (1974), Equity, envy, and efficiency. Mehrotra (1992) for the method.

    >>> (competitive_equilibrium([9, 18], [[1, 4], [3, 1]]) * 11).round(9).tolist()
    [45.0, 18.0]
    """
    share = _shares_per_task(capacity, demand)
    weight = _weights(weights, len(share))
    weight = weight / weight.sum()  # then the incomes, and what the resources cost together, are 1
    tasks = 0.5 / (len(share) * share.max(axis=1))  # strictly inside
    at = _Point(tasks, np.ones(share.shape[1]), 1.0 - tasks @ share)
    for _ in range(200):
        gap = float(np.mean(at.price * at.left))
        if gap < 1e-20:
            return at.tasks
        step = _newton_step(share, weight, at, 0.2 * gap)
        edge = max(float(np.max(-change / value)) for change, value in zip(step, at, strict=True))
        reach = min(1.0, 0.99 / max(edge, 1e-300))
        at = _Point(*(value + reach * change for value, change in zip(at, step, strict=True)))
    raise ArithmeticError(f"the competitive equilibrium of {share.shape} did not settle within 200 steps")


class _Point(NamedTuple):
    tasks: Floats  # (n_users,)
    price: Floats  # (n_resources,) per whole capacity
    left: Floats  #  (n_resources,) share of the capacity


def _newton_step(share: Floats, weight: Floats, at: _Point, gap: float) -> _Point:
    """Return the changes that solve the conditions, with p s = gap, to first order.

    From the first condition d_tasks = curvature * (income - D d_price), from the last d_left = excess - s/p d_price;
    put into the second they leave one linear system in d_price.
    """
    curvature = at.tasks**2 / weight
    income = weight / at.tasks - share @ at.price
    balance = 1.0 - at.tasks @ share - at.left
    excess = gap / at.price - at.left
    matrix = share.T @ (curvature[:, None] * share) + np.diag(at.left / at.price)
    scale = 1 / np.sqrt(np.diag(matrix))  # an idle resource's row is 1e20 times that of a scarce one
    right = scale * ((curvature * income) @ share - balance + excess)
    d_price = scale * np.asarray(np.linalg.lstsq(matrix * np.outer(scale, scale), right, rcond=None)[0], np.float64)
    d_tasks: Floats = curvature * (income - share @ d_price)
    return _Point(d_tasks, d_price, excess - at.left / at.price * d_price)
