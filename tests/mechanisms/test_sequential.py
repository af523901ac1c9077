"""Suspicion over many calls: by hand, and that the honest stay unaccused however long they are watched."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.sequential import Accumulation
from celluler_sim.mechanisms.verification import Evidence, ReputationTracking, SpotChecks, Verdicts
from celluler_sim.streams import Streams


def call(p: np.ndarray, agent: np.ndarray | None = None) -> Verdicts:
    who = np.arange(len(p)) if agent is None else agent
    return Verdicts(who, 1 - p, np.ones(len(p), np.int64), 0.99, 0.0)


def test_stakes_by_hand():
    """With kappa 1/2 a p of 1/16 doubles the stake and a p of 1 halves it; three times 1/256 make 512, past 100."""
    rule = Accumulation()
    once = rule.update(rule.start(3), call(np.array([1 / 16, 1.0]), np.array([0, 2])))
    assert_allclose(np.exp(once.log_e), [2.0, 1.0, 0.5])
    assert rule.verdicts(once).agent.tolist() == [0, 2]
    assert_allclose(rule.verdicts(once).score, [0.5, 0.0])
    thrice = rule.start(1)
    for _ in range(3):
        assert len(rule.verdicts(thrice).accused) == 0
        thrice = rule.update(thrice, call(np.array([1 / 256])))
    assert_allclose(np.exp(thrice.log_e), 512.0)
    assert rule.verdicts(thrice).accused.tolist() == [0]


def test_cusum_forgives_the_past():
    """After ten calls at p = 1 a doubling makes 2 again, where the run's stake is 2 / 1024."""
    stakes = {}
    for memory in ("run", "cusum"):
        rule = Accumulation(memory=memory)
        suspicion = rule.start(1)
        for p in [1.0] * 10 + [1 / 16]:
            suspicion = rule.update(suspicion, call(np.array([p])))
        stakes[memory] = float(np.exp(suspicion.log_e[0]))
    assert stakes["run"] == pytest.approx(2 / 1024)
    assert stakes["cusum"] == pytest.approx(2.0)


def test_the_honest_are_hardly_ever_accused_however_long_they_are_watched():
    """Of 4,000 agents over 500 calls: one call in a hundred accuses nearly all once, the wager at most 1 % ever."""
    rng, n = np.random.default_rng(4), 4000
    rule = Accumulation()
    suspicion, ever, naive = rule.start(n), np.zeros(n, bool), np.zeros(n, bool)
    for _ in range(500):
        p = rng.random(n)
        suspicion = rule.update(suspicion, call(p))
        ever[rule.verdicts(suspicion).accused] = True
        naive |= p <= 0.01
    assert naive.mean() > 0.98
    assert ever.mean() <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / n)
    assert ever.mean() > 0.0005


def test_cusum_accuses_the_honest_rarely():
    """Accused and cleared again, honest agents are flagged at most once in a hundred calls on average."""
    rng, n, calls = np.random.default_rng(5), 500, 300
    rule = Accumulation(memory="cusum")
    suspicion, accusations = rule.start(n), 0
    for _ in range(calls):
        suspicion = rule.update(suspicion, call(rng.random(n)))
        accused = rule.verdicts(suspicion).accused
        accusations += len(accused)
        suspicion = rule.cleared(suspicion, accused)
    assert 0 < accusations <= 0.01 * n * calls


def test_a_cheat_is_found_with_any_detector():
    """Agents 0 and 1 deliver 0.8 of what they claim; both are accused within 20 ticks and none of the 38 others is."""
    rule, detector = Accumulation(), SpotChecks(probability=0.2)
    suspicion, agent = rule.start(40), np.tile(np.arange(40), 5)
    for tick in range(20):
        evidence = Evidence.of(agent, found=np.where(agent < 2, 0.8, 1.0))
        suspicion = rule.update(suspicion, detector.inspect(evidence, Streams(1).draws("verification", tick)))
    assert rule.verdicts(suspicion).accused.tolist() == [0, 1]


def test_real_failures_of_honest_agents_do_not_add_up():
    """200 honest agents, ten deliveries a tick that fail once in a hundred, 300 ticks: at most 1 % accused."""
    rng, rule, detector = np.random.default_rng(6), Accumulation(), ReputationTracking()
    suspicion, agent, ever = rule.start(200), np.repeat(np.arange(200), 10), set()
    for tick in range(300):
        evidence = Evidence.of(agent, failed=rng.random(2000) < 0.01)
        suspicion = rule.update(suspicion, detector.inspect(evidence, Streams(2).draws("verification", tick)))
        ever |= set(rule.verdicts(suspicion).accused.tolist())
    assert len(ever) <= 2


def test_newcomers_and_pardons():
    rule = Accumulation()
    suspicion = rule.update(rule.start(1), call(np.array([1e-6])))
    assert rule.verdicts(suspicion).accused.tolist() == [0]
    assert len(rule.verdicts(rule.cleared(suspicion, np.array([0]))).agent) == 0
    assert rule.grow(suspicion, 2).log_e.tolist() == [suspicion.log_e[0], 0.0, 0.0]


def test_refusals():
    with pytest.raises(ScenarioError, match=r"accumulation.kappa must be > 0 and < 1, got 1"):
        Accumulation(kappa=1)
    with pytest.raises(ScenarioError, match=r"accumulation.memory must be one of run, cusum, got 'x'"):
        Accumulation(memory="x")  # type: ignore[arg-type]
