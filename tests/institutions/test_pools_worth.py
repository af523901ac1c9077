"""What coalitions could have earned: small markets played by hand, and what must hold in all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from celluler_sim.institutions.pools_kernels import Holdings, OfferedJobs, serve, table
from celluler_sim.institutions.pools_worth import divide, market_game
from celluler_sim.mechanisms.games import CoalitionalGame, GameError
from celluler_sim.mechanisms.sharing import Equal, NormalisedMarginal, Shapley


def jobs(*rows):
    """Return jobs from rows (ready, latest, seconds, price, amount, further resource …)."""
    columns = np.array(rows, float).T
    return OfferedJobs(columns[0], columns[1], columns[2], np.ascontiguousarray(columns[4:].T), columns[3])


def holdings(*amounts, ask=None, energy=None):
    """Return what members bring, one tuple each; asks and energy are 0 unless given."""
    n = len(amounts)
    return Holdings(np.array(amounts, float), np.array(ask or [0.0] * n, float), np.array(energy or [0.0] * n, float))


def test_a_job_too_large_for_each_is_worth_something_to_both_only():
    """Two machines of 1; a job of 2 for 10 s at 5 PRANA pays 100: v(1) = v(2) = 0, v(12) = 100, so 50 each."""
    game = market_game(holdings((1,), (1,)), jobs((0, 0, 10, 5, 2)), 60.0, rivals=True)
    assert_array_equal(game.table, [0, 0, 0, 100])
    found = divide(np.array([7, 9]), game, Shapley(), np.random.default_rng(0), 0)
    assert_allclose(found.share, [50, 50])
    assert found.excess == -50
    assert not found.blocked.any()


def test_memory_of_one_and_compute_of_the_other_serve_what_neither_could():
    """One has 4 units/s and 1 GiB, the other 1 and 8: a job of 3 units/s and 6 GiB needs both; 3 x 20 x 2 = 120."""
    game = market_game(holdings((4, 1), (1, 8)), jobs((0, 5, 20, 2, 3, 6)), 60.0, rivals=True)
    assert_array_equal(game.table, [0, 0, 0, 120])


def test_the_rest_of_the_pool_is_a_rival():
    """One job of 1 for two machines of 1: the cheaper one gets it, worth 10 x 5; with nobody beside it either would."""
    one, held = jobs((0, 0, 10, 5, 1)), holdings((1,), (1,), ask=[2, 1])
    assert_array_equal(market_game(held, one, 60.0, rivals=True).table, [0, 0, 50, 50])
    assert_array_equal(market_game(held, one, 60.0, rivals=False).table, [0, 50, 50, 50])


def test_waiting_jobs_begin_in_order_when_there_is_room_or_go():
    """One machine: from 0 to 10 job a; b may wait to 10 and begins then, c gave up at 9; at 15 the period ends.

    a pays 10 s, b the 5 s up to the period's end: 15 PRANA.
    """
    offered = jobs((0, 0, 10, 1, 1), (1, 10, 20, 1, 1), (2, 9, 3, 1, 1))
    assert market_game(holdings((1,)), offered, 15.0, rivals=True).grand == 15


def test_energy_is_taken_off_and_a_price_below_the_ask_is_refused():
    """At 5 PRANA a unit, energy 2: 10 units earn 30; who asks 6 does not sell; together they ask (4 + 6)/2 = 5."""
    held = holdings((1,), (1,), ask=[4, 6], energy=[2, 4])
    assert_array_equal(market_game(held, jobs((0, 0, 10, 5, 1)), 60.0, rivals=False).table, [0, 30, 0, 20])


@st.composite
def markets(draw):
    """Draw some members and jobs, with one further resource."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, k = draw(st.integers(1, 6)), draw(st.integers(0, 30))
    held = Holdings(rng.integers(1, 5, (n, 2)).astype(float), rng.uniform(0, 5, n), rng.uniform(0, 3, n))
    ready = np.sort(rng.uniform(0, 100, k))
    need = rng.integers(1, 12, (k, 2)).astype(float)
    return n, held, OfferedJobs(ready, ready + rng.exponential(20, k), rng.exponential(20, k), need, np.full(k, 6.0))


