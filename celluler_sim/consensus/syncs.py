"""Pull gossip: who syncs when, and the events that this makes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.faults import FaultPlan
from celluler_sim.consensus.gossip_kernels import Flags, Flight, Heads, Made, Plan, Syncs, run
from celluler_sim.consensus.topology import Neighbours
from celluler_sim.streams import Streams

BATCH = 4096  # syncs that are drawn at once, on average


@dataclass(frozen=True)
class Requests:
    """Syncs that members start, by time."""

    time: Floats  #  (n_syncs,) s
    asker: Slots  #  (n_syncs,)
    asked: Slots  #  (n_syncs,)
    turn: Floats  #  (n_syncs,) uniform in [0, 1): which branch forkers speak of between themselves
    there: Floats  # (n_syncs,) s, jitter of the request
    back: Floats  #  (n_syncs,) s, jitter of the answer


@dataclass(frozen=True)
class Created:
    """Events in the order of their creation, numbered from `first`."""

    first: int
    creator: Slots  #      (n_events,)
    self_parent: Slots  #  (n_events,) number of an event, -1 none
    other_parent: Slots  # (n_events,) number of an event, -1 none
    created: Floats  #     (n_events,) s, true time
    stamp: Floats  #       (n_events,) s, time by the creator's clock
    fork: Flags  #         (n_events,) its self-parent had a child already

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.creator)

    @property
    def forks(self) -> int:
        """How many of them fork."""
        return int(self.fork.sum())


class Schedule:
    """Every member starts syncs as a Poisson process, each with a random neighbour.

    Parameters
    ----------
    streams
        Randomness; each period has its own draws.
    neighbours
        Who may sync with whom.
    interval
        Mean time between two syncs that a member starts, s.
    jitter
        Mean of what is added to a message's delay, s.
    """

    def __init__(self, streams: Streams, neighbours: Neighbours, interval: float, jitter: float) -> None:
        self.streams, self.neighbours, self.jitter = streams, neighbours, jitter
        self._seconds, self._period = BATCH * interval / len(neighbours.degree), 0

    @property
    def drawn(self) -> float:
        """Until when the syncs have been drawn, s."""
        return self._period * self._seconds

    def draw(self) -> Requests:
        """Return the syncs that start in the next period."""
        n = len(self.neighbours.degree)
        rng = self.streams.at("gossip.syncs", self._period)
        count = int(rng.poisson(BATCH))
        time, asker, partner, turn = rng.random((4, count))
        time.sort()
        asker = (asker * n).astype(np.int64)
        there, back = rng.exponential(self.jitter, (2, count)) if self.jitter else np.zeros((2, count))
        begin, self._period = self._period, self._period + 1
        return Requests((begin + time) * self._seconds, asker, self.neighbours.pick(asker, partner), turn, there, back)


class Gossip:
    """Members, what each has, and what is on its way between them.

    Parameters
    ----------
    plan
        What goes wrong when.
    delay
        Seconds that a message takes from each member to each other one, (n, n).
    bandwidth
        Events per second that one sync carries.
    skew
        Seconds by which each member's clock is ahead, (n,).
    patience
        Seconds after which an answer comes too late to be of use.
    """

    def __init__(self, plan: FaultPlan, delay: Floats, bandwidth: float, skew: Floats, patience: float) -> None:
        n = plan.n
        self.faults, self.skew = plan, skew
        self.plan = Plan(
            plan.begin, plan.up, plan.answers, plan.link, plan.lag, plan.forks, plan.side,
            np.ascontiguousarray(delay, np.float64), float(bandwidth), float(patience),
        )  # fmt: skip
        self._width = n if np.isfinite(bandwidth) else 0  # columns of what members know, needed for that only
        self.genesis()
        empty, none = np.empty(0), np.empty(0, np.int64)
        self._syncs = Syncs(empty, none, none, empty, empty)
        self._flight = Flight(empty, none, none, none, none, np.empty((0, self._width), np.int64))

    def genesis(self, time: float = 0.0) -> Created:
        """Begin a graph: return each member's first event, without parents; answers under way are of no use."""
        n, branches = self.faults.n, self.faults.branches
        self.heads = Heads(
            np.repeat(np.arange(n)[:, None], branches, axis=1),
            np.zeros((n, branches), np.bool_),
            np.eye(n, self._width, dtype=np.int64),
        )
        self.n_events, self._n_flying = n, 0
        creator, none, at_start = np.arange(n), np.full(n, -1), np.full(n, time)
        stamp = self._stamp(creator, at_start, self.faults.phase(at_start))
        return Created(0, creator, none, none, at_start, stamp, np.zeros(n, np.bool_))

    def start(self, requests: Requests) -> None:
        """Send requests on their way; those of members that are down or cut off get nowhere."""
        phase = self.faults.phase(requests.time)
        a, b = requests.asker, requests.asked
        ok = np.flatnonzero(self.plan.up[phase, a] & self.plan.link[phase, a, b])
        phase, a, b = phase[ok], a[ok], b[ok]
        time = requests.time[ok] + self.plan.delay[a, b] + self.plan.lag[phase, a] + requests.there[ok]
        new = Syncs(time, a, b, requests.turn[ok], requests.back[ok])
        both = [np.concatenate(pair) for pair in zip(self._syncs, new, strict=True)]
        order = np.argsort(both[0], kind="stable")
        self._syncs = Syncs(*(column[order] for column in both))

    def run(self, until: float) -> Created:
        """Process everything up to ``until`` (s) and return the events that it made."""
        due = int(np.searchsorted(self._syncs.time, until, side="right"))
        self._make_room(self._n_flying + due)
        size, first = self._n_flying + due, self.n_events
        whole = np.empty((4, size), np.int64)
        made = Made(whole[0], whole[1], whole[2], np.empty(size), whole[3], np.empty(size, np.bool_))
        answered, self._n_flying, n = run(
            until, first, self._syncs, self.plan, self._flight, self._n_flying, self.heads, made
        )
        s = self._syncs
        self._syncs = Syncs(
            s.time[answered:], s.asker[answered:], s.asked[answered:], s.turn[answered:], s.jitter[answered:]
        )
        self.n_events += n
        creator, created = made.creator[:n], made.created[:n]
        stamp = self._stamp(creator, created, made.phase[:n])
        parents = made.self_parent[:n], made.other_parent[:n]
        return Created(first, creator, *parents, created, stamp, made.fork[:n])

    def _stamp(self, creator: Slots, created: Floats, phase: Slots) -> Floats:
        return created + self.skew[creator] + self.faults.offset[phase, creator]

    def _make_room(self, size: int) -> None:
        flying, old = self._n_flying, self._flight
        if size > len(old.time):
            self._flight = Flight(*(np.empty((2 * size, *column.shape[1:]), column.dtype) for column in old))
            for new, column in zip(self._flight, old, strict=True):
                new[:flying] = column[:flying]
