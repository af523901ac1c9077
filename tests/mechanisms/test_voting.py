"""Votes by hand: exact thresholds, square roots, delegation and its circles."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.voting import (
    ABSENT,
    ABSTAIN,
    NO,
    NOBODY,
    YES,
    Ballots,
    Delegated,
    Quadratic,
    StakeWeighted,
    exact,
    quadratic_funding,
    votes_affordable,
    votes_cost,
)

PRANA = 10**18


def test_two_of_three_equal_stakes_fail_at_067():
    """2/3 < 67/100, whatever the unit: as quorum, as quorum of yes, and as threshold."""
    stake = 333_333_333 * PRANA
    absent, against = Ballots.of([stake] * 3, [YES, YES, ABSENT]), Ballots.of([stake] * 3, [YES, YES, NO])
    assert StakeWeighted().tally(absent).turnout == Fraction(2, 3)
    assert not StakeWeighted().tally(absent).passed
    assert not StakeWeighted(quorum_of="yes").tally(absent).passed
    tally = StakeWeighted().tally(against)
    assert tally.quorum_met
    assert not tally.passed


def test_67_of_100_pass_and_one_atom_less_fails():
    """67 % of the stake reaches 0.67 exactly; less by the smallest unit of PRANA does not."""
    whole = 67 * PRANA, 33 * PRANA
    assert StakeWeighted().tally(Ballots.of(whole, [YES, NO])).passed
    assert not StakeWeighted().tally(Ballots.of([whole[0] - 1, whole[1] + 1], [YES, NO])).passed


def test_a_tie_at_one_half_fails_and_one_atom_decides():
    rule = StakeWeighted(quorum=0.0, threshold=0.5)
    assert not rule.tally(Ballots.of([PRANA, PRANA], [YES, NO])).passed
    assert rule.tally(Ballots.of([PRANA + 1, PRANA], [YES, NO])).passed


def test_exceeding_a_threshold():
    """Exactly 0.67 reaches, but does not exceed."""
    ballots = Ballots.of([67, 33], [YES, NO])
    assert StakeWeighted(threshold=0.67).tally(ballots).passed
    assert not StakeWeighted(threshold=0.67, exceed=True).tally(ballots).passed


def test_abstentions():
    """60 yes, 30 abstain, 10 absent: a turnout of 0.6, or 0.9 where abstentions count."""
    ballots = Ballots.of([60, 30, 10], [YES, ABSTAIN, ABSENT])
    assert StakeWeighted().tally(ballots).turnout == Fraction(6, 10)
    assert StakeWeighted(abstentions_count=True).tally(ballots).turnout == Fraction(9, 10)
    assert StakeWeighted(abstentions_count=True).tally(ballots).passed


def test_nothing_passes_without_a_vote():
    assert not StakeWeighted(quorum=0.0).tally(Ballots.of([], [])).passed
    assert not StakeWeighted(quorum=0.0).tally(Ballots.of([5], [ABSENT])).passed
    assert not StakeWeighted(quorum=0.0).tally(Ballots.of([0], [YES])).passed


def test_quadratic_by_hand():
    """A stake of 100 has ten votes, four stakes of 9 have twelve: the whale loses, as it would not by stake."""
    ballots = Ballots.of([100, 9, 9, 9, 9], [YES, NO, NO, NO, NO])
    tally = Quadratic(threshold=0.5).tally(ballots)
    assert (tally.yes, tally.no) == (10, 12)
    assert not tally.passed
    assert StakeWeighted(threshold=0.5).tally(ballots).passed


@given(st.integers(0, 10**27))
def test_square_roots_are_rounded_down(stake: int):
    root = Quadratic().power(Fraction(stake))
    assert root * root <= stake < (root + Fraction(1, 10**9)) ** 2


def test_delegation_by_hand():
    """0 hands to 1, 1 hands to 2, 2 votes yes with all 6; 3 votes itself though it named 2."""
    ballots = Ballots.of([1, 2, 3, 4], [ABSENT, ABSENT, YES, NO], [1, 2, NOBODY, 2])
    tally = Delegated(threshold=0.5).tally(ballots)
    assert tally.weight == (0, 0, 6, 4)
    assert tally.vote == (YES, YES, YES, NO)
    assert tally.passed


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_circles_of_delegation_cast_nothing(order: tuple[int, ...]):
    """0 to 1 to 2 to 0, and 3 into the circle: nobody speaks for them, though their stake is entitled."""
    delegate = {0: 1, 1: 2, 2: 0, 3: 0}
    place = {voter: order.index(voter) for voter in range(4)}
    chosen = [place[delegate[voter]] for voter in order]
    tally = Delegated(quorum=0.0).tally(Ballots.of([1, 1, 1, 1], [ABSENT] * 4, chosen))
    assert (tally.yes, tally.no, tally.total) == (0, 0, 4)
    assert not tally.passed


def test_delegating_to_oneself_or_to_an_abstainer_casts_nothing():
    tally = Delegated().tally(Ballots.of([1, 1, 1], [ABSENT, ABSENT, ABSTAIN], [0, 2, NOBODY]))
    assert (tally.yes, tally.no, tally.total) == (0, 0, 3)


def test_a_long_chain():
    """Ten thousand voters each name the next; the last decides, and the walk is linear."""
    n = 10_000
    ballots = Ballots.of([1] * n, [ABSENT] * (n - 1) + [YES], [*range(1, n), NOBODY])
    assert Delegated().tally(ballots).yes == n


def test_a_threshold_is_the_rational_it_is_written_as():
    assert exact(0.67) == Fraction(67, 100)
    assert exact("2/3") == Fraction(2, 3)


def test_arithmetic_of_quadratic_voting():
    """6, -5 and 4 votes cost 36 + 25 + 16; 99 credits buy 9 votes; gifts of 1, 4 and 9 make (1 + 2 + 3)^2."""
    assert votes_cost([6, -5, 4]) == 77
    assert votes_affordable(99) == 9
    assert quadratic_funding([1, 4, 9]) == pytest.approx(36)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StakeWeighted(quorum=1.1), "voting.quorum must be >= 0 and <= 1, got 1.1"),
        (lambda: StakeWeighted(threshold=0.4), "voting.threshold must be >= 0.5 and <= 1, got 0.4"),
        (lambda: StakeWeighted(quorum_of="all"), "voting.quorum_of must be one of cast, yes, got 'all'"),
        (lambda: Ballots.of([1], [7]), "ballots.vote must be one of .* got 7"),
        (lambda: Ballots.of([-1], [YES]), "ballots.stake must be >= 0, got -1"),
        (lambda: Ballots.of([1], [YES], [3]), "ballots.delegate must be -1 or a voter's place, got 3"),
        (lambda: Ballots.of([1, 1], [YES]), "ballots must have as many stakes as votes"),
    ],
)
def test_refusals(make, message: str):
    with pytest.raises(ScenarioError, match=message):
        make()
