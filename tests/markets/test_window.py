"""The utilisation window by hand, against a grid, and over a long run."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celluler_sim.markets.window import UtilisationWindow, sample_mean, time_weighted

SEEN = [(0, 0.2), (2000, 0.9), (4000, 0.4), (4600, 0.6)]


def test_two_readings_of_irregular_observations():
    """(600*0.2 + 2000*0.9 + 600*0.4 + 400*0.6) / 3600 = 2/3; the three samples inside average 1.9/3."""
    assert time_weighted(SEEN, 5000, 3600) == pytest.approx(2 / 3, abs=1e-12)
    assert sample_mean(SEEN, 5000, 3600) == pytest.approx(1.9 / 3, abs=1e-12)


def test_an_observation_at_the_far_end_is_outside():
    """The window (0, 4] holds the samples 1 and 1; the step of 0 still covers its first two seconds."""
    seen = [(0, 0.0), (2, 1.0), (3, 1.0)]
    assert sample_mean(seen, 4, 4) == 1.0
    assert time_weighted(seen, 4, 4) == 0.5


def test_order_and_later_observations_do_not_matter():
    assert time_weighted([*reversed(SEEN), (6000, 0.0)], 5000, 3600) == pytest.approx(2 / 3, abs=1e-12)


def test_before_a_full_window_the_time_observed_counts():
    """0.4 for 10 s and 0.8 for 30 s average 0.7 over the 40 s observed; at the first moment only 0.4 is known."""
    window = UtilisationWindow(3600)
    assert window.mean(5) == 0.0
    window.observe(10, 0.4)
    assert window.mean(10) == 0.4
    window.observe(20, 0.8)
    assert window.mean(50) == pytest.approx(0.7)


def test_means_of_ticks():
    """Ticks of 60 s at 0.5 and 1.0 average 0.75; a window of 90 s holds half of the first: (0.5*30 + 60)/90."""
    for seconds, mean in ((3600, 0.75), (90, 75 / 90)):
        window = UtilisationWindow(seconds)
        window.observe_mean(0, 60, 0.5)
        window.observe_mean(60, 120, 1.0)
        assert window.mean(120) == pytest.approx(mean)


def test_a_second_observation_of_one_moment_replaces_the_first():
    window = UtilisationWindow(5)
    for value in (0.1, 0.5):
        window.observe(0, value)
    assert len(window) == 1
    assert window.mean(10) == 0.5


@given(
    steps=st.dictionaries(st.integers(0, 300), st.floats(0, 1), min_size=1, max_size=20),
    now=st.integers(1, 400),
    seconds=st.integers(1, 500),
)
def test_agrees_with_a_grid_of_seconds(steps: dict[int, float], now: int, seconds: int):
    """Summing the value in force second by second gives the same mean."""
    first = min(steps)
    grid = [steps[max(t for t in steps if t <= s)] for s in range(max(first, now - seconds), now)]
    expected = np.mean(grid) if grid else steps[first] if now == first else 0.0
    assert time_weighted(steps.items(), now, seconds) == pytest.approx(expected, abs=1e-12)


def test_a_long_run_neither_grows_nor_drifts():
    """100,000 ticks of 60 s at 0.3 keep 61 steps at most, and the mean is still 0.3 to the last digits."""
    window = UtilisationWindow(3600)
    for tick in range(100_000):
        window.observe_mean(60.0 * tick, 60.0 * (tick + 1), 0.3 if tick < 99_990 else 0.6)
        assert len(window) <= 62
        if tick == 99_000:
            assert window.mean(60.0 * (tick + 1)) == pytest.approx(0.3, abs=1e-13)
    assert window.mean(6_000_000) == pytest.approx(0.35, abs=1e-13)


def test_what_has_left_the_window_leaves_no_rounding_behind():
    """An absurd tick of 1e12, then an hour of 0.123: the mean is 0.123, where a sum over all time has lost digits."""
    window = UtilisationWindow(3600)
    window.observe_mean(0, 60, 1e12)
    for tick in range(1, 200):
        window.observe_mean(60.0 * tick, 60.0 * (tick + 1), 0.123)
    assert window.mean(12_000) == pytest.approx(0.123, abs=1e-12)


def test_a_full_market_is_never_more_than_full():
    """Thirds of a second are no binary fractions; their sum may round up, the mean may not."""
    window = UtilisationWindow(1.0)
    for k in range(50):
        window.observe(k / 3, 1.0)
        assert window.mean(k / 3) == 1.0


def test_sample_mean_of_an_empty_window():
    with pytest.raises(ValueError, match=r"^sample_mean needs an observation in \(1400, 5000\] s, got none$"):
        sample_mean([(0, 0.2)], 5000, 3600)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_the_length_must_be_positive(seconds: float):
    with pytest.raises(ValueError, match=r"^window seconds must be a finite number > 0, got"):
        UtilisationWindow(seconds)


def test_time_runs_forward():
    window = UtilisationWindow(10)
    window.observe_mean(0, 60, 0.5)
    for use in (lambda: window.observe(59, 0.1), lambda: window.mean(59)):
        with pytest.raises(ValueError, match=r"^time must not run backwards from 60 s, got 59$"):
            use()
    with pytest.raises(ValueError, match=r"^a tick must end after it starts at 60 s, got 60$"):
        window.observe_mean(60, 60, 0.5)
    with pytest.raises(ValueError, match=r"^an observed utilisation must be a finite number, got nan$"):
        window.observe(60, math.nan)
