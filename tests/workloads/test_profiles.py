"""The hours of the day and the surge: means, shapes and integrals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.errors import ScenarioError
from celluler_sim.workloads.profiles import PROFILES, Intensity, hour_of_day_profile

intensities = st.builds(
    Intensity,
    profile=st.sampled_from(PROFILES),
    surge_hour=st.floats(0, 23.99),
    surge_factor=st.floats(0, 20),
    surge_hours=st.floats(0.5, 24),
)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("flat", 1.0, 1.0), ("cluster", 0.41, 1.58), ("llm_m_small", 0.66, 1.46), ("llm_deepseek", 0.45, 2.19)],
)
def test_profiles_have_mean_one_and_the_published_extremes(name, lowest, highest):
    """The cluster's quietest hour saw 124 pods and its busiest 486, of 306.5 on average."""
    hours = hour_of_day_profile(name)
    assert hours.shape == (24,)
    assert_allclose(hours.mean(), 1.0)
    assert_allclose([hours.min(), hours.max()], [lowest, highest], atol=0.01)


def test_surge_by_hand():
    """A surge to three times, four hours wide around noon: 1 at ten, 2 at eleven, 3 at noon, 1 again at two.

    It adds half its height over its width: 2 * 4 / 2 = 4 hours to the day's 24.
    """
    surge = Intensity(surge_factor=3.0)
    assert_allclose(surge.at(np.array([9.0, 10, 11, 12, 13, 14, 36]) * 3600), [1, 1, 2, 3, 2, 1, 3])
    assert_allclose(surge.integral(np.array([0.0, 12, 24, 48]) * 3600), np.array([0, 14, 28, 56]) * 3600.0)


@given(intensities, st.floats(0, 2e5), st.floats(1, 1e5))
def test_integral_is_that_of_the_factor(intensity, start, length):
    """Summing the factor over many small steps gives the closed form's difference."""
    edges = np.linspace(start, start + length, 20_001)
    middle = (edges[:-1] + edges[1:]) / 2
    summed = np.sum(intensity.at(middle) * np.diff(edges))
    low, high = intensity.integral(np.array([start, start + length]))
    assert_allclose(high - low, summed, rtol=2e-3, atol=length / 20_000 * 25)


@given(intensities)
def test_a_surge_around_midnight_is_whole(intensity):
    """Wherever the surge lies, under a flat profile a day holds its width times half its height."""
    flat = Intensity("flat", intensity.surge_hour, intensity.surge_factor, intensity.surge_hours)
    added = (intensity.surge_factor - 1) * intensity.surge_hours / 2
    assert_allclose(flat.integral(np.array(86400.0)), (24 + added) * 3600, rtol=1e-9)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"profile": "nightly"}, "workload.profile must be one of flat"),
        ({"surge_hour": 24.0}, "workload.surge_hour"),
        ({"surge_factor": -1.0}, "workload.surge_factor"),
        ({"surge_hours": 0.0}, "workload.surge_hours"),
    ],
)
def test_ranges_are_checked(fields, says):
    """A factor cannot be negative, nor a surge be without width or longer than a day."""
    with pytest.raises(ScenarioError, match=says):
        Intensity(**fields)
