"""How many events a second the hashgraph orders, on one core. ``python -m benchmarks.hashgraph_speed [--quick]``.

Random pull gossip among n members of equal stake, from 4 to 512: each step one random member syncs with one random
other and makes one event. Events arrive in batches of 4096; what is timed begins when the first ones have been ordered,
so as many are ordered as are added. Processor time, the best of several runs, after one that compiles. Before a size is
timed, its order is compared with that of a plain NumPy program, which is written from the definitions here.
"""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from celluler_sim.consensus.hashgraph import Hashgraph

Integers = npt.NDArray[np.int64]

GOALS = {32: 300_000, 128: 100_000, 512: 20_000}  # ordered events/s
BATCH = 4096
WINDOW = 10  # rounds
LATENCY = 60  # events a member, after which the first are ordered, at any size up to 512


class Flow(NamedTuple):
    """Events as columns, parents before children."""

    creator: Integers  # (events,)
    self_parent: Integers  # (events,) -1 for none
    other_parent: Integers  # (events,) -1 for none
    time: npt.NDArray[np.float64]  # (events,) in events of one member
    signature: npt.NDArray[np.uint64]  # (events,)

    def part(self, start: int, stop: int) -> Flow:
        """Return some of the events."""
        return Flow._make(column[start:stop] for column in self)


def gossip(n: int, events: int, seed: int = 0) -> Flow:
    """Draw a history of n members."""
    rng = np.random.default_rng(seed)
    creator = rng.integers(0, n, events)
    asked = (creator + rng.integers(1, n, events)) % n
    heads = [-1] * n
    parents = np.empty((2, events), np.int64)
    for number, (member, other) in enumerate(zip(creator.tolist(), asked.tolist(), strict=True)):
        parents[:, number] = heads[member], heads[other]
        heads[member] = number
    signature = rng.integers(0, 1 << 64, events, dtype=np.uint64)
    return Flow(creator, parents[0], parents[1], np.arange(events) / n, signature)


# ---- the plain program: no forks, equal stakes, default rules --------------------------------------------------------


class Round:
    """The witnesses of a round, which events first descend from each, and whom each strongly sees."""

    def __init__(self, n: int) -> None:
        self.witness = np.full(n, -1)  # by member
        self.first = np.full((n, n), np.iinfo(np.int64).max)  # [w, k] first event of k that descends from w's witness
        self.strong = np.zeros((n, n), np.int64)  # [y, w] y's witness strongly sees w's of the round before
        self.sees = np.zeros((n, n), np.int64)


def plain_rounds(flow: Flow, n: int) -> tuple[Integers, Integers, list[Round]]:
    """Return each event's last ancestor by each member, (events, n), its generation, and the rounds."""
    last = np.full((len(flow.creator) + 1, n), -1)  # the last row is that of no parent
    number, generation = np.zeros(len(last), np.int64), np.full(len(last), -1)
    rounds = [Round(n)]
    for x, k in enumerate(flow.creator):
        own, other = flow.self_parent[x], flow.other_parent[x]
        last[x] = np.maximum(last[own], last[other])
        last[x, k] = x
        generation[x] = 1 + max(generation[own], generation[other])
        r = max(number[own], number[other])
        for some in rounds[max(r - 1, 0) : r + 1]:
            new = (some.witness >= 0) & (last[x] >= some.witness) & (some.first[:, k] > x)
            some.first[new, k] = x
        strong = strongly_seen(last[x], rounds[r])
        if 3 * strong.sum() > 2 * n:
            r += 1
            if r == len(rounds):
                rounds.append(Round(n))
        number[x] = r
        if own < 0 or r > number[own]:
            here = rounds[r]
            here.witness[k], here.first[k, k] = x, x
            if r > 0:
                here.strong[k] = strongly_seen(last[x], rounds[r - 1])
                here.sees[k] = (rounds[r - 1].witness >= 0) & (last[x] >= rounds[r - 1].witness)
    return last, generation, rounds


def strongly_seen(row: Integers, some: Round) -> npt.NDArray[np.bool_]:
    """Return which witnesses of a round are strongly seen by an event with these last ancestors, (n,)."""
    found = np.zeros(len(row), np.bool_)
    seen = np.flatnonzero((some.witness >= 0) & (row >= some.witness))
    found[seen] = 3 * (some.first[seen] <= row).sum(axis=1) > 2 * len(row)
    return found


