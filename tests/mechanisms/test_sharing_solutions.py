"""Nucleolus and least core by hand and by Kohlberg's criterion; divisions of estates; indices of simple games."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.mechanisms import bankruptcy, coalitions, game_forms
from celluler_sim.mechanisms.game_properties import in_core, is_convex, strongest_objection
from celluler_sim.mechanisms.games import CoalitionalGame, GameError
from celluler_sim.mechanisms.simple_games import SimpleGame
from celluler_sim.mechanisms.solutions import is_nucleolus, least_core, least_core_epsilon, nucleolus

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
few = settings(patient, max_examples=25)
tables = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.integers(-5, 20).map(float), min_size=2**n - 1, max_size=2**n - 1)
)
estates = st.lists(st.integers(1, 20), min_size=1, max_size=5).flatmap(
    lambda c: st.tuples(st.integers(0, sum(c)), st.just(c))
)


def test_nucleolus_of_three_by_hand():
    """Pairs 60, 40, 20 of 100: at (50, 30, 20) all have 20 or more above their worth, two of them just 20."""
    game = game_forms.from_table({"1": 0, "2": 0, "3": 0, "1,2": 60, "1,3": 40, "2,3": 20, "1,2,3": 100})
    assert_allclose(nucleolus(game), [50, 30, 20], atol=1e-9)
    assert least_core_epsilon(game) == pytest.approx(-20)
    assert is_nucleolus(game, [50, 30, 20])
    assert not is_nucleolus(game, [50, 31, 19])
    assert not is_nucleolus(game, [50, 30, 21])


def test_nobody_pays_to_be_in():
    """Pairs 8, 6, 5 of only 2: equal excesses of 5 at (2, 1, -1) would charge the third, so it gets 0: 6, 4.5, 4.5."""
    assert_allclose(nucleolus(game_forms.from_table([0, 0, 0, 8, 0, 6, 5, 2])), [1.5, 0.5, 0], atol=1e-9)


def test_nucleolus_of_gloves_is_their_core():
    assert_allclose(nucleolus(game_forms.glove(2, 1)), [0, 0, 1], atol=1e-9)
    assert least_core_epsilon(game_forms.glove(2, 1)) == pytest.approx(0, abs=1e-12)


def test_least_core_of_symmetric_games():
    """Majority of three: two get 2/3 of their 1. Pairs worth 0.6 of 1: 2/3 is 0.0667 more than they need."""
    assert least_core_epsilon(game_forms.symmetric([0, 0, 1, 1])) == pytest.approx(1 / 3)
    assert least_core_epsilon(game_forms.symmetric([0, 0, 0.6, 1])) == pytest.approx(-1 / 15)
    assert least_core_epsilon(game_forms.additive([5.0])) == 0


def test_least_core_is_as_equal_as_stability_allows():
    """Pairs 60, 40, 20 of 100 with all 20 to spare: the third gets its 20, the others are equal."""
    game = game_forms.from_table({"1": 0, "2": 0, "3": 0, "1,2": 60, "1,3": 40, "2,3": 20, "1,2,3": 100})
    assert_allclose(least_core(game), [40, 40, 20], atol=1e-9)


@few
@given(worths=tables)
def test_nucleolus_keeps_kohlbergs_criterion(worths: list[float]):
    game = game_forms.from_table([0.0, *worths])
    assert is_nucleolus(game, nucleolus(game))


@few
@given(worths=tables)
def test_least_core_reaches_its_epsilon(worths: list[float]):
    game = game_forms.from_table([0.0, *worths])
    x = least_core(game)
    assert x.sum() == pytest.approx(game.grand, abs=1e-7)
    assert strongest_objection(game, x).excess == pytest.approx(least_core_epsilon(game), abs=1e-7)


def test_a_degenerate_pool_of_twelve():
    """Worth is capacity squared: many coalitions are tied, the core is large, and the nucleolus is in it."""
    w = np.random.default_rng(0).random(12)
    game = CoalitionalGame(12, lambda masks: coalitions.coalition_sums(masks, w) ** 2)
    assert in_core(game, nucleolus(game), 1e-8)


def test_too_many_members_are_refused():
    with pytest.raises(GameError, match="need <= 20 members, got 21"):
        nucleolus(game_forms.additive(np.ones(21)))


# ---- estates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estate", "talmud", "arrival"),
    [
        (100, [100 / 3] * 3, [100 / 3] * 3),
        (200, [50, 75, 75], [100 / 3, 250 / 3, 250 / 3]),
        (300, [50, 100, 150], [50, 100, 150]),
    ],
)
def test_three_widows_of_the_talmud(estate: float, talmud: list[float], arrival: list[float]):
    """Claims 100, 200, 300 (Ketubot 93a): the division is the nucleolus; the order of arrival gives another one."""
    claims = [100, 200, 300]
    assert_allclose(bankruptcy.talmud(estate, claims), talmud)
    assert_allclose(nucleolus(game_forms.bankruptcy_game(estate, claims)), talmud, atol=1e-7)
    assert_allclose(bankruptcy.random_arrival(estate, claims), arrival)


def test_further_rules_by_hand():
    """Claims of 100, 200, 300. Adjusted: of 400 the third is conceded 100, and 300 is left for 100, 200 and 200."""
    claims = [100, 200, 300]
    assert_allclose(bankruptcy.proportional(300, claims), [50, 100, 150])
    assert_allclose(bankruptcy.equal_awards(300, claims), [100, 100, 100])
    assert_allclose(bankruptcy.equal_losses(300, claims), [0, 100, 200])
    assert_allclose(bankruptcy.piniles(400, claims), [250 / 3, 400 / 3, 550 / 3])
    assert_allclose(bankruptcy.adjusted_proportional(400, claims), [60, 120, 220])


def test_contested_garment():
    """One claims all of the garment, the other half of it: half is not in dispute, and the other half is divided."""
    assert_allclose(bankruptcy.talmud(1, [1, 0.5]), [0.75, 0.25])


@few
@given(case=estates)
def test_every_rule_divides_the_estate_within_the_claims(case: tuple[int, list[int]]):
    estate, claims = case
    for name, rule in bankruptcy.RULES.items():
        awards = rule(estate, claims)
        assert awards.sum() == pytest.approx(estate), name
        assert np.all((awards >= -1e-9) & (awards <= np.array(claims) + 1e-9)), name


@few
@given(case=estates)
def test_bankruptcy_games_are_convex_and_the_talmud_is_their_nucleolus(case: tuple[int, list[int]]):
    game = game_forms.bankruptcy_game(*case)
    assert is_convex(game)
    assert_allclose(nucleolus(game), bankruptcy.talmud(*case), atol=1e-7)


@pytest.mark.parametrize(("estate", "claims"), [(10, [1, 2]), (-1, [3]), (1, []), (1, [-1, 5])])
def test_estates_that_need_no_rule_are_refused(estate: float, claims: list[float]):
    for rule in bankruptcy.RULES.values():
        with pytest.raises(GameError, match="claims >= 0 that reach the estate"):
            rule(estate, claims)


# ---- simple games ---------------------------------------------------------------------------------------------------


def test_indices_of_a_vote_by_hand():
    """[6; 4 3 2 1]: 4+3, 4+2 and 3+2+1 are the minimal winning coalitions; nobody has a veto."""
    vote = SimpleGame(game_forms.weighted_voting(6, [4, 3, 2, 1]))
    assert vote.swings() == [5, 3, 3, 1]
    assert vote.winning() == 7
    assert len(vote.minimal()) == 3
    assert_allclose(vote.deegan_packel(), np.array([6, 5, 5, 2]) / 18)
    assert_allclose(vote.holler(), np.array([2, 2, 2, 1]) / 7)
    assert vote.vetoers() == []
    assert vote.power_to_act() == 7 / 16
    assert SimpleGame(game_forms.weighted_voting(67, [40, 30, 20, 10])).vetoers() == [0]


def test_johnston_by_hand():
    """[2; 1 1 1]: only the three pairs have critical members, two each, so all have a third."""
    assert_allclose(SimpleGame(game_forms.weighted_voting(2, [1, 1, 1])).johnston(), [1 / 3] * 3)
