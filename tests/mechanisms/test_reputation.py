"""Reputation rules by hand, and what collusion does to each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.eigentrust import EigenTrust, dense, eigentrust
from celluler_sim.mechanisms.reputation import (
    MARKET,
    METRICS,
    Beta,
    CountingRule,
    Exponential,
    Links,
    Mean,
    Ratings,
    place_in_group,
)


def score_after(rule: CountingRule, *ratings: float, metric: int = 0) -> float:
    return float(rule.update(rule.start(1), Ratings.of([0] * len(ratings), ratings, metric)).metrics[0, metric])


def test_exponential_by_hand():
    """With alpha 1/2 from 0.5: a 1 leads to 0.75, a 0 to 0.375."""
    assert score_after(Exponential(alpha=0.5), 1.0) == 0.75
    assert score_after(Exponential(alpha=0.5), 1.0, 0.0) == 0.375


def test_beta_by_hand():
    """Two good and one bad from a uniform prior: 3/5; with forgetting 1/2 the counts are 1/2 + 1/4 and 1: 1.75/3.75."""
    assert score_after(Beta(forgetting=1.0), 1.0, 1.0, 0.0) == pytest.approx(3 / 5)
    assert score_after(Beta(forgetting=0.5), 1.0, 1.0, 0.0) == pytest.approx(1.75 / 3.75)


def test_beta_variance_by_hand():
    """Beta(2, 2), after one of each, has variance 4 / (16 * 5)."""
    assert Beta().variance(np.array([1.0]), np.array([1.0]))[0] == pytest.approx(1 / 20)


def test_beta_forgets_with_time():
    """A good outcome a half-life ago counts half: 1.5 / 2.5; the moments of two updates make no difference."""
    rule = Beta(forgetting=1.0, half_life_seconds=100.0)
    once = rule.update(rule.start(1), Ratings.of([0], [1.0], time=0.0), now=100.0)
    step = rule.update(
        rule.update(rule.start(1), Ratings.of([0], [1.0], time=0.0), now=30.0), Ratings.of([], []), 100.0
    )
    assert once.metrics[0, 0] == pytest.approx(1.5 / 2.5)
    assert step.metrics[0, 0] == pytest.approx(1.5 / 2.5)


def test_mean_by_hand():
    """The mean of 1, 1 and 0.4 is 0.8; an agent without outcomes stands at 1/2."""
    assert score_after(Mean(), 1.0, 1.0, 0.4) == pytest.approx(0.8)
    assert Mean().start(1).score[0] == 0.5


def test_score_weighs_the_metrics():
    """The seed's example: 0.9, 0.8 and 0.85 equally weighted make 0.85; with reliability alone 0.9."""
    ratings = Ratings.of([0, 0, 0], [0.9, 0.8, 0.85], np.arange(3))
    equal, reliable = Mean(), Mean(performance_weight=0.0, fairness_weight=0.0)
    assert equal.update(equal.start(1), ratings).score[0] == pytest.approx(0.85)
    assert reliable.update(reliable.start(1), ratings).score[0] == pytest.approx(0.9)
    assert METRICS == ("reliability", "performance", "fairness")


def test_penalties_fade():
    """Half of the 0.2 that a penalty took is back after a half-life; with null nothing ever is."""
    for half_life, left in ((100.0, 0.1), (None, 0.2)):
        rule = Exponential(rehabilitation_seconds=half_life)
        start = rule.start(1)
        charged = type(start)(**{**vars(start), "lost": np.array([0.2])})
        assert rule.update(charged, Ratings.of([], []), now=100.0).score[0] == pytest.approx(0.5 - left)


def test_newcomers_start_anew():
    """Re-entering under a new name brings a bad score back to where everybody starts: whitewashing."""
    rule = Exponential()
    low = rule.update(rule.start(1), Ratings.of([0] * 9, np.zeros(9), [0, 1, 2] * 3))
    grown = rule.grow(low, 1)
    assert grown.score[0] == low.score[0] < 0.3
    assert grown.score[1] == 0.5


