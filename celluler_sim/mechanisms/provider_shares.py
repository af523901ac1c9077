"""Bounds on each provider's share of what is sold, and how a sale is projected onto them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from celluler_sim.book import TOLERANCE, Floats, Slots
from celluler_sim.mechanisms.placement import Placement
from celluler_sim.mechanisms.placement_kernels import DUST, SHORTFALL, fill_to_targets


def level_above(held: Floats, free: Floats, quantity: float) -> float:
    """Return the least level z at which sum clip(z - held, 0, free) is ``quantity``; inf where all of it is too little.

    ``held`` and ``free`` are (n,) units/s.

    >>> level_above(np.array([0.0, 3.0]), np.array([9.0, 9.0]), 5.0)
    4.0
    """
    points = np.concatenate([held, held + free])  # at the first the sum begins to grow with z, at the second it stops
    order = np.argsort(points, kind="stable")
    slope = np.cumsum(np.repeat([1.0, -1.0], len(held))[order])
    volume = np.concatenate([[0.0], np.cumsum(slope[:-1] * np.diff(points[order]))])
    reached = int(np.searchsorted(volume, quantity))
    if reached == len(volume):
        return float(np.inf)
    over = volume[reached] - quantity
    return float(points[order][reached] - (over / slope[reached - 1] if over > 0 else 0.0))


@dataclass(frozen=True)
class ShareBounds:
    """Bounds on each provider's share of all that is sold, before and in this clearing, by the offers of the book.

    Let T be the capacity sold already plus what is sold now. A provider's share is what it has sold, already and now,
    over T. Where one request may be served by several offers:

    1. Every provider with free capacity gets as much of the sale as lifts its share to ``min_share``; where that would
       be more than the whole sale, the lower bound is dropped.
    2. The rest is sold in merit order up to ``max_share``: what a cap turns away goes to the next in that order. If the
       caps would leave some unsold, the cap is raised to the smallest one that sells everything.
    3. What these targets cannot place, because hardware, prices or further resources tie requests to certain offers, is
       placed within the caps alone, then under the smallest cap that makes enough room in the offers that suit what is
       left, then without a cap.

    Where a request is served by exactly one offer, it is placed whole at the first offer in merit order whose cap has
    room for all of it; once everybody has been tried, the others go where the resulting share is smallest. The lower
    bound is not pursued there.

    A provider above its bound already gives nothing back; it sells nothing more unless the cap is raised.
    """

    max_share: float
    min_share: float

    @property
    def off(self) -> bool:
        """Whether the bounds bind nobody."""
        return self.max_share >= 1 and self.min_share <= 0

    def place(self, stage: Placement, order: Slots, grants: Floats, quota: Floats) -> Floats:
        """Place ``grants`` of the rows ``order``; return what was placed, (n_requests,), units/s. ``quota`` falls."""
        if self.off:
            return stage.serve(order, grants, quota, least=stage.least)
        before = stage.got.copy()
        if stage.book.split:
            for room in self._rooms(stage, order, grants, before):
                stage.serve(order, _left(stage, grants, before), quota, room=room)
            stage.drop_short()
        else:
            high = self._bounds(stage, order, grants)[1]
            stage.serve(order, grants, quota, least=stage.least, room=high * (1 + DUST), whole=True)
            stage.serve(order, _left(stage, grants, before), quota, least=stage.least, spread=True)
        return np.asarray(stage.got - before)

    def _rooms(self, stage: Placement, order: Slots, grants: Floats, before: Floats) -> Iterator[Floats | None]:
        """Yield what each provider may sell, (n_providers,), units/s, wider each time, until all grants are placed."""
        low, high, quantity = self._bounds(stage, order, grants)
        target = fill_to_targets(stage.ranked, stage.owner, low, high, quantity)
        yield target * (1 + DUST)
        if not _left(stage, grants, before).any():
            return
        yield np.maximum(high - target, 0.0)
        left = _left(stage, grants, before)
        if not left.any():
            return
        level = level_above(stage.shelf.held, _free(stage, np.flatnonzero(left)), float(left.sum()))
        yield np.maximum(level - stage.shelf.held, 0.0) * (1 + DUST)
        if _left(stage, grants, before).any():
            yield None

    def _bounds(self, stage: Placement, order: Slots, grants: Floats) -> tuple[Floats, Floats, float]:
        """Return what each provider should and may sell of ``grants``, (n_providers,), units/s, and their sum."""
        held, free = stage.shelf.held, _free(stage, order)
        quantity = min(float(grants[order].sum()), float(free.sum()))
        total = held.sum() + quantity
        high = np.minimum(np.maximum(self.max_share * total - held, 0.0), free)
        low = np.minimum(np.maximum(self.min_share * total - held, 0.0), high)
        if low.sum() > quantity * (1 + DUST):
            low = np.zeros(len(low))
        if high.sum() < quantity * (1 - DUST):
            high = np.minimum(np.maximum(level_above(held, free, quantity) - held, 0.0), free)
        return low, high, quantity

    def broken(self, stage: Placement, held: Floats) -> bool:
        """Return whether a bound does not hold, given what providers ``held`` before, (n_providers,), units/s.

        A cap is broken by who has sold something now, a lower bound by who has free capacity left.
        """
        now = stage.shelf.held
        total = float(now.sum())
        slack = TOLERANCE * total
        if self.off or total - held.sum() <= slack:
            return False
        above = (now - held > slack) & (now > self.max_share * total + slack)
        free = np.bincount(stage.shelf.owner, stage.shelf.free)
        below = (free > slack) & (now < self.min_share * total - slack)
        return bool(above.any() or below.any())


def _left(stage: Placement, grants: Floats, before: Floats) -> Floats:
    """Return what of ``grants`` has not been placed since the requests had ``before``, (n_requests,), units/s."""
    left = grants - (stage.got - before)
    return np.where(left > SHORTFALL * grants, left, 0.0)


def _free(stage: Placement, rows: Slots) -> Floats:
    """Return each provider's free capacity in offers that suit any of ``rows``, (n_providers,), units/s."""
    classes, shelf = stage.classes, stage.shelf
    free = shelf.free
    if not classes.suits.all():
        suitable = np.asarray(classes.suits[np.unique(classes.request_class[rows])].any(axis=0))
        free = np.where(suitable[classes.offer_class[shelf.row]], free, 0.0)
    return np.bincount(shelf.owner, free, minlength=len(shelf.held)).astype(np.float64)
