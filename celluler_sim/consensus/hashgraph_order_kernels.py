"""Compiled order: judges, rounds received, consensus times, the total order, and what may be forgotten. Section 5.

Nothing walks the graph. With the judges J of a round, a column is received up to the least of their rows there. When a
judge's creator first received an event is read off the rows along the judge's self-parents; that gives the first
descendants of a whole batch of events, judge by judge, so the table of (judges, batch) times lives only while its
round is being received.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from celluler_sim.consensus.hashgraph_state import BARE, Floats, Graph, Integers, Words

_FAMOUS = 2
_PAPER, _, _HEDERA, _LAMPORT = range(4)
_LOWER, _MEAN, _ = range(3)
_BLOCK = 16  # events whose times are gathered together: two cache lines


@njit(cache=True)  # type: ignore[untyped-decorator]
def receive(g: Graph, room: Floats) -> tuple[Integers, Integers, Floats, Integers]:
    """Bring the events of every round decided since the last call into their order.

    ``room`` is memory for the times that are looked up together, at least one for each column.

    Returns
    -------
    event, round, time, stale
        Event numbers in consensus order, with the round in which and the time at which each was received; and the
        numbers of events that will never be ordered, because they were received more than a window after their round.
    """
    at = g.at[0]
    most, n_ordered, n_stale = at.count - at.base, 0, 0
    event, rounds, time = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    stale = np.empty(most, np.int64)
    while at.processed < at.undecided:
        r = at.processed
        batch, when, n_late = _receive_round(g, r, stale[n_stale:], room)
        end = n_ordered + len(batch)
        event[n_ordered:end], time[n_ordered:end], rounds[n_ordered:end] = batch, when, r
        n_ordered, n_stale = end, n_stale + n_late
        at.ordered, at.stale, at.processed = at.ordered + len(batch), at.stale + n_late, r + 1
        g.round[r & (len(g.round) - 1)].ordered = at.ordered
    return event[:n_ordered], rounds[:n_ordered], time[:n_ordered], stale[:n_stale]


@njit(cache=True)  # type: ignore[untyped-decorator]
def retire(g: Graph) -> Integers:
    """Let go of the rounds before the window and of the events before those; return the stale ones among them."""
    at = g.at[0]
    at.keep = max(at.keep, at.processed - 2 - g.rule[0].window)
    first, n_stale = at.base, 0
    while at.base < at.count and g.event[at.base & (len(g.event) - 1)].round < at.keep:
        at.base += 1
    stale = np.empty(at.base - first, np.int64)
    for x in range(first, at.base):
        slot = x & (len(g.event) - 1)
        c = g.event[slot].column
        if x > g.column[c].received:
            g.column[c].received = stale[n_stale] = x
            n_stale += 1
        if g.column[c].tip == x:
            g.tip_row[c], g.tip_event[c], g.tip_hidden[c] = g.row[slot], g.event[slot], g.hidden[slot]
    at.stale += n_stale
    return stale[:n_stale]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _receive_round(g: Graph, r: int, stale: Integers, room: Floats) -> tuple[Integers, Floats, int]:
    """Return the events received in a round, in order, their times, and how many are stale instead."""
    judges = judges_of(g, r)
    g.round[r & (len(g.round) - 1)].judges = len(judges)
    if len(judges) == 0:
        return np.empty(0, np.int64), np.empty(0), 0
    start, batch, n_stale = _collect(g, r, _limits(g, r, judges), stale)
    when = np.empty(len(batch))
    ranked = np.empty((len(batch) if g.rule[0].order == _HEDERA else 0, len(judges)))
    part = min(len(room) // len(judges), len(batch) + 1)
    table = room[: part * len(judges)].reshape((len(judges), part))
    for first in range(0, len(batch), part):
        end = min(first + part, len(batch))
        _receipts(g, r, judges, start, batch, first, end, table, np.empty((3, len(start)), np.int64))
        _medians(g, judges, table, when[first:end], ranked[first:end])
    order = _sorted(g, r, judges, batch, when, ranked)
    return batch[order], when[order], n_stale


@njit(cache=True)  # type: ignore[untyped-decorator]
def judges_of(g: Graph, r: int) -> Integers:
    """Return the columns of a round's judges: its famous witnesses, at most one for each member."""
    s, columns = r & (len(g.round) - 1), g.at[0].columns
    judges, n = np.empty(columns, np.int64), 0
    for c in range(columns):
        if g.fame[s, c] != _FAMOUS or g.witness[s, c] >= g.at[0].count:
            continue
        chosen = True
        for other in range(columns if columns > len(g.weight) else 0):
            if other == c or g.column[other].owner != g.column[c].owner or g.fame[s, other] != _FAMOUS:
                continue
            chosen = chosen and g.rule[0].least and _signed_less(g, g.witness[s, c], g.witness[s, other])
        if chosen:
            judges[n] = c
            n += 1
    return judges[:n]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _signed_less(g: Graph, x: int, y: int) -> bool:
    """Whether one event has the lesser signature, or the same one and came first."""
    a, b = g.signature[x & (len(g.event) - 1)], g.signature[y & (len(g.event) - 1)]
    for k in range(len(a)):
        if a[k] != b[k]:
            return bool(a[k] < b[k])
    return x < y


