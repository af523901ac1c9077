"""Sharing rules by hand, their sampling and its intervals, floors and caps, exact payouts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.ledger import Amounts
from celluler_sim.mechanisms import coalitions, game_forms, sharing
from celluler_sim.mechanisms.games import CoalitionalGame, GameError
from celluler_sim.mechanisms.owen import exact_owen
from celluler_sim.mechanisms.projection import project
from celluler_sim.mechanisms.shapley import exact_shapley
from celluler_sim.mechanisms.shapley_sampling import Plan, random_orders, sample_values
from celluler_sim.mechanisms.shares import Shares, payout_units, payouts

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
GLOVE = game_forms.glove(2, 1)
POOL = game_forms.from_table({"1": 100, "2": 200, "3": 300, "1,2": 400, "1,3": 500, "2,3": 600, "1,2,3": 1000})
VARIANTS = [(False, False), (True, False), (False, True), (True, True)]  # antithetic, stratified


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def shares(rule: sharing.Sharing, game: CoalitionalGame) -> Shares:
    return rule.shares(game, rng())


# ---- rules by hand --------------------------------------------------------------------------------------------------


def test_the_seeds_shortcut_is_not_the_shapley_value():
    """Worths 100, 200, 300 alone and 1000 together: last marginals 400, 500, 600 share 1000 as 4 : 5 : 6."""
    assert_allclose(shares(sharing.Shapley(), POOL).value, [700 / 3, 1000 / 3, 1300 / 3])
    assert_allclose(shares(sharing.NormalisedMarginal(), POOL).value, [4000 / 15, 5000 / 15, 6000 / 15])
    assert_allclose(shares(sharing.NormalisedMarginal(), GLOVE).value, [0, 0, 1])


def test_the_shortcut_divides_by_zero_where_nobody_alone_is_missed():
    """A majority of three: everybody can be replaced, so all get a third, and the answer says why."""
    found = shares(sharing.NormalisedMarginal(), game_forms.weighted_voting(2, [1, 1, 1]))
    assert not found.defined
    assert_allclose(found.value, [1 / 3] * 3)


def test_proportional_to_what_was_brought_or_else_to_what_each_earns_alone():
    assert_allclose(shares(sharing.Proportional(), POOL).value, [1000 / 6, 2000 / 6, 3000 / 6])
    brought = replace(POOL, contribution=np.array([1.0, 1.0, 2.0]))
    assert_allclose(shares(sharing.Proportional(), brought).value, [250, 250, 500])
    for nothing in (GLOVE.restricted([0, 1, 2]), replace(POOL, contribution=np.zeros(3))):
        found = shares(sharing.Proportional(), nothing)
        assert not found.defined
        assert_allclose(found.value, [nothing.grand / 3] * 3)


def test_equal_and_banzhaf_by_hand():
    """Gloves: a left one swings 1 of 4 coalitions, the right one 3 of 4: together 5/4, scaled to 1."""
    assert_allclose(shares(sharing.Equal(), POOL).value, [1000 / 3] * 3)
    assert_allclose(shares(sharing.Banzhaf(normalised=False), GLOVE).value, [1 / 4, 1 / 4, 3 / 4])
    assert_allclose(shares(sharing.Banzhaf(), GLOVE).value, [1 / 5, 1 / 5, 3 / 5])


@pytest.mark.parametrize("rule", [cls() for cls in (sharing.Shapley, sharing.Owen, sharing.Banzhaf, sharing.Equal,
    sharing.Proportional, sharing.NormalisedMarginal, sharing.Nucleolus, sharing.LeastCore)])  # fmt: skip
def test_a_pool_of_one_keeps_everything(rule: sharing.Sharing):
    assert shares(rule, game_forms.additive([7.0])).value.tolist() == [7.0]


@pytest.mark.parametrize(
    ("cls", "values", "said"),
    [
        (sharing.Shapley, {"method": "guess"}, "sharing.method must be one of auto, exact, sampling, got 'guess'"),
        (sharing.Shapley, {"tolerance": -1.0}, "sharing.tolerance must be >= 0"),
        (sharing.Owen, {"max_samples": 1}, "sharing.max_samples must be >= 2"),
        (sharing.Equal, {"floor": -0.1}, "sharing.floor must be >= 0"),
        (sharing.Equal, {"floor": 0.5, "cap": 0.4}, "sharing.cap must be >= 0.5"),
    ],
)
def test_parameters_out_of_range_are_refused(cls: type, values: dict, said: str):
    with pytest.raises(ScenarioError, match=said):
        cls(**values)


# ---- sampling -------------------------------------------------------------------------------------------------------


def random_game(draws: np.random.Generator) -> CoalitionalGame:
    """Return a game of four to seven members: any worths, a concave pool, a vote, or gloves."""
    n = int(draws.integers(4, 8))
    match int(draws.integers(4)):
        case 0:
            return game_forms.from_table(np.concatenate(([0.0], draws.random(2**n - 1))))
        case 1:
            w = draws.random(n)
            return CoalitionalGame(n, lambda masks: np.sqrt(coalitions.coalition_sums(masks, w)))
        case 2:
            weights = draws.integers(1, 20, n)
            return game_forms.weighted_voting(int(weights.sum() // 2 + 1), weights)
    return game_forms.glove(int(draws.integers(2, 4)), int(draws.integers(2, 4)))


def covered(plan: Plan, games: int, seed: int) -> float:
    """Return how often the stated interval of one random member of a random game holds the exact value."""
    draws, hits = np.random.default_rng(seed), 0
    for _ in range(games):
        game = random_game(draws)
        exact, found = exact_shapley(game), sample_values(game, draws, plan)
        low, high = found.interval()
        i = int(draws.integers(game.n))
        hits += low[i] - 1e-12 <= exact[i] <= high[i] + 1e-12
    return hits / games


@pytest.mark.slow
@pytest.mark.parametrize(("antithetic", "stratified"), VARIANTS)
def test_stated_intervals_hold_the_truth_19_times_in_20(antithetic: bool, stratified: bool):
    """1,000 games for each way to sample, 300 orders a game: 93 to 97 % are covered."""
    assert 0.93 <= covered(Plan(0.0, 300, antithetic, stratified), 1000, seed=11) <= 0.97


@pytest.mark.slow
def test_stopping_when_the_error_is_small_enough_keeps_intervals_honest():
    assert 0.93 <= covered(Plan(0.02, 10**6), 1000, seed=12) <= 0.97


def test_intervals_that_are_too_short_would_be_noticed():
    """At one standard error instead of two the interval must miss a third of the time: the test above has teeth."""
    draws, hits = np.random.default_rng(3), 0
    for _ in range(200):
        game = game_forms.from_table(np.concatenate(([0.0], draws.random(31))))
        low, high = sample_values(game, draws, Plan(0.0, 200)).interval(0.6827)
        hits += low[0] <= exact_shapley(game)[0] <= high[0]
    assert 0.58 < hits / 200 < 0.78


@pytest.mark.parametrize(("antithetic", "stratified"), VARIANTS)
def test_sampling_shares_out_everything_and_nears_the_truth(antithetic: bool, stratified: bool):
    w = np.linspace(1, 5, 12)
    game = CoalitionalGame(12, lambda masks: np.sqrt(coalitions.coalition_sums(masks, w)))
    rule = sharing.Shapley(method="sampling", antithetic=antithetic, stratified=stratified, tolerance=0.001)
    found, exact = shares(rule, game), exact_shapley(game)
    assert found.value.sum() == pytest.approx(game.grand)
    assert np.all(np.abs(found.value - exact) <= 5 * found.standard_error)
    assert found.standard_error.max() <= 0.001 * np.abs(found.value).sum()
    assert found.orders <= 100_000


def test_four_times_the_orders_halve_the_error():
    """The right glove's marginal is 1 in 2/3 of all orders: standard error sqrt(2/9/m), 0.0047 for 10,000 orders."""
    one, four = (shares(sharing.Shapley(method="sampling", tolerance=0, max_samples=m, antithetic=False), GLOVE)
                 for m in (10_000, 40_000))  # fmt: skip
    assert one.standard_error[2] == pytest.approx(np.sqrt(2 / 9 / 10_000), rel=0.02)
    assert four.standard_error[2] == pytest.approx(one.standard_error[2] / 2, rel=0.02)
    assert abs(one.value[2] - 2 / 3) < 5 * one.standard_error[2]


