"""Detection figures by hand and against SciPy."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.analysis.detection import (
    Confusion,
    Money,
    auc_error,
    bands,
    conformal_threshold,
    confusion,
    curve,
    delays,
    predictive_values,
    wilson,
)


def test_confusion_by_hand():
    """3 of 4 cheats found, 1 of 6 honest accused."""
    counts = confusion([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    assert counts == Confusion(tp=3, fp=1, fn=1, tn=5)
    assert (counts.precision, counts.recall, counts.f1) == (0.75, 0.75, 0.75)
    assert counts.false_alarm_rate == pytest.approx(1 / 6)
    assert counts.accuracy == 0.8
    assert counts.mcc == pytest.approx((3 * 5 - 1) / math.sqrt(4 * 4 * 6 * 6))


def test_a_detector_that_accuses_nobody_has_no_precision():
    assert math.isnan(Confusion(tp=0, fp=0, fn=3, tn=7).precision)


def test_bayes_by_hand():
    """1 % cheats, all found, 1 % of the honest accused: 100 to 99, so 0.5025; nobody left alone cheats."""
    ppv, npv = predictive_values(0.01, 1.0, 0.01)
    assert ppv == pytest.approx(100 / 199)
    assert npv == 1.0


def test_curve_by_hand():
    """Scores 4, 3 (cheats), 3, 1 (honest): the tie counts half, so 3.5 of 4 pairs; precision 1 then 2/3."""
    c = curve([1, 1, 0, 0], [4, 3, 3, 1])
    assert c.auc == 3.5 / 4
    assert_allclose(c.recall, [0, 0.5, 1, 1])
    assert_allclose(c.false_alarm_rate, [0, 0, 0.5, 1])
    assert c.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert c.recall_at(0.4) == 0.5


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_area_is_the_mann_whitney_statistic(rows: list[tuple[bool, int]]):
    """The chance that a cheat scores above an honest agent, counted over all pairs."""
    truth, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], float)
    assume(0 < truth.sum() < len(truth))
    over = np.sign(score[truth][:, None] - score[~truth][None, :])
    assert curve(truth, score).auc == pytest.approx(float(np.mean(over) + 1) / 2)
    assert curve(truth, -score).auc == pytest.approx(1 - curve(truth, score).auc)


def test_bands_of_two_cheats_and_two_honest_by_hand():
    """Cheats 3 and 1, honest 2 and 2: areas of resamples are 1, 1/2 and 0 with chances 1/4, 1/2 and 1/4."""
    b = bands([1, 1, 0, 0], [3, 1, 2, 2], resamples=4000, level=0.4)  # quantiles 0.3 and 0.7
    assert b.auc == (0.5, 0.5)
    b = bands([1, 1, 0, 0], [3, 1, 2, 2], resamples=4000, level=0.6)  # quantiles 0.2 and 0.8
    assert b.auc == (0.0, 1.0)
    assert_allclose(b.recall[:, 0], [0, 1])  # at no false alarm: both cheats, one or none
    assert_allclose(b.recall[:, -1], 1)
    assert_allclose(b.precision[:, -1], [0.5, 1])


def test_nine_intervals_in_ten_and_more_cover_the_true_area():
    """Of 200 samples of 40 cheats a deviation above 60 honest, 95 % intervals of 91 to 98 % cover Phi(1/sqrt 2)."""
    from scipy.stats import norm

    rng, truth, true = np.random.default_rng(2), np.arange(100) < 40, norm.cdf(1 / math.sqrt(2))
    found = [bands(truth, rng.standard_normal(100) + truth, resamples=200, seed=k) for k in range(200)]
    assert 0.91 <= np.mean([b.auc[0] <= true <= b.auc[1] for b in found]) <= 0.98
    width = np.mean([b.auc[1] - b.auc[0] for b in found])
    assert width == pytest.approx(2 * 1.96 * auc_error(true, 40, 60), rel=0.1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_bands_hold_the_curve_s_area_or_are_next_to_it(rows: list[tuple[bool, int]]):
    """Ends are ordered, in [0, 1], recall grows with the rate of false alarms, and a perfect score has no width."""
    truth, score = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], float)
    assume(0 < truth.sum() < len(truth))
    b = bands(truth, score, resamples=60)
    for low, high in (b.auc, b.average_precision, b.recall, b.precision):
        assert (np.asarray(low) <= high).all()
        assert np.min(low) >= 0
        assert np.max(high) <= 1 + 1e-12
    assert (np.diff(b.recall, axis=1) >= 0).all()
    perfect = bands(truth, truth, resamples=60)
    assert perfect.auc == perfect.average_precision == (1.0, 1.0)


def test_bands_of_nothing_are_refused():
    """Without a cheat there is no curve; without a resample there is no interval."""
    with pytest.raises(ValueError, match="truth needs cheats"):
        bands([0, 0], [1, 2])
    with pytest.raises(ValueError, match="resamples must be >= 1"):
        bands([0, 1], [1, 2], resamples=0)


def test_standard_error_of_an_area():
    """Against 400 simulated areas of 40 cheats a deviation above 60 honest agents."""
    rng = np.random.default_rng(1)
    truth = np.arange(100) < 40
    areas = [curve(truth, rng.standard_normal(100) + truth).auc for _ in range(400)]
    assert auc_error(float(np.mean(areas)), 40, 60) == pytest.approx(np.std(areas), rel=0.15)


def test_wilson_by_hand():
    """0 of 10 at z = 2: from 0 to 4 / 14."""
    assert wilson(0, 10, z=2.0) == (0.0, pytest.approx(4 / 14))


def test_delays_by_hand():
    """Found after 5 s, never, and accused before it did anything: that counts as never."""
    assert_allclose(delays(np.array([10.0, 10.0, 10.0]), np.array([15.0, np.nan, 9.0])), [5.0, np.inf, np.inf])


def test_money_by_hand():
    """100 prevented for 20 of checks and 5 from honest agents: 75 net, 5 per PRANA spent."""
    money = Money(prevented=100.0, recovered=50.0, spent=20.0, wrongly=5.0)
    assert money.net == 75.0
    assert money.per_prana == 5.0


def test_conformal_threshold_by_hand():
    """Of 19 honest scores the largest leaves one chance in twenty; with 18 nothing can promise that."""
    assert conformal_threshold(np.arange(19.0), 0.05) == 18.0
    assert conformal_threshold(np.arange(18.0), 0.05) == math.inf
    assert conformal_threshold(np.arange(19.0), 0.1) == 17.0


def test_conformal_threshold_keeps_its_promise():
    """Whatever the distribution: of 4,000 new heavy-tailed scores 5 % lie above, within noise."""
    rng = np.random.default_rng(2)
    above = [rng.standard_cauchy() > conformal_threshold(rng.standard_cauchy(39), 0.05) for _ in range(4000)]
    assert np.mean(above) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 4000)
    assert np.mean(above) >= 0.03


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Confusion(tp=-1, fp=0, fn=0, tn=0), "counts must be >= 0"),
        (lambda: confusion([1], [1, 0]), "as long as each other"),
        (lambda: predictive_values(1.2, 0.5, 0.5), "prevalence must be >= 0 and <= 1, got 1.2"),
        (lambda: curve([1, 1], [0.1, 0.2]), "needs cheats and honest agents, got 2 cheats of 2"),
        (lambda: curve([1, 0], [0.1, math.nan]), "scores must be numbers"),
        (lambda: wilson(3, 2), "count must be >= 0 and <= n"),
        (lambda: conformal_threshold([1.0], 0.0), "false_alarm_rate must be > 0 and < 1"),
    ],
)
def test_refusals(call, message: str):
    with pytest.raises(ValueError, match=message):
        call()
