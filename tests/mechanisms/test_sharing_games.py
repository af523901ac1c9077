"""Coalitional games: what is refused, textbook games against enumeration, properties of games, and exact values."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.mechanisms import coalitions, game_forms
from celluler_sim.mechanisms.game_properties import (
    in_core,
    is_convex,
    is_monotone,
    is_superadditive,
    strongest_objection,
)
from celluler_sim.mechanisms.games import CoalitionalGame, GameError
from celluler_sim.mechanisms.owen import exact_owen
from celluler_sim.mechanisms.power import WeightedGame
from celluler_sim.mechanisms.shapley import banzhaf_weights, exact_shapley, semivalue, shapley_weights

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
quick = settings(patient, max_examples=40)
tables = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.integers(-9, 20).map(float), min_size=2**n - 1, max_size=2**n - 1)
)


def table_game(worths: list[float]) -> CoalitionalGame:
    return game_forms.from_table([0.0, *worths])


def by_orders(game: CoalitionalGame) -> list[Fraction]:
    """Return the Shapley value as its definition has it, order by order, in exact fractions."""
    total, orders = [Fraction(0)] * game.n, list(permutations(range(game.n)))
    for order in orders:
        there = 0
        for i in order:
            total[i] += Fraction(game.table[there | 1 << i]) - Fraction(game.table[there])
            there |= 1 << i
    return [t / len(orders) for t in total]


def enumerated(game: CoalitionalGame) -> np.ndarray:
    return semivalue(game, shapley_weights(game.n))


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "worth", "said"),
    [
        (0, lambda m: np.zeros(len(m)), "game.n must be >= 1 member, got 0"),
        (2, lambda m: np.ones(len(m)), "worth of the empty coalition must be 0, got 1"),
        (2, lambda m: np.zeros(1 + len(m)), "must return one number for each of 1 coalitions, got float64 of shape"),
        (2, lambda m: np.array(["a"] * len(m)), "must return one number"),
        (2, lambda _: 0.0, "must return one number for each of 1 coalitions"),
    ],
)
def test_a_game_that_makes_no_sense_is_refused_in_one_line(n: int, worth, said: str):
    with pytest.raises(GameError, match=said) as caught:
        CoalitionalGame(n, worth)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_worth_that_is_no_number_names_the_coalition(bad: float):
    game = CoalitionalGame(3, lambda m: np.where(m == 5, bad, 0.0))
    with pytest.raises(GameError, match=r"must be finite for every coalition, got (nan|inf) for members \[0, 2\]"):
        exact_shapley(game)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"contribution": [1.0]}, "contribution must be 2 finite numbers >= 0"),
        ({"contribution": [1.0, -1.0]}, "contribution must be 2 finite numbers >= 0"),
        ({"unions": [[0]]}, "unions must put each of the members 0 to 1 into one union"),
        ({"unions": [[0, 1], [1]]}, "unions must put each"),
        ({"unions": [[0, 1], []]}, "unions must put each"),
    ],
)
def test_what_is_said_of_members_must_fit_them(more: dict, said: str):
    with pytest.raises(GameError, match=said):
        CoalitionalGame(2, lambda m: np.zeros(len(m)), **more)


def test_a_worth_cannot_alter_the_coalitions_it_is_asked_about():
    def worth(masks: np.ndarray) -> np.ndarray:
        masks[0] = 1
        return np.zeros(len(masks))

    with pytest.raises(ValueError, match="read-only"):
        CoalitionalGame(2, worth)


def test_more_than_24_members_are_not_enumerated():
    with pytest.raises(GameError, match="needs <= 24 members, got 25"):
        enumerated(game_forms.additive(np.ones(25)))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"1": 1.0, "1,2": 3.0}, "none for '2'"),
        ([0.0, 1.0, 2.0], "must have 2..n entries"),
        ({}, "must name coalitions"),
    ],
)
def test_a_table_with_holes_is_refused(table, said: str):
    with pytest.raises(GameError, match=said):
        game_forms.from_table(table)


# ---- coalitions -----------------------------------------------------------------------------------------------------


@quick
@given(
    rows=st.integers(1, 130).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=4)
    )
)
def test_masks_and_membership_are_two_ways_to_say_the_same(rows: list[list[bool]]):
    matrix = np.array(rows)
    masks = coalitions.masks_of(matrix)
    assert masks.shape == (len(rows),) if matrix.shape[1] <= 64 else masks.shape[0] == len(rows)
    assert np.array_equal(coalitions.members(masks, matrix.shape[1]), matrix)
    assert np.array_equal(coalitions.sizes(masks), matrix.sum(axis=1))
    values = np.arange(1.0, matrix.shape[1] + 1)
    assert_allclose(coalitions.coalition_sums(masks, values), matrix @ values)


# ---- exact values ---------------------------------------------------------------------------------------------------


@quick
@given(worths=tables)
def test_enumeration_is_the_average_over_all_orders(worths: list[float]):
    game = table_game(worths)
    assert_allclose(exact_shapley(game), [float(x) for x in by_orders(game)], atol=1e-12)


def test_enumeration_in_several_chunks_is_the_closed_form():
    """Eighteen members fill four chunks of 2^16 coalitions; synergies are halved between each pair."""
    rng = np.random.default_rng(1)
    pairs = np.triu(rng.normal(size=(18, 18)), 1)
    game = game_forms.synergy(rng.normal(size=18), pairs + pairs.T)
    assert_allclose(enumerated(game), game.shapley_value(), atol=1e-11)
    assert_allclose(semivalue(game, banzhaf_weights(18)), game.banzhaf_value(), atol=1e-11)


def test_gloves_by_hand():
    """Two left gloves and a right one: the right one's owner comes too early in 2 of 6 orders, so it gets 4/6."""
    assert_allclose(game_forms.glove(2, 1).shapley_value(), [1 / 6, 1 / 6, 4 / 6])
    assert_allclose(enumerated(game_forms.glove(2, 1)), [1 / 6, 1 / 6, 4 / 6])