@njit(cache=True)  # type: ignore[untyped-decorator]
def _limits(g: Graph, r: int, judges: Integers) -> Integers:
    """Return for each column the last event that all judges descend from and that may be received, or less than 0."""
    s, mask = r & (len(g.round) - 1), len(g.event) - 1
    limit = np.full(g.at[0].columns, g.at[0].count, np.int64)
    for j in judges:
        judge = g.witness[s, j] & mask
        for c in range(len(limit)):
            limit[c] = min(limit[c], np.int64(g.row[judge, c]))
    if g.rule[0].received_after:
        for c in range(len(limit)):
            while limit[c] >= g.at[0].base and g.event[limit[c] & mask].round >= r:
                limit[c] = _before(g, limit[c], c)
    return limit


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _before(g: Graph, x: int, column: int) -> int:
    """Return the event before this one in its column, -1 for the first and for one whose parent has left the ring."""
    parent = g.event[x & (len(g.event) - 1)].parent
    if parent < g.at[0].base or g.event[parent & (len(g.event) - 1)].column != column:
        return -1
    return int(parent)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _collect(g: Graph, r: int, limit: Integers, stale: Integers) -> tuple[Integers, Integers, int]:
    """Return where each column starts in the batch, the batch (newest first in a column), and how many are stale."""
    columns, mask = len(limit), len(g.event) - 1
    start, batch = np.zeros(columns + 1, np.int64), np.empty(g.at[0].count - g.at[0].base, np.int64)
    total, n_stale = 0, 0
    for c in range(columns):
        x = limit[c]
        while x > g.column[c].received:
            if g.event[x & mask].round >= r - g.rule[0].window:
                batch[total] = x
                total += 1
            else:
                stale[n_stale] = x
                n_stale += 1
            x = _before(g, x, c)
        start[c + 1] = total
        g.column[c].received = max(g.column[c].received, limit[c])
    return start, batch[:total].copy(), n_stale


