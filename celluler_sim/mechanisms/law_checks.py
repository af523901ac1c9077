"""Try to break the laws that an allocation rule claims.

Each check takes a rule and a book and raises `LawBrokenError` naming who is wronged. A check first takes the book into
the domain in which its law is defined, and says so: most laws speak of divisible requests without further resources,
because with whole jobs and single machines no rule could keep them. A rule from outside can be tried the same
way: ``broken_claims(MyRule(), book)`` for books of one's own choosing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Book, Fills, Floats
from celluler_sim.errors import CellulerError
from celluler_sim.mechanisms.base import Allocation, claims_of
from celluler_sim.mechanisms.laws import Law
from celluler_sim.mechanisms.welfare import gain, worth

Check = Callable[[Allocation, Book], None]

ROUNDING = 1e-7  # of the largest quantity (or gain) on the book: what arithmetic and solvers may add
CLAIMED = (1.25, 2.0, 10.0)  # times the true amount that a request pretends to need
_ONE_REQUEST = vars(Book.of(amount=[1.0]))
REQUEST_COLUMNS = tuple(name for name, column in _ONE_REQUEST.items() if isinstance(column, np.ndarray) and len(column))


class LawBrokenError(CellulerError, AssertionError):
    """A rule broke a law that it claims; the message names the law and who is wronged."""


def divisible(book: Book) -> Book:
    """Return the book without minimums, single offers per request and further resources: where most laws hold."""
    return replace(splittable(book), minimum=np.zeros(book.n_requests))


def splittable(book: Book) -> Book:
    """Return the book with requests that may be split and without further resources; minimums stay."""
    return replace(book, split=True, demand=np.zeros((book.n_requests, 0)), supply=np.zeros((book.n_offers, 0)))


def reordered(book: Book, rows: npt.NDArray[np.integer[Any]]) -> Book:
    """Return the book with only these requests, in this order."""
    return replace(book, **{name: getattr(book, name)[rows] for name in REQUEST_COLUMNS})


def accepts(book: Book) -> npt.NDArray[np.bool_]:
    """Return whether a request's hardware and bid allow an offer, (n_requests, n_offers)."""
    suits = (book.kinds[:, None] >> book.kind.astype(np.uint64)[None, :]) & np.uint64(1) != 0
    return np.asarray(suits & (book.price[None, :] <= book.bid[:, None]))


def non_wasteful(rule: Allocation, book: Book) -> None:
    """Check that no divisible request is short while an offer it accepts has capacity. Domain: `splittable` books."""
    book = splittable(book)
    fills = _fills(rule, book)
    short = (book.amount - fills.granted(book) > _slack(book)) & (book.minimum == 0)
    free = book.capacity - fills.sold(book) > _slack(book)
    for i, j in np.argwhere(accepts(book) & short[:, None] & free[None, :])[:1]:
        _fail(Law.NON_WASTEFUL, f"request {i} is short while offer {j} has capacity")


def envy_free(rule: Allocation, book: Book) -> None:
    """Check that nobody short gets less than one of no higher weight whose capacity it could use.

    Domain: `divisible` books. Where hardware and prices differ, envy counts only if the offer that serves the
    other is one that the envious request accepts.
    """
    book = divisible(book)
    fills = _fills(rule, book)
    granted, slack = fills.granted(book), _slack(book)
    short, suits = book.amount - granted > slack, accepts(book)
    used = fills.quantity > slack
    for k, j in zip(fills.request_row[used], fills.offer_row[used], strict=True):
        envious = short & suits[:, j] & (book.weight >= book.weight[k]) & (granted < granted[k] - slack)
        for i in np.flatnonzero(envious)[:1]:
            _fail(Law.ENVY_FREE, f"request {i} gets {granted[i]:g}, request {k} gets {granted[k]:g} from offer {j}")


def efficient(rule: Allocation, book: Book) -> None:
    """Check the gain from trade against a linear program over all pairs. Domain: no minimums, requests may be split."""
    book = replace(book, minimum=np.zeros(book.n_requests), split=True)
    got, best = gain(book, _fills(rule, book)), _best_gain(book)
    if abs(got - best) > ROUNDING * max(1.0, abs(best)):
        _fail(Law.EFFICIENT, f"the gain is {got:g}, the largest possible {best:g}")


def anonymous(rule: Allocation, book: Book) -> None:
    """Check that reversing or rotating the requests does the same to the grants. Domain: `divisible` books."""
    book = divisible(book)
    before, rows = _fills(rule, book).granted(book), np.arange(book.n_requests)
    for order in (rows[::-1], np.roll(rows, 1)):
        other = reordered(book, order)
        after = _fills(rule, other).granted(other)
        for k in np.flatnonzero(np.abs(after - before[order]) > _slack(book))[:1]:
            _fail(Law.ANONYMOUS, f"request {order[k]} gets {before[order[k]]:g}, and {after[k]:g} as number {k}")


