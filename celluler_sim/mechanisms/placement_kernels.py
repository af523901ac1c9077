"""Compiled placement: who takes from which offer, given how much each request has been granted.

Requests come in the rule's order. Offers stand in merit order (price, then free since when, then ask, then row of the
book), sorted into classes that are alike in hardware and in who can afford them; a request may draw on some classes,
from each as much as its quota says. Within a class prices rise, so what a request cannot afford is its tail.

Inner functions are inlined by force: only then does the compiler drop the reference counting of the arrays they are
given, which takes three times as long as the arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from celluler_sim.book import Floats, Slots

Mask = npt.NDArray[np.bool_]

DUST = 1e-12  # of a quantity: what is left below this is lost in rounding and counts as nothing
SHORTFALL = 5e-10  # of a minimum: what is missing below this counts as met; `check_fills` allows twice that
_DIGIT = 11  # bits a pass of the radix sort looks at
_DIGITS = 6  # passes: 66 bits cover the 64 of a float
_SIGN = np.uint64(1 << 63)
_LOW = np.uint64((1 << _DIGIT) - 1)


class Shelf(NamedTuple):
    """The offers as a placement sees them, by place: sorted by class, in merit order within each.

    ``free``, ``room`` and ``supply`` fall and ``held`` rises as offers are taken.
    """

    row: Slots  #    (n_offers,) row of the book
    start: Slots  #  (n_classes + 1,) place at which each class begins
    rank: Slots  #   (n_offers,) in merit order over all classes
    price: Floats  # (n_offers,) PRANA per unit
    owner: Slots  #  (n_offers,) number of the provider
    free: Floats  #  (n_offers,) units/s left
    supply: Floats  # (n_offers, n_resources) left
    held: Floats  #  (n_owners,) units/s sold by each provider, before and now
    room: Floats  #  (n_owners,) units/s that each provider may still sell in this pass


class Queue(NamedTuple):
    """The requests as a placement sees them, by row of the book but for `order`."""

    order: Slots  # (n_served,) rows in the order in which they are served
    want: Floats  # (n_requests,) units/s to be placed
    least: Floats  # (n_requests,) units/s; a request for which less can be placed gets nothing
    group: Slots  # (n_requests,) class
    bid: Floats  #  (n_requests,) PRANA per unit
    need: Floats  # (n_requests, n_resources) of each resource per unit/s
    home: Slots  #  (n_requests,) place of the one offer an unsplit request is on, or -1


class Taken(NamedTuple):
    """Fills in the order in which they were made."""

    request: Slots  # (n_fills,) row of the book
    place: Slots  #   (n_fills,) place of the offer on the shelf
    quantity: Floats  # (n_fills,) units/s


@njit(cache=True)  # type: ignore[untyped-decorator]
def sorted_rows(key: Floats, rows: Slots) -> Slots:
    """Return ``rows`` in ascending order of ``key[row]``, ties in the order given: a stable radix sort.

    Five times as fast as NumPy's stable sort on 10,000 keys and, unlike its quick one, the same on every processor.
    ``key`` is (n,) without NaN; linear in ``len(rows)``.
    """
    n = len(rows)
    for k in range(1, n):
        if key[rows[k]] < key[rows[k - 1]]:
            break
    else:
        return rows.copy()
    bits = np.empty(n, np.uint64)
    count = np.zeros((_DIGITS, 1 << _DIGIT), np.int64)
    plain = (key + 0.0).view(np.uint64)  # adding 0.0 makes -0.0 equal to 0.0
    for k in range(n):
        word = plain[rows[k]]
        word = ~word if word & _SIGN else word | _SIGN  # unsigned order is now the order of the floats
        bits[k] = word
        for d in range(_DIGITS):
            count[d, (word >> np.uint64(d * _DIGIT)) & _LOW] += 1
    here, there = np.arange(n), np.empty(n, np.int64)
    for d in range(_DIGITS):
        if count[d].max() == n:
            continue
        place = np.cumsum(count[d]) - count[d]
        for k in range(n):
            digit = (bits[here[k]] >> np.uint64(d * _DIGIT)) & _LOW
            there[place[digit]] = here[k]
            place[digit] += 1
        here, there = there, here
    return rows[here]


@njit(cache=True)  # type: ignore[untyped-decorator]
def by_class(ranked: Slots, group: Slots, n_classes: int) -> tuple[Slots, Slots, Slots]:
    """Sort ``ranked`` rows into classes, keeping their order: return (rows, start of each class, rank by place)."""
    start = np.zeros(n_classes + 1, np.int64)
    for row in ranked:
        start[group[row] + 1] += 1
    start = np.cumsum(start)
    following, rows, rank = start[:-1].copy(), np.empty(len(ranked), np.int64), np.empty(len(ranked), np.int64)
    for k in range(len(ranked)):
        place = following[group[ranked[k]]]
        following[group[ranked[k]]] += 1
        rows[place], rank[place] = ranked[k], k
    return rows, start, rank


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _lower(column: Floats, k: int, quantity: float) -> None:
    """Take ``quantity`` from ``column[k]``, or give it back if negative; what only rounding has left is removed."""
    rest = column[k] - quantity
    column[k] = rest if rest > DUST * quantity else 0.0


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _spare(free: float, room: float, supply: Floats, need: Floats) -> float:
    """Return how much of an offer one request could take by capacity, room and resources, units/s."""
    most = min(free, room)
    for k in range(len(need)):
        if need[k] > 0:
            most = min(most, supply[k] / need[k])
    return most


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _skip_sold_out(head: Slots, shelf: Shelf) -> None:
    """Move each class's head past the offers that nobody can take from any more in this pass."""
    for g in range(len(head)):
        while head[g] < shelf.start[g + 1] and not (shelf.free[head[g]] > 0 and shelf.room[shelf.owner[head[g]]] > 0):
            head[g] += 1


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _close(head: Slots, shelf: Shelf, allowed: Floats, bid: float) -> None:
    """Withhold every offer that a request with ``bid`` would take from those behind it."""
    for g in range(len(head)):
        if allowed[g] > 0:
            for k in range(head[g], shelf.start[g + 1]):
                if shelf.price[k] > bid:
                    break
                shelf.free[k] = 0.0


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _next_class(
    cursor: Slots, shelf: Shelf, allowed: Floats, need: Floats, bid: float, dust: float
) -> int:  # fmt: skip
    """Return the class whose next usable offer stands first in merit order, or -1; cursors move to the usable ones."""
    best = -1
    for g in range(len(cursor)):
        if allowed[g] <= 0:
            continue
        k, end = cursor[g], shelf.start[g + 1]
        while k < end:
            if shelf.price[k] > bid:
                k = end
            elif _spare(shelf.free[k], shelf.room[shelf.owner[k]], shelf.supply[k], need) > dust:
                break
            else:
                k += 1
        cursor[g] = k
        if k < end and (best < 0 or shelf.rank[k] < shelf.rank[cursor[best]]):
            best = g
    return best


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _move(
    shelf: Shelf, k: int, allowed: Floats, g: int, need: Floats, quantity: float
) -> None:  # fmt: skip
    """Take ``quantity`` of the offer at place ``k`` in class ``g``; a negative quantity gives it back."""
    owner = shelf.owner[k]
    _lower(shelf.free, k, quantity)
    _lower(shelf.room, owner, quantity)
    _lower(allowed, g, quantity)
    shelf.held[owner] += quantity
    for r in range(len(need)):
        _lower(shelf.supply[k], r, quantity * need[r])