@njit(**BARE)  # type: ignore[untyped-decorator]
def _receipts(
    g: Graph, r: int, judges: Integers, start: Integers, batch: Integers, first: int, stop: int, table: Floats,
    room: Integers,
) -> None:  # fmt: skip
    """Fill [j, b]: the time at which the creator of judge j first received event ``first + b`` of the batch.

    Self-parent by self-parent from the judge down: what an event descends from and its self-parent does not, came with
    it.
    """
    s, mask, columns = r & (len(g.round) - 1), len(g.event) - 1, len(start) - 1
    place, end, active = room[0], room[1], room[2]
    for j in range(len(judges)):
        n_active = 0
        for c in range(columns):
            place[c], end[c] = max(start[c], first), min(start[c + 1], stop)
            active[n_active] = c
            n_active += place[c] < end[c]
        z = np.int64(g.witness[s, judges[j]])
        while n_active > 0:
            parent, when, left = np.int64(g.event[z & mask].parent), g.time[z & mask], 0
            for k in range(n_active):
                c = active[k]
                b, known = place[c], g.row[parent & mask, c] if parent >= g.at[0].base else np.int32(-1)
                while b < end[c] and batch[b] > known:
                    table[j, b - first] = when
                    b += 1
                place[c] = b
                active[left] = c
                left += b < end[c]
            n_active, z = left, parent


@njit(**BARE)  # type: ignore[untyped-decorator]
def _plain_medians(table: Floats, block: Floats, when: Floats, which: int) -> None:
    """Find the median time of each event."""
    n, size = len(table), len(when)
    for first in range(0, size, _BLOCK):
        some = min(_BLOCK, size - first)
        for j in range(n):
            for i in range(some):
                block[i, j] = table[j, first + i]
        for i in range(some):
            when[first + i] = _median(block[i], which)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _medians(g: Graph, judges: Integers, table: Floats, when: Floats, ranked: Floats) -> None:
    """Find the median time of each event and, for Hedera's tie-break, all its times in order, (events, judges)."""
    n, size, rule = len(judges), len(when), g.rule[0]
    block = np.empty((_BLOCK, n))
    if not rule.weighted and rule.order != _HEDERA:
        _plain_medians(table, block, when, rule.median)
        return
    for first in range(0, size, _BLOCK):
        some = min(_BLOCK, size - first)
        for j in range(n):
            for i in range(some):
                block[i, j] = table[j, first + i]
        for i in range(some):
            times = block[i]
            if rule.weighted:
                when[first + i] = _weighted_median(g, judges, times)
            else:
                when[first + i] = _median(times, rule.median)
            if rule.order == _HEDERA:
                times.sort()
                ranked[first + i] = times


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _median(times: Floats, which: int) -> float:
    """Return the upper, lower or mean median; the times come out partly sorted."""
    n = len(times)
    k = (n - 1) // 2 if which == _LOWER else n // 2
    _select(times, k)
    if which == _MEAN and n % 2 == 0:
        below = times[0]
        for i in range(1, k):
            below = max(below, times[i])
        return float((below + times[k]) / 2)
    return float(times[k])


@njit(**BARE)  # type: ignore[untyped-decorator]
def _select(values: Floats, k: int) -> None:
    """Hoare's selection: bring the k-th least value to place k, nothing greater before it, nothing less behind it."""
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[k]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if j < k:
            low = i
        if k < i:
            high = j


@njit(cache=True)  # type: ignore[untyped-decorator]
def _weighted_median(g: Graph, judges: Integers, times: Floats) -> float:
    """Return the time at which half of the judges' stake has received an event; without any stake, of their number.

    Upper: the first time by which more than half has it; lower: at least half; mean: of these two.
    """
    n, order = len(judges), np.argsort(times, kind="mergesort")
    low, high = np.ones(n, np.int64), np.zeros(n, np.int64)
    for j in range(n):
        owner = g.column[judges[order[j]]].owner
        low[j], high[j] = g.low[owner], g.high[owner]
    if low.sum() + high.sum() == 0:
        low[:] = 1
    lower, upper = -1, -1
    low_sum, high_sum, low_all, high_all = 0, 0, low.sum(), high.sum()
    for j in range(n):
        low_sum, high_sum = low_sum + 2 * low[j], high_sum + 2 * high[j]
        half = _compare(g, low_sum, high_sum, low_all, high_all)
        if lower < 0 and half >= 0:
            lower = order[j]
        if upper < 0 and half > 0:
            upper = order[j]
    if g.rule[0].median == _MEAN:
        return float((times[lower] + times[upper]) / 2)
    return float(times[lower] if g.rule[0].median == _LOWER else times[upper])


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _compare(g: Graph, low: int, high: int, other_low: int, other_high: int) -> int:
    """Return the sign of the difference of two stakes, each given as sums of low and of high parts."""
    limb = g.rule[0].limb
    difference = high + (low >> limb) - other_high - (other_low >> limb)
    if difference != 0:
        return int(difference)
    return int(low - (low >> limb << limb) - (other_low - (other_low >> limb << limb)))