def test_strata_leave_nothing_to_chance_where_only_the_place_matters():
    """The right glove earns 0 at the first of three places and 1 at the others: every rotation of an order says 2/3."""
    found = sample_values(GLOVE, rng(), Plan(max_orders=6, antithetic=False, stratified=True))
    assert found.value[2] == pytest.approx(2 / 3, abs=1e-12)
    assert found.orders == 6


def test_an_order_and_its_reverse_split_every_synergy_of_two_exactly():
    """r_i + k r_i (R - r_i) / 2 for 100, 50, 30 and k = 0.001: two orders are enough."""
    r = np.array([100.0, 50.0, 30.0])
    game = game_forms.synergy(r, 0.001 * (np.outer(r, r) - np.diag(r * r)))
    for seed in range(5):
        found = sample_values(game, np.random.default_rng(seed), Plan(max_orders=4))
        assert_allclose(found.value, [104, 53.25, 32.25])


def test_a_member_that_never_varied_is_not_called_certain():
    """A further member of the Security Council decides 4 of 2145 orders; unseen in 128, its error is not 0."""
    game = replace(game_forms.weighted_voting(39, [7] * 5 + [1] * 10), shapley_value=None)
    found = sample_values(game, rng(), Plan(max_orders=128, antithetic=False))
    unseen = found.value == 0
    assert unseen.any()
    assert np.all(found.interval()[1][unseen] > 4 / 2145)


