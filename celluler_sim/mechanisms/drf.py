"""Dominant resource fairness: max-min fairness of the share of whatever resource each user needs most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Book, Fills, Floats, Slots
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.filling import water_level
from celluler_sim.mechanisms.laws import Law

if TYPE_CHECKING:  # compiled modules are imported only inside a run
    from celluler_sim.mechanisms.egalitarian import Claims
    from celluler_sim.mechanisms.placement import Placement

Mask = npt.NDArray[np.bool_]

DUST = 1e-12  # of a capacity: what rounding leaves counts as nothing


class DominantShares(NamedTuple):
    """The answer of dominant resource fairness."""

    tasks: Floats  #  (n_users,)
    shares: Floats  # (n_users,) dominant share: the largest share of any resource, of its whole capacity
    used: Floats  #   (n_resources,) in each resource's unit


def dominant_resource_fairness(
    capacity: npt.ArrayLike,
    demand_per_task: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    max_tasks: npt.ArrayLike | None = None,
) -> DominantShares:
    """Divide several resources among users with divisible tasks so that weighted dominant shares are max-min fair.

    Ghodsi et al. (2011), Dominant Resource Fairness, by progressive filling:

    1. A user's dominant share per task is the largest of its demands over the capacities.
    2. All users' dominant shares grow in proportion to their weights until a resource is exhausted or a user has all
       the tasks it wants.
    3. Users who need an exhausted resource stop; the others go on with what is left.

    Parameters
    ----------
    capacity
        (n_resources,) >= 0, each in its unit.
    demand_per_task
        (n_users, n_resources) >= 0.
    weights
        (n_users,) > 0; equal where left out.
    max_tasks
        (n_users,) >= 0, the most each wants; unlimited where left out.

    Raises
    ------
    ValueError
        If shapes differ, a figure is negative, or a user who wants unlimited tasks needs nothing for them.

    >>> dominant_resource_fairness([9, 18], [[1, 4], [3, 1]]).tasks.round(9).tolist()
    [3.0, 2.0]
    """
    c, d = np.asarray(capacity, dtype=np.float64), np.asarray(demand_per_task, dtype=np.float64)
    if c.ndim != 1 or d.ndim != 2 or d.shape[1] != len(c):
        raise ValueError(f"demand_per_task must have one column per capacity, got shapes {d.shape} and {c.shape}")
    w = np.ones(len(d)) if weights is None else np.asarray(weights, dtype=np.float64)
    most = np.full(len(d), np.inf) if max_tasks is None else np.asarray(max_tasks, dtype=np.float64)
    if not (w.shape == most.shape == (len(d),) and np.all(w > 0) and np.all(most >= 0)):
        raise ValueError(f"weights must be > 0 and max_tasks >= 0, one per user, got {w} and {most}")
    if not (np.all(np.isfinite(c) & (c >= 0)) and np.all(np.isfinite(d) & (d >= 0))):
        raise ValueError("capacity and demand_per_task must be finite and >= 0, got a figure that is not")
    if np.any(np.isinf(most) & ~d.any(axis=1)):
        raise ValueError("a user whose tasks need nothing must have finite max_tasks, got none")
    per_task = _dominant_share(c, d)
    tasks = progressive_filling(c, d, _pace(w, per_task), most)
    return DominantShares(tasks, tasks * np.where(tasks > 0, per_task, 0.0), tasks @ d)


def _dominant_share(capacity: Floats, demand: Floats) -> Floats:
    """Return the largest share of any resource that one task takes, (n_users,); inf where a resource is missing."""
    shares = np.full(demand.shape, np.inf)
    np.divide(demand, capacity, out=shares, where=capacity > 0)
    return np.asarray(np.where(demand > 0, shares, 0.0).max(axis=1, initial=0.0))


def _pace(weights: Floats, per_task: Floats) -> Floats:
    """Return how many tasks a user gains per unit of the common level, (n_users,): inf for who needs nothing."""
    return np.asarray(np.divide(weights, per_task, out=np.full(len(weights), np.inf), where=per_task > 0))


def progressive_filling(left: Floats, demand: Floats, pace: Floats, most: Floats) -> Floats:
    """Return the tasks of each user, (n_users,), when all grow at their pace until a resource they need is exhausted.

    Parameters
    ----------
    left
        (n_resources,) still to be divided, in each resource's unit.
    demand
        (n_users, n_resources) per task.
    pace
        (n_users,) tasks per unit of the common level; inf for who needs nothing, 0 for who needs what does not exist.
    most
        (n_users,) tasks wanted.
    """
    tasks = np.where(np.isinf(pace), most, 0.0)
    growing = np.isfinite(pace) & (pace > 0)
    while growing.any():
        rest = np.maximum(left - tasks @ demand, 0.0)  # growing users' tasks are still 0
        levels = np.array([_exhausted_at(c, demand[growing, r], pace, most, growing) for r, c in enumerate(rest)])
        level = float(levels.min(initial=np.inf))
        stops = growing & (demand[:, levels <= level * (1 + DUST)] > 0).any(axis=1)
        tasks[stops] = np.minimum(most[stops], pace[stops] * level)
        growing &= ~stops
    return tasks


def _exhausted_at(capacity: float, demand: Floats, pace: Floats, most: Floats, growing: Mask) -> float:
    """Return the level at which the ``growing`` users, who need ``demand`` each, have used up ``capacity``."""
    need = demand > 0
    if not need.any():
        return float(np.inf)
    return water_level(capacity, demand[need] * most[growing][need], demand[need] * pace[growing][need])


@register("allocation", "drf")
@dataclass(frozen=True, kw_only=True)
class DominantResourceFairness:
    """Dominant resource fairness over capacity and the further resources: each gets a fraction of all it asks for.

    Dominant shares are taken of the whole book's supply (Ghodsi et al. 2011); a request gets x of its amount and of its
    demand, 0 <= x <= 1. A request is admitted, by deadline, then consensus order, only if x still covers the minimum
    of every request admitted before it and its own. Without further resources this is weighted max-min. Hardware,
    prices and single machines can stand in the way of x; what is then left is divided in the same way among the others.
    """

    claims: ClassVar[frozenset[Law]] = frozenset({
        Law.NON_WASTEFUL, Law.ENVY_FREE, Law.ANONYMOUS, Law.STRATEGY_PROOF, Law.RESOURCE_MONOTONE, Law.SHARING_INCENTIVE
    })  # fmt: skip

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the fills."""
        from celluler_sim.mechanisms.egalitarian import max_min_grants, share_out

        return share_out(book, book.weight, dominant_grants if book.supply.shape[1] else max_min_grants)


