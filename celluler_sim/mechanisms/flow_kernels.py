"""Compiled flows between classes of requests and classes of offers, linked where the one may use the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from celluler_sim.book import Floats, Slots

Mask = npt.NDArray[np.bool_]

DUST = 1e-12  # of the total: flows below this are rounding


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _search(
    link: Mask, flow: Floats, source: int, dust: float, offer_via: Slots, request_via: Slots, queue: Slots
) -> int:  # fmt: skip
    """Find breadth first which offer classes more of request class ``source`` could be led to.

    A class of requests reaches the offers linked to it, and a class of offers reaches every class of requests that
    draws on it (whose flow could be led elsewhere). ``offer_via[o]`` becomes the request class from which o was
    reached, ``request_via[r]`` the offer class, -1 where not reached. Returns the number of request classes in
    ``queue``.
    """
    n_requests, n_offers = link.shape
    offer_via[:] = -1
    request_via[:] = -1
    queue[0], found, done = source, 1, 0
    while done < found:
        r = queue[done]
        done += 1
        for o in range(n_offers):
            if not link[r, o] or offer_via[o] >= 0:
                continue
            offer_via[o] = r
            for other in range(n_requests):
                if other != source and request_via[other] < 0 and flow[other, o] > dust:
                    request_via[other] = o
                    queue[found] = other
                    found += 1
    return found


@njit(cache=True, forceinline=True)  # type: ignore[untyped-decorator]
def _push(
    flow: Floats, end: int, most: float, source: int, offer_via: Slots, request_via: Slots
) -> float:  # fmt: skip
    """Lead up to ``most`` from ``source`` to the offer class ``end`` along the path found; return how much it was."""
    o, r = end, offer_via[end]
    while r != source:
        o = request_via[r]
        most = min(most, flow[r, o])
        r = offer_via[o]
    o, r = end, offer_via[end]
    flow[r, o] += most
    while r != source:
        o = request_via[r]
        flow[r, o] -= most
        r = offer_via[o]
        flow[r, o] += most
    return most


@njit(cache=True)  # type: ignore[untyped-decorator]
def bottleneck(link: Mask, demand: Floats, supply: Floats) -> Mask:
    """Return the classes of requests, (n_request_classes,), that together ask for more than all they may use.

    Maximum flow by shortest augmenting paths (Edmonds and Karp 1972); what is reached from a class that is left short
    is the side of a minimum cut. All false where every demand can be met.

    Parameters
    ----------
    link
        (n_request_classes, n_offer_classes) whether the one may use the other.
    demand, supply
        (n_request_classes,), (n_offer_classes,) units/s.
    """
    n_requests, n_offers = link.shape
    flow = np.zeros((n_requests, n_offers))
    offer_via, request_via = np.empty(n_offers, np.int64), np.empty(n_requests, np.int64)
    queue, short = np.empty(n_requests, np.int64), np.zeros(n_requests, np.bool_)
    left, room = demand.copy(), supply.copy()
    dust = DUST * demand.sum()
    for r in range(n_requests):
        while left[r] > dust:
            found = _search(link, flow, r, dust, offer_via, request_via, queue)
            end = -1
            for o in range(n_offers):
                if offer_via[o] >= 0 and room[o] > dust:
                    end = o
                    break
            if end < 0:
                short[queue[:found]] = True
                break
            moved = _push(flow, end, min(left[r], room[end]), r, offer_via, request_via)
            left[r] -= moved
            room[end] -= moved
    return short


@njit(cache=True)  # type: ignore[untyped-decorator]
def cross(
    order: Slots, worth: Floats, amount: Floats, group: Slots, row: Slots, start: Slots, cost: Floats, free: Floats,
    link: Mask,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Match divisible requests with divisible offers so that sum (worth - cost) * quantity is largest.

    Requests enter in order of falling worth; each is led, along a shortest augmenting path, to the cheapest offer that
    it reaches, as long as that costs no more than it is worth. Inserting one request after another by best augmenting
    paths keeps the flow optimal, and a request that comes later, worth less, never has a reason to displace an earlier
    one (the Hungarian method of Kuhn 1955, on classes). With one class on each side these are the crossing curves of
    supply and demand.

    Parameters
    ----------
    order
        (n_requests,) rows by falling worth.
    worth, amount, group
        (n_requests,) gain per unit/s, units/s, class; by row.
    row, start
        offers sorted by class, by rising cost within each; where each class begins, (n_offer_classes + 1,).
    cost, free
        (n_offers,) per unit/s, units/s; by row.
    link
        (n_request_classes, n_offer_classes).

    Returns
    -------
    granted (n_requests,), sold (n_offers,), flow (n_request_classes, n_offer_classes), all units/s
    """
    n_requests, n_offers = link.shape
    flow = np.zeros((n_requests, n_offers))
    offer_via, request_via = np.empty(n_offers, np.int64), np.empty(n_requests, np.int64)
    queue = np.empty(n_requests, np.int64)
    granted, sold, head = np.zeros(len(amount)), np.zeros(len(free)), start[:-1].copy()
    dust = DUST * min(amount.sum(), free.sum())
    for i in order:
        while amount[i] - granted[i] > DUST * amount[i]:
            _search(link, flow, group[i], dust, offer_via, request_via, queue)
            end = -1
            for o in range(n_offers):
                while head[o] < start[o + 1] and free[row[head[o]]] - sold[row[head[o]]] <= DUST * free[row[head[o]]]:
                    head[o] += 1
                if offer_via[o] < 0 or head[o] == start[o + 1]:
                    continue
                if end < 0 or cost[row[head[o]]] < cost[row[head[end]]]:
                    end = o
            if end < 0 or cost[row[head[end]]] > worth[i]:
                break
            j = row[head[end]]
            most = min(amount[i] - granted[i], free[j] - sold[j])
            moved = _push(flow, end, most, group[i], offer_via, request_via)
            granted[i] += moved
            sold[j] += moved
    return granted, sold, flow
