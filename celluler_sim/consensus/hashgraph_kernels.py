"""Compiled insertion: rows of ancestors, forks, rounds and witnesses. Baird (2016), sections 2 and 3 of the rules.

An event costs O(n): the elementwise maximum of its parents' rows, then one look at which witnesses it is the first of
its column to descend from. Only the test whether it strongly sees enough witnesses of its parents' round is O(n^2), one
contiguous compare-and-add for each witness that it sees, ended as soon as the answer is certain.

Nothing is allocated here: whatever room is needed belongs to the graph.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from celluler_sim.consensus.hashgraph_state import BARE, NEVER, Batch, Graph, Numbers

DONE, NO_EVENTS, NO_ROUNDS, NO_COLUMNS = range(4)  # why insertion stopped: it is done, or something is full
BAD_CREATOR, BAD_PARENT, FOREIGN_PARENT = range(-3, 0)  # or the event is refused
_BLOCK = np.uint64(128)  # members between two looks at whether a supermajority is certain


@njit(**BARE)  # type: ignore[untyped-decorator]
def insert(g: Graph, batch: Batch, start: int) -> tuple[int, int]:
    """Add the events of a batch from ``start`` on.

    Returns the place of the first one that was not added, and why: `DONE` behind the last, `NO_EVENTS`, `NO_ROUNDS` or
    `NO_COLUMNS` where the graph must grow before it, `BAD_CREATOR`, `BAD_PARENT` (not added yet) or `FOREIGN_PARENT`
    (a self-parent by somebody else) where it is refused.
    """
    seen = g.seen
    for i in range(start, len(batch.creator)):
        why = _check(g, batch, i)
        if why != DONE:
            return i, why
        column = _column_of(g, batch.creator[i], batch.self_parent[i])
        if column < 0:
            column = _open_column(g, batch.creator[i], batch.self_parent[i])
            if column < 0:
                return i, NO_COLUMNS
        x = g.at[0].count
        _describe(g, batch, i, x, column)
        highest, lowest = _merge(g, batch, i, x, column)
        _find_forks(g, x)
        _look(g, x, seen)
        _note_first(g, x, column, highest)
        _place(g, x, column, highest, lowest, seen)
        g.column[column].tip = x
        g.at[0].count = x + 1
    return len(batch.creator), DONE


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _check(g: Graph, batch: Batch, i: int) -> int:
    """Return why an event cannot be added, or `DONE`."""
    at, member, parent = g.at[0], batch.creator[i], batch.self_parent[i]
    if not 0 <= member < len(g.weight):
        return BAD_CREATOR
    if parent < -1 or parent >= at.count:
        return BAD_PARENT
    for k in range(batch.others.shape[1]):
        if batch.others[i, k] < -1 or batch.others[i, k] >= at.count:
            return BAD_PARENT
    if parent >= 0:
        c = g.event[parent & (len(g.event) - 1)].column if parent >= at.base else _tip_of(g, parent)
        if c >= 0 and g.column[c].owner != member:
            return FOREIGN_PARENT
    if at.count - at.base == len(g.event):
        return NO_EVENTS
    if at.top + 2 - at.keep > len(g.round):
        return NO_ROUNDS
    return DONE


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _column_of(g: Graph, member: int, parent: int) -> int:
    """Return the column that a member's event extends, its own first column for a first event, or -1 for a fork."""
    c = g.newest[member]
    if c < 0:
        g.newest[member] = member
        return member
    while c >= 0 and (parent < 0 or g.column[c].tip != parent):
        c = g.column[c].older
    return c


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _open_column(g: Graph, member: int, parent: int) -> int:
    """Return a new column for a branch of a member's, or -1 where there is no room."""
    at = g.at[0]
    members = len(g.weight)
    column = at.columns
    for c in range(members, at.columns):
        if g.column[c].owner < 0:
            column = c
    if column == len(g.column):
        return -1
    at.columns = max(at.columns, column + 1)
    new = g.column[column]
    new.owner, new.branch, new.trunk, new.tip, new.received = member, parent, -1, -1, -1
    if parent >= at.base:
        new.trunk = g.event[parent & (len(g.event) - 1)].column
    if g.newest[member] == member:  # its first fork
        at.slack += g.weight[member]
    new.older = g.newest[member]
    g.newest[member] = column
    return int(column)


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _describe(g: Graph, batch: Batch, i: int, x: int, column: int) -> None:
    """Write down what an event says of itself."""
    slot = x & (len(g.event) - 1)
    event = g.event[slot]
    event.column, event.parent, event.coin, event.generation = column, batch.self_parent[i], batch.coin[i], 0
    event.decided, event.sequence = g.rule[0].first_round - 1, 0
    g.time[slot] = batch.time[i]
    for k in range(g.signature.shape[1]):
        g.signature[slot, k] = batch.signature[i, k]
    for k in range(g.hidden.shape[1]):
        g.hidden[slot, k] = 0
    for c in range(g.row.shape[1]):
        g.row[slot, c] = -1


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _merge(g: Graph, batch: Batch, i: int, x: int, column: int) -> tuple[int, int]:
    """Inherit ancestors, hidden members and generation; return the highest and lowest round of the parents.

    Without parents both are less than any round. A parent that has left the ring and is no tip is left out: all that it
    descends from is older than the window.
    """
    slot = x & (len(g.event) - 1)
    highest, lowest = g.rule[0].first_round - 1, NEVER
    for k in range(-1, batch.others.shape[1]):
        parent = batch.self_parent[i] if k < 0 else batch.others[i, k]
        if parent < 0:
            continue
        if parent >= g.at[0].base:
            p = parent & (len(g.event) - 1)
            row, hidden, event = g.row[p], g.hidden[p], g.event[p]
        else:
            p = _tip_of(g, parent)
            if p < 0:
                continue
            row, hidden, event = g.tip_row[p], g.tip_hidden[p], g.tip_event[p]
        for c in range(len(row)):
            g.row[slot, c] = max(g.row[slot, c], row[c])
        for word in range(len(hidden)):
            g.hidden[slot, word] |= hidden[word]
        highest, lowest = max(highest, event.round), min(lowest, event.round)
        g.event[slot].generation = max(g.event[slot].generation, event.generation + 1)
        if k < 0 and event.column == column:
            g.event[slot].sequence = event.sequence + 1
    g.row[slot, column] = x
    return highest, lowest


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _tip_of(g: Graph, event: int) -> int:
    """Return the column whose last event this is, or -1."""
    for c in range(g.at[0].columns):
        if g.column[c].tip == event:
            return c
    return -1


