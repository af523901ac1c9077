"""The sliding window: memory that does not grow with history, and an order that never changes."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from celluler_sim.consensus.hashgraph import Hashgraph, Rules
from celluler_sim.errors import ScenarioError
from tests.consensus.histories import Case, Flow, Gossip, as_flow, pull_gossip, random_params, within_the_bound
from tests.consensus.oracle import Oracle

STEP = 250  # events a batch


def fed(graph: Hashgraph, flow: Flow) -> tuple[list[tuple[int, int, float]], list[int], list[int]]:
    """Add a flow in batches; return the order, what is stale, and the bytes held after each batch."""
    order: list[tuple[int, int, float]] = []
    stale: list[int] = []
    held = []
    for start in range(0, len(flow.creator), STEP):
        graph.add_batch(*flow.part(start, start + STEP))
        news = graph.take()
        order += zip(news.event.tolist(), news.round.tolist(), news.time.tolist(), strict=True)
        stale += news.stale.tolist()
        held.append(graph.nbytes)
    return order, stale, held


def with_forks(flow: Flow, member: int, every: int) -> Flow:
    """Let a member branch off its own last event but one, every so many of its events."""
    own = np.flatnonzero(flow.creator == member)
    parent = flow.self_parent.copy()
    twins = own[every::every]
    parent[twins] = parent[parent[twins]]
    return flow._replace(self_parent=parent)


@pytest.mark.parametrize("kind", ["honest", "forks", "absence"])
def test_memory_does_not_grow_with_history(kind: str):
    """Ten times the history takes less than twice the bytes: room for a longer election or for one more fork at a time.

    40,000 events are 600 rounds. Without a window, a quarter of them takes ten times as much as all with one.
    """
    flow = pull_gossip(10, 40_000, seed=4, absent=(3, 8_000, 20_000) if kind == "absence" else (-1, 0, 0))
    if kind == "forks":
        flow = with_forks(flow, member=2, every=40)
    graph = Hashgraph([1] * 10, window_rounds=6)
    order, _, held = fed(graph, flow)
    tenth = len(held) // 10
    assert graph.decided_round > 400
    assert len(order) > 0.85 * len(flow.creator)
    assert len(graph) - graph.oldest < 1500
    assert max(held) < 2 * held[tenth]
    everything = Hashgraph([1] * 10, window_rounds=None)
    _, stale, all_held = fed(everything, flow.part(0, len(flow.creator) // 4))
    assert all_held[-1] > 10 * held[-1]
    assert not stale


def test_a_window_orders_what_no_window_orders():
    """Where nothing is older than the window it changes nothing: same events, rounds, times, bit for bit."""
    flow = pull_gossip(8, 6_000, seed=5)
    windowed, stale, _ = fed(Hashgraph([3, 1, 1, 1, 1, 1, 1, 2], window_rounds=8), flow)
    whole = Hashgraph([3, 1, 1, 1, 1, 1, 1, 2], window_rounds=None)
    whole.add_batch(*flow)
    news = whole.take()
    assert windowed == list(zip(news.event.tolist(), news.round.tolist(), news.time.tolist(), strict=True))
    assert not stale


def test_what_was_ordered_never_changes():
    """Each round's part of the order is handed out once; no event is ordered twice, or ordered and stale."""
    flow = with_forks(pull_gossip(7, 12_000, seed=6, absent=(5, 3_000, 9_000)), member=1, every=60)
    graph = Hashgraph([1] * 7, window_rounds=5)
    order, stale, _ = fed(graph, flow)
    events = [event for event, _, _ in order]
    assert len(set(events)) == len(events) == graph.n_ordered
    assert len(set(stale)) == len(stale) == graph.n_stale
    assert not set(events) & set(stale)
    rounds = [number for _, number, _ in order]
    assert rounds == sorted(rounds)
    last, key = int(graph.prefix(graph.decided_round)), lambda place: (order[place][1], order[place][2])
    assert last == len(order)
    assert all(key(place) <= key(place + 1) for place in range(last - 1))


def windowed(case: Case, cuts: list[int], window: int) -> tuple[list[tuple[int, int, float]], list[int]]:
    """Return the order, and the stale events, of a case added in batches that end at the cuts."""
    flow, graph = as_flow(case), Hashgraph(case["stakes"], Rules(**case["params"]), words=4, window_rounds=window)
    order: list[tuple[int, int, float]] = []
    stale: list[int] = []
    for start, stop in zip([0, *cuts], [*cuts, len(case["events"])], strict=True):
        graph.add_batch(**{name: values[start:stop] for name, values in flow.items()})
        news = graph.take()
        order += zip(news.event.tolist(), news.round.tolist(), news.time.tolist(), strict=True)
        stale += news.stale.tolist()
    return order, stale


@pytest.mark.slow
def test_staleness_is_the_definitions():
    """Received more than a window after its round is never ordered, whatever the batches; 30 long histories."""
    late = 0
    for seed in range(30_000, 30_030):
        random = Random(seed)  # noqa: S311
        members = random.choice([3, 4, 5])
        gossip: dict[str, Any] = {"events": Gossip(random, members, seed % 2).run(220), "stakes": [1] * members}
        case = within_the_bound({**gossip, "params": random_params(random)})
        assert case is not None
        window = random.choice([1, 2, 3])
        oracle = Oracle({**case, "params": {**case["params"], "window": window}})
        answer, place = oracle.answer(), {name: number for number, name in enumerate(oracle.ids)}
        expected = [(place[e], answer["received"][e], answer["timestamp"][e]) for e in answer["order"]]
        for cuts in ([], sorted(random.sample(range(1, 220), 8)), list(range(1, 220))):
            order, stale = windowed(case, cuts, window)
            assert order == expected, f"seed {seed}, cuts {cuts}"
            assert len(stale) == len(set(stale))
            late += len(stale)
    assert late > 100


def test_what_left_the_window_is_refused_by_name():
    graph = Hashgraph([1] * 4, window_rounds=4)
    fed(graph, pull_gossip(4, 4_000, seed=1))
    assert graph.oldest > 1_000
    for ask in (lambda: graph.rounds([5]), lambda: graph.decided([5]), lambda: graph.row(5), lambda: graph.row(4_000)):
        with pytest.raises(ScenarioError, match=r"event must be from \d+ to 3999, which are remembered, got"):
            ask()
    with pytest.raises(ScenarioError, match=r"round must be from \d+ to \d+, which are remembered, got 1"):
        graph.witnesses(1)
    with pytest.raises(ScenarioError, match="window_rounds must be >= 1, got 0"):
        Hashgraph([1], window_rounds=0)


def test_the_newest_event_of_a_silent_member_is_kept():
    """It may become a parent at any time: its round, row and chain outlive the window."""
    flow = pull_gossip(4, 4_000, seed=2, absent=(3, 500, 4_000))
    graph = Hashgraph([1] * 4, window_rounds=4)
    fed(graph, flow)
    last = int(np.flatnonzero(flow.creator == 3).max())
    assert last < graph.oldest
    assert graph.rounds([last])[0] < graph.decided_round - 100
    assert graph.row(last)[3] == last
    number = graph.add(3, last, 3_999, 1_000.0, 7)
    assert graph.rounds(number)[0] >= graph.rounds(3_999)[0]
    assert graph.row(number)[3] == number