def test_airport_of_littlechild_and_owen():
    """The first 8 m are for all four (2 each), the next 3 for three (1 each), 2 for two (1 each), 5 for the last."""
    game = game_forms.airport([8, 11, 13, 18])
    assert_allclose(game.shapley_value(), [2, 3, 4, 9])
    assert_allclose(enumerated(game), [2, 3, 4, 9])
    assert_allclose(game_forms.airport([13, 8, 18, 11]).shapley_value(), [4, 2, 9, 3])


def test_un_security_council():
    """A permanent member has 421/2145 = 0.1963 of the power (published), a further one 4/2145."""
    game = game_forms.weighted_voting(39, [7] * 5 + [1] * 10)
    assert_allclose(game.shapley_value()[[0, 14]], [421 / 2145, 4 / 2145], rtol=1e-14)
    assert_allclose(enumerated(game)[[0, 14]], [421 / 2145, 4 / 2145], rtol=1e-12)


def test_council_of_the_six_had_a_member_without_power():
    """The EEC of 1958, [12; 4 4 4 2 2 1]: Luxembourg never decides; Banzhaf counts 10 swings for 4 votes, 6 for 2."""
    council = WeightedGame.of(12, [4, 4, 4, 2, 2, 1])
    assert council.swings() == [10, 10, 10, 6, 6, 0]
    assert_allclose(council.shapley_shubik(), np.array([14, 14, 14, 9, 9, 0]) / 60)


def test_decimal_weights_are_compared_as_they_are_written():
    """0.1 + 0.2 reaches 0.3, and two of three equal stakes do not reach 0.67."""
    assert game_forms.weighted_voting(0.3, [0.1, 0.2]).grand == 1.0
    assert game_forms.weighted_voting(0.67, [1 / 3, 1 / 3, 0.0]).grand == 0.0
    assert WeightedGame.of(50, [50, 50], strict=True).swings() == [1, 1]
    assert WeightedGame.of(50, [50, 50]).swings() == [1, 1]
    assert WeightedGame.of(1, [1, 1], strict=True).quota == 2


