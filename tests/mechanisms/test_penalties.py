"""Penalties and quality of service by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.analysis.queueing import erlang_c, mean_wait, mg1_wait
from celluler_sim.errors import ScenarioError
from celluler_sim.mechanisms.penalties import OFFENCES, Additive, Multiplicative, Points, charged, pardoned
from celluler_sim.mechanisms.quality import QualityTerms, Service, latency
from celluler_sim.mechanisms.reputation import Exponential

COLLUSION, FALSE_PROVISIONING = OFFENCES.index("collusion"), OFFENCES.index("false_provisioning")


def test_three_scales_by_hand():
    """False provisioning (0.5) at 0.8: additive 0.3, multiplicative 0.4, half a point of ten 0.75."""
    score, severity = np.array([0.8]), Additive().severity([FALSE_PROVISIONING])
    assert_allclose(Additive().punished(score, severity), [0.3])
    assert_allclose(Multiplicative().punished(score, severity), [0.4])
    assert_allclose(Points().punished(score, severity), [0.75])


def test_large_additive_penalties_look_alike():
    """At 0.4, false provisioning and collusion both leave 0; the other scales tell them apart."""
    score = np.array([0.4, 0.4])
    severity = Additive().severity([FALSE_PROVISIONING, COLLUSION])
    assert Additive().punished(score, severity).tolist() == [0.0, 0.0]
    for rule in (Multiplicative(), Points()):
        light, heavy = rule.punished(score, severity)
        assert heavy < light


def test_the_seed_s_figures():
    assert_allclose(Additive().severity(np.arange(6)), [0.1, 0.05, 0.2, 0.5, 0.8, 1.0])


def test_several_offences_of_one_agent_count_one_after_the_other():
    """Two wrong results at 0.5 by shares: 0.5 * 0.8 * 0.8 = 0.32; agent 1 has one: 0.4."""
    start = Exponential().start(3)
    after = charged(start, Multiplicative(), np.array([0, 1, 0]), np.array([2, 2, 2]))
    assert_allclose(after.score, [0.32, 0.4, 0.5])
    assert_allclose(start.score, [0.5, 0.5, 0.5])


def test_an_appeal_gives_back():
    """Agent 0 is acquitted and has its score of before; agent 1 is not."""
    start = Exponential().start(2)
    after = charged(start, Additive(), np.array([0, 1]), np.array([2, 2]))
    assert_allclose(pardoned(after, start.lost, np.array([0])).score, [0.5, 0.3])


def test_slashing_by_hand():
    """With slash 0.1, collusion costs a tenth of the stake, a wrong result 0.02."""
    assert_allclose(Additive(slash=0.1).slashed(Additive().severity([COLLUSION, 2])), [0.1, 0.02])


def test_breaches_by_hand():
    """Agent 4 was down and slow, agent 9 gave two wrong results, agent 2 kept everything."""
    service = Service(
        agent=np.array([4, 9, 2]), uptime=np.array([0.98, 1.0, 0.99]), latency=np.array([101.0, 50.0, 100.0]),
        throughput=np.array([2000.0, 1000.0, 1500.0]), wrong=np.array([0, 2, 0]),
    )  # fmt: skip
    agent, kind = QualityTerms().breaches(service)
    assert list(zip(agent.tolist(), [OFFENCES[k] for k in kind], strict=True)) == [
        (4, "downtime"), (4, "slow_response"), (9, "incorrect_result"), (9, "incorrect_result"),
    ]  # fmt: skip


def test_too_little_throughput_is_slow():
    service = Service(np.array([0]), np.array([1.0]), np.array([10.0]), np.array([999.0]), np.array([0]))
    assert [OFFENCES[k] for k in QualityTerms().breaches(service)[1]] == ["slow_response"]


def test_compensation_by_hand():
    """Half of what was paid, times the severity 0.2: 10 of 100 PRANA."""
    assert_allclose(QualityTerms(compensation=0.5).compensated(np.array([100.0]), np.array([0.2])), [10.0])


def test_latency_of_one_server_is_that_of_the_queue():
    """At load 0.5, 10 ms a request: 20 ms if exponential, 15 ms if constant; M/G/1 exactly."""
    load, one, service = np.array([0.5]), np.array([1.0]), np.array([10.0])
    assert_allclose(latency(load, one, service), [20.0])
    assert_allclose(latency(load, one, service, scv=0.0), [15.0])
    assert_allclose(latency(load, one, service, scv=3.0), 10.0 + mg1_wait(0.05, 0.1, 3.0))


@pytest.mark.parametrize("servers", [2, 4, 8, 16, 64])
@pytest.mark.parametrize("load", [0.3, 0.5, 0.7, 0.9, 0.97])
def test_latency_is_near_erlang_s(servers: int, load: float):
    """Within 4 % of the exact time in M/M/c."""
    exact = 1.0 + mean_wait(load * servers, servers, 1.0)
    assert latency(np.array([load]), np.array([servers]), np.array([1.0]))[0] == pytest.approx(exact, rel=0.04)
    assert 0 < erlang_c(load * servers, servers) < 1


def test_latency_grows_with_load_and_stays_finite():
    path = latency(np.linspace(0, 2, 41), np.array([4.0]), np.array([1.0]))
    assert np.all(np.diff(path) >= 0)
    assert np.isfinite(path).all()
    assert path[0] == 1.0


def test_refusals():
    with pytest.raises(ScenarioError, match=r"penalty.collusion must be >= 0 and <= 1, got 1.5"):
        Additive(collusion=1.5)
    with pytest.raises(ScenarioError, match=r"penalty.scale must be >= 1 points, got 0"):
        Points(scale=0)
