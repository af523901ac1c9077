"""Compiled virtual voting: which witnesses are famous, for all and for whoever knows one event. Section 4 of the rules.

A row of votes, that of one witness on all candidates of one round, is a function of the witness, whoever asks. It is
cast when it is first needed and kept; the elections of all members read the same rows. Voters strongly seen times their
rows of 0 and 1 gives a tally, O(n^2) for each voter. A row has votes for columns without a candidate too: one that
arrives later is no ancestor of the voter, nor of anything that the voter goes by, so nothing changes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from celluler_sim.consensus.hashgraph_state import BARE, Batch, Graph, Integers, Numbers

VOTED, UNSETTLED, NO_LEVELS = 1, 0, -1  # what a round of voting came to: an answer, none yet, or too far for the table
_VOTE, _DECIDES = np.uint8(1), np.uint8(2)
_NOT_FAMOUS, _FAMOUS = 1, 2


@njit(cache=True)  # type: ignore[untyped-decorator]
def elect(g: Graph) -> int:
    """Decide round after round; return `UNSETTLED` at the first that cannot be decided, or `NO_LEVELS`."""
    at = g.at[0]
    at.due = 0
    while at.undecided + 2 <= at.top:
        outcome = settle(g, at.undecided)
        if outcome != VOTED:
            at.due = outcome == NO_LEVELS
            return int(outcome)
        at.undecided += 1
    return UNSETTLED


@njit(cache=True)  # type: ignore[untyped-decorator]
def settle(g: Graph, r: int) -> int:
    """Decide the fame of a round's witnesses as far as votes go; return `VOTED` if that was all of them.

    Distance by distance, within a round by event number: the first voter to decide counts.
    """
    s, columns = r & (len(g.round) - 1), g.at[0].columns
    for d in range(2, g.at[0].top - r + 1):
        if _count_open(g, s) == 0:
            return VOTED
        voters = np.argsort(g.witness[(r + d) & (len(g.round) - 1), :columns])
        for y in voters:
            cast = _ensure(g, r, d, y)
            if cast == NO_LEVELS:
                return NO_LEVELS
            if cast == UNSETTLED:
                continue
            for c in range(columns):
                if g.fame[s, c] == 0 and g.vote[s, d - 1, y, c] & _DECIDES:
                    g.fame[s, c] = _FAMOUS if g.vote[s, d - 1, y, c] & _VOTE else _NOT_FAMOUS
            if _count_open(g, s) == 0:
                return VOTED
    return VOTED if _count_open(g, s) == 0 else UNSETTLED


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _count_open(g: Graph, s: int) -> int:
    """Return how many witnesses of the round in a slot have no fame yet."""
    left = 0
    for c in range(g.at[0].columns):
        left += g.fame[s, c] == 0 and g.witness[s, c] < g.at[0].count
    return left


@njit(**BARE)  # type: ignore[untyped-decorator]
def follow(g: Graph, batch: Batch, start: int, number: int) -> int:
    """Find the last round that each new event's ancestors decide, for the batch from ``start`` on.

    ``number`` is the number of the event at ``start``. Returns the first place not done: before the end of the
    events added only if the table of votes is too small.
    """
    for x in range(number, g.at[0].count):
        i = start + x - number
        event = g.event[x & (len(g.event) - 1)]
        since = event.decided
        for k in range(-1, batch.others.shape[1]):
            parent = batch.self_parent[i] if k < 0 else batch.others[i, k]
            since = max(since, _decided_by_parent(g, parent, event.column))
        known = _decided(g, g.row[x & (len(g.event) - 1)], since, event.round)
        if known == NO_LEVELS:
            return int(i)
        event.decided = known - 1
    return int(start + g.at[0].count - number)


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _decided_by_parent(g: Graph, parent: int, column: int) -> int:
    """Return the last round that a parent decides, as far as that is still known."""
    if parent >= g.at[0].base:
        return int(g.event[parent & (len(g.event) - 1)].decided)
    if parent >= 0:
        for c in range(g.at[0].columns):
            if g.column[c].tip == parent:
                return int(g.tip_event[c].decided)
        if g.tip_row[column, column] == parent:  # a tip until this very event
            return int(g.tip_event[column].decided)
    return int(g.rule[0].first_round - 1)


@njit(**BARE)  # type: ignore[untyped-decorator]
def decided_by(g: Graph, rows: Numbers, since: Integers, answer: Integers) -> None:
    """Write for each row of ancestors the last round that it decides, or `NO_LEVELS` - 1 where levels are missing."""
    for i in range(len(rows)):
        top = g.at[0].top
        while top > since[i] and not _knows_any(g, rows[i], top):
            top -= 1
        answer[i] = _decided(g, rows[i], since[i], top) - 1


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _knows_any(g: Graph, row: Numbers, r: int) -> bool:
    """Whether a row of ancestors includes a witness of a round."""
    s = r & (len(g.round) - 1)
    for c in range(g.at[0].columns if r >= g.at[0].keep else 0):  # noqa: SIM110 - compiled
        if row[c] >= g.witness[s, c]:
            return True
    return False


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _decided(g: Graph, row: Numbers, since: int, top: int) -> int:
    """Return one more than the last round decided from a row of ancestors, or `NO_LEVELS`.

    ``since`` is known to be decided and ``top`` is the highest round of an ancestor. Rounds that have left the ring are
    decided for whoever knows what came after them.
    """
    if since + 1 < g.at[0].keep and top >= g.at[0].keep + 2:
        since = g.at[0].keep - 1
    while since + 3 <= top and since + 1 >= g.at[0].keep:
        outcome = _decides(g, row, since + 1, top)
        if outcome == NO_LEVELS:
            return NO_LEVELS
        if outcome == UNSETTLED:
            break
        since += 1
    return int(since + 1)


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _decides(g: Graph, row: Numbers, r: int, top: int) -> int:
    """Whether the voters known decide every candidate known of a round: `VOTED`, `UNSETTLED` or `NO_LEVELS`."""
    s, mask, still, n_open = r & (len(g.round) - 1), len(g.round) - 1, g.still, 0
    for c in range(g.at[0].columns):
        if row[c] >= g.witness[s, c]:
            still[n_open] = c
            n_open += 1
    for d in range(2, top - r + 1):
        if d > g.vote.shape[1]:
            return NO_LEVELS
        voters, votes, voted = g.witness[(r + d) & mask], g.vote[s, d - 1], g.voted[s, d - 1]
        for y in range(g.at[0].columns):
            if row[y] < voters[y]:
                continue
            if not voted[y]:
                _ensure(g, r, d, y)
            kept = 0
            for k in range(n_open):
                if not votes[y, still[k]] & _DECIDES:
                    still[kept] = still[k]
                    kept += 1
            n_open = kept
            if n_open == 0:
                return VOTED
    return UNSETTLED


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _ensure(g: Graph, r: int, d: int, y: int) -> int:
    """Make sure that the witness in column ``y`` of round r + d has cast its votes on round r.

    Returns `UNSETTLED` where there is no such witness, and `NO_LEVELS` where the table is too small.
    """
    s, mask, columns = r & (len(g.round) - 1), len(g.round) - 1, g.at[0].columns
    if g.witness[(r + d) & mask, y] >= g.at[0].count:
        return UNSETTLED
    if d > g.vote.shape[1]:
        return NO_LEVELS
    if g.voted[s, d - 1, y]:
        return VOTED
    for e in range(2, d):
        for c in range(columns):
            if g.witness[(r + e) & mask, c] < g.at[0].count and not g.voted[s, e - 1, c]:
                _cast(g, r, e, c)
    _cast(g, r, d, y)
    return VOTED


@njit(**BARE)  # type: ignore[untyped-decorator]
def _cast(g: Graph, r: int, d: int, y: int) -> None:
    """Cast the votes of the witness in column ``y`` of round r + d on every column of round r."""
    mask, rule = len(g.round) - 1, g.rule[0]
    s, v, columns = r & mask, (r + d) & mask, len(g.column)
    low, high = g.tally[:2], g.tally[2:]  # stake that votes no, yes
    g.tally[:] = 0
    if g.at[0].columns > len(g.weight) and not rule.hide:
        _tally_twins(g, s, v, d, y, low, high)
    elif rule.surely == rule.hardly:
        _tally_weights(g, s, v, d, y, low)
    else:
        _tally(g, s, v, d, y, low, high)
    coin = g.event[g.witness[v, y] & (len(g.event) - 1)].coin
    for c in range(columns):
        vote = np.uint8(_at_least(g, low[1, c], high[1, c], low[0, c], high[0, c]))
        enough = _at_least(g, low[vote, c], high[vote, c], rule.need_low, rule.need_high)
        if d % rule.coin != 0:
            g.vote[s, d - 1, y, c] = vote | _DECIDES if enough else vote
        else:
            g.vote[s, d - 1, y, c] = vote if enough else coin
    g.voted[s, d - 1, y] = 1


@njit(**BARE)  # type: ignore[untyped-decorator]
def _tally_weights(g: Graph, s: int, v: int, d: int, y: int, low: Integers) -> None:
    """Add up the stake behind each opinion on each candidate, of the witnesses that a voter strongly sees.

    For stakes that are their own weights: sums of 32 bits.
    """
    columns, total, yes = low.shape[1], 0, g.yes
    yes[:] = 0
    for w in range(columns):
        if g.strong[v, y, w]:
            weight = g.weight[g.column[w].owner]
            total += weight
            for c in range(columns):
                yes[c] += weight * np.int32(g.vote[s, d - 2, w, c] & _VOTE)
    for c in range(columns):
        low[1, c], low[0, c] = yes[c], total - yes[c]


@njit(**BARE)  # type: ignore[untyped-decorator]
def _tally(
    g: Graph, s: int, v: int, d: int, y: int, low: Integers, high: Integers
) -> None:  # fmt: skip
    """Do as `_tally_weights` for stakes of any size."""
    columns = low.shape[1]
    for stakes, sums in ((g.low, low), (g.high, high)):
        total = 0
        for w in range(columns):
            if g.strong[v, y, w]:
                stake = stakes[g.column[w].owner]
                total += stake
                for c in range(columns):
                    sums[1, c] += stake * np.int64(g.vote[s, d - 2, w, c] & _VOTE)
        for c in range(columns):
            sums[0, c] = total - sums[1, c]


@njit(**BARE)  # type: ignore[untyped-decorator]
def _tally_twins(
    g: Graph, s: int, v: int, d: int, y: int, low: Integers, high: Integers
) -> None:  # fmt: skip
    """Do as `_tally` where a voter may strongly see two witnesses of a member, which counts once for each opinion."""
    columns = low.shape[1]
    for w in range(columns):
        owner = g.column[w].owner
        for c in range(columns if g.strong[v, y, w] else 0):
            vote = g.vote[s, d - 2, w, c] & _VOTE
            if not _voted_before(g, s, v, d, y, w, c):
                low[vote, c] += g.low[owner]
                high[vote, c] += g.high[owner]


@njit(**BARE)  # type: ignore[untyped-decorator]
def _voted_before(
    g: Graph, s: int, v: int, d: int, y: int, w: int, c: int
) -> bool:  # fmt: skip
    """Whether a witness by the same member in an earlier column is strongly seen too, and votes alike."""
    for other in range(w):
        if g.strong[v, y, other] and g.column[other].owner == g.column[w].owner:  # noqa: SIM102 - compiled
            if (g.vote[s, d - 2, other, c] ^ g.vote[s, d - 2, w, c]) & _VOTE == 0:
                return True
    return False


@njit(**BARE, forceinline=True)  # type: ignore[untyped-decorator]
def _at_least(g: Graph, low: int, high: int, other_low: int, other_high: int) -> bool:
    """Compare two stakes, each given as sums of low and of high parts."""
    limb = g.rule[0].limb
    difference = high + (low >> limb) - other_high - (other_low >> limb)
    if difference != 0:
        return bool(difference > 0)
    return bool(low - (low >> limb << limb) >= other_low - (other_low >> limb << limb))