@njit(**BARE)  # type: ignore[untyped-decorator]
def _fork_among(g: Graph, row: Numbers, member: int) -> bool:
    """Whether the ancestors in a row include a fork by a member: its columns there are not one chain."""
    roots = 0
    c = g.newest[member]
    while c >= 0:
        if row[c] >= 0:
            trunk = g.column[c].trunk
            if trunk < 0:
                roots += 1
            elif row[trunk] != g.column[c].branch:
                return True
            other = g.column[c].older
            while other >= 0:
                if row[other] >= 0 and trunk >= 0 and g.column[other].trunk == trunk:
                    return True
                other = g.column[other].older
        c = g.column[c].older
    return roots > 1


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _find_forks(g: Graph, x: int) -> None:
    """Hide the members of whom an event has a fork among its ancestors."""
    slot = x & (len(g.event) - 1)
    for c in range(len(g.weight), g.at[0].columns):
        member = g.column[c].owner
        if member >= 0 and g.row[slot, c] >= 0:
            word, bit = member >> 6, np.uint64(1) << np.uint64(member & 63)
            if g.hidden[slot, word] & bit == 0 and _fork_among(g, g.row[slot], member):
                g.hidden[slot, word] |= bit


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _look(g: Graph, x: int, seen: Numbers) -> None:
    """Write into ``seen`` an event's row without the columns of hidden members."""
    slot = x & (len(g.event) - 1)
    for c in range(len(seen)):
        seen[c] = g.row[slot, c]
    if not g.rule[0].hide or g.at[0].columns == len(g.weight):
        return
    for c in range(g.at[0].columns):
        member = g.column[c].owner
        if member >= 0 and g.hidden[slot, member >> 6] >> np.uint64(member & 63) & np.uint64(1):
            seen[c] = -1


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _note_first(g: Graph, x: int, column: int, highest: int) -> None:
    """Note the witnesses that an event is the first of its column to descend from.

    Those of its parents' highest round and of the round before: an event that is not on the way from a witness to a
    descendant one round higher is never asked for.
    """
    slot, parent = x & (len(g.event) - 1), g.event[x & (len(g.event) - 1)].parent
    before, extends = g.row[slot], False
    if parent >= 0 and g.column[column].tip == parent:
        extends = True
        before = g.row[parent & (len(g.event) - 1)] if parent >= g.at[0].base else g.tip_row[column]
    for r in range(max(highest - 1, g.at[0].keep), highest + 1):
        s = r & (len(g.round) - 1)
        for c in range(g.at[0].columns):
            w = g.witness[s, c]
            if g.row[slot, c] >= w and not (extends and before[c] >= w):
                g.first[s, c, column] = x


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _place(g: Graph, x: int, column: int, highest: int, lowest: int, seen: Numbers) -> None:
    """Give an event its round; if it is a witness, add it to that round."""
    at, rule, event = g.at[0], g.rule[0], g.event[x & (len(g.event) - 1)]
    r = highest
    if r < rule.first_round:
        r = rule.first_round
    elif r >= at.keep and not (rule.equal_parents and lowest < highest) and _advances(g, r, seen):
        r += 1
    event.round = r
    event.witness = 1
    if event.parent >= at.base:
        event.witness = r > g.event[event.parent & (len(g.event) - 1)].round
    elif event.parent >= 0 and g.column[column].tip == event.parent:
        event.witness = r > g.tip_event[column].round
    if event.witness and r >= at.keep:
        _register(g, x, column, r, seen)


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _advances(g: Graph, r: int, seen: Numbers) -> bool:
    """Whether the creators of the witnesses of a round that are strongly seen hold a supermajority."""
    s, columns, members = r & (len(g.round) - 1), g.at[0].columns, len(g.weight)
    left = 0
    for k in range(members):
        left += g.weight[k] if seen[k] >= g.witness[s, k] else np.int32(0)
    for c in range(members, columns):
        if seen[c] >= g.witness[s, c]:
            left += g.weight[g.column[c].owner]
    if left < g.rule[0].hardly:
        return False
    total, counted = 0, g.counted
    counted[:] = 0
    for c in range(columns):
        owner = g.column[c].owner
        if seen[c] >= g.witness[s, c] and g.low[owner] + g.high[owner] > 0:
            left -= g.weight[owner]
            if not counted[owner] and _strongly(g, seen, s, c):
                counted[owner] = 1
                total += g.weight[owner]
                if total >= g.rule[0].surely:
                    return True
            if total + left < g.rule[0].hardly:
                return False
    low, high = 0, 0
    for k in range(members):
        if counted[k]:
            low, high = low + g.low[k], high + g.high[k]
    return _reaches(g, low, high)


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _strongly(g: Graph, seen: Numbers, s: int, w: int) -> bool:
    """Whether whoever sees ``seen`` strongly sees the witness in column ``w`` of the round in slot ``s``.

    Unsigned counting lets the compiler do without checks for negative indices, and so use vectors.
    """
    members, at, rule = np.uint64(len(g.weight)), g.at[0], g.rule[0]
    total, k = np.int32(0), np.uint64(0)
    while k < members:
        stop = min(k + _BLOCK, members)
        for i in range(k, stop):
            total += g.weight[i] * np.int32(seen[i] >= g.first[s, w, i])
        k = stop
        if total >= rule.surely:
            return True
        if total + g.rest[k] + at.slack < rule.hardly:
            return False
    return bool(_strongly_exactly(g, seen, s, w))


