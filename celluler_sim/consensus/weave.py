"""The graph that gossip weaves, apart from the market: which events there are, their order, and when it is final."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.finality_kernels import by_member, enter, finalise
from celluler_sim.consensus.hashgraph import Hashgraph, Rules
from celluler_sim.consensus.syncs import Created, Gossip, Schedule
from celluler_sim.streams import mix64

FIRST_ROUND = 1
KEPT = 100  # final rounds that are not worth forgetting


class RoundFinality:
    """When each round became final: the moment when members with more than half of the stake had decided it.

    Parameters
    ----------
    votes
        Stake of each member.
    """

    def __init__(self, votes: list[int]) -> None:
        shift = max(0, sum(votes).bit_length() - 61)  # the kernel counts in 64 bits
        self._weight = np.array([vote >> shift for vote in votes], np.int64)
        self._total = int(self._weight.sum())
        self._reached = np.full(len(votes), FIRST_ROUND - 1)
        self._best = FIRST_ROUND - 1  # the last round that anybody has decided
        self._base, self.last = FIRST_ROUND, FIRST_ROUND - 1  # the first round that is kept, the last that is final
        self._backing, self._final = np.zeros(64, np.int64), np.full(64, np.nan)

    def note(self, creator: Slots, created: Floats, decided: Slots) -> tuple[Slots, Slots]:
        """Take in events by time: who created them, when (s), and the last round that their ancestors decide.

        Returns the places of the events that were the first to decide a round, and the rounds.
        """
        best = int(decided.max(initial=0))
        missing = best + 1 - self._base - len(self._final)
        if missing > 0:
            self._backing = np.append(self._backing, np.zeros(missing + 64, np.int64))
            self._final = np.append(self._final, np.full(missing + 64, np.nan))
        self.last = finalise(
            creator, created, decided, self._reached, self._weight, self._total, self._backing, self._final,
            self._base, self.last,
        )  # fmt: skip
        rounds = np.arange(self._best + 1, best + 1)
        self._best = max(self._best, best)
        return np.searchsorted(np.maximum.accumulate(decided), rounds), rounds

    def time(self, rounds: Slots) -> Floats:
        """Return when rounds became final, s; they must not have been forgotten."""
        return self._final[rounds - self._base]

    def forget(self) -> None:
        """Forget the rounds that are final, many at a time."""
        gone = self.last + 1 - self._base
        if gone > KEPT:
            self._backing = np.append(self._backing[gone:], np.zeros(gone, np.int64))
            self._final = np.append(self._final[gone:], np.full(gone, np.nan))
            self._base = self.last + 1


class Woven(NamedTuple):
    """Events from one on, by time of creation, and what has become of them."""

    creator: Slots  #  (n_events,)
    created: Floats  # (n_events,) s
    fork: npt.NDArray[np.bool_]  # (n_events,) its self-parent had a child already
    round: Slots  #    (n_events,) that received it, 0 none yet
    position: Slots  # (n_events,) in the order
    time: Floats  #    (n_events,) s, consensus time
    final: Floats  #   (n_events,) s, when its place became final; inf: not yet


class Decided(NamedTuple):
    """Rounds by the time at which the first member had decided them."""

    time: Floats  # (n_rounds,) s
    coin: npt.NDArray[np.bool_]  # (n_rounds,) only after a round of coins


class Weave:
    """Events of one graph, ordered as they come.

    Nothing here depends on what transactions the events carry, so it can run ahead of the market, in strides that
    are worth a call into compiled code.

    Parameters
    ----------
    gossip, schedule
        The members, and when they sync.
    votes
        Stake of each member.
    rules, window_rounds
        Of the graph.
    signature
        Key of the events' signatures.
    start
        When the members begin, s.
    history
        Where every batch of events is kept; None: nowhere.
    """

    def __init__(
        self, gossip: Gossip, schedule: Schedule, votes: list[int], rules: Rules, window_rounds: int, signature: int,
        *, start: float = 0.0, history: list[Created] | None = None,
    ) -> None:  # fmt: skip
        self.votes, self.history = votes, history
        self.until = start  # all that happens up to then is known, s
        self.hashgraph = Hashgraph(votes, rules, window_rounds=window_rounds)
        self._gossip, self._schedule, self._signature, self._coin = gossip, schedule, signature, rules.coin
        self._chunk = window_rounds * least_supermajority(votes, rules.need(sum(votes)))
        self._finality = RoundFinality(votes)
        f, i, flags = np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)
        self.base, self.woven, self.decided = 0, Woven(i, f, flags, i, i, f, f), Decided(f, flags)
        self._own, self._first = by_member(i, len(votes))
        self._take_in(gossip.genesis(start))

    def run(self, until: float) -> None:
        """Have the members gossip up to ``until`` (s)."""
        while self._schedule.drawn < until:
            self._gossip.start(self._schedule.draw())
        self._take_in(self._gossip.run(until))
        self.until = until

    def forget(self, event: int, time: float) -> None:
        """Forget the events before one and before ``time`` (s), and the rounds decided before that."""
        gone = min(max(event - self.base, 0), int(np.searchsorted(self.woven.created, time, side="right")))
        self.base += gone
        self.woven = Woven._make(column[gone:] for column in self.woven)
        self._own, self._first = by_member(self.woven.creator, len(self.votes))
        over = int(np.searchsorted(self.decided.time, time, side="right"))
        self.decided = Decided._make(column[over:] for column in self.decided)

    def next_event(self, validator: Slots, since: Floats) -> tuple[Slots, Floats]:
        """Return the first event that each validator creates after some time (s) and when, s; -1 and NaN if unknown."""
        place = enter(self._own, self._first, self.woven.created, validator, since)
        known = place >= 0
        time = np.full(len(place), np.nan)
        time[known] = self.woven.created[place[known]]
        return np.where(known, self.base + place, -1), time

    def final(self, event: Slots) -> Floats:
        """Return when the place of each event became final, s; inf where it is not known to be, or for -1."""
        place = event - self.base
        known = place >= 0
        time = np.full(len(event), np.inf)
        time[known] = self.woven.final[place[known]]
        return time

    def _take_in(self, made: Created) -> None:
        """Add events to the graph and find out what that makes final."""
        if self.history is not None:
            self.history.append(made)
        n = len(made)
        fresh = Woven(
            made.creator, made.created, made.fork, np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, np.nan),
            np.full(n, np.inf),
        )  # fmt: skip
        self.woven = Woven._make(np.concatenate(pair) for pair in zip(self.woven, fresh, strict=True))
        self._own, self._first = by_member(self.woven.creator, len(self.votes))
        for start in range(0, n, self._chunk):
            self._add(made, slice(start, min(start + self._chunk, n)))
        self._settle()

    def _add(self, made: Created, part: slice) -> None:
        """Add some events to the graph, and note what they make their creators decide."""
        number, before = made.first + np.arange(part.start, part.stop), self.hashgraph.n_ordered
        self.hashgraph.add_batch(
            made.creator[part], made.self_parent[part], made.other_parent[part], made.stamp[part],
            mix64(self._signature, number),
        )  # fmt: skip
        decided = self.hashgraph.decided(number)
        first, rounds = self._finality.note(made.creator[part], made.created[part], decided)
        if len(first):  # decided further away than the first round of coins
            coin = self.hashgraph.rounds(number[first]) - rounds > self._coin
            fresh = made.created[part][first], coin
            self.decided = Decided._make(np.concatenate(pair) for pair in zip(self.decided, fresh, strict=True))
        news = self.hashgraph.take()
        place = news.event - self.base
        kept = place >= 0  # the others nobody asks about any more
        place = place[kept]
        woven = self.woven
        woven.round[place], woven.time[place] = news.round[kept], news.time[kept]
        woven.position[place] = (before + np.arange(len(news.event)))[kept]

    def _settle(self) -> None:
        """Note when events became final whose round did."""
        woven = self.woven
        place = np.flatnonzero((woven.round > 0) & (woven.round <= self._finality.last) & np.isinf(woven.final))
        woven.final[place] = self._finality.time(woven.round[place])
        self._finality.forget()


def least_supermajority(votes: list[int], need: int) -> int:
    """Return how many members it takes at least to hold a supermajority: no round has fewer events."""
    held = accumulate(sorted(votes, reverse=True))
    return next(count for count, stake in enumerate(held, start=1) if stake >= need)
