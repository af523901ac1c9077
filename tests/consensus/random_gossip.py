"""Random pull gossip for tests: each step one random member syncs with one random other and makes one event.

``u``, the unit of time in the specification's tables, is one event per member on average: n steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from celluler_sim.consensus.faults import FaultPlan, parse
from celluler_sim.consensus.hashgraph import Hashgraph, Rules
from celluler_sim.consensus.syncs import Created, Gossip, Requests

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Groups = Sequence[Sequence[int]]


@dataclass(frozen=True)
class History:
    """Events of a random gossip, by number; step k happens at time k, a member's first event at 0."""

    n: int
    creator: Integers
    self_parent: Integers
    other_parent: Integers
    created: Floats
    stamp: Floats
    signature: npt.NDArray[np.uint64]
    heads: Integers  # (n,) each member's newest event
    stakes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.creator)

    @cached_property
    def ancestry(self) -> list[int]:
        """Each event's ancestors, itself among them, as the bits of a number."""
        return self._closure(self.self_parent.tolist(), self.other_parent.tolist())

    @cached_property
    def chain(self) -> list[int]:
        """Each event's self-ancestors, itself among them, as the bits of a number."""
        return self._closure(self.self_parent.tolist(), [-1] * len(self))

    @staticmethod
    def _closure(one: list[int], other: list[int]) -> list[int]:
        found: list[int] = []
        for event, parents in enumerate(zip(one, other, strict=True)):
            bits = 1 << event
            for parent in parents:
                bits |= found[parent] if parent >= 0 else 0
            found.append(bits)
        return found

    def known(self, member: int, until: float = np.inf) -> Integers:
        """Return the numbers of all events that a member knows at some time, ascending."""
        own = np.flatnonzero((self.creator == member) & (self.created <= until))
        bits = self.ancestry[int(self.heads[member]) if until == np.inf else int(own.max())]
        return np.flatnonzero(np.array(list(bin(bits)[:1:-1])) == "1")


@dataclass(frozen=True)
class Outcome:
    """What a hashgraph makes of some events of a history; numbers are the history's."""

    graph: Hashgraph
    events: Integers  # (m,) the events it was given, in the order given
    order: Integers  # events ordered, first to last
    received: Integers  # round received of each
    time: Floats  # consensus time of each

    def fame(self) -> dict[int, int]:
        """Return the fame of every witness: 1 famous, 0 not, -1 undecided."""
        found = {}
        for r in range(1, self.graph.top_round + 1):
            w = self.graph.witnesses(r)
            found |= dict(zip(self.events[w.event].tolist(), w.fame.tolist(), strict=True))
        return found

    def judges(self, r: int) -> list[int]:
        """Return the judges of a decided round."""
        w = self.graph.witnesses(r)
        return self.events[w.event[w.judge]].tolist()


def pairs_within(n: int, steps: int, seed: int, groups: Callable[[int], Groups]) -> Integers:
    """Return who asks whom at each step, (steps, 2): two random members of one group."""
    rng = np.random.default_rng([seed, n])
    pairs = np.empty((steps, 2), np.int64)
    for k in range(steps):
        choices = [(m, group) for group in groups(k + 1) if len(group) > 1 for m in group]
        asker, group = choices[rng.integers(len(choices))]
        pairs[k] = asker, rng.choice([m for m in group if m != asker])
    return pairs


def gossip(
    n: int,
    steps: int,
    seed: int,
    faults: Sequence[Mapping[str, Any]] = (),
    stakes: Sequence[int] | None = None,
    groups: Callable[[int], Groups] | None = None,
    pairs: Integers | None = None,
    delay: float = 0.0,
) -> History:
    """Return the history of so many syncs; times of faults and delays are steps.

    Who asks whom is random, or random within the groups that ``groups`` gives for each step, or named by ``pairs``.
    """
    rng = np.random.default_rng(seed)
    run = Gossip(FaultPlan(parse(faults, n), n), np.full((n, n), delay), np.inf, np.zeros(n), np.inf)
    parts = [run.genesis()]
    if pairs is None:
        pairs = pairs_within(n, steps, seed, groups) if groups else random_pairs(rng, n, steps)
    asker, asked = np.ascontiguousarray(pairs.T)
    none = np.zeros(steps)
    run.start(Requests(np.arange(1.0, steps + 1), asker, asked, rng.random(steps), none, none))
    parts.append(run.run(np.inf))
    signature = rng.integers(2**64, size=n + steps, dtype=np.uint64)
    return history(n, parts, signature, run.heads.event[:, 0].copy(), stakes)


def random_pairs(rng: np.random.Generator, n: int, steps: int) -> Integers:
    """Return who asks whom at each step, (steps, 2), all pairs equally likely."""
    asker = rng.integers(n, size=steps)
    return np.stack([asker, (asker + 1 + rng.integers(n - 1, size=steps)) % n], axis=1)


def history(
    n: int,
    parts: Sequence[Created],
    signature: npt.NDArray[np.uint64],
    heads: Integers,
    stakes: Sequence[int] | None = None,
) -> History:
    """Return the history of all events created."""
    names = ("creator", "self_parent", "other_parent", "created", "stamp")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return History(n, *columns, signature[: len(columns[0])], heads, tuple(stakes or [1] * n))


def agree(
    h: History, events: Integers | None = None, rules: Rules | None = None, stamp: Floats | None = None
) -> Outcome:
    """Run the algorithm on some events of a history, parents first and none missing; by default on all.

    ``stamp`` replaces the times that the creators claim.
    """
    events = np.arange(len(h)) if events is None else events
    stamp = h.stamp if stamp is None else stamp
    place = np.full(len(h) + 1, -1)
    place[events] = np.arange(len(events))
    graph = Hashgraph(h.stakes, rules or Rules(), window_rounds=None)
    graph.add_batch(
        h.creator[events], place[h.self_parent[events]], place[h.other_parent[events]], stamp[events],
        h.signature[events],
    )  # fmt: skip
    news = graph.take()
    return Outcome(graph, events, events[news.event], news.round, news.time)


def receipt_times(h: History, outcome: Outcome, stamp: Floats | None = None) -> list[dict[int, float]]:
    """Return for each event ordered when each judge first received it, by the judge, from the definition."""
    stamp = h.stamp if stamp is None else stamp
    judges = {r: outcome.judges(r) for r in set(outcome.received.tolist())}
    chains = {u: _members(h.chain[u]) for of in judges.values() for u in of}
    times = []
    for x, r in zip(outcome.order.tolist(), outcome.received.tolist(), strict=True):
        first = {u: next(z for z in chains[u] if h.ancestry[z] >> x & 1) for u in judges[r]}
        times.append({u: float(stamp[z]) for u, z in first.items()})
    return times


def _members(bits: int) -> list[int]:
    """Return the positions of the bits set, ascending."""
    return [i for i, bit in enumerate(bin(bits)[:1:-1]) if bit == "1"]
