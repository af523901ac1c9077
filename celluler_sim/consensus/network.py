"""A running network of validators: transactions enter events, events are ordered, rounds become final."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import Ordered, Transactions
from celluler_sim.consensus.faults import FaultPlan, Withholding
from celluler_sim.consensus.finality_kernels import enter, finalise
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.hashgraph import Finality, Hashgraph
from celluler_sim.consensus.syncs import Created, Gossip, Schedule
from celluler_sim.markets.rows import Rows
from celluler_sim.streams import Streams, mix64

NONE, LATE = -1, -2  # instead of an event's number: in none yet; final too late to count
FIRST_ROUND = 1
KEPT = 100  # final rounds that are not worth forgetting


@dataclass(frozen=True)
class NetworkStats:
    """What a network did during the last call of `advance`, and what has expired since."""

    events: int = 0  # created
    ordered_events: int = 0  # that got their place in the order
    rounds: int = 0  # decided, by whoever was first
    coins: int = 0  # rounds decided only after a round of coins
    forks: int = 0  # events whose self-parent had a child already
    stale: int = 0  # events that have become too old to be ordered ever
    expired: int = 0  # transactions given up
    latency_s: Floats = field(default_factory=lambda: np.empty(0))  # (n,) from submission to finality, in order

    def latency(self, *quantiles: float) -> list[float]:
        """Return quantiles of the latency, s; NaN where nothing became final."""
        if not len(self.latency_s):
            return [math.nan] * len(quantiles)
        return [float(q) for q in np.quantile(self.latency_s, quantiles)]


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


class GossipNetwork:
    """The state of one run.

    In whatever steps it is advanced, the outcome is the same: all that happens has a time of its own.

    Parameters
    ----------
    rule
        The consensus.
    streams
        Randomness of the run.
    history
        Where every batch of events is kept, for pictures and for checks; by default nowhere.

    Attributes
    ----------
    stats
        What the last call of `advance` did.
    hashgraph
        The graph of all events.
    """

    def __init__(self, rule: HashgraphConsensus, streams: Streams, history: list[Created] | None = None) -> None:
        n, topology, votes = rule.validators, rule.topology, rule.weights()
        faults = rule.parsed_faults()
        self.rule, self.streams, self.history = rule, streams, history
        self.stats = NetworkStats()
        self._timeout = rule.timeout_seconds
        self._withholding = [(i, fault) for i, fault in enumerate(faults) if isinstance(fault, Withholding)]
        neighbours = topology.neighbours(n, streams.key("gossip.topology"))
        self._schedule = Schedule(streams, neighbours, rule.gossip_interval_seconds, topology.jitter_seconds)
        skew = streams.draws("gossip.skew").normal(np.arange(n)) * rule.clock_skew_seconds
        self._gossip = Gossip(FaultPlan(faults, n), topology.delay(n), rule.bandwidth, skew, self._timeout)
        self._signature = streams.key("gossip.signature")
        self.hashgraph = Hashgraph(votes, rule.rules(), window_rounds=rule.rounds_kept())
        self._chunk = rule.rounds_kept() * least_supermajority(votes, rule.rules().need(sum(votes)))
        self._finality = RoundFinality(votes)
        i, f = np.int64, np.float64
        self._waiting = Rows(
            {"event": LATE, "round": 0, "submitted": np.inf},
            number=i, sender=i, validator=i, submitted=f, since=f, event=i, round=i, position=i, consensus=f,
        )  # fmt: skip
        self._add(self._gossip.genesis())

    def submit(self, transactions: Transactions) -> None:
        """Hand transactions to their validators; each waits for its validator's next event."""
        t = transactions
        self._waiting.append(
            number=t.number, sender=t.sender, validator=t.validator, submitted=t.submitted, since=t.submitted,
            event=NONE, round=0, position=0, consensus=np.nan,
        )  # fmt: skip

    def advance(self, until: float) -> Ordered:
        """Run the network to ``until`` (s) and return what became final since the last call, in order."""
        while self._schedule.drawn < until:
            self._gossip.start(self._schedule.draw())
        decided_before, ordered_before = self.hashgraph.decided_round, self.hashgraph.n_ordered
        made = self._gossip.run(until)
        self._enter(made)
        coins = self._add(made)
        news = self.hashgraph.take()
        self._place(news, ordered_before)
        ordered, latency = self._collect()
        self.stats = NetworkStats(
            events=len(made), ordered_events=len(news.event), rounds=self.hashgraph.decided_round - decided_before,
            coins=coins, forks=made.forks, stale=len(news.stale), latency_s=latency,
        )  # fmt: skip
        return ordered

    def expire(self, now: float) -> Slots:
        """Drop and return the numbers of the transactions that are older than the timeout and not final."""
        old = np.flatnonzero(self._waiting["submitted"] < now - self._timeout)
        gone = self._waiting["number"][old]
        if len(old):
            self._waiting.drop(old)
            self.stats = replace(self.stats, expired=self.stats.expired + len(old))
        return gone

    def pending(self) -> int:
        """Return how many transactions wait for finality."""
        return len(self._waiting)

    # ---- one advance -----------------------------------------------------------------------------------------------

    def _enter(self, made: Created) -> None:
        """Let transactions enter the next events of their validators."""
        w = self._waiting
        rows = np.flatnonzero(w["event"] == NONE)
        while len(rows) and len(made):
            place = enter(made.creator, made.created, self.rule.validators, w["validator"][rows], w["since"][rows])
            rows, place = rows[place >= 0], place[place >= 0]
            blocked = self._withheld(rows, made.created[place])
            w["event"][rows[~blocked]] = made.first + place[~blocked]
            rows = rows[blocked]

    def _withheld(self, rows: Slots, time: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which transactions are left out of the events that they would enter, until the fault's end."""
        w, blocked = self._waiting, np.zeros(len(rows), np.bool_)
        for number, fault in self._withholding:
            acts = (fault.start_s <= time) & (time < fault.end_s) & np.isin(w["validator"][rows], fault.members)
            hit = np.flatnonzero(acts)
            hit = hit[fault.chosen(number, w["sender"][rows[hit]], self.streams)]
            w["since"][rows[hit]] = np.maximum(w["since"][rows[hit]], fault.end_s)
            blocked[hit] = True
        return blocked

    def _add(self, made: Created) -> int:
        """Add events to the graph, note what they make their creators decide; return the rounds that took coins."""
        if self.history is not None:
            self.history.append(made)
        coins = 0
        for start in range(0, len(made), self._chunk):
            part = slice(start, start + self._chunk)
            number = made.first + start + np.arange(len(made.creator[part]))
            self.hashgraph.add_batch(
                made.creator[part], made.self_parent[part], made.other_parent[part], made.stamp[part],
                mix64(self._signature, number),
            )  # fmt: skip
            decided = self.hashgraph.decided(number)
            first, rounds = self._finality.note(made.creator[part], made.created[part], decided)
            if len(first):  # decided further away than the first round of coins
                coins += int(np.sum(self.hashgraph.rounds(number[first]) - rounds > self.rule.coin))
        return coins

    def _place(self, news: Finality, before: int) -> None:
        """Give the transactions of events that were ordered their round, position and consensus time."""
        w = self._waiting
        if not len(news.event) or not len(w):
            return
        oldest = int(news.event.min())
        places = np.full(int(news.event.max()) + 1 - oldest, -1)
        places[news.event - oldest] = np.arange(len(news.event))
        event = w["event"]
        rows = np.flatnonzero((event >= oldest) & (event < oldest + len(places)) & (w["round"] == 0))
        place = places[event[rows] - oldest]
        rows, place = rows[place >= 0], place[place >= 0]
        w["round"][rows], w["consensus"][rows] = news.round[place], news.time[place]
        w["position"][rows] = before + place

    def _collect(self) -> tuple[Ordered, Floats]:
        """Take out what is final, in order, and its latency; what is final after its timeout stays until it expires."""
        w = self._waiting
        rows = np.flatnonzero((w["round"] > 0) & (w["round"] <= self._finality.last))
        number, submitted = w["number"][rows], w["submitted"][rows]
        order = np.lexsort((number, submitted, w["position"][rows]))
        rows, number, submitted = rows[order], number[order], submitted[order]
        final = self._finality.time(w["round"][rows])
        self._finality.forget()
        latency = final - submitted
        late = latency > self._timeout
        if late.any():
            w["event"][rows[late]], w["round"][rows[late]] = LATE, 0
            rows, number, final, latency = rows[~late], number[~late], final[~late], latency[~late]
        ordered = Ordered(number, w["consensus"][rows], final)
        w.drop(rows)
        return ordered, latency


def least_supermajority(votes: list[int], need: int) -> int:
    """Return how many members it takes at least to hold a supermajority: no round has fewer events."""
    held = accumulate(sorted(votes, reverse=True))
    return next(count for count, stake in enumerate(held, start=1) if stake >= need)
