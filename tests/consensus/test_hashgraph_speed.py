"""The benchmark's plain program, a third reading of the definitions, at sizes that the oracle cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.hashgraph_speed import LATENCY, Flow, check, gossip, plain_order
from celluler_sim.consensus.replay import replay
from tests.consensus.histories import as_case, pull_gossip
from tests.consensus.oracle import Oracle


@pytest.mark.parametrize("n", [4, 16, 64])
def test_the_order_is_that_of_the_plain_program(n: int):
    assert check(n, gossip(n, LATENCY * n, seed=n)) > LATENCY * n / 4


def test_the_plain_program_agrees_with_the_oracle():
    """Three programs that share nothing order the same 260 events of five members alike."""
    flow = pull_gossip(5, 260, seed=9)
    plain = plain_order(Flow(*flow), 5)
    case = as_case(flow, [1] * 5)
    expected = Oracle(case).answer()["order"]
    assert [str(event) for event in plain] == expected == replay(case)["order"]
    assert len(expected) > 150
    assert np.unique(plain).size == plain.size
