"""Max-min fairness where not everybody may use everything, and the rounds that turn it into fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Book, Fills, Floats, Slots
from celluler_sim.mechanisms.compatibility import classify
from celluler_sim.mechanisms.filling import water_level
from celluler_sim.mechanisms.flow_kernels import bottleneck, cross
from celluler_sim.mechanisms.placement import Placement, no_fills
from celluler_sim.mechanisms.placement_kernels import DUST, SHORTFALL, admit
from celluler_sim.mechanisms.provider_shares import ShareBounds

Mask = npt.NDArray[np.bool_]

ROUNDS = 8  # of dividing what is left; a further one is needed only if placement could not follow the division


class Claims(NamedTuple):
    """What is asked for; columns by row of the book."""

    order: Slots  # (n_claims,) rows that take part, in the order in which they are admitted
    amount: Floats  # (n_requests,) units/s
    minimum: Floats  # (n_requests,) units/s
    weight: Floats  # (n_requests,) > 0


Divide = Callable[[Placement, Claims], Floats]  # returns the grants, (n_requests,), units/s


def level_with_minimums(claims: Claims, capacity: float) -> tuple[Slots, float]:
    """Return the rows admitted to ``capacity`` (units/s) and the max-min level at which they share it."""
    rows = claims.order
    if claims.amount[rows].sum() <= capacity:
        return rows, float(np.inf)
    if claims.minimum[rows].any():
        rows = rows[admit(rows, claims.amount, claims.weight, claims.minimum, capacity)[rows]]
    return rows, water_level(capacity, claims.amount[rows], claims.weight[rows])


def share(claims: Claims, rows: Slots, level: float) -> Floats:
    """Return min(amount, weight * level) of ``rows``, (n_rows,), units/s, never below the minimum."""
    return np.maximum(np.minimum(claims.amount[rows], claims.weight[rows] * level), claims.minimum[rows])


def lexicographic_max_min(claims: Claims, group: Slots, link: Mask, supply: Floats) -> Floats:
    """Return the max-min fair grants, (n_requests,), units/s, where classes of requests may use some classes of offers.

    Megiddo (1974), Optimal flows in networks with multiple sources and sinks:

    1. Raise all claims' level together until some set of classes asks for all it may use: the tightest bottleneck.
    2. In it, admit claims in order as long as the level covers the minimums; if one has to go, start again without it.
    3. Its members keep what they have then; they and the offers they use leave; go on with the rest.

    Parameters
    ----------
    group
        (n_requests,) class of each request.
    link
        (n_request_classes, n_offer_classes) whether the one may use the other.
    supply
        (n_offer_classes,) units/s.
    """
    grants, supply = np.zeros(len(claims.amount)), supply.copy()
    while len(claims.order):
        tight, level = _tightest(claims, group, link, supply)
        if tight is None:
            grants[claims.order] = claims.amount[claims.order]
            break
        inside, used = tight[group[claims.order]], link[tight].any(axis=0)
        members = claims.order[inside]
        kept, level = level_with_minimums(claims._replace(order=members), float(supply[used].sum()))
        if len(kept) < len(members):
            stays = ~inside
            stays[np.isin(claims.order, kept)] = True
            claims = claims._replace(order=claims.order[stays])
            continue
        grants[kept] = share(claims, kept, level)
        supply[used] = 0.0
        claims = claims._replace(order=claims.order[~inside])
    return grants


def _tightest(claims: Claims, group: Slots, link: Mask, supply: Floats) -> tuple[Mask | None, float]:
    """Return the classes that are first to be short of supply as the level rises, None if nobody is, and that level.

    Newton's method on the level: at a level that is too high a minimum cut names a set that is short; its own level is
    the next to try. Each is lower than the one before, and the last set found is the bottleneck.
    """
    tight, level = None, float(np.inf)
    rows = claims.order
    while True:
        wanted = np.minimum(claims.amount[rows], claims.weight[rows] * level)
        short = bottleneck(link, np.bincount(group[rows], wanted, minlength=len(link)).astype(np.float64), supply)
        members = rows[short[group[rows]]]
        if not len(members):
            return tight, level
        capacity = float(supply[link[short].any(axis=0)].sum())
        lower = water_level(capacity, claims.amount[members], claims.weight[members])
        if not lower < level:
            return tight, level
        tight, level = short, lower


def max_min_grants(stage: Placement, claims: Claims) -> Floats:
    """Return max-min fair grants of what is left on ``stage``, (n_requests,), units/s."""
    classes, supply = stage.classes, stage.free_by_class()
    if not classes.uniform:
        return lexicographic_max_min(claims, classes.request_class, classes.link, supply)
    grants = np.zeros(len(claims.amount))
    rows, level = level_with_minimums(claims, float(supply.sum()))
    grants[rows] = share(claims, rows, level)
    return grants


def share_out(book: Book, weight: Floats, divide: Divide = max_min_grants, bounds: ShareBounds | None = None) -> Fills:
    """Divide a book's capacity among its requests by ``divide`` and place the grants.

    What the first division leaves over (claims not admitted, or held up by hardware, prices or further resources) is
    divided again among those who could still use it; who could not be given their grant does not take part again.
    Unless everybody can use everything, what is left in the end goes in order to whoever can use it.

    Parameters
    ----------
    weight
        (n_requests,) > 0.
    """
    classes = classify(book)
    if not classes.eligible.any():
        return no_fills()
    stage, bounds = Placement(book, classes), bounds or ShareBounds(1.0, 0.0)
    held, weight = stage.shelf.held.copy(), np.array(weight)
    order = by_urgency(book, np.flatnonzero(classes.eligible))
    taking_part = np.ones(book.n_requests, np.bool_)
    for _ in range(ROUNDS):
        rows = stage.within_reach(order[taking_part[order] & (stage.want[order] > 0)])
        if not len(rows) or stage.shelf.free.sum() <= DUST * book.capacity.sum():
            break
        grants = divide(stage, Claims(rows, stage.want, stage.least, weight))
        rows = rows[grants[rows] > DUST * book.amount[rows]]
        if not len(rows):
            break
        placed = bounds.place(stage, rows, grants, _quota(stage, rows, grants))
        taking_part &= placed >= grants * (1 - SHORTFALL)
    if not classes.uniform or book.supply.shape[1] or not book.split:
        rows = order[stage.want[order] > 0]
        bounds.place(stage, rows, stage.want, stage.anywhere)
    return stage.fills(relaxed=bounds.broken(stage, held))


def by_urgency(book: Book, rows: Slots) -> Slots:
    """Return ``rows`` by deadline; stable sort: equal deadlines keep consensus order."""
    deadline = book.deadline[rows]
    return rows if deadline.min() == deadline.max() else rows[np.argsort(deadline, kind="stable")]


def _quota(stage: Placement, rows: Slots, grants: Floats) -> Floats:
    """Return how much each class of requests should take from each class of offers so that all ``grants`` find room.

    Of all ways to place them it is the first by merit order: the flow that costs least when ranks are costs.
    """
    classes, shelf = stage.classes, stage.shelf
    if classes.uniform or not stage.book.split:
        return stage.anywhere
    eager, rank, every = np.full(len(grants), np.inf), shelf.rank.astype(np.float64), np.arange(len(shelf.row))
    group, link = np.array(classes.request_class), np.array(classes.link)
    return np.asarray(cross(rows, eager, grants, group, every, shelf.start, rank, shelf.free, link)[2])
