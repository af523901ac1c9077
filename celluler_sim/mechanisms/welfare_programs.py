"""Linear and mixed-integer programs for the largest gain from trade, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from celluler_sim.book import TOLERANCE, Book, Fills, Floats, Slots
from celluler_sim.mechanisms.compatibility import Compatibility, Mask

CRUMB = 1e-10  # of an amount: quantities below this are the solver's rounding


@dataclass
class Program:
    """A maximisation over variables in [0, upper], some of them 0 or 1, built row by row."""

    value: Floats  # (n_variables,) what a unit adds to the objective
    upper: Floats  # (n_variables,)
    whole: Mask  #   (n_variables,) has to be 0 or 1
    _entries: list[tuple[Slots, Slots, Floats]] = field(default_factory=list)
    _low: list[Floats] = field(default_factory=list)
    _high: list[Floats] = field(default_factory=list)
    _n_rows: int = 0

    def constrain(self, low: npt.ArrayLike, high: npt.ArrayLike, *terms: tuple[Slots, Slots, npt.ArrayLike]) -> None:
        """Add rows low <= sum of terms <= high; a term is (row, variable, coefficient), rows counted from 0."""
        low, high = np.broadcast_arrays(np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64))
        for row, variable, coefficient in terms:
            factor = np.broadcast_to(np.asarray(coefficient, dtype=np.float64), row.shape)
            self._entries.append((row + self._n_rows, variable, factor))
        self._low.append(low)
        self._high.append(high)
        self._n_rows += len(low)

    def solve(self, gap: float, node_limit: int) -> Floats | None:
        """Return the best variables found, (n_variables,), or None; 0 or 1 exactly where they have to be.

        After a mixed-integer search the rest is solved once more with those at 0 or 1: within the solver's tolerance
        they were not quite.
        """
        options = {"mip_rel_gap": gap, "node_limit": node_limit}
        found = self._milp(self.whole, np.zeros(len(self.upper)), self.upper, options)
        if found is None or not self.whole.any():
            return found
        if not self.upper[~self.whole].any():
            return np.round(found)
        fixed = np.where(self.whole, np.round(found), 0.0)
        again = self._milp(np.zeros_like(self.whole), fixed, np.where(self.whole, fixed, self.upper), {})
        return found if again is None else again

    def _milp(self, whole: Mask, low: Floats, high: Floats, options: Any) -> Floats | None:
        rows, columns, factors = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        matrix = coo_array((factors, (rows, columns)), shape=(self._n_rows, len(self.upper))).tocsr()
        limits = LinearConstraint(matrix, np.concatenate(self._low), np.concatenate(self._high))
        scale = max(float(np.abs(self.value).max(initial=0.0)), np.finfo(float).tiny)
        answer = milp(
            -self.value / scale,
            integrality=whole.astype(int),
            bounds=Bounds(low, high),
            constraints=limits,
            options=options,
        )
        return None if answer.x is None else np.asarray(answer.x)


def best_subset(capacity: float, size: Floats, value: Floats) -> Mask:
    """Return which whole items, (n,), of most value fit into ``capacity``."""
    fits = size <= capacity
    if not fits.any():
        return fits
    n = len(size)
    program = Program(value, fits.astype(np.float64), np.ones(n, np.bool_))
    program.constrain([0.0], [1.0], (np.zeros(n, np.int64), np.arange(n), size / max(capacity, np.finfo(float).tiny)))
    answer = program.solve(0.0, 10**9)
    return fits if answer is None else np.asarray(answer > 0.5)


def admitted_by_classes(book: Book, classes: Compatibility, worth: Floats, gap: float, node_limit: int) -> Slots:
    """Return the rows of the requests that the best allocation serves; they may be split, and have minimums.

    Variables are what each request gets, what each offer sells, the flow between classes, and whether a request with a
    minimum is served at all.
    """
    rows = np.flatnonzero(classes.eligible & (worth > book.ask.min()))
    offers = _useful_offers(book, classes, float(book.amount[rows].sum()))
    needy = rows[book.minimum[rows] > 0]
    taker, giver = np.nonzero(classes.link)
    unit = float(np.median(book.amount[rows])) if len(rows) else 1.0
    amount, minimum, capacity = book.amount / unit, book.minimum / unit, book.capacity / unit
    n, m, f, z = len(rows), len(offers), len(taker), len(needy)
    x, y, flow, serve = np.split(np.arange(n + m + f + z), np.cumsum([n, m, f]))
    value = np.concatenate([worth[rows], -book.ask[offers], np.zeros(f + z)])
    upper = np.concatenate([amount[rows], capacity[offers], np.full(f, np.inf), np.ones(z)])
    program = Program(value, upper, np.arange(len(value)) >= n + m + f)
    program.constrain(np.zeros(len(classes.link)), 0.0, (classes.request_class[rows], x, 1.0), (taker, flow, -1.0))
    program.constrain(np.zeros(classes.link.shape[1]), 0.0, (giver, flow, 1.0), (classes.offer_class[offers], y, -1.0))
    own, each = x[np.isin(rows, needy)], np.arange(z)
    program.constrain(np.full(z, -np.inf), 0.0, (each, own, 1.0), (each, serve, -amount[needy]))
    program.constrain(np.zeros(z), np.inf, (each, own, 1.0), (each, serve, -minimum[needy]))
    answer = program.solve(gap, node_limit)
    if answer is None:
        return rows[:0]
    refused = needy[answer[serve] < 0.5]
    return rows[~np.isin(rows, refused)]


def _useful_offers(book: Book, classes: Compatibility, wanted: float) -> Slots:
    """Return the offers that can matter: of each class the cheapest that hold all that is ``wanted``, units/s."""
    order = np.lexsort((book.ask, classes.offer_class))
    capacity, group = book.capacity[order], classes.offer_class[order]
    before = np.cumsum(capacity) - capacity
    first = np.searchsorted(group, np.arange(classes.link.shape[1]))
    before -= before[first][group]
    return np.sort(order[(before <= wanted) & (capacity > 0)])


def matched_by_pairs(book: Book, worth: Floats, gap: float, node_limit: int) -> Fills:
    """Return the best allocation by a program over all pairs of a request and an offer that suit each other."""
    request, offer = _pairs(book, worth)
    if not len(request):
        return Fills(request, offer, np.empty(0))
    gains, unit, p = worth[request] - book.ask[offer], float(np.median(book.amount[request])), len(request)
    set_up = _split_program if book.split else _whole_program
    answer = set_up(book, gains, request, offer, unit).solve(gap, node_limit)
    if answer is None:
        return Fills(request[:0], offer[:0], np.empty(0))
    quantity = answer[:p] * unit
    if not book.split:
        quantity += answer[p:] * book.minimum[request]
    return _feasible(book, request, offer, quantity)


def _pairs(book: Book, worth: Floats) -> tuple[Slots, Slots]:
    """Return the pairs that a best allocation may use, (request row, offer row).

    A pair that loses may be needed to reach a minimum, but only where requests may be split.
    """
    suits = (book.kinds[:, None] >> book.kind.astype(np.uint64)[None, :]) & np.uint64(1) != 0
    suits &= (book.price[None, :] <= book.bid[:, None]) & (book.capacity > 0)[None, :]
    suits &= ((book.amount > 0) & (book.minimum <= book.amount))[:, None]
    gains = worth[:, None] >= book.ask[None, :]
    if book.split:
        suits &= gains | (book.minimum > 0)[:, None]
    else:
        suits &= gains & (book.minimum[:, None] <= book.capacity[None, :])
    for k in range(book.supply.shape[1]):
        suits &= (book.demand[:, k] <= 0)[:, None] | (book.supply[:, k] > 0)[None, :]
    request, offer = np.nonzero(suits)
    return request.astype(np.int64), offer.astype(np.int64)


def _split_program(book: Book, gains: Floats, request: Slots, offer: Slots, unit: float) -> Program:
    """Set up: quantity of each pair in ``unit`` units/s, then whether each request with a minimum is served."""
    p, served = len(request), np.unique(request[book.minimum[request] > 0])
    amount, minimum = book.amount / unit, book.minimum / unit
    upper = np.concatenate([np.minimum(amount[request], book.capacity[offer] / unit), np.ones(len(served))])
    program = Program(np.append(gains, np.zeros(len(served))), upper, np.arange(len(upper)) >= p)
    pair, switch, each = np.arange(p), p + np.arange(len(served)), np.arange(len(served))
    program.constrain(np.full(book.n_requests, -np.inf), amount, (request, pair, 1.0))
    own = np.flatnonzero(book.minimum[request] > 0)
    row = np.searchsorted(served, request[own])
    program.constrain(np.full(len(served), -np.inf), 0.0, (row, own, 1.0), (each, switch, -amount[served]))
    program.constrain(np.zeros(len(served)), np.inf, (row, own, 1.0), (each, switch, -minimum[served]))
    _limit_offers(program, book, request, offer, unit, (pair, np.ones(p)))
    return program


def _whole_program(book: Book, gains: Floats, request: Slots, offer: Slots, unit: float) -> Program:
    """Set up: what each pair gets above the minimum, in ``unit`` units/s, then whether the pair is matched."""
    p, least = len(request), book.minimum[request] / unit
    most = np.minimum(book.amount[request], book.capacity[offer]) / unit - least
    program = Program(np.append(gains, gains * least), np.append(most, np.ones(p)), np.arange(2 * p) >= p)
    above, switch = np.arange(p), p + np.arange(p)
    loose = np.flatnonzero(most > 0)
    row = np.arange(len(loose))
    program.constrain(np.full(len(loose), -np.inf), 0.0, (row, loose, 1.0), (row, switch[loose], -most[loose]))
    program.constrain(np.full(book.n_requests, -np.inf), 1.0, (request, switch, 1.0))
    _limit_offers(program, book, request, offer, unit, (above, np.ones(p)), (switch, least))
    return program


def _limit_offers(
    program: Program, book: Book, request: Slots, offer: Slots, unit: float, *parts: tuple[Slots, Floats]
) -> None:
    """Add that no offer sells more than it has. A pair's quantity is the sum of its ``parts``: variable times size."""
    sold = [(offer, variable, size) for variable, size in parts]
    program.constrain(np.full(book.n_offers, -np.inf), book.capacity / unit, *sold)
    for k in range(book.supply.shape[1]):
        needs = np.flatnonzero(book.demand[request, k] > 0)
        i, j = request[needs], offer[needs]
        share = book.demand[i, k] * unit / book.amount[i] / book.supply[j, k]  # of the supply, per unit
        used = [(j, variable[needs], size[needs] * share) for variable, size in parts]
        program.constrain(np.full(book.n_offers, -np.inf), 1.0, *used)


def _feasible(book: Book, request: Slots, offer: Slots, quantity: Floats) -> Fills:
    """Return the fills of a solver's answer, made to fit where its tolerance has let them run over by a hair."""
    quantity = np.where(quantity > CRUMB * book.amount[request], quantity, 0.0)
    need = book.demand[request] / book.amount[request][:, None]
    uses = np.column_stack([np.ones(len(request)), need])
    for use, limit in zip(uses.T, np.column_stack([book.capacity, book.supply]).T, strict=True):
        total = np.bincount(offer, quantity * use, minlength=book.n_offers)
        factor = np.divide(limit, total, out=np.ones(book.n_offers), where=total > limit)
        quantity = np.where(use > 0, quantity * factor[offer], quantity)
    granted = np.bincount(request, quantity, minlength=book.n_requests)
    over = granted > book.amount
    quantity *= np.divide(book.amount, granted, out=np.ones(book.n_requests), where=over)[request]
    granted[over] = book.amount[over]
    kept = (quantity > 0) & (granted >= book.minimum * (1 - TOLERANCE))[request]
    return Fills(request[kept], offer[kept], quantity[kept])
