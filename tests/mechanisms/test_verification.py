"""Detectors by hand, and that each catches what it is for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.verification import (
    Evidence,
    NoVerification,
    ProfitAudit,
    RedundantExecution,
    ReputationTracking,
    SpotChecks,
)
from celluler_sim.streams import Streams
from tests.mechanisms.honest import AGENTS, evidence

DRAWS = Streams(7).draws("verification", 3)


def test_spot_checks_find_the_capacity_that_is_not_there():
    """Agent 1 delivers 0.7 of what it claims in four rows; a meter good to 2 % cannot be that far off."""
    found = np.array([1.0, 0.7, 0.7, 0.7, 0.7, 1.0])
    verdicts = SpotChecks(probability=1.0).inspect(Evidence.of([0, 1, 1, 1, 1, 2], found=found), DRAWS)
    assert verdicts.accused.tolist() == [1]
    assert verdicts.seen.tolist() == [1, 4, 1]
    assert verdicts.cost == 6.0


def test_the_chance_of_a_shortfall_by_hand():
    """1.645 deviations of the meter beyond the 5 % allowed, in one row: chance 5 %."""
    rule = SpotChecks(probability=1.0)
    p = rule.chance(np.array([0.05 / 0.02 + 1.6449]), np.array([0.05 / 0.02]))
    assert p[0] == pytest.approx(0.05, abs=1e-5)


def test_the_stated_rate_is_sharp_without_tolerance_and_safe_with():
    """Of 20,000 honest agents 1 % are flagged within four standard errors; exactly 5 % short where allowed, no more."""
    error = 4 * np.sqrt(0.01 * 0.99 / 20_000)
    exact = SpotChecks(probability=1.0, tolerance=0.0).inspect(Evidence.of(np.arange(20_000)), DRAWS)
    short = SpotChecks(probability=1.0).inspect(Evidence.of(np.arange(20_000), found=0.95), DRAWS)
    assert exact.flagged.mean() == pytest.approx(0.01, abs=error)
    assert 0 < short.flagged.mean() < 0.01 + error


def test_profit_audit_looks_both_ways():
    """Reports 30 % too high and 30 % too low are both found; spot checks find the first alone."""
    reported = Evidence.of([0, 1, 2], claimed=[1.3, 0.7, 1.0], found=[1.0, 1.0, 1.0])
    assert ProfitAudit(probability=1.0).inspect(reported, DRAWS).accused.tolist() == [0, 1]
    assert SpotChecks(probability=1.0).inspect(reported, DRAWS).accused.tolist() == [0]


def test_the_minority_of_a_repeated_job_is_found():
    """Agent 2 disagrees with 0 and 1; one error has chance 0.001 among honest agents. Job 1 was not repeated."""
    rows = Evidence.of([0, 1, 2, 2], job=[0, 0, 0, 1], answer=[5, 5, 6, 9])
    verdicts = RedundantExecution().inspect(rows, DRAWS)
    assert verdicts.accused.tolist() == [2]
    assert_allclose(verdicts.score, [0.0, 0.0, 0.999])
    assert verdicts.cost == 2.0


def test_without_a_majority_nobody_is_judged():
    """Three answers, none given twice, or one against one: the job says nothing of anybody."""
    rows = Evidence.of([0, 1, 2], job=[0, 0, 0], answer=[1, 2, 3])
    assert len(RedundantExecution().inspect(rows, DRAWS).agent) == 0
    halves = Evidence.of([0, 1], job=[0, 0], answer=[1, 2])
    assert len(RedundantExecution(copies=2).inspect(halves, DRAWS).agent) == 0


def test_a_majority_that_colludes_is_believed():
    """Two of three executors agree on a wrong answer: the honest third is accused. The rule says so."""
    rows = Evidence.of([0, 1, 2], job=[0, 0, 0], answer=[6, 6, 5])
    assert RedundantExecution().inspect(rows, DRAWS).accused.tolist() == [2]


def test_reputation_tracking_by_hand():
    """3 failures of 4 at an honest rate of 1 %: chance 4 * 0.01^3 * 0.99 + 0.01^4 = 3.97e-6; 0 of 4: chance 1."""
    rows = Evidence.of([0] * 4 + [1] * 4, failed=[1, 1, 1, 0, 0, 0, 0, 0])
    verdicts = ReputationTracking().inspect(rows, DRAWS)
    assert_allclose(1 - verdicts.score, [3.97e-6, 1.0], rtol=1e-6)
    assert verdicts.accused.tolist() == [0]
    assert verdicts.cost == 0.0


def test_rows_are_chosen_with_their_probability_whoever_they_belong_to():
    """A quarter of 40,000 rows; the choice hangs on the row's number and the tick alone."""
    rule, item = SpotChecks(probability=0.25), np.arange(40_000)
    chosen = rule.chosen(item, DRAWS)
    assert chosen.mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(rule.chosen(item[::-1], DRAWS)[::-1], chosen)


def test_nobody_looks():
    assert len(NoVerification().inspect(evidence(np.random.default_rng(0)), DRAWS).agent) == 0
    assert not NoVerification().chosen(np.arange(5), DRAWS).any()
    assert len(SpotChecks(probability=0.0).inspect(evidence(np.random.default_rng(0)), DRAWS).agent) == 0


def test_verdicts_know_everybody():
    """Those not looked at have suspicion 0."""
    verdicts = SpotChecks(probability=1.0).inspect(Evidence.of([3], found=0.1), DRAWS)
    assert_allclose(verdicts.scores(AGENTS)[[2, 3]], [0.0, 1.0])


def test_refusals():
    with pytest.raises(ScenarioError, match=r"evidence.claimed must be > 0, got 0.0"):
        Evidence.of([0], claimed=0.0)
    with pytest.raises(ScenarioError, match=r"verification.probability must be >= 0 and <= 1, got 2"):
        SpotChecks(probability=2)
    with pytest.raises(ScenarioError, match=r"verification.copies must be >= 2, got 1"):
        RedundantExecution(copies=1)
    with pytest.raises(ScenarioError, match=r"verification.honest_failure must be > 0 and < 1, got 0"):
        ReputationTracking(honest_failure=0)