@pytest.mark.parametrize(
    ("quota", "weights", "said"),
    [
        (0, [1], "quota must be > 0"),
        (1, [-1], "weights must be"),
        (1, [], "weights must be"),
        (1, [2**60], "15 digits"),
    ],
)
def test_votes_that_make_no_sense_are_refused(quota: float, weights: list[float], said: str):
    with pytest.raises(GameError, match=said):
        game_forms.weighted_voting(quota, weights)


@quick
@given(weights=st.lists(st.integers(0, 9), min_size=1, max_size=8), data=st.data())
def test_votes_by_weights_are_votes_by_enumeration(weights: list[int], data: st.DataObject):
    quota = data.draw(st.integers(1, max(sum(weights), 1)))
    game, vote = game_forms.weighted_voting(quota, weights, payment=3.0), WeightedGame.of(quota, weights)
    assert_allclose(game.shapley_value(), enumerated(game), atol=1e-12)
    assert_allclose(game.banzhaf_value(), semivalue(game, banzhaf_weights(game.n)), atol=1e-12)
    assert [3.0 * k / 2 ** (game.n - 1) for k in vote.swings()] == pytest.approx(game.banzhaf_value().tolist())


@quick
@given(counts=st.lists(st.integers(0, 3), min_size=1, max_size=3).filter(any), data=st.data())
def test_types_of_members_are_enough_for_the_shapley_value(counts: list[int], data: st.DataObject):
    shape = tuple(k + 1 for k in counts)
    size = int(np.prod(shape))
    worth = np.array([0.0, *data.draw(st.lists(st.integers(-5, 9), min_size=size - 1, max_size=size - 1))])
    game = game_forms.typed(counts, worth.reshape(shape))
    assert_allclose(game.shapley_value(), enumerated(game), atol=1e-12)


@quick
@given(worth=st.lists(st.integers(-5, 9), min_size=1, max_size=8))
def test_symmetric_games_share_equally(worth: list[int]):
    game = game_forms.symmetric([0, *worth])
    assert_allclose(game.shapley_value(), enumerated(game), atol=1e-12)
    assert_allclose(game.banzhaf_value(), semivalue(game, banzhaf_weights(game.n)), atol=1e-12)


def test_a_hundred_gloves_are_exact():
    """Fifty of each kind: by symmetry everybody gets half of a pair."""
    assert_allclose(game_forms.glove(50, 50).shapley_value(), np.full(100, 0.5), rtol=1e-12)


def test_quadratic_pool_is_shared_in_proportion():
    """(1 + 2 + 5)^2 = 64 = 8 + 16 + 40: each pair's synergy 2 r_i r_j is halved."""
    game = CoalitionalGame(3, lambda m: coalitions.coalition_sums(m, [1, 2, 5]) ** 2)
    assert_allclose(exact_shapley(game), [8, 16, 40])
    assert is_convex(game)
    assert in_core(game, exact_shapley(game))


# ---- Owen -----------------------------------------------------------------------------------------------------------


def test_owen_union_of_left_gloves():
    """As one, the two left gloves face the right one: half each; within the union by symmetry a quarter each."""
    game = game_forms.glove(2, 1)
    united = CoalitionalGame(3, game.worth, unions=[[0, 1], [2]])
    assert_allclose(exact_owen(united), [0.25, 0.25, 0.5])


def owen_by_orders(game: CoalitionalGame) -> list[Fraction]:
    """Return the Owen value as its definition has it: the average over orders in which unions stay together."""
    total, count = [Fraction(0)] * game.n, 0
    for order in permutations(range(game.n)):
        if all(max(p := [order.index(i) for i in u]) - min(p) == len(u) - 1 for u in game.unions):
            count, there = count + 1, 0
            for i in order:
                total[i] += Fraction(game.table[there | 1 << i]) - Fraction(game.table[there])
                there |= 1 << i
    return [t / count for t in total]