@njit(cache=True)  # type: ignore[untyped-decorator]
def place_split(queue: Queue, shelf: Shelf, quota: Floats, strict: bool) -> Taken:
    """Serve requests in order, each from as many offers as it takes.

    Parameters
    ----------
    quota
        (n_request_classes, n_offer_classes) units/s that a class of requests may take from a class of offers; falls.
    strict
        A request that is left short closes all offers it accepts to those behind it.
    """
    n_classes = len(shelf.start) - 1
    head, cursor = shelf.start[:-1].copy(), np.empty(n_classes, np.int64)
    request = np.empty(len(queue.order) + len(shelf.row) + 16, np.int64)
    place, quantity, group = np.empty_like(request), np.empty(len(request)), np.empty_like(request)
    n = 0
    for i in queue.order:
        want, bid, allowed, need = queue.want[i], queue.bid[i], quota[queue.group[i]], queue.need[i]
        first, got = n, 0.0
        _skip_sold_out(head, shelf)
        cursor[:] = head
        while want - got > DUST * want:
            g = _next_class(cursor, shelf, allowed, need, bid, DUST * want)
            if g < 0:
                break
            k = cursor[g]
            q = min(want - got, allowed[g], _spare(shelf.free[k], shelf.room[shelf.owner[k]], shelf.supply[k], need))
            if n == len(request):
                request, place = np.append(request, request), np.append(place, place)
                quantity, group = np.append(quantity, quantity), np.append(group, group)
            request[n], place[n], quantity[n], group[n] = i, k, q, g
            _move(shelf, k, allowed, g, need, q)
            got += q
            n += 1
        if got < queue.least[i] * (1 - SHORTFALL):
            for f in range(first, n):
                _move(shelf, place[f], allowed, group[f], need, -quantity[f])
            n, got = first, 0.0
        if strict and got < want * (1 - SHORTFALL):
            _close(head, shelf, allowed, bid)
    return Taken(request[:n].copy(), place[:n].copy(), quantity[:n].copy())


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _one_place(
    head: Slots, shelf: Shelf, allowed: Floats, need: Floats, bid: float, want: float, largest: Floats, spread: bool
) -> int:  # fmt: skip
    """Return the place of an offer that holds the whole of a request; if none does, of the one that holds most, or -1.

    Of several that can hold it the first in merit order, or with ``spread`` the one whose provider has sold least.
    ``largest`` bounds what any offer of a class can hold, so that a class that has become too full is passed by.
    """
    enough = want * (1 - DUST)
    whole = most = -1
    load, needed = np.inf, 0.0  # an offer is of interest only if it holds as much as needed
    for g in range(len(head)):
        if allowed[g] <= 0 or largest[g] < needed:
            continue
        seen = 0.0
        for k in range(head[g], shelf.start[g + 1]):
            if shelf.price[k] > bid:
                seen = np.inf  # not the whole class has been looked at
                break
            seen = max(seen, min(shelf.free[k], shelf.room[shelf.owner[k]]))
            holds = _spare(shelf.free[k], shelf.room[shelf.owner[k]], shelf.supply[k], need)
            if holds >= enough:
                key = shelf.held[shelf.owner[k]] if spread else float(shelf.rank[k])
                if key < load or (key == load and shelf.rank[k] < shelf.rank[whole]):
                    whole, load, needed = k, key, enough
                if not spread:
                    seen = np.inf
                    break
            elif holds > needed or (holds == needed and most >= 0 and shelf.rank[k] < shelf.rank[most]):
                most, needed = k, holds
        largest[g] = min(largest[g], seen)
    return whole if whole >= 0 else most