def test_an_additive_game_is_certain_after_the_pilot():
    found = shares(sharing.Shapley(method="sampling"), game_forms.additive([1.0, 2.0, 4.0]))
    assert_allclose(found.value, [1, 2, 4])
    assert found.standard_error.max() < 1e-12
    assert found.orders == 128


def test_a_hundred_members_are_sampled_and_the_runway_is_exact():
    """More members than a word of 64 bits: the sampled value of the runway agrees with the closed form."""
    lengths = np.linspace(1, 10, 100)
    closed = game_forms.airport(lengths)
    found = shares(sharing.Shapley(method="sampling"), closed)
    assert np.all(np.abs(found.value - closed.shapley_value()) <= 5 * found.standard_error)
    assert shares(sharing.Shapley(), closed).orders == 0
    assert shares(sharing.Shapley(), replace(closed, shapley_value=None)).orders > 0


def test_sampled_banzhaf_and_owen_near_their_exact_values():
    draws = np.random.default_rng(5)
    game = game_forms.from_table(np.concatenate(([0.0], draws.random(31))))
    united = replace(game, unions=[[0, 3], [1, 2, 4]])
    for rule, truth in [
        (sharing.Banzhaf, shares(sharing.Banzhaf(normalised=False), game).value),
        (sharing.Owen, exact_owen(united)),
    ]:
        more = {"normalised": False} if rule is sharing.Banzhaf else {}
        found = shares(rule(method="sampling", tolerance=0.002, **more), united)
        assert np.all(np.abs(found.value - truth) <= 5 * found.standard_error + 1e-12)


def test_orders_keep_unions_together():
    game = replace(game_forms.additive(np.ones(6)), unions=[[0, 3, 5], [1], [2, 4]])
    for order in random_orders(game, rng(), 50, unions=True).tolist():
        for union in game.unions:
            places = [order.index(i) for i in union]
            assert max(places) - min(places) == len(union) - 1


def test_the_same_generator_gives_the_same_shares():
    rule = sharing.Shapley(method="sampling")
    assert shares(rule, POOL).value.tobytes() == shares(rule, POOL).value.tobytes()


# ---- floors and caps ------------------------------------------------------------------------------------------------