def respects_order(rule: Allocation, book: Book) -> None:
    """Check that whoever is served is served with everyone behind it gone. Domain: all books."""
    served = _fills(rule, book).granted(book) > 0
    for i in np.flatnonzero(served):
        first = reordered(book, np.arange(i + 1))
        if _fills(rule, first).granted(first)[i] <= 0:
            _fail(Law.RESPECTS_ORDER, f"request {i} is served only because of requests behind it")


def strategy_proof(rule: Allocation, book: Book) -> None:
    """Check that asking for more than needed brings no more of what is needed. Domain: `divisible` books."""
    book = divisible(book)
    honest = _fills(rule, book).granted(book)
    for i in range(book.n_requests):
        for factor in CLAIMED:
            lie = replace(book, amount=np.where(np.arange(book.n_requests) == i, factor * book.amount, book.amount))
            useful = min(float(_fills(rule, lie).granted(lie)[i]), float(book.amount[i]))
            if useful > honest[i] + _slack(book):
                _fail(Law.STRATEGY_PROOF, f"request {i} gets {useful:g}, not {honest[i]:g}, by asking {factor:g} times")


def resource_monotone(rule: Allocation, book: Book) -> None:
    """Check that more capacity in any one offer takes nothing from anybody. Domain: `divisible` books."""
    book = divisible(book)
    before, more = _fills(rule, book).granted(book), 0.5 * book.capacity.max(initial=0.0)
    for j in range(book.n_offers):
        richer = replace(book, capacity=book.capacity + more * (np.arange(book.n_offers) == j))
        after = _fills(rule, richer).granted(richer)
        for i in np.flatnonzero(after < before - _slack(richer))[:1]:
            _fail(Law.RESOURCE_MONOTONE, f"request {i} gets {after[i]:g}, not {before[i]:g}, if offer {j} has more")


def sharing_incentive(rule: Allocation, book: Book) -> None:
    """Check that everybody gets its claim or its weighted equal share of every offer that it accepts.

    Domain: `divisible` books.
    """
    book = divisible(book)
    granted = _fills(rule, book).granted(book)
    due = np.minimum(book.amount, accepts(book) @ book.capacity * book.weight / book.weight.sum())
    for i in np.flatnonzero(granted < due - _slack(book))[:1]:
        _fail(Law.SHARING_INCENTIVE, f"request {i} gets {granted[i]:g}, its equal share is {due[i]:g}")


LAW_CHECKS: dict[Law, Check] = {
    Law.NON_WASTEFUL: non_wasteful,
    Law.ENVY_FREE: envy_free,
    Law.EFFICIENT: efficient,
    Law.ANONYMOUS: anonymous,
    Law.RESPECTS_ORDER: respects_order,
    Law.STRATEGY_PROOF: strategy_proof,
    Law.RESOURCE_MONOTONE: resource_monotone,
    Law.SHARING_INCENTIVE: sharing_incentive,
}


def broken_claims(rule: Any, book: Book) -> dict[Law, str]:
    """Return what went wrong for every law that ``rule`` claims and breaks on ``book``."""
    wrong = {}
    for law in sorted(claims_of(rule), key=lambda law: law.name):
        try:
            LAW_CHECKS[law](rule, book)
        except LawBrokenError as error:
            wrong[law] = str(error)
    return wrong


def _fills(rule: Allocation, book: Book) -> Fills:
    return rule.allocate(book, np.random.default_rng(0))


def _slack(book: Book) -> float:
    return ROUNDING * max(float(book.amount.max(initial=0.0)), float(book.capacity.max(initial=0.0)))


def _fail(law: Law, what: str) -> None:
    raise LawBrokenError(f"{law.name} ({law.value}) must hold, got: {what}")


def _best_gain(book: Book) -> float:
    """Return the largest gain from trade of a book whose requests are divisible, PRANA/s."""
    from scipy.optimize import linprog

    request, offer = np.nonzero(accepts(book) & (book.amount > 0)[:, None])
    if not len(request):
        return 0.0
    rows = [_sums(request, np.ones(len(request)), book.n_requests), _sums(offer, np.ones(len(request)), book.n_offers)]
    limits: list[Floats] = [book.amount, book.capacity]
    for k in range(book.supply.shape[1]):
        rows.append(_sums(offer, book.demand[request, k] / book.amount[request], book.n_offers))
        limits.append(book.supply[:, k])
    value = worth(book)[request] - book.ask[offer]
    answer = linprog(-value, A_ub=np.vstack(rows), b_ub=np.concatenate(limits))
    return -float(answer.fun or 0.0)


def _sums(group: npt.NDArray[np.integer[Any]], factor: Floats, n: int) -> Floats:
    """Return the matrix, (n, n_pairs), that sums ``factor`` times each pair's quantity by group."""
    matrix = np.zeros((n, len(group)))
    matrix[group, np.arange(len(group))] = factor
    return matrix