@njit(cache=True)  # type: ignore[untyped-decorator]
def place_whole(
    queue: Queue, shelf: Shelf, quota: Floats, strict: bool, whole: bool, spread: bool
) -> Taken:  # fmt: skip
    """Serve requests in order, each from exactly one offer; one that has a home already only gets more there.

    Parameters
    ----------
    quota
        (n_request_classes, n_offer_classes) > 0 where the one class may use the other.
    strict
        A request that is left short closes all offers it accepts to those behind it.
    whole
        Place a request only where all of it fits; else, where none can hold it, where most of it fits.
    spread
        Of the offers that can hold it, take the one whose provider has sold least, not the first by merit.
    """
    n_classes = len(shelf.start) - 1
    head, largest, unlimited = shelf.start[:-1].copy(), np.full(n_classes, np.inf), np.full(1, np.inf)
    request = np.empty(len(queue.order), np.int64)
    place, quantity = np.empty_like(request), np.empty(len(request))
    n = 0
    for i in queue.order:
        want, bid, allowed, need = queue.want[i], queue.bid[i], quota[queue.group[i]], queue.need[i]
        if want <= 0:
            continue
        _skip_sold_out(head, shelf)
        k = queue.home[i]
        if k < 0:
            k = _one_place(head, shelf, allowed, need, bid, want, largest, spread)
        q = 0.0
        if k >= 0:
            q = min(want, _spare(shelf.free[k], shelf.room[shelf.owner[k]], shelf.supply[k], need))
        if q <= DUST * want or q < queue.least[i] * (1 - SHORTFALL) or (whole and q < want * (1 - DUST)):
            q = 0.0
        else:
            request[n], place[n], quantity[n] = i, k, q
            _move(shelf, k, unlimited, 0, need, q)
            n += 1
        if strict and q < want * (1 - SHORTFALL):
            _close(head, shelf, allowed, bid)
    return Taken(request[:n].copy(), place[:n].copy(), quantity[:n].copy())


