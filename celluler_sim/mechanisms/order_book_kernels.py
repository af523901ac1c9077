"""The matching loop of a continuous double auction, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _room(free: float, supply: Floats, need: Floats) -> float:
    """Return how much of an offer a request can use, units/s: its free capacity, or what further resources allow."""
    room = free
    for k in range(len(need)):
        if need[k] > 0.0:
            room = min(room, supply[k] / need[k])
    return max(room, 0.0)


@njit(cache=True)  # type: ignore[untyped-decorator]
def match(
    bid: Floats,  #     (n_requests,) PRANA per unit; rows are in the order of their arrival
    amount: Floats,  #  (n_requests,) units/s
    minimum: Floats,  # (n_requests,) units/s
    ready: Floats,  #   (n_requests,) s, ascending
    kinds: npt.NDArray[np.uint64],  # (n_requests,)
    exposed: npt.NDArray[np.int8],  # (n_requests,) 0 fair, 1 front-run, 2 sandwiched
    ask: Floats,  #       (n_offers,) PRANA per unit
    capacity: Floats,  #  (n_offers,) units/s
    available: Floats,  # (n_offers,) s
    kind: Slots,  #       (n_offers,)
    need: Floats,  #      (n_requests, n_resources) of each further resource per unit of capacity
    supply: Floats,  #    (n_offers, n_resources) consumed in place
    split: bool,
    by_ask: Slots,  #     (n_offers,) rows, cheapest first
    by_time: Slots,  #    (n_offers,) rows, earliest first
) -> tuple[Slots, Slots, Floats, Floats, Floats]:
    """Return (request rows, offer rows, quantities, prices, skims), one entry per trade.

    1. Take requests and offers in order of time, an offer before a request of the same moment.
    2. Whoever arrives trades with what rests: a request with the cheapest asks at or below its bid, an offer with the
       highest bids at or above its ask (a bid that cannot be served is passed over). The price is that of the order
       that rested.
    3. What is left rests. A request for which less than its minimum can be had trades nothing and rests whole;
       without ``split`` it must be had from one offer.
    4. A front-run request pays the next dearer ask, a sandwiched one its bid, instead of the asks it meets; what that
       exceeds them by is the skim.
    """
    n_requests, n_offers = len(bid), len(ask)
    left, free = amount.copy(), capacity.copy()
    here = np.zeros(n_offers, np.bool_)
    resting = np.empty(n_requests, np.int64)  # by bid, highest first; of equals the earlier first
    n_resting = 0
    request_row, offer_row = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    quantity, price, skim = [0.0 for _ in range(0)], [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    o = r = 0
    while r < n_requests or o < n_offers:
        offer_next = o < n_offers and (r >= n_requests or available[by_time[o]] <= ready[r])
        if offer_next:
            here[by_time[o]] = True
            o += 1
            at, end = 0, n_resting
        else:
            at = n_resting
            while at > 0 and bid[resting[at - 1]] < bid[r]:
                resting[at] = resting[at - 1]
                at -= 1
            resting[at] = r
            n_resting += 1
            r += 1
            end = at + 1
        while at < end:
            row = resting[at]
            got = amount[row] - left[row]
            enough = minimum[row] * (1 - 1e-12) - got
            usable = 0.0
            for p in by_ask:
                if ask[p] > bid[row] or usable >= left[row]:
                    break
                if here[p] and (kinds[row] >> np.uint64(kind[p])) & np.uint64(1):
                    room = _room(free[p], supply[p], need[row])
                    usable = usable + room if split else max(usable, room)
            if usable <= 1e-12 * amount[row] or min(usable, left[row]) < enough:
                at += 1
                continue
            first = len(quantity)
            dearer = bid[row]
            for p in by_ask:
                if ask[p] > bid[row]:
                    break
                if not (here[p] and (kinds[row] >> np.uint64(kind[p])) & np.uint64(1)):
                    continue
                q = min(_room(free[p], supply[p], need[row]), left[row])
                if left[row] <= 0.0:
                    if free[p] > 0.0:
                        dearer = ask[p]
                        break
                    continue
                if q <= 1e-15 * amount[row] or (not split and q < min(enough, left[row])):
                    continue
                free[p] -= q
                for k in range(supply.shape[1]):
                    supply[p, k] -= q * need[row, k]
                left[row] = left[row] - q if split and left[row] - q > 1e-12 * amount[row] else 0.0
                request_row.append(row)
                offer_row.append(p)
                quantity.append(q)
                price.append(ask[p] if available[p] <= ready[row] else bid[row])
                skim.append(0.0)
            if exposed[row] > 0:
                pays = dearer if exposed[row] == 1 else bid[row]
                for f in range(first, len(quantity)):
                    if pays > price[f]:
                        skim[f] = pays - price[f]
                        price[f] = pays
            if left[row] <= 0.0:
                for k in range(at, n_resting - 1):
                    resting[k] = resting[k + 1]
                n_resting -= 1
                end -= 1
            else:
                at += 1
    return np.array(request_row), np.array(offer_row), np.array(quantity), np.array(price), np.array(skim)
