"""When a consumer asks for service and what it bids, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.behaviours.consumer import Elastic, Outlook, StrategicTiming, Truthful, Wants
from celluler_sim.mechanisms.pricing import SlidingWindow


def wants(*rows):
    """Return jobs from rows of (now, value, give up)."""
    now, value, give_up = np.array(rows, float).reshape(-1, 3).T
    return Wants(now, value, np.ones(len(rows)), give_up)


def outlook(price=100.0, cycle="none", period=3600.0, postpone=1200.0):
    rule = SlidingWindow(cycle=cycle, window_seconds=period)
    return Outlook(price, rule.time_factor, period, postpone)


def test_truthful_asks_at_once_and_bids_the_value():
    """Whatever the price."""
    done = Truthful().decide(wants((7, 30, 99), (8, 500, 9)), outlook(price=100.0), np.array([0.5, 0.5]))
    assert (done.when.tolist(), done.bid.tolist(), done.again.tolist()) == ([7.0, 8.0], [30.0, 500.0], [False, False])


def test_elastic_waits_while_it_is_too_dear():
    """At 100 a job worth 30 is looked at again after -ln(1/e) = one mean time; one worth exactly 100 is asked for."""
    done = Elastic().decide(wants((7, 30, 9e9), (8, 100, 9e9)), outlook(price=100.0), np.exp([-1.0, -2.0]))
    np.testing.assert_allclose(done.when, [1207.0, 8.0])
    assert (done.bid.tolist(), done.again.tolist()) == ([30.0, 100.0], [True, False])


def test_strategic_timing_waits_for_the_fall_of_the_sawtooth():
    """The saw-tooth starts anew at 3600 s: whoever can wait until then does; who cannot asks now, as it only rises."""
    jobs = wants((1800, 500, 4000), (1800, 500, 3600.001), (1800, 500, 3500), (0, 500, 9e9), (3590, 500, 3595))
    done = StrategicTiming().decide(jobs, outlook(cycle="sawtooth"), np.full(5, 0.5))
    np.testing.assert_allclose(done.when, [3600.0, 3600.0, 1800.0, 0.0, 3590.0])
    assert done.bid.tolist() == [500.0] * 5
    assert not done.again.any()


def test_strategic_timing_finds_the_trough_of_the_smooth_cycle():
    """1 + sin(2 pi t/3600)/3 is least at 2700 s and again at 6300 s.

    Who gives up at 2000 s takes the latest point of the grid before; who has just missed the trough waits for the next
    one if it can, and asks at once if not.
    """
    jobs = wants(
        (100, 500, 9e9), (1801, 500, 2000), (2650, 500, 9e9), (2700, 500, 9e9), (2800, 500, 9e9), (2800, 500, 5000)
    )
    done = StrategicTiming().decide(jobs, outlook(cycle="smooth"), np.full(6, 0.5))
    np.testing.assert_allclose(done.when, [2700.0, 1980.0, 2700.0, 2700.0, 6300.0, 2800.0])


def test_without_a_cycle_there_is_nothing_to_wait_for():
    """Of equal moments the earliest."""
    done = StrategicTiming().decide(wants((1234.5, 30, 9e9)), outlook(cycle="none"), np.array([0.5]))
    assert done.when.tolist() == [1234.5]


@pytest.mark.parametrize("cycle", ["sawtooth", "smooth", "none"])
@given(st.floats(0, 1e6), st.floats(0, 2e4), st.floats(1.0, 1e4))
def test_no_moment_on_the_grid_is_cheaper(cycle, now, patience, period):
    """Neither now nor any 60th of the period before giving up, within a period, beats the moment chosen."""
    view = outlook(cycle=cycle, period=period)
    [when] = StrategicTiming().decide(wants((now, 1, now + patience)), view, np.array([0.5])).when.tolist()
    assert now <= when <= max(now, (now + patience))
    step = period / 60
    grid = (np.floor(now / step) + np.arange(1, 61)) * step
    known = view.time_factor(np.array([now, *grid[grid < (now + patience) * (1 - 1e-9)]]))
    assert view.time_factor(np.array([when]))[0] <= known.min() + 1e-11


def test_no_jobs_no_decisions():
    """An empty tick is no special case."""
    for rule in (Truthful(), Elastic(), StrategicTiming()):
        assert len(rule.decide(wants(), outlook(cycle="smooth"), np.empty(0)).when) == 0