@settings(patient, max_examples=25)
@given(worths=st.lists(st.integers(-9, 20).map(float), min_size=31, max_size=31), data=st.data())
def test_owen_is_the_average_over_orders_that_keep_unions_together(worths: list[float], data: st.DataObject):
    unions = data.draw(
        st.sampled_from([[[0, 1], [2, 3, 4]], [[4, 0], [2], [1, 3]], [[0, 1, 2, 3, 4]], [[i] for i in range(5)]])
    )
    game = CoalitionalGame(5, table_game(worths).worth, unions=unions)
    assert_allclose(exact_owen(game), [float(x) for x in owen_by_orders(game)], atol=1e-12)


def test_owen_of_64_members_in_8_unions():
    """A union is worth its size squared: among equal unions all get the same, 64^2 / 64."""
    unions = np.arange(64).reshape(8, 8).tolist()
    game = CoalitionalGame(64, lambda m: coalitions.sizes(m) ** 2.0, unions=unions)
    assert_allclose(exact_owen(game), np.full(64, 64.0), rtol=1e-12)


# ---- properties of games --------------------------------------------------------------------------------------------


def test_properties_by_hand():
    """Gloves: superadditive, monotone, not convex (the second left glove adds nothing). A cost game is neither."""
    glove, cost = game_forms.glove(2, 1), game_forms.airport([8, 11, 13])
    assert (is_superadditive(glove), is_convex(glove), is_monotone(glove)) == (True, False, True)
    assert (is_superadditive(cost), is_convex(cost), is_monotone(cost)) == (False, False, True)
    dip = game_forms.from_table([0, 1, 1, 0.5])
    assert (is_superadditive(dip), is_convex(dip), is_monotone(dip)) == (False, False, False)


@quick
@given(worths=tables)
def test_properties_by_definition(worths: list[float]):
    game = table_game(worths)
    v, masks = game.table, range(2**game.n)
    disjoint = [(s, t) for s in masks for t in masks if not s & t]
    assert is_superadditive(game) == all(v[s | t] >= v[s] + v[t] for s, t in disjoint)
    assert is_convex(game) == all(v[s | t] + v[s & t] >= v[s] + v[t] for s in masks for t in masks)
    assert is_monotone(game) == all(v[s] <= v[t] for s in masks for t in masks if s & t == s)


def test_core_of_gloves_is_one_point():
    glove = game_forms.glove(2, 1)
    assert in_core(glove, [0, 0, 1])
    assert not in_core(glove, [0.1, 0, 0.9])
    assert not in_core(glove, [0, 0, 0.9])
    assert strongest_objection(glove, [1 / 6, 1 / 6, 4 / 6]).members in {(0, 2), (1, 2)}
    assert strongest_objection(glove, [1 / 6, 1 / 6, 4 / 6]).excess == pytest.approx(1 / 6)


@quick
@given(worths=tables, data=st.data())
def test_strongest_objection_by_definition(worths: list[float], data: st.DataObject):
    game = table_game(worths)
    x = np.array(data.draw(st.lists(st.integers(-5, 20), min_size=game.n, max_size=game.n)))
    proper = range(1, 2**game.n - 1)
    excesses = [game.table[s] - sum(x[i] for i in range(game.n) if s >> i & 1) for s in proper]
    assert strongest_objection(game, x).excess == max(excesses, default=-np.inf)


def test_a_division_must_be_numbers():
    with pytest.raises(GameError, match="must be 3 finite numbers"):
        in_core(game_forms.glove(2, 1), [np.nan, 0, 1])


def test_a_smaller_pool_is_the_game_among_its_members():
    """Without the first left glove, one pair of two is left."""
    assert exact_shapley(game_forms.glove(2, 1).restricted([1, 2])).tolist() == [0.5, 0.5]


def test_every_worth_is_asked_once_for_a_tabled_game():
    asked = []
    game = CoalitionalGame(3, lambda m: asked.append(len(m)) or coalitions.sizes(m) ** 2.0)
    kept = game.tabled()
    before = sum(asked)
    exact_shapley(kept)
    assert kept.last_marginals.tolist() == [5, 5, 5]
    assert sum(asked) == before