def dominant_grants(stage: Placement, claims: Claims) -> Floats:
    """Return dominant-resource-fair grants of what is left on ``stage``, (n_requests,), units/s."""
    book, shelf = stage.book, stage.shelf
    left = np.append(shelf.free.sum(), shelf.supply.sum(axis=0))
    whole = np.append(book.capacity.sum(), book.supply.sum(axis=0))
    demand = np.column_stack([book.amount, book.demand])  # of one task: the whole request
    pace = _pace(claims.weight, _dominant_share(whole, demand))
    asked = np.where(book.amount > 0, book.amount, 1.0)
    most, least = claims.amount / asked, claims.minimum / asked

    def covered(rows: Slots) -> Floats | None:
        """Return the tasks of ``rows`` if each is given its least, else None."""
        if np.any(least[rows] @ demand[rows] > left * (1 + DUST)):
            return None
        tasks = progressive_filling(left, demand[rows], pace[rows], most[rows])
        return np.maximum(tasks, least[rows]) if np.all(tasks >= least[rows] * (1 - DUST)) else None

    rows, tasks = admit_in_blocks(claims.order, covered)
    grants = np.zeros(len(claims.amount))
    grants[rows] = tasks * book.amount[rows]
    return grants


def admit_in_blocks(order: Slots, covered: Callable[[Slots], Floats | None]) -> tuple[Slots, Floats]:
    """Admit rows in order as long as ``covered`` can serve all that are admitted; return them and its last answer.

    Blocks are tried that double when they fit and halve when not, so that a book with few refusals takes few trials. A
    single row that does not fit is refused and does not block those behind it.
    """
    rows, tasks = order[:0], np.zeros(0)
    at, size = 0, len(order)
    while at < len(order):
        trial = np.concatenate([rows, order[at : at + size]])
        answer = covered(trial)
        if answer is not None:
            rows, tasks = trial, answer
        if answer is not None or size == 1:
            at, size = at + size, size if answer is None else 2 * size
        else:
            size //= 2
    return rows, tasks
