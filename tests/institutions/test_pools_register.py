"""Entry, exit and expulsion: who may be in a pool, and who has to go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from celluler_sim.agents.pool_member import PoolMember
from celluler_sim.columnar import ColumnarModel
from celluler_sim.institutions.pools_register import PoolError, Register, contributions, remaining
from celluler_sim.population import Population


def register(*amounts, kind=None):
    """Return a register of members that hold these amounts."""
    members = Population(ColumnarModel(seed=1), PoolMember)
    members.add(len(amounts))
    hardware = np.array(kind or [0] * len(amounts))
    return Register(members, np.array(amounts, float), hardware, 0.1)


def test_a_contribution_is_the_mean_share_in_the_resources_there_are():
    """3 of 4 in compute and 10 of 40 in memory are 0.5; storage that nobody has counts for nothing."""
    assert_allclose(contributions(np.array([[3.0, 10, 0], [1, 30, 0]])), [0.5, 0.5])


def test_the_smallest_goes_first_and_may_save_the_next():
    """Of 2, 9 and 89 the 2 brings too little; without it the 9 brings 9/98 < 0.1 and goes; of 2, 10 and 88 it stays."""
    assert remaining(np.array([[2.0], [9], [89]]), 0.1).tolist() == [False, False, True]
    assert remaining(np.array([[2.0], [10], [88]]), 0.1).tolist() == [False, True, True]


@settings(max_examples=60)
@given(arrays(float, st.tuples(st.integers(1, 14), st.integers(1, 3)), elements=st.floats(0.01, 10)))
def test_whoever_remains_brings_enough_and_somebody_does(amount):
    """Nobody below a tenth stays, at most ten do, and the pool is never emptied."""
    stays = remaining(amount, 0.1)
    assert 1 <= stays.sum() <= 10
    assert contributions(amount[stays]).min() >= 0.1 - 1e-9


@pytest.mark.parametrize(
    ("who", "message"),
    [
        ([], "pool alpha must have at least one member, got none"),
        ([1, 1], r"pool alpha must have different members among 0 to 4, got \[1, 1\]"),
        ([0, 9], "different members among 0 to 4"),
        ([0, 2], "pool alpha: member 2 must be in one pool at most, it is in pool 0 already"),
        ([0, 4], "pool alpha: member 4 must contribute >= 0.1 of the pool's resources, got 0.09"),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused_in_one_line(who, message):
    """Empty, twice the same, unknown, member of two pools, below the minimum: each refusal says which and what."""
    book = register((10,), (10,), (10,), (10,), (0.99,))
    book.found("first", [2, 3])
    with pytest.raises(PoolError, match=message) as caught:
        book.found("alpha", who)
    assert "\n" not in str(caught.value)
    assert book.of(1).tolist() == []


def test_entry_refusal_exit_and_expulsion():
    """A member of 1 beside 9 enters; a newcomer of 10 makes it bring 1/20, so it has to go; then it cannot return."""
    book = register((1,), (9,), (10,), (5,), kind=[0, 0, 0, 7])
    pool = book.found("alpha", [0, 1])
    assert book.refusal(2, pool) == ""
    assert book.refusal(3, pool) == "member 3 must have the hardware of the others"
    assert book.enter(2, pool).tolist() == [0]
    book.leave(0)
    assert book.of(pool).tolist() == [1, 2]
    assert "must contribute >= 0.1" in book.refusal(0, pool)
    assert book.refusal(0, 5) == "pool 5 does not exist any more"
    book.members.remove([3])
    assert book.refusal(3, book.plan()) == "member 3 must be in the market, it has left"
