"""The graph's own interface: events in, order and views out, refusals by name. By hand on a ring of four members."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from celluler_sim.consensus.hashgraph import Hashgraph, Rules
from celluler_sim.errors import ScenarioError
from tests.consensus.histories import pull_gossip

NONE = -1


def ring(events: int, graph: Hashgraph | None = None) -> Hashgraph:
    """Four members take turns; each event descends from the one before it, so ancestry is the order of creation."""
    graph = graph or Hashgraph([1] * 4)
    for number in range(events):
        own, other = (number - 4 if number >= 4 else None), (number - 1 if number else None)
        assert graph.add(number % 4, own, other, float(number), number) == number
    return graph


def test_the_ring_by_hand():
    """A round is four events; the thirteenth decides round 2, see `test_replay`: five events in order."""
    graph = ring(13)
    assert len(graph) == 13
    assert graph.rounds(np.arange(13)).tolist() == [1] * 4 + [2] * 4 + [3] * 4 + [4]
    assert graph.is_witness(range(13)).all()
    assert graph.generations([0, 1, 12]).tolist() == [0, 1, 12]
    assert (graph.decided_round, graph.top_round, graph.n_ordered, graph.n_stale) == (2, 4, 5, 0)
    news = graph.take()
    assert news.event.tolist() == [0, 1, 2, 3, 4]
    assert news.round.tolist() == [1, 2, 2, 2, 2]
    assert news.time.tolist() == [2, 3, 4, 5, 6]
    assert not graph.take().event.size


def test_views_of_the_ring_by_hand():
    """The ninth event decides round 1, the thirteenth round 2, for whoever knows it; so far the order is known."""
    graph = ring(13)
    assert graph.decided(np.arange(13)).tolist() == [0] * 8 + [1] * 4 + [2]
    assert graph.prefix([0, 1, 2]).tolist() == [0, 1, 5]
    assert graph.row(6).tolist() == [4, 5, 6, 3]
    assert graph.missing(graph.row(6), graph.row(9)).tolist() == [7, 8, 9]
    assert graph.missing(graph.row(9), graph.row(6)).tolist() == []
    assert graph.decided_by(np.array([graph.row(8), graph.row(7)])).tolist() == [1, 0]


def test_witnesses_of_the_ring_by_hand():
    """All four of round 2 are famous and judge; those of round 3 are not decided yet."""
    graph = ring(13)
    second, third = graph.witnesses(2), graph.witnesses(3)
    assert second.event.tolist() == [4, 5, 6, 7]
    assert second.creator.tolist() == [0, 1, 2, 3]
    assert second.fame.tolist() == [1] * 4
    assert second.judge.all()
    assert third.fame.tolist() == [-1] * 4
    assert not third.judge.any()


def test_a_branch_gets_a_column_of_its_own():
    """Member 0 makes two events on its first one: the second twin stands in column 3."""
    graph = Hashgraph([1] * 3)
    first = graph.add(0, None, None, 0, 0)
    one, twin = graph.add(0, first, None, 1, 1), graph.add(0, first, None, 1, 2)
    assert graph.owner.tolist() == [0, 1, 2, 0]
    assert graph.row(twin).tolist() == [first, NONE, NONE, twin]
    other = graph.add(1, None, [one, twin], 2, 3)
    assert graph.row(other).tolist() == [one, other, NONE, twin]
    assert graph.missing(graph.row(first), graph.row(other)).tolist() == [one, twin, other]


def test_empty_batches_do_nothing():
    graph = ring(5)
    nothing = np.empty(0, np.int64)
    assert graph.add_batch(nothing, nothing, nothing, nothing, nothing) == 5
    assert len(graph) == 5
    assert graph.rounds([]).tolist() == []


def test_memory_is_counted():
    """A row of 4 bytes a member and event, a witness table of n x n a round: more members, more bytes."""
    small, large = Hashgraph([1] * 4), Hashgraph([1] * 64)
    assert 1024 * 4 * 4 < small.nbytes < large.nbytes
    flow = pull_gossip(4, 3_000)
    before = small.nbytes
    small.add_batch(*flow)
    assert small.nbytes > before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"creator": 4}, "creator must be from 0 to 3, got 4"),
        ({"creator": -1}, "creator must be from 0 to 3, got -1"),
        ({"self_parent": 5}, "self_parent must be an event by the creator, 0; got event 5 by another"),
        ({"self_parent": 8}, "parents must have been added before: event 8 has a parent 8"),
        ({"other_parents": [7, 9]}, "parents must have been added before: event 8 has a parent 9"),
        ({"other_parents": [-2]}, "parents must have been added before: event 8 has a parent -2"),
        ({"time": math.nan}, "time must be finite, got nan"),
        ({"time": math.inf}, "time must be finite, got inf"),
        ({"signature": 1 << 64}, "signature must be from 0 to 2**64 - 1, got 18446744073709551616"),
        ({"signature": -1}, "signature must be from 0 to 2**64 - 1, got -1"),
        ({"signature": b""}, "signature must have 1 to 8 bytes, got 0"),
        ({"signature": bytes(9)}, "signature must have 1 to 8 bytes, got 9"),
    ],
)
def test_what_is_no_event_is_refused_and_changes_nothing(changes: dict[str, Any], message: str):
    graph = ring(8)
    event = {"creator": 0, "self_parent": 4, "other_parents": [7], "time": 8.0, "signature": 8, **changes}
    with pytest.raises(ScenarioError) as refusal:
        graph.add(**event)
    assert str(refusal.value) == message
    assert len(graph) == 8
    assert graph.add(0, 4, 7, 8.0, 8) == 8
    assert graph.rounds(8)[0] == 3


def test_a_batch_of_unequal_lengths_is_refused():
    with pytest.raises(ScenarioError, match="a batch must have one length and 1 words a signature, got creator"):
        Hashgraph([1, 1]).add_batch([0, 1], [-1, -1], [-1, -1], [0.0], [1, 2])
    with pytest.raises(ScenarioError, match=r"signature \(2, 2\)"):
        Hashgraph([1, 1]).add_batch([0, 1], [-1, -1], [-1, -1], [0.0, 0.0], [[1, 2], [3, 4]])


def test_the_events_before_a_refused_one_stay():
    graph = Hashgraph([1, 1])
    with pytest.raises(ScenarioError, match="creator must be from 0 to 1, got 2"):
        graph.add_batch([0, 2, 1], [-1] * 3, [-1] * 3, [0.0] * 3, [1, 2, 3])
    assert len(graph) == 1
    assert graph.add(1, None, 0, 1.0, 4) == 1


@pytest.mark.parametrize(
    ("stakes", "message"),
    [
        ([1, -1], "stakes[1] must be a whole number >= 0, got -1"),
        ([1, True], "stakes[1] must be a whole number >= 0, got true"),
        ([1, 1.0], "stakes[1] must be a whole number >= 0, got 1.0"),
        ([0, 0], "stakes must not all be zero, got [0, 0]; give at least one member stake"),
        ([], "stakes must not all be zero, got []; give at least one member stake"),
        ([1 << 110, 1], "stakes must add up to less than 2**110 times their common divisor"),
        ([1] * 4097, "stakes must be of at most 4096 members, got 4097"),
    ],
)
def test_stakes_are_checked(stakes: list[Any], message: str):
    with pytest.raises(ScenarioError) as refusal:
        Hashgraph(stakes)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("threshold", "strict", "total", "need"),
    [("2/3", True, 3, 3), ("2/3", False, 3, 2), ("2/3", True, 10, 7), ("67/100", False, 10, 7), (0.67, False, 100, 67),
     (0.67, True, 100, 68), ("2/3", True, 3 * 10**30, 2 * 10**30 + 1), ("1", False, 5, 5)],
)  # fmt: skip
def test_a_supermajority_in_whole_numbers(threshold: str | float, strict: bool, total: int, need: int):
    """More than 2/3 of 3 is 3, at least 2/3 of 3 is 2; 0.67 means 67/100 and not its nearest float."""
    assert Rules(threshold=threshold, strict=strict).need(total) == need
