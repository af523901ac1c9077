"""One clearing while it is being filled: what is left of every offer, and who has taken what so far."""

from __future__ import annotations

import numpy as np

from celluler_sim.book import Book, Fills, Floats, Slots
from celluler_sim.mechanisms.compatibility import Compatibility, classify
from celluler_sim.mechanisms.placement_kernels import (
    DUST,
    SHORTFALL,
    Queue,
    Shelf,
    Taken,
    by_class,
    place_split,
    place_whole,
    sorted_rows,
)


class Placement:
    """A book being filled in passes. Every pass serves requests in a given order from what the passes before have left.

    Parameters
    ----------
    book, compatibility
        What is matched, and who may use what.
    cost
        (n_offers,) offers of one price are taken in this order; their asks where left out.
    """

    def __init__(self, book: Book, compatibility: Compatibility, cost: Floats | None = None) -> None:
        self.book, self.classes = book, compatibility
        price, everyone = np.array(book.price), np.arange(book.n_offers)
        cheapest_first = sorted_rows(np.array(book.ask if cost is None else cost), everyone)
        soonest_first = sorted_rows(np.array(book.available), cheapest_first)
        self.ranked: Slots = sorted_rows(price, soonest_first)  # merit order: price, soonest free, ask, row of the book
        row, start, rank = by_class(self.ranked, np.array(compatibility.offer_class), compatibility.suits.shape[1])
        self.owner: Slots = _owners(book.provider)  # (n_offers,) number of the provider, by row of the book
        held = np.bincount(self.owner, book.sold).astype(np.float64)
        room = np.full(len(held), np.inf)
        self.shelf = Shelf(
            row, start, rank, price[row], self.owner[row], book.capacity[row], book.supply[row], held, room
        )
        self.got: Floats = np.zeros(book.n_requests)  # units/s granted so far
        self._home: Slots = np.full(book.n_requests, -1, np.int64)
        self._group, self._bid = np.array(compatibility.request_class), np.array(book.bid)
        self._need = book.demand / np.where(book.amount > 0, book.amount, 1.0)[:, None]
        self._taken: list[Taken] = []

    @property
    def want(self) -> Floats:
        """What each request still lacks, (n_requests,), units/s; lost in rounding counts as nothing."""
        rest = self.book.amount - self.got
        return np.where(rest > DUST * self.book.amount, rest, 0.0)

    @property
    def least(self) -> Floats:
        """The least that is of use to each request on top of what it has, (n_requests,), units/s."""
        return np.where(self.got > 0, 0.0, self.book.minimum)

    @property
    def anywhere(self) -> Floats:
        """The quota that lets every request take whatever suits it, (n_request_classes, n_offer_classes), units/s."""
        return np.where(self.classes.suits, np.inf, 0.0)

    def free_by_class(self) -> Floats:
        """Return what is left in each class of offers, (n_offer_classes,), units/s."""
        before = np.concatenate([[0.0], np.cumsum(self.shelf.free)])
        return np.diff(before[self.shelf.start])

    def within_reach(self, rows: Slots) -> Slots:
        """Return those of ``rows`` whose least could be met if nobody else were there."""
        classes, shelf = self.classes, self.shelf
        if classes.uniform and self.book.split:
            return rows
        link = classes.link if classes.exact else classes.suits
        if self.book.split:
            reach = link @ self.free_by_class()
        else:
            reach = np.where(link, np.maximum.reduceat(shelf.free, shelf.start[:-1]), 0.0).max(axis=1)
        return rows[self.least[rows] <= reach[classes.request_class[rows]] * (1 + DUST)]

    def serve(
        self,
        order: Slots,
        want: Floats,
        quota: Floats,
        *,
        least: Floats | None = None,
        room: Floats | None = None,
        strict: bool = False,
        whole: bool = False,
        spread: bool = False,
    ) -> Floats:
        """Serve the rows ``order`` with up to ``want`` each and return what each was given, (n_requests,), units/s.

        Parameters
        ----------
        want
            (n_requests,) units/s.
        quota
            (n_request_classes, n_offer_classes) units/s that the one class may take from the other; falls.
        least
            (n_requests,) units/s; a request for which less can be placed gets nothing. 0 where left out.
        room
            (n_providers of the book,) units/s that each may sell in this pass; unlimited where left out.
        strict, whole, spread
            See `placement_kernels.place_split` and `place_whole`.
        """
        self.shelf.room[:] = np.inf if room is None else room
        least = np.zeros(len(want)) if least is None else least
        queue = Queue(order, want, least, self._group, self._bid, self._need, self._home)
        if self.book.split:
            taken = place_split(queue, self.shelf, quota, strict)
        else:
            taken = place_whole(queue, self.shelf, quota, strict, whole, spread)
            self._home[taken.request] = taken.place
        given = np.bincount(taken.request, taken.quantity, minlength=len(want)).astype(np.float64)
        self.got += given
        self._taken.append(taken)
        return given

    def drop_short(self) -> None:
        """Take back what was given to requests that ended below their minimum."""
        short = (self.got > 0) & (self.got < self.book.minimum * (1 - SHORTFALL))
        if not short.any():
            return
        for k, taken in enumerate(self._taken):
            out = short[taken.request]
            row, place, quantity = taken.request[out], taken.place[out], taken.quantity[out]
            np.add.at(self.shelf.free, place, quantity)
            np.subtract.at(self.shelf.held, self.shelf.owner[place], quantity)
            np.add.at(self.shelf.supply, place, self._need[row] * quantity[:, None])
            self._taken[k] = Taken(taken.request[~out], taken.place[~out], taken.quantity[~out])
        self.got[short] = 0.0
        self._home[short] = -1

    def fills(self, *, relaxed: bool = False) -> Fills:
        """Return what has been taken, one fill per pair of request and offer."""
        passes = [t for t in self._taken if len(t.request)]
        if not passes:
            return no_fills()
        if len(passes) == 1:
            return Fills(passes[0].request, self.shelf.row[passes[0].place], passes[0].quantity, relaxed=relaxed)
        request, place, quantity = (np.concatenate(column) for column in zip(*passes, strict=True))
        pair, number = np.unique(request * self.book.n_offers + self.shelf.row[place], return_inverse=True)
        request, offer = np.divmod(pair, self.book.n_offers)
        return Fills(request, offer, np.bincount(number, quantity).astype(np.float64), relaxed=relaxed)


def no_fills() -> Fills:
    """Return the answer to a book on which nothing can be sold."""
    return Fills(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def serve_in_order(book: Book, order: Slots, want: Floats, *, strict: bool = False) -> Fills:
    """Serve requests one after another, each with up to ``want``, (n_requests,), units/s, or not at all.

    ``order`` has the rows of the book; ``strict`` closes what a request that is left short accepts to those behind it.
    """
    classes = classify(book, bands=0)
    order = order[classes.eligible[order]]
    if not len(order):
        return no_fills()
    stage = Placement(book, classes)
    stage.serve(order, np.array(want), stage.anywhere, least=np.array(book.minimum), strict=strict)
    return stage.fills()


def _owners(provider: Slots) -> Slots:
    """Return the number of each offer's provider, counted 0, 1, 2, …, (n_offers,)."""
    if np.all(provider[1:] > provider[:-1]):
        return np.arange(len(provider))
    return np.unique(provider, return_inverse=True)[1].astype(np.int64)
