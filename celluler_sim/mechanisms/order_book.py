"""A limit-order book: the market in which the order of transactions is worth money."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from celluler_sim.book import Book, Fills, Floats, Slots
from celluler_sim.mechanisms.base import register
from celluler_sim.mechanisms.laws import Law


@register("allocation", "order_book")
@dataclass(frozen=True, kw_only=True)
class OrderBook:
    """Continuous double auction: orders trade one by one as they arrive, at the price of the order that was there.

    Requests are limit orders at their bids, offers at their asks; `pricing=posted` makes the quotes agree with the
    asks. Of resting asks the cheapest trades first, of resting bids the highest, of equals the earlier. What the
    consensus lets a proposer do to a request (front-run, sandwich) raises what it pays, see `order_book_kernels.match`.

    References
    ----------
    Friedman and Rust (1993), The double auction market; Daian et al. (2020), Flash Boys 2.0.
    """

    claims: ClassVar[frozenset[Law]] = frozenset()  # it looks at asks, the laws of sharing at quotes

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:  # noqa: ARG002 - nothing is drawn
        """Return the trades of this clearing with their own prices."""
        from celluler_sim.mechanisms.order_book_kernels import match

        ask = np.maximum(book.ask, book.price)  # a quote above the ask binds
        by_ask = np.argsort(ask, kind="stable")
        by_time = np.argsort(book.available, kind="stable")
        wanted = (book.amount > 0) & (book.minimum <= book.amount)
        columns = (
            np.where(wanted, book.bid, -1.0), book.amount, book.minimum, np.maximum.accumulate(book.ready), book.kinds,
            book.exposed, ask, book.capacity, book.available, book.kind,
            book.demand / np.where(book.amount > 0, book.amount, 1.0)[:, None], book.supply,
        )  # fmt: skip
        request, offer, quantity, price, skim = match(*(c.copy() for c in columns), book.split, by_ask, by_time)
        fills = np.unique(request * book.n_offers + offer, return_index=True, return_inverse=True)
        return _merged(*fills, request, offer, quantity, price, skim)


def _merged(
    _: Slots, first: Slots, pair: Slots, request: Slots, offer: Slots, quantity: Floats, price: Floats, skim: Floats
) -> Fills:
    """Make one fill of the trades between one request and one offer; its price is their mean."""
    if not len(quantity):
        return Fills(request.astype(np.int64), offer.astype(np.int64), quantity, price=price, skim=skim)
    total = np.bincount(pair, quantity).astype(np.float64)
    mean = [np.bincount(pair, quantity * column) / total for column in (price, skim)]
    return Fills(request[first], offer[first], total, price=mean[0], skim=mean[1])