@settings(max_examples=60, deadline=None)
@given(markets(), st.booleans())
def test_any_masks_give_what_the_table_says(drawn, rivals):
    """Half of the table comes from complements; asked one by one, in any order, every coalition is worth the same."""
    n, held, offered = drawn
    worths = table(n, rivals, held, offered, 120.0)
    masks = np.random.default_rng(n).permutation(np.arange(1 << n, dtype=np.uint64))
    found, _ = serve(masks, np.uint64((1 << n) - 1), rivals, held, offered, 120.0)
    assert_array_equal(found, worths[masks.astype(np.int64)])
    assert worths[0] == 0
    assert (worths >= 0).all()


@settings(max_examples=40, deadline=None)
@given(markets(), st.randoms())
def test_renumbering_members_renumbers_their_worths(drawn, random):
    """What a coalition is worth depends on who is in it, not on their numbers."""
    n, held, offered = drawn
    order = list(range(n))
    random.shuffle(order)
    turned = Holdings(held.amount[order], held.ask[order], held.energy[order])
    masks = np.arange(1 << n)
    image = sum(((masks >> k & 1) << member for k, member in enumerate(order)), np.zeros_like(masks))
    before, after = (market_game(h, offered, 120.0, rivals=True).table for h in (held, turned))
    assert_allclose(after, before[image], rtol=1e-9)


def test_more_members_than_a_table_holds_are_asked_coalition_by_coalition():
    """Fourteen machines of 1 and jobs of 7: any seven can serve one, fourteen two."""
    offered = jobs((0, 0, 10, 1, 7), (0, 0, 10, 1, 7))
    game = market_game(holdings(*[(1,)] * 14), offered, 60.0, rivals=False)
    assert game.grand == 140
    assert game.evaluate(np.array([127, 63, 0], np.uint64)).tolist() == [70, 0, 0]


def test_the_shortcut_counts_the_indispensable_twice_and_pays_the_self_sufficient_half():
    """Two earn 100 only together, a third earns 10 anywhere: missing, they would cost 100, 100 and 10 of 110.

    The shortcut scales 210 down to 110, so the third gets 5.24 of the 10 it has alone; Shapley pays 50, 50, 10.
    """
    game = CoalitionalGame(3, lambda m: np.array([0, 0, 0, 100, 10, 10, 10, 110.0])[m.astype(int)])
    shapley, shortcut = (
        divide(np.arange(3), game, rule, np.random.default_rng(0), 0) for rule in (Shapley(), NormalisedMarginal())
    )
    assert_allclose(shortcut.share, 110 * np.array([100, 100, 10]) / 210)
    assert shortcut.blocked.tolist() == [False, False, True]
    assert_allclose(shapley.share, [50, 50, 10])
    assert not shapley.blocked.any()


def test_a_coalition_that_could_do_better_is_found():
    """Two earn 90 of 100 without the third; by equal shares they get 66.7, so both block, by 23.3."""
    game = CoalitionalGame(3, lambda m: np.array([0, 0, 0, 90, 0, 0, 0, 100.0])[m.astype(int)])
    found = divide(np.array([4, 5, 6]), game, Equal(), np.random.default_rng(0), 0)
    assert found.blocked.tolist() == [True, True, False]
    assert found.excess == pytest.approx(90 - 200 / 3)


@pytest.mark.parametrize(
    ("worth", "message"),
    [(lambda m: np.full(len(m), 1.0), "empty coalition must be 0"), (lambda m: np.where(m > 0, np.nan, 0.0), "finite")],
)
def test_a_worth_that_is_none_is_refused_in_one_line(worth, message):
    """The empty coalition is worth 0 and every other a finite number."""
    with pytest.raises(GameError, match=message) as caught:
        divide(np.arange(2), CoalitionalGame(2, worth), Shapley(), np.random.default_rng(0), 3)
    assert "\n" not in str(caught.value)