def plain_fame(rounds: list[Round], r: int) -> npt.NDArray[np.bool_] | None:
    """Return who is famous, None where votes in fewer than ten rounds do not tell."""
    n = len(rounds[r].witness)
    open_ = rounds[r].witness >= 0
    famous = np.zeros(n, np.bool_)
    votes = rounds[r + 1].sees if r + 1 < len(rounds) else np.zeros((n, n), np.int64)
    for voters in rounds[r + 2 : r + 10]:
        yes = voters.strong @ votes
        total = voters.strong.sum(axis=1)[:, None]
        votes = (2 * yes >= total).astype(np.int64)
        decides = (3 * np.maximum(yes, total - yes) > 2 * n) & (voters.witness >= 0)[:, None]
        famous |= open_ & (decides & (votes == 1)).any(axis=0)
        open_ &= ~decides.any(axis=0)
        if not open_.any():
            return famous
    return None


def plain_order(flow: Flow, n: int) -> Integers:
    """Return the events in order, as far as it is decided."""
    last, generation, rounds = plain_rounds(flow, n)
    chains = [np.flatnonzero(flow.creator == m) for m in range(n)]
    taken = np.zeros(n, np.int64)  # events of each member that have been received
    order = [np.empty(0, np.int64)]
    for r in range(len(rounds)):
        famous = plain_fame(rounds, r)
        if famous is None:
            break
        judges = rounds[r].witness[famous]
        limit = last[judges].min(axis=0)
        upto = [int(np.searchsorted(chain, limit[m], side="right")) for m, chain in enumerate(chains)]
        batch = np.concatenate([chain[taken[m] : upto[m]] for m, chain in enumerate(chains)])
        white = np.bitwise_xor.reduce(flow.signature[judges])
        times = np.empty((len(judges), len(batch)))
        for j, judge in enumerate(judges):
            own = chains[flow.creator[judge]]
            own = own[own <= judge]
            place = 0
            for m, chain in enumerate(chains):
                some = chain[taken[m] : upto[m]]
                times[j, place : place + len(some)] = flow.time[own[np.searchsorted(last[own, m], some)]]
                place += len(some)
        middle = np.sort(times, axis=0)[len(judges) // 2]
        order.append(batch[np.lexsort((flow.signature[batch] ^ white, generation[batch], middle))])
        taken = np.maximum(taken, upto)
    return np.concatenate(order)


# ---- timing ----------------------------------------------------------------------------------------------------------


def ordered(graph: Hashgraph, flow: Flow, start: int, stop: int) -> list[Integers]:
    """Add some of the events in batches and return what that ordered."""
    found = []
    for first in range(start, stop, BATCH):
        graph.add_batch(*flow.part(first, min(first + BATCH, stop)))
        found.append(graph.take().event)
    return found


def check(n: int, flow: Flow) -> int:
    """Compare the order with that of the plain program; return how many events both ordered."""
    expected = plain_order(flow, n)
    found = np.concatenate(ordered(Hashgraph([1] * n, window_rounds=WINDOW), flow, 0, len(flow.creator)))
    assert len(expected) > n
    assert np.array_equal(found, expected)
    return len(expected)


def speed(n: int, flow: Flow, views: bool, tries: int) -> float:
    """Return the most ordered events a second of processor time, of several tries."""
    warm, best = LATENCY * n, 0.0
    for _ in range(tries):
        graph = Hashgraph([1] * n, window_rounds=WINDOW, views=views)
        ordered(graph, flow, 0, warm)
        begun = time.process_time()
        count = sum(map(len, ordered(graph, flow, warm, len(flow.creator))))
        best = max(best, count / (time.process_time() - begun))
    return best


def run(sizes: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512), tries: int = 5) -> dict[int, float]:
    """Print a line a size; return ordered events a second by size."""
    rates: dict[int, float] = {}
    print("members   checked   ordered/s   goal      with views  growth per doubling")
    for n in sizes:
        flow = gossip(n, max(100_000, 140 * n))
        same = check(n, flow.part(0, (LATENCY + 20) * n))
        rates[n] = speed(n, flow, views=False, tries=tries)
        viewed = speed(n, flow, views=True, tries=tries)
        growth = f"{rates[n // 2] / rates[n]:.2f}" if n // 2 in rates else ""
        wanted = f"{GOALS[n]:,}" if n in GOALS else ""
        print(f"{n:>7} {same:>9,} {rates[n]:>11,.0f}   {wanted:<9} {viewed:>10,.0f}  {growth}", flush=True)
    for n, goal in GOALS.items():
        if n in rates and rates[n] < goal:
            print(f"short of the goal at {n} members: {rates[n] / goal:.0%}")
    return rates


if __name__ == "__main__":
    run(tries=2 if "--quick" in sys.argv else 5)