def test_floor_and_cap_by_hand():
    """700 is cut to 500, 40 and 10 with 250 rise by the same 66.67, which leaves all above 50."""
    found = project([700.0, 250.0, 40.0, 10.0], 1000.0, 50.0, 500.0)
    assert_allclose(found, [500, 250 + 200 / 3, 40 + 200 / 3, 10 + 200 / 3])


def test_a_floor_that_too_many_members_would_need_is_lowered_and_said():
    found = shares(sharing.Shapley(floor=0.5), POOL)
    assert found.relaxed
    assert_allclose(found.value, [1000 / 3] * 3)
    assert not shares(sharing.Shapley(floor=0.3), POOL).relaxed


def test_a_loss_is_shared_within_the_same_fractions():
    """Of a loss of 10 nobody bears more than half."""
    game = game_forms.additive([-9.0, -1.0])
    assert_allclose(shares(sharing.Shapley(cap=0.5), game).value, [-5, -5])


def test_bounds_that_leave_no_room_are_refused():
    with pytest.raises(GameError, match="must leave room for shares that sum to 10"):
        project([5.0, 5.0], 10.0, 6.0, 9.0)


@settings(patient, max_examples=60)
@given(
    x=st.lists(st.floats(-100, 100), min_size=1, max_size=7), low=st.floats(0, 1), high=st.floats(0, 1),
    total=st.floats(1, 50),
)  # fmt: skip
def test_projection_is_feasible_and_nobody_feasible_is_nearer(x: list[float], low: float, high: float, total: float):
    """Moving a little from one member to another, within bounds, never brings it nearer to what was asked."""
    n = len(x)
    lo, hi = low * total / n, total / n + high * total
    found = project(x, total, lo, hi)
    assert found.sum() == pytest.approx(total)
    assert np.all((found >= lo - 1e-7) & (found <= hi + 1e-7))
    step = 1e-3 * total
    for i in range(n):
        for j in range(n):
            if i != j and found[i] - step >= lo and found[j] + step <= hi:
                moved = found + step * (np.arange(n) == j) - step * (np.arange(n) == i)
                assert np.sum((found - x) ** 2) <= np.sum((moved - x) ** 2) + 1e-6


# ---- exact payouts --------------------------------------------------------------------------------------------------


def test_payouts_by_hand():
    """A negative share gets nothing, or owes its part: 2 : 1 : -1 of 100 units is 100, 50 and -50."""
    assert payout_units([2.0, 1.0, -1.0], 100) == [67, 33, 0]
    assert payout_units([2.0, 1.0, -1.0], 100, "owe") == [100, 50, -50]
    assert payout_units([0.0, -1.0], 5) == [3, 2]
    assert payout_units([3.0, 1.0, -1.0], 10, "owe") == [10, 3, -3]  # floors 10, 3, -4: the last remainder is largest
    assert Shares.exact([1.0, 1.0, 1.0]).payout_units(10**27 + 1) == [333333333333333333333333334] * 2 + [
        333333333333333333333333333
    ]


@pytest.mark.parametrize("bad", [[], [np.nan, 1.0], [np.inf]])
def test_shares_that_are_no_numbers_are_not_paid(bad: list[float]):
    with pytest.raises(GameError, match="must be finite numbers"):
        payout_units(bad, 5)


@settings(patient, max_examples=60)
@given(x=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6), total=st.integers(0, 10**27))
def test_payouts_sum_to_the_total_to_the_unit(x: list[float], total: int):
    assert sum(payout_units(x, total)) == sum(payout_units(x, total, "owe")) == total
    assert min(payout_units(x, total)) >= 0


def test_many_pools_are_paid_at_once():
    """Three pools: 3 : 1, nobody with a positive share (equal), and one member."""
    total = Amounts.from_units([8, 5, 7])
    paid = payouts([3.0, 1.0, -1.0, 0.0, 2.0], total, [0, 2, 4]).to_units()
    assert paid == [6, 2, 3, 2, 7]
    with pytest.raises(GameError, match="a member in each pool"):
        payouts([1.0], Amounts.from_units([1, 1]), [0, 1])
