"""Compiled form of what happens to transactions: which event each enters, and when a round counts as final."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Slots = npt.NDArray[np.int64]


@njit(cache=True)  # type: ignore[untyped-decorator]
def by_member(creator: Slots, n: int) -> tuple[Slots, Slots]:
    """Return the places of events, one of ``n`` members after the other, and where each one's begin, (n + 1,)."""
    first = np.zeros(n + 1, np.int64)
    for m in creator:
        first[m + 1] += 1
    for m in range(n):
        first[m + 1] += first[m]
    own = np.empty(len(creator), np.int64)  # places of the events, one member's after the other's
    filled = first[:-1].copy()
    for place, m in enumerate(creator):
        own[filled[m]] = place
        filled[m] += 1
    return own, first


@njit(cache=True)  # type: ignore[untyped-decorator]
def enter(own: Slots, first: Slots, created: Floats, validator: Slots, since: Floats) -> Slots:
    """Return the place of the first event that a validator creates after ``since``, (n_transactions,), -1 none.

    Parameters
    ----------
    own, first
        What `by_member` returns.
    created
        Events by the time (s) of their creation, (n_events,).
    validator, since
        Transactions and the time (s) from which they may enter, (n_transactions,).
    """
    entered = np.full(len(validator), -1, np.int64)
    for i, m in enumerate(validator):
        low, high = first[m], first[m + 1]
        while low < high:
            middle = (low + high) // 2
            if created[own[middle]] > since[i]:
                high = middle
            else:
                low = middle + 1
        if low < first[m + 1]:
            entered[i] = own[low]
    return entered


@njit(cache=True)  # type: ignore[untyped-decorator]
def finalise(
    creator: Slots, created: Floats, decided: Slots, reached: Slots, weight: Slots, total: int, backing: Slots,
    final: Floats, base: int, last: int,
) -> int:  # fmt: skip
    """Find out when more than half of the stake knew each round to be decided.

    Parameters
    ----------
    creator, created, decided
        Events by time: who created them, when (s), and the last round that their ancestors decide, (n_events,).
    reached
        Last round that each member has decided, (n,); moved in place.
    weight, total
        Stakes, (n,), and their sum.
    backing, final
        Stake that has decided round ``base + i``, and when (s) that became more than half; written in place.
    base
        The first round in ``backing``.
    last
        The last round that is final already.

    Returns
    -------
    int
        The last round that is final now.
    """
    for i in range(len(creator)):
        m = creator[i]
        for r in range(max(reached[m] + 1, base), decided[i] + 1):
            before = backing[r - base]
            backing[r - base] = before + weight[m]
            if 2 * before <= total < 2 * backing[r - base]:
                final[r - base] = created[i]
                last = max(last, r)
        reached[m] = max(reached[m], decided[i])
    return last