@njit(cache=True)  # type: ignore[untyped-decorator]
def fill_to_targets(ranked: Slots, owner: Slots, low: Floats, high: Floats, quantity: float) -> Floats:
    """Return what each provider is to sell, (n_owners,): its lower bound, then in merit order up to its upper bound.

    ``low`` and ``high`` are (n_owners,) units/s with ``sum(low) <= quantity <= sum(high)``.
    """
    target = low.copy()
    left = quantity - low.sum()
    for j in ranked:
        if left <= 0:
            break
        more = min(high[owner[j]] - target[owner[j]], left)
        target[owner[j]] += more
        left -= more
    return target


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _prefix(tree: Floats, k: int) -> float:
    """Return the sum of the first ``k`` entries of a Fenwick tree."""
    total = 0.0
    while k > 0:
        total += tree[k]
        k -= k & -k
    return total


@njit(cache=True)  # type: ignore[untyped-decorator]
def admit(order: Slots, amount: Floats, weight: Floats, minimum: Floats, capacity: float) -> Mask:
    """Admit claims greedily in order while the max-min level still covers every admitted claim's minimum.

    Claim i takes min(amount, weight * level), so its minimum needs level >= minimum / weight. A set of claims is
    sustainable iff F(T) = sum min(amount, weight * T) <= capacity at the highest such threshold T. Fenwick trees (1994)
    over the claims ordered by amount / weight, where they saturate, give F(T) in O(log n); O(n log n) altogether. A
    claim that is not admitted does not block those behind it.

    Parameters
    ----------
    order
        (n_candidates,) rows; the other arrays are by row, (n,), amounts in units/s.
    """
    n = len(order)
    full = amount / weight  # (n,) level at which a claim is met in full
    by_level = sorted_rows(full, order)
    level = full[by_level]
    rank = np.empty(len(amount), np.int64)
    for k in range(n):
        rank[by_level[k]] = k + 1
    amounts, weights = np.zeros(n + 1), np.zeros(n + 1)
    admitted = np.zeros(len(amount), np.bool_)
    highest = sum_weights = 0.0
    for i in order:
        threshold = max(highest, minimum[i] / weight[i])
        k = np.searchsorted(level, threshold, side="right")
        used = _prefix(amounts, k) + threshold * (sum_weights - _prefix(weights, k))
        if used + min(amount[i], weight[i] * threshold) > capacity * (1 + DUST):
            continue
        admitted[i], highest = True, threshold
        sum_weights += weight[i]
        k = rank[i]
        while k <= n:
            amounts[k] += amount[i]
            weights[k] += weight[i]
            k += k & -k
    return admitted