def test_place_in_group():
    """Of 7, 8, 7, 7 the sevens have 0, 1, 2 above them and 2, 1, 0 below."""
    above, below = place_in_group(np.array([7, 8, 7, 7]))
    assert above.tolist() == [0, 0, 1, 2]
    assert below.tolist() == [2, 0, 1, 0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_exponential_is_the_recursion(outcomes: list[float], alpha: float):
    """The closed form over all outcomes of a call is what one step after the other gives."""
    path = 0.5
    for x in outcomes:
        path = alpha * x + (1 - alpha) * path
    assert score_after(Exponential(alpha=alpha), *outcomes) == pytest.approx(path, abs=1e-12)


# ---- EigenTrust ------------------------------------------------------------------------------------------------------


def test_eigentrust_by_hand():
    """Two agents, 0 pre-trusted, each trusts only the other, a = 1/2: t0 = 1/2 + t1/2 and t1 = t0/2, so 2/3 and 1/3."""
    trust = eigentrust(dense(np.array([[0.0, 1.0], [1.0, 0.0]])), np.array([1.0, 0.0]), 0.5)
    assert_allclose(trust, [2 / 3, 1 / 3])


def test_who_trusts_nobody_trusts_as_the_pretrusted_do():
    """Nobody rated anybody: trust is where pre-trust is."""
    assert_allclose(eigentrust(Links.none(), np.array([3.0, 1.0]), 0.15), [0.75, 0.25])


def test_eigentrust_is_the_fixed_point():
    """Against a linear solve of (I - (1 - a) C') t = a p."""
    rng = np.random.default_rng(3)
    local = rng.random((8, 8)) * (rng.random((8, 8)) < 0.5) + np.eye(8, k=1) + np.eye(8, k=-7)
    p = np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    c = local / local.sum(axis=1, keepdims=True)
    assert_allclose(eigentrust(dense(local), p, 0.2), np.linalg.solve(np.eye(8) - 0.8 * c.T, 0.2 * p), atol=1e-11)


def pair_in_a_crowd(praise: int, crowd: int = 20, seed: int = 5) -> Ratings:
    """Return ratings among honest agents (0.9 for good ones), and two cheats (rated 0.1) who praise each other."""
    rng = np.random.default_rng(seed)
    honest = [(i, int(j), 0.9) for i in range(crowd) for j in rng.permutation(crowd)[:6] if i != j]
    warned = [(i, cheat, 0.1) for i in range(10) for cheat in (crowd, crowd + 1)]
    vouched = [(a, b, 1.0) for _ in range(praise) for a, b in ((crowd, crowd + 1), (crowd + 1, crowd))]
    rater, ratee, value = zip(*honest, *warned, *vouched, strict=True)
    return Ratings.of(ratee, value, rater=rater)


def scores_of_pair(rule: CountingRule, praise: int) -> tuple[float, float]:
    """Return (score of the cheating pair, mean score of the honest), by reliability alone."""
    standing = rule.update(rule.start(22), pair_in_a_crowd(praise), pretrusted=np.array([1.0] * 5 + [0.0] * 17))
    score = standing.score
    return float(score[20:].mean()), float(score[:20].mean())


def test_eigentrust_resists_a_collusive_pair_and_the_mean_does_not():
    """Ten honest agents rate each cheat 0.1; 90 mutual praises lift its mean to 0.91, past the honest; trust is 0."""
    only = {"performance_weight": 0.0, "fairness_weight": 0.0}
    for rule in (Mean(**only), Beta(forgetting=1.0, **only), Exponential(**only)):
        assert scores_of_pair(rule, 0)[0] < 0.5 < scores_of_pair(rule, 0)[1]
        pair, honest = scores_of_pair(rule, 90)
        assert pair > 0.87, rule
        assert pair > honest - 0.02, rule
    assert scores_of_pair(Mean(**only), 90)[0] == pytest.approx((10 * 0.1 + 90) / 100)
    pair, honest = scores_of_pair(EigenTrust(), 90)
    assert pair == 0.0
    assert honest > 0.3


def test_the_market_s_own_measurements_move_no_trust():
    """EigenTrust flows along who rated whom; measured outcomes move the metrics alone."""
    rule = EigenTrust()
    standing = rule.update(rule.start(2), Ratings.of([1] * 20, np.zeros(20), rater=MARKET))
    assert_allclose(standing.trust, [0.5, 0.5])
    assert standing.metrics[1, 0] < 0.01


def test_praise_of_oneself_counts_nothing():
    """A hundred praises of oneself leave trust where pre-trust put it."""
    rule = EigenTrust()
    assert_allclose(rule.update(rule.start(2), Ratings.of([1] * 100, np.ones(100), rater=1)).trust, [0.5, 0.5])


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(alpha=1.5), "reputation.alpha must be >= 0 and <= 1, got 1.5"),
        (lambda: Beta(prior_good=0.0), "reputation.prior_good must be > 0, got 0"),
        (lambda: Mean(reliability_weight=0, performance_weight=0, fairness_weight=0), "fairness_weight must be > 0"),
        (lambda: EigenTrust(restart=0.0), "reputation.restart must be > 0 and <= 1, got 0"),
        (lambda: Ratings.of([0], [1.2]), r"ratings.value must be >= 0 and <= 1, got 1.2"),
        (lambda: Ratings.of([0], [1.0], metric=3), "ratings.metric must be a place in"),
        (lambda: Ratings.of([0, 0], [1.0, 1.0], time=[2.0, 1.0]), "ratings.time must never fall"),
        (lambda: eigentrust(Links.none(), np.zeros(2), 0.15), "pre-trusted weights must be finite"),
    ],
)
def test_refusals_are_one_line(make, message: str):
    with pytest.raises(ScenarioError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