@njit(cache=True)  # type: ignore[untyped-decorator]
def _sorted(
    g: Graph, r: int, judges: Integers, batch: Integers, when: Floats, ranked: Floats
) -> Integers:  # fmt: skip
    """Return the places of the batch in consensus order: by time, then tie by tie."""
    order = np.argsort(when, kind="mergesort")
    generation, sign = np.zeros(len(batch), np.int64), _signs(g, r, judges, batch)
    if g.rule[0].order != _PAPER:
        for b in range(len(batch)):
            generation[b] = g.event[batch[b] & (len(g.event) - 1)].generation
    middle = ranked.shape[1] // 2
    if g.rule[0].median == _LOWER:
        middle = (ranked.shape[1] - 1) // 2
    other, low = np.empty_like(order), 0
    while low < len(order):
        end = low + 1
        while end < len(order) and when[order[end]] == when[order[low]]:
            end += 1
        if end - low > 1:
            _sort_tie(order[low:end], other, batch, ranked, middle, generation, sign)
        low = end
    return order


@njit(**BARE)  # type: ignore[untyped-decorator]
def _sort_tie(
    order: Integers,
    other: Integers,
    batch: Integers,
    ranked: Floats,
    middle: int,
    generation: Integers,
    sign: Words,
) -> None:
    """Sort events of one consensus time: merge sort, from runs of one upwards."""
    width, size = 1, len(order)
    while width < size:
        for low in range(0, size, 2 * width):
            i, j = low, min(low + width, size)
            half, end = j, min(low + 2 * width, size)
            for k in range(low, end):
                first = j == end
                if i < half and not first:
                    first = not _precedes(batch, ranked, middle, generation, sign, order[j], order[i])
                if first:
                    other[k] = order[i]
                    i += 1
                else:
                    other[k] = order[j]
                    j += 1
        for k in range(size):
            order[k] = other[k]
        width *= 2


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _precedes(
    batch: Integers, ranked: Floats, middle: int, generation: Integers, sign: Words, a: int, b: int
) -> bool:  # fmt: skip
    """Whether event a comes before event b of the same time: extended median, generation, signature, arrival.

    As far as the rule has them: without an extended median there are no ranked times, without generation all are 0.
    """
    step = -1
    while len(ranked) > 0 and 0 <= middle + step < ranked.shape[1]:
        if ranked[a, middle + step] != ranked[b, middle + step]:
            return bool(ranked[a, middle + step] < ranked[b, middle + step])
        step = -step if step < 0 else -step - 1
    if generation[a] != generation[b]:
        return bool(generation[a] < generation[b])
    for k in range(sign.shape[1]):
        if sign[a, k] != sign[b, k]:
            return bool(sign[a, k] < sign[b, k])
    return bool(batch[a] < batch[b])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _signs(g: Graph, r: int, judges: Integers, batch: Integers) -> Words:
    """Return the signatures that break the last ties: whitened with those of the judges, plain for ``lamport``."""
    s, mask = r & (len(g.round) - 1), len(g.event) - 1
    sign = np.empty((len(batch), g.signature.shape[1]), np.uint64)
    for k in range(sign.shape[1]):
        white = np.uint64(0)
        if g.rule[0].order != _LAMPORT:
            for j in judges:
                white ^= g.signature[g.witness[s, j] & mask, k]
        for b in range(len(batch)):
            sign[b, k] = g.signature[batch[b] & mask, k] ^ white
    return sign
