"""A running network of validators: transactions enter events, and are final where the events' order is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import NetworkStats, Ordered, Transactions
from celluler_sim.consensus.faults import FaultPlan, Withholding
from celluler_sim.consensus.gossip import HashgraphConsensus
from celluler_sim.consensus.hashgraph import Hashgraph
from celluler_sim.consensus.syncs import Created, Gossip, Schedule
from celluler_sim.consensus.weave import Weave
from celluler_sim.markets.rows import Rows
from celluler_sim.streams import Streams

NONE, LATE = -1, -2  # instead of an event's number: in none yet; final too late to count


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
    ahead
        Seconds by which gossip runs ahead of the market: it does not depend on it, and long strides cost less.

    Attributes
    ----------
    stats
        What happened during the last call of `advance`, and what has expired since.
    """

    def __init__(
        self, rule: HashgraphConsensus, streams: Streams, history: list[Created] | None = None, *, ahead: float = 0.0
    ) -> None:
        n, topology, faults = rule.validators, rule.topology, rule.parsed_faults()
        self.rule, self.streams, self.history = rule, streams, history
        self.stats = NetworkStats()
        self.next_epoch = rule.epoch_seconds
        self._ahead, self._now, self._epoch = ahead, 0.0, 0
        self._withholding = [(i, fault) for i, fault in enumerate(faults) if isinstance(fault, Withholding)]
        neighbours = topology.neighbours(n, streams.key("gossip.topology"))
        self._schedule = Schedule(streams, neighbours, rule.gossip_interval_seconds, topology.jitter_seconds)
        skew = streams.draws("gossip.skew").normal(np.arange(n)) * rule.clock_skew_seconds
        self._gossip = Gossip(FaultPlan(faults, n), topology.delay(n), rule.bandwidth, skew, rule.timeout_seconds)
        self._votes = rule.weights()
        self._weave = self._begin(0.0)
        i, f = np.int64, np.float64
        self._waiting = Rows(
            {"event": LATE, "submitted": np.inf}, number=i, sender=i, validator=i, submitted=f, since=f, event=i
        )

    @property
    def hashgraph(self) -> Hashgraph:
        """The graph of all events of this epoch of votes."""
        return self._weave.hashgraph

    def submit(self, transactions: Transactions) -> None:
        """Hand transactions to their validators; each waits for its validator's next event."""
        t = transactions
        self._waiting.append(
            number=t.number, sender=t.sender, validator=t.validator, submitted=t.submitted, since=t.submitted,
            event=NONE,
        )  # fmt: skip

    def advance(self, until: float) -> Ordered:
        """Run the network to ``until`` (s) and return what became final since the last call, in order."""
        parts = []
        self.stats = NetworkStats()
        while until > self.next_epoch:
            parts.append(self._step(self.next_epoch))
            self._end_epoch()
        parts.append(self._step(until))
        if len(parts) == 1:
            return parts[0]
        return Ordered(*(np.concatenate([getattr(p, c) for p in parts]) for c in ("number", "consensus", "final")))

    def weigh(self, stakes: Floats) -> None:
        """Let these stakes (PRANA) be the votes from the end of this epoch on; where none is left, votes stay."""
        if any(votes := self.rule.votes(stakes)):
            self._votes = votes

    def expire(self, now: float) -> Slots:
        """Drop and return the numbers of the transactions that are older than the timeout and not final."""
        old = np.flatnonzero(self._waiting["submitted"] < now - self.rule.timeout_seconds)
        gone = self._waiting["number"][old]
        if len(old):
            self._waiting.drop(old)
            self.stats += NetworkStats(expired=len(old))
        return gone

    def pending(self) -> int:
        """Return how many transactions wait for finality."""
        return len(self._waiting)

    # ---- one advance -----------------------------------------------------------------------------------------------

    def _step(self, until: float) -> Ordered:
        """Run to some time of this epoch and return what became final."""
        weave = self._weave
        if weave.until < until:
            event = self._waiting["event"]
            event = event[event >= 0]
            weave.forget(int(event.min()) if len(event) else len(weave.hashgraph), self._now)
            weave.run(min(until + self._ahead, self.next_epoch))
        self._enter()
        self._count(until)
        return self._collect(until)

    def _enter(self) -> None:
        """Let transactions enter the next events of their validators."""
        w = self._waiting
        rows = np.flatnonzero(w["event"] == NONE)
        while len(rows):
            event, time = self._weave.next_event(w["validator"][rows], w["since"][rows])
            known = event >= 0
            rows, event, time = rows[known], event[known], time[known]
            blocked = self._withheld(rows, time)
            w["event"][rows[~blocked]] = event[~blocked]
            rows = rows[blocked]

    def _withheld(self, rows: Slots, time: Floats) -> npt.NDArray[np.bool_]:
        """Return which transactions are left out of the events that they would enter, until the fault's end."""
        w, blocked = self._waiting, np.zeros(len(rows), np.bool_)
        for number, fault in self._withholding:
            acts = (fault.start_s <= time) & (time < fault.end_s) & np.isin(w["validator"][rows], fault.members)
            hit = np.flatnonzero(acts)
            hit = hit[fault.chosen(number, w["sender"][rows[hit]], self.streams)]
            w["since"][rows[hit]] = np.maximum(w["since"][rows[hit]], fault.end_s)
            blocked[hit] = True
        return blocked

    def _count(self, until: float) -> None:
        """Count what the validators did since the last step."""
        woven, decided = self._weave.woven, self._weave.decided
        events = slice(*np.searchsorted(woven.created, [self._now, until], side="right").tolist())
        rounds = slice(*np.searchsorted(decided.time, [self._now, until], side="right").tolist())
        self._now = until
        self.stats += NetworkStats(
            events=events.stop - events.start, rounds=rounds.stop - rounds.start,
            coins=int(decided.coin[rounds].sum()), forks=int(woven.fork[events].sum()),
        )  # fmt: skip

    def _collect(self, until: float) -> Ordered:
        """Take out what is final, in order; what is final after its timeout stays until it expires."""
        w, weave = self._waiting, self._weave
        final = weave.final(w["event"])
        rows = np.flatnonzero(final <= until)
        final = final[rows]
        late = final - w["submitted"][rows] > self.rule.timeout_seconds
        if late.any():
            w["event"][rows[late]] = LATE
            rows, final = rows[~late], final[~late]
        number, place = w["number"][rows], w["event"][rows] - weave.base
        order = np.lexsort((number, w["submitted"][rows], weave.woven.position[place]))
        ordered = Ordered(number[order], weave.woven.time[place[order]], final[order])
        w.drop(rows)
        return ordered

    # ---- votes -----------------------------------------------------------------------------------------------------

    def _begin(self, time: float) -> Weave:
        """Begin a graph with the votes as they are."""
        rule, key = self.rule, self.streams.key("gossip.signature", self._epoch)
        return Weave(
            self._gossip, self._schedule, self._votes, rule.rules(), rule.rounds_kept(), key, start=time,
            history=self.history,
        )  # fmt: skip

    def _end_epoch(self) -> None:
        """Begin a new graph where votes have changed; what is not final enters it anew."""
        end = self.next_epoch
        self._epoch += 1
        self.next_epoch = (self._epoch + 1) * self.rule.epoch_seconds
        if self._votes == self._weave.votes:
            return
        self._weave = self._begin(end)
        w = self._waiting
        open_ = w["event"] >= 0
        w["event"][open_] = NONE
        w["since"][open_] = np.maximum(w["since"][open_], end)
