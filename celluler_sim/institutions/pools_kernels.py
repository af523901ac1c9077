"""Compiled: what coalitions of a pool's members would have earned from the jobs that were there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from celluler_sim.book import Floats, Masks

SLACK = 1e-9  # share of a need by which it may exceed what is free: sums of holdings are rounded
NEVER = np.inf


class OfferedJobs(NamedTuple):
    """Jobs that were there in a period, in the order in which they are served."""

    ready: Floats  #   (n_jobs,) s, when it could begin at the earliest, ascending
    latest: Floats  #  (n_jobs,) s, when it has to begin at the latest
    seconds: Floats  # (n_jobs,) s it takes
    need: Floats  #    (n_jobs, 1 + n_resources) units/s of compute, then each further resource
    price: Floats  #   (n_jobs,) PRANA per unit it pays


class Holdings(NamedTuple):
    """What the members of one pool bring."""

    amount: Floats  # (n_members, 1 + n_resources) units/s of compute, then each further resource
    ask: Floats  #    (n_members,) PRANA per unit, the least each accepts
    energy: Floats  # (n_members,) PRANA per unit of work


@njit(cache=True)  # type: ignore[untyped-decorator]
def _side(who: np.uint64, holdings: Holdings, total: Floats) -> tuple[float, float]:
    """Add up in ``total`` what the members in mask ``who`` hold; return their mean ask and energy by compute."""
    total[:] = 0.0
    ask = energy = 0.0
    for i in range(len(holdings.ask)):
        if (who >> np.uint64(i)) & np.uint64(1):
            for k in range(len(total)):
                total[k] += holdings.amount[i, k]
            ask += holdings.ask[i] * holdings.amount[i, 0]
            energy += holdings.energy[i] * holdings.amount[i, 0]
    if total[0] <= 0.0:
        return NEVER, NEVER
    return ask / total[0], energy / total[0]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _fits(need: Floats, free: Floats) -> bool:
    for k in range(len(need)):  # noqa: SIM110 - a loop is what the compiler knows
        if need[k] > free[k] * (1.0 + SLACK):
            return False
    return True


@njit(cache=True)  # type: ignore[untyped-decorator]
def _next_end(end: Floats, n: int) -> int:
    """Return which of ``n`` running jobs ends first, the earliest begun of equals, or -1."""
    best = -1
    for r in range(n):
        if best < 0 or end[r] < end[best]:
            best = r
    return best


@njit(cache=True)  # type: ignore[untyped-decorator]
def serve(
    masks: Masks, everyone: np.uint64, rivals: bool, holdings: Holdings, jobs: OfferedJobs, until: float
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return what each coalition earns less its energy, and what the rest of the members earn beside it, (m,) each.

    Two sellers face the jobs, the coalition and, with ``rivals``, all other members together; each is one machine with
    the summed resources, and sells where the price covers its mean ask. Events in order of time, ends before arrivals:

    1. A job that becomes ready goes to the seller with the lower ask if it fits there, else to the other, else waits.
    2. When a job ends, its resources are free, and those waiting are tried at that seller in the order of the jobs.
    3. A job that has not begun by its latest moment is gone. What is earned after ``until`` does not count.

    This is the market's own rule (consensus order, who fits first, the cheapest offer first) with two offers.
    Time: events times (jobs running + jobs waiting) for each coalition.
    """
    n_jobs, n_kinds = jobs.need.shape
    earned, lowest = (
        np.zeros((2, len(masks))),
        everyone & (~everyone + np.uint64(1)),
    )  # whose seller comes first in ties
    free, ask, energy = np.zeros((2, n_kinds)), np.empty(2), np.empty(2)
    end, seller, job = np.empty(n_jobs), np.empty(n_jobs, np.int64), np.empty(n_jobs, np.int64)
    waiting = np.empty(n_jobs, np.int64)
    for m in range(len(masks)):
        rest = everyone & ~masks[m] if rivals else np.uint64(0)
        ask[0], energy[0] = _side(masks[m], holdings, free[0])
        ask[1], energy[1] = _side(rest, holdings, free[1])
        first = 0 if ask[0] < ask[1] or (ask[0] == ask[1] and masks[m] & lowest) else 1
        n_running = n_waiting = j = 0
        while True:
            r = _next_end(end, n_running)
            arrives = jobs.ready[j] if j < n_jobs else NEVER
            now = min(arrives, end[r]) if r >= 0 else arrives
            if now >= until:
                break
            low, high = 0, 1  # the candidates to be tried now: one that arrives, or all that wait
            ended = r >= 0 and end[r] <= arrives
            if ended:
                s = seller[r]
                free[s] += jobs.need[job[r]]
                n_running -= 1
                end[r], seller[r], job[r] = end[n_running], seller[n_running], job[n_running]
                high = n_waiting
            kept = 0
            for w in range(low, high):
                i = waiting[w] if ended else j
                placed = False
                for turn in range(1 if ended else 2):
                    s = s if ended else (first if turn == 0 else 1 - first)
                    if jobs.latest[i] < now or placed or jobs.price[i] < ask[s] or not _fits(jobs.need[i], free[s]):
                        continue
                    placed = True
                    finish = now + jobs.seconds[i]
                    earned[s, m] += (jobs.price[i] - energy[s]) * jobs.need[i, 0] * (min(finish, until) - now)
                    free[s] -= jobs.need[i]
                    end[n_running], seller[n_running], job[n_running] = finish, s, i
                    n_running += 1
                if not placed and jobs.latest[i] >= now:
                    if ended:
                        waiting[kept] = i
                        kept += 1
                    else:
                        waiting[n_waiting] = i
                        n_waiting += 1
            if ended:
                n_waiting = kept
            else:
                j += 1
    return earned[0], earned[1]


def table(n: int, rivals: bool, holdings: Holdings, jobs: OfferedJobs, until: float) -> Floats:
    """Return the worth of every coalition of ``n`` members, (2**n,) by mask.

    With rivals a coalition and its complement meet in one and the same market, so half of them need to be played out.
    """
    everyone = np.uint64((1 << n) - 1)
    half = np.arange(1 << (n - 1 if rivals else n), dtype=np.uint64)
    own, rest = serve(half, everyone, rivals, holdings, jobs, until)
    return np.concatenate([own, rest[::-1]]) if rivals else own
