"""Generated demand: Poisson for every consumer, with hours, a surge and drawn sizes, each draw a slot's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from celluler_sim.errors import ScenarioError
from celluler_sim.streams import Streams
from celluler_sim.workloads import Generated

STREAMS = Streams(11)


def ready(unit_size: float = 1e18, **fields) -> Generated:
    workload = Generated(**fields)
    workload.prepare(STREAMS, unit_size)
    return workload


def day(workload: Generated, rate, dt: float = 60.0, seconds: float = 86400.0):
    """Return consumer, birth, amount and run time of all jobs of a day."""
    ticks = [workload.arrivals(STREAMS, k, k * dt, (k + 1) * dt, rate) for k in range(round(seconds / dt))]
    columns = [np.concatenate([getattr(t, name) for t in ticks]) for name in ("consumer", "born", "amount", "work")]
    return (*columns[:3], columns[3] / columns[2])


def test_rate_size_and_time_have_the_stated_means():
    """A thousand consumers at 24 jobs a day, lognormal run times of 1,800 s on average with CV 1.5."""
    consumer, born, amount, seconds = day(ready(), np.full(1000, 24 / 86400))
    assert_allclose(len(born), 24_000, rtol=0.03)
    assert_allclose(np.bincount(consumer, minlength=1000).var(), 24, rtol=0.2)
    assert np.all(np.diff(born) >= 0)
    assert_allclose([seconds.mean(), seconds.std() / seconds.mean()], [1800, 1.5], rtol=0.08)
    assert_allclose(np.median(seconds), 1800 / np.sqrt(1 + 1.5**2), rtol=0.03)
    number, count = np.unique(amount * 1000, return_counts=True)
    assert_allclose(number, [1, 2, 4, 8])
    assert_allclose(count / len(amount), [0.8, 0.12, 0.06, 0.02], atol=0.01)


@pytest.mark.parametrize("law", ["exponential", "constant", "cluster"])
def test_other_laws_have_the_stated_mean(law):
    """Whatever the law of run times, its mean is `mean_seconds`."""
    seconds = day(ready(law=law, mean_seconds=500.0), np.full(3000, 20 / 86400))[3]
    assert_allclose(seconds.mean(), 500, rtol=0.25 if law == "cluster" else 0.02)
    if law == "exponential":
        assert stats.kstest(seconds, stats.expon(scale=500).cdf).pvalue > 1e-3
    if law == "cluster":
        assert_allclose(np.quantile(seconds, 0.9) / np.median(seconds), 7177 / 626, rtol=0.1)


def test_hours_and_surge_move_births():
    """With a surge to 5 around noon, births follow the hours times the surge, to within their own noise."""
    workload = ready(profile="cluster", surge_factor=5.0)
    born = day(workload, np.full(1000, 48 / 86400))[1]
    by_hour = np.bincount((born // 3600).astype(int), minlength=24)
    expected = np.diff(workload._state.intensity.integral(np.arange(25) * 3600.0)) * 48 / 86.4
    assert np.all(np.abs(by_hour - expected) < 4.5 * np.sqrt(expected))
    assert expected[12] > 2.5 * expected[8]


@pytest.mark.parametrize("dt", [60.0, 600.0, 7200.0])
def test_births_within_a_tick_follow_the_factor_too(dt):
    """However long a tick, births in the surge's rising hour lean to its later half."""
    born = day(ready(surge_factor=20.0), np.full(2000, 20 / 86400), dt)[1]
    hour = born[(born >= 36_000) & (born < 39_600)]
    early = (hour < 37_800).mean()
    half = ready(surge_factor=20.0)._state.intensity.integral(np.array([36_000.0, 37_800, 39_600]))
    assert_allclose(early, (half[1] - half[0]) / (half[2] - half[0]), atol=0.02 if dt < 7200 else 0.08)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300), st.integers(0, 50), st.floats(0.0, 3.0))
def test_one_more_consumer_changes_no_others_jobs(n, tick, births):
    """The jobs of the first n consumers are the same, bit for bit, whoever stands behind them."""
    workload, start = ready(surge_factor=2.0), tick * 60.0
    few = workload.arrivals(STREAMS, tick, start, start + 60, np.full(n, births / 60))
    more = workload.arrivals(STREAMS, tick, start, start + 60, np.append(np.full(n, births / 60), 1.0))
    mine = more.consumer < n
    for name in ("consumer", "born", "amount", "work"):
        assert_array_equal(getattr(few, name), getattr(more, name)[mine])


def test_several_births_of_one_consumer_differ():
    """A consumer with many jobs in a tick gets different times and sizes for them."""
    jobs = ready().arrivals(STREAMS, 0, 0.0, 60.0, np.array([10.0]))
    assert len(jobs) > 400
    assert len(np.unique(jobs.born)) == len(np.unique(jobs.work)) == len(jobs)
    assert np.all((jobs.born >= 0) & (jobs.born < 60))


def test_nothing_is_born_without_consumers():
    """Nobody there, or nobody wanting anything: an empty batch with all its columns."""
    for rate in (np.zeros(0), np.zeros(5)):
        jobs = ready().arrivals(STREAMS, 0, 0.0, 60.0, rate)
        assert len(jobs) == 0
        assert jobs.demand.shape == (0, 0)


def test_amount_is_in_the_markets_unit():
    """One accelerator of 1e15 FLOP/s is 1e-3 units/s of 1e18 FLOP, and 1 unit/s of 1e15."""
    for unit, expected in ((1e18, 1e-3), (1e15, 1.0)):
        jobs = ready(unit, gpus={"1": 1.0}).arrivals(STREAMS, 0, 0.0, 60.0, np.full(50, 0.1))
        assert_allclose(jobs.amount, expected)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"profile": "noon"}, "workload.profile"),
        ({"law": "pareto"}, "workload.law"),
        ({"mean_seconds": 0.0}, "workload.mean_seconds must be > 0"),
        ({"cv": -1.0}, "workload.cv"),
        ({"device_flops": float("nan")}, "workload.device_flops"),
        ({"surge_factor": -2.0}, "workload.surge_factor"),
        ({"gpus": {}}, "workload.gpus"),
        ({"gpus": {"1": -1.0}}, "workload.gpus.1 must be >= 0"),
        ({"gpus": {"0": 1.0}}, "keys, got '0'"),
        ({"gpus": {"many": 1.0}}, "keys, got 'many'"),
        ({"gpus": {"1": 0.0}}, "sum of weights"),
    ],
)
def test_ranges_are_checked(fields, says):
    """One line that names the key."""
    with pytest.raises(ScenarioError, match=says):
        Generated(**fields)
