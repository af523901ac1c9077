"""Hypothesis strategies for books: every feature a market can have, small enough to read when a law is broken."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from celluler_sim.book import Book

KINDS = 3


def quantities(scale: float = 1.0) -> st.SearchStrategy[float]:
    """Return quantities > 0: often small whole numbers, so that ties and exact fits occur, sometimes anything."""
    return st.one_of(st.integers(1, 8).map(float), st.floats(0.01, 50.0)).map(lambda q: q * scale)


@st.composite
def books(
    draw: st.DrawFn,
    max_requests: int = 6,
    max_offers: int = 5,
    divisible: bool = False,
    one_price: bool = False,
    one_kind: bool = False,
    resources: bool = True,
    finite_bids: bool = False,
) -> Book:
    """Return a book; flags leave out minimums and single offers, dispersed prices, hardware, resources, open bids."""
    n, m = draw(st.integers(0, max_requests)), draw(st.integers(0, max_offers))
    scale = draw(st.sampled_from([1.0, 1.0, 1.0, 1e-3, 1e6]))

    def requests(of: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(of, min_size=n, max_size=n)), dtype=float)

    def offers(of: st.SearchStrategy[float]) -> np.ndarray:
        return np.array(draw(st.lists(of, min_size=m, max_size=m)), dtype=float)

    money = st.one_of(st.integers(0, 9).map(float), st.floats(0.0, 300.0))
    amount, capacity, ask = requests(quantities(scale)), offers(quantities(scale)), offers(money)
    amount[requests(st.integers(0, 19)) == 0] = 0.0
    capacity[offers(st.integers(0, 9)) == 0] = 0.0
    k = draw(st.integers(0, 2)) if resources else 0
    book = Book.of(
        time=0.0,
        split=divisible or draw(st.booleans()),
        bid=requests(money if finite_bids else st.one_of(money, st.just(np.inf))),
        amount=amount,
        minimum=np.zeros(n) if divisible else amount * requests(_minimums(draw)),
        weight=requests(st.one_of(st.sampled_from([0.5, 1.0, 2.0, 3.0]), st.floats(0.05, 20.0))),
        deadline=requests(st.one_of(st.just(np.inf), st.integers(1, 4).map(float))),
        kinds=np.array(draw(st.lists(st.integers(0, 2**KINDS - 1), min_size=n, max_size=n)), np.uint64)
        if not one_kind
        else np.full(n, 1, np.uint64),
        provider=_providers(draw, m),
        ask=ask,
        price=_prices(draw, ask, one_price=one_price),
        capacity=capacity,
        sold=offers(st.one_of(st.just(0.0), quantities(scale))),
        kind=np.zeros(m) if one_kind else offers(st.integers(0, KINDS - 1)),
    )
    some = st.one_of(st.just(0.0), quantities())
    return replace(
        book,
        demand=np.array([requests(some) for _ in range(k)]).T.reshape(n, k),
        supply=np.array([offers(some) for _ in range(k)]).T.reshape(m, k),
    )


def _minimums(draw: st.DrawFn) -> st.SearchStrategy[float]:
    """Return minimums as shares of the amount: none, some, all or nothing, impossible."""
    style = draw(st.sampled_from(["none", "whole", "mixed"]))
    if style == "none":
        return st.just(0.0)
    return st.just(1.0) if style == "whole" else st.sampled_from([0.0, 0.0, 0.25, 0.5, 0.9, 1.0, 1.0, 1.5])


def _providers(draw: st.DrawFn, m: int) -> list[int]:
    """Return who makes each offer: mostly somebody different each, in any order, sometimes one with several."""
    if draw(st.booleans()):
        return list(range(m))
    return draw(st.lists(st.integers(0, 9), min_size=m, max_size=m))


def _prices(draw: st.DrawFn, ask: np.ndarray, *, one_price: bool) -> np.ndarray:
    """Return one price for all, or the asks, or anything."""
    style = "one" if one_price else draw(st.sampled_from(["one", "one", "asks", "any"]))
    if style == "one":
        return np.full(len(ask), draw(st.sampled_from([0.0, 1.0, 4.0])))
    if style == "asks":
        return ask
    return np.array(draw(st.lists(st.integers(0, 9).map(float), min_size=len(ask), max_size=len(ask))), dtype=float)
