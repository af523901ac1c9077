"""Perfect ordering, worked by hand, and held against a sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.consensus.base import REQUEST, Transactions
from celluler_sim.consensus.fifo import Fifo
from celluler_sim.errors import ScenarioError
from celluler_sim.streams import Streams


def transactions(*rows):
    """Return transactions from rows of (number, submitted)."""
    number, submitted = np.array(rows, float).reshape(-1, 2).T
    n = len(rows)
    zero = np.zeros(n, np.int64)
    return Transactions(number.astype(np.int64), np.full(n, REQUEST, np.int8), zero, zero, submitted)


def network(**config):
    return Fifo(**config).open(Streams(1))


def test_order_by_hand():
    """Of 0 at 50 s, 1 at 10 s, 2 at 60 s and 3 at 10 s the tick up to 60 s brings 1, 3, 0, each final at once."""
    net = network()
    net.submit(transactions((0, 50), (1, 10), (2, 60), (3, 10)))
    assert net.pending() == 4
    ordered = net.advance(60.0)
    assert ordered.number.tolist() == [1, 3, 0]
    assert ordered.consensus.tolist() == ordered.final.tolist() == [10.0, 10.0, 50.0]
    assert net.pending() == 1
    net.submit(transactions((4, 59)))
    assert net.advance(120.0).number.tolist() == [4, 2]
    assert net.pending() == 0


def test_only_what_is_too_old_expires():
    """After 300 s without an answer; what has been advanced over is gone already."""
    net = network(timeout_seconds=300.0)
    net.submit(transactions((0, 0), (1, 100)))
    assert net.expire(300.0).tolist() == []
    assert net.expire(301.0).tolist() == [0]
    assert net.advance(500.0).number.tolist() == [1]
    assert net.expire(1e9).tolist() == []


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6))
def test_every_transaction_comes_once_and_in_order(ticks):
    """Whatever is submitted when, each tick's answer is its part of the whole sorted by time, then number."""
    net, sent, found, number = network(), [], [], 0
    for tick, offsets in enumerate(ticks):
        batch = [(number + k, tick * 5.0 + offset) for k, offset in enumerate(offsets)]  # up to a tick ahead
        number += len(batch)
        sent += batch
        net.submit(transactions(*batch))
        ordered = net.advance(tick * 5.0 + 5.0)
        assert (np.diff(ordered.final) >= 0).all()
        assert (ordered.final < tick * 5.0 + 5.0).all()
        found += ordered.number.tolist()
    found += net.advance(1e9).number.tolist()
    assert found == [number for number, submitted in sorted(sent, key=lambda t: (t[1], t[0]))]


def test_ranges():
    """At least one validator, and a timeout that some time can pass."""
    assert Fifo(validators=7).n_validators == 7
    with pytest.raises(ScenarioError, match=r"^consensus.validators must be >= 1, got 0$"):
        Fifo(validators=0)
    with pytest.raises(ScenarioError, match=r"^consensus.timeout_seconds must be > 0 s, got 0$"):
        Fifo(timeout_seconds=0.0)
