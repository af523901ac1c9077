"""When service begins: capacity freed inside a tick is used from the very moment it is free.

The market clears once a tick; were every grant to start at the end of its tick, each wait would be too long by half a
tick and a conclusion would depend on the tick's length. So a start is placed at the earliest moment at which
the request was final and the capacity free, which makes first-come service exact to the second.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def start_times(
    first: Slots,  #    (n_jobs + 1,) fills of job j are first[j] : first[j + 1]
    ready: Floats,  #   (n_jobs,) s, not before this
    give_up: Floats,  # (n_jobs,) s, not after this
    offer: Slots,  #    (n_fills,) row of the offer
    quantity: Floats,  # (n_fills,) units/s
    idle: Floats,  #    (n_offers,) units/s free during the whole tick; consumed in place
    since: float,  #    s, begin of the tick
    head: Slots,  #     (n_offers,) first release of each offer, -1 none; moved in place
    following: Slots,  # (n_releases,) next release of the same offer in order of time, -1 none
    freed: Floats,  #   (n_releases,) units/s; consumed in place
    at: Floats,  #      (n_releases,) s
) -> Floats:
    """Return each job's start, (n_jobs,) s, or NaN where it would be after ``give_up`` (nothing is used then)."""
    n_jobs = len(first) - 1
    start = np.empty(n_jobs)
    for j in range(n_jobs):
        begin = max(ready[j], since)
        for f in range(first[j], first[j + 1]):
            p, missing = offer[f], quantity[f] - idle[offer[f]]
            release = head[p]
            while missing > 1e-12 * quantity[f] and release >= 0:
                begin = max(begin, at[release])
                missing -= freed[release]
                release = following[release]
        if begin > give_up[j]:
            start[j] = np.nan
            continue
        start[j] = begin
        for f in range(first[j], first[j + 1]):
            p, q = offer[f], quantity[f]
            used = min(q, idle[p])
            idle[p] -= used
            q -= used
            while q > 1e-12 * quantity[f] and head[p] >= 0:
                release = head[p]
                used = min(q, freed[release])
                freed[release] -= used
                q -= used
                if freed[release] <= 1e-12 * quantity[f]:
                    head[p] = following[release]
    return start


@njit(cache=True)  # type: ignore[untyped-decorator]
def chain_releases(offer: Slots, n_offers: int) -> tuple[Slots, Slots]:
    """Link releases, given in order of time, per offer: return (head, following)."""
    head = np.full(n_offers, -1, np.int64)
    tail = np.full(n_offers, -1, np.int64)
    following = np.full(len(offer), -1, np.int64)
    for r in range(len(offer)):
        p = offer[r]
        if head[p] < 0:
            head[p] = r
        else:
            following[tail[p]] = r
        tail[p] = r
    return head, following


@njit(cache=True)  # type: ignore[untyped-decorator]
def by_request(request: Slots, n_requests: int) -> tuple[Slots, Slots, Slots]:
    """Group fills by request with a counting sort: return (requests that have any, offsets, order of the fills)."""
    count = np.zeros(n_requests + 1, np.int64)
    for r in request:
        count[r + 1] += 1
    n_jobs = 0
    for r in range(n_requests):
        n_jobs += count[r + 1] > 0
    jobs = np.empty(n_jobs, np.int64)
    first = np.zeros(n_jobs + 1, np.int64)
    j = 0
    for r in range(n_requests):
        if count[r + 1] > 0:
            jobs[j] = r
            first[j + 1] = first[j] + count[r + 1]
            j += 1
    for r in range(n_requests):
        count[r + 1] += count[r]
    order = np.empty(len(request), np.int64)
    for f in range(len(request)):
        order[count[request[f]]] = f
        count[request[f]] += 1
    return jobs, first, order


@njit(cache=True)  # type: ignore[untyped-decorator]
def available_since(idle: Floats, since: float, head: Slots, following: Slots, freed: Floats, at: Floats) -> Floats:
    """Return since when the greater part of each offer's free capacity has been free, (n_offers,), s."""
    out = np.full(len(idle), since)
    for p in range(len(idle)):
        total = idle[p]
        release = head[p]
        while release >= 0:
            total += freed[release]
            release = following[release]
        so_far = idle[p]
        release = head[p]
        while so_far < 0.5 * total and release >= 0:
            out[p] = at[release]
            so_far += freed[release]
            release = following[release]
    return out