@njit(**BARE)  # type: ignore[untyped-decorator]
def _strongly_exactly(g: Graph, seen: Numbers, s: int, w: int) -> bool:
    """Answer `_strongly` where scaled weights leave doubt, or where forks give a member several columns."""
    low, high = 0, 0
    for member in range(len(g.weight)):
        c = g.newest[member]
        while c >= 0:
            if seen[c] >= g.first[s, w, c]:
                low, high = low + g.low[member], high + g.high[member]
                break
            c = g.column[c].older
    return bool(_reaches(g, low, high))


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _reaches(g: Graph, low: int, high: int) -> bool:
    """Whether a stake, given as sums of low and of high parts, is at least what is needed."""
    rule = g.rule[0]
    high += low >> rule.limb
    low -= low >> rule.limb << rule.limb
    return high > rule.need_high or (high == rule.need_high and low >= rule.need_low)


@njit(**BARE)  # type: ignore[untyped-decorator]
def _register(g: Graph, x: int, column: int, r: int, seen: Numbers) -> None:
    """Add a witness to its round, and note which witnesses of the round before it sees and strongly sees."""
    at, s = g.at[0], r & (len(g.round) - 1)
    if r > at.top:
        at.top = r
        g.witness[s, :] = NEVER
        g.fame[s, :] = 0
        g.voted[s, :, :] = 0
        g.round[s].ordered = g.round[s].judges = 0
    g.witness[s, column] = x
    g.fame[s, column] = r < at.undecided
    g.first[s, column, :] = NEVER
    g.first[s, column, column] = x
    if r == at.undecided or r >= at.undecided + 2:
        at.due = 1
    if r == at.keep:
        return
    before = (r - 1) & (len(g.round) - 1)
    for c in range(len(seen)):
        sees = c < at.columns and seen[c] >= g.witness[before, c]
        g.vote[before, 0, column, c] = sees
        weighs = sees and g.low[g.column[c].owner] + g.high[g.column[c].owner] > 0
        g.strong[s, column, c] = weighs and _strongly(g, seen, before, c)
