"""How demand moves with the time of day: profiles measured in real traces, and a surge on top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from celluler_sim.book import Floats
from celluler_sim.errors import ScenarioError, require

_HOURS: Final = {
    "flat": (1.0,) * 24,
    # pods created in each hour, last 30 days of the GPU cluster trace of Weng et al. (2023)
    "cluster": (
        440, 400, 328, 388, 356, 284, 261, 299, 222, 140, 197, 190,
        145, 141, 124, 246, 280, 407, 486, 428, 320, 410, 379, 484,
    ),
    # total request rate by hour over its mean, 14 days of m-small and 1 day of deepseek-r1, Xiang et al. (2025)
    "llm_m_small": (
        0.839, 0.714, 0.733, 0.676, 0.714, 0.660, 0.684, 0.855, 1.015, 1.054, 1.125, 1.093,
        1.060, 1.073, 1.060, 1.047, 1.091, 1.079, 1.007, 1.229, 1.456, 1.402, 1.270, 1.063,
    ),
    "llm_deepseek": (
        1.206, 1.389, 2.034, 1.788, 1.064, 0.908, 0.749, 0.577, 0.596, 0.664, 0.810, 0.830,
        0.447, 0.545, 0.684, 0.704, 0.878, 0.553, 0.749, 0.587, 1.240, 1.621, 2.194, 1.181,
    ),
}  # fmt: skip

PROFILES: Final = tuple(_HOURS)
"""Names of the profiles. The zone of hour 0 is not stated by any publisher."""

_HOUR = 3600.0
_DAY = 24


def hour_of_day_profile(name: str) -> Floats:
    """Return the relative rate of each hour of the day, (24,), mean 1.

    >>> float(hour_of_day_profile("llm_m_small").max().round(2))
    1.46
    """
    if name not in _HOURS:
        raise ScenarioError(f"workload.profile must be one of {', '.join(PROFILES)}, got {name!r}")
    hours = np.array(_HOURS[name], dtype=np.float64)
    return np.asarray(hours / hours.mean())


@dataclass(frozen=True)
class Intensity:
    """The factor on every arrival rate at a time: an hour-of-day profile times a daily surge, repeated every day.

    The surge is a raised cosine, 1 outside ``surge_hours`` around ``surge_hour`` and ``surge_factor`` at its top, so
    that the factor has no jump of its own, and its integral is known in closed form.
    """

    profile: str = "flat"
    surge_hour: float = 12.0  # h, of the top
    surge_factor: float = 1.0  # at the top; 1: no surge
    surge_hours: float = 4.0  # h, from beginning to end

    def __post_init__(self) -> None:
        """Check ranges."""
        require("workload.surge_hour", self.surge_hour, at_least=0, below=_DAY, unit="hours")
        require("workload.surge_factor", self.surge_factor, at_least=0)
        require("workload.surge_hours", self.surge_hours, above=0, at_most=_DAY, unit="hours")
        hour_of_day_profile(self.profile)

    @cached_property
    def _by_hour(self) -> tuple[Floats, Floats, Floats]:
        """The profile (24,), the surge's integral up to each full hour (25,), the product's integral (25,)."""
        hours = hour_of_day_profile(self.profile)
        edges = self._with_surge(np.arange(_DAY + 1.0))
        return hours, edges, np.concatenate([[0.0], np.cumsum(hours * np.diff(edges))])

    def at(self, time: Floats) -> Floats:
        """Return the factor at each time (s), shape of ``time``."""
        hour = np.asarray(time) / _HOUR
        off = (hour - self.surge_hour + _DAY / 2) % _DAY - _DAY / 2
        bump = np.where(np.abs(off) < self.surge_hours / 2, 0.5 + 0.5 * np.cos(2 * np.pi * off / self.surge_hours), 0)
        hours = self._by_hour[0]
        return np.asarray(hours[(hour % _DAY).astype(np.int64)] * (1 + (self.surge_factor - 1) * bump))

    def integral(self, time: Floats) -> Floats:
        """Return the factor's integral from 0 to each time (s), in seconds, shape of ``time``."""
        hours, edges, sums = self._by_hour
        day, hour = np.divmod(np.asarray(time) / _HOUR, _DAY)
        full = hour.astype(np.int64)
        part = hours[full] * (self._with_surge(hour) - edges[full])
        return np.asarray(_HOUR * (day * sums[-1] + sums[full] + part))

    def _with_surge(self, hour: Floats) -> Floats:
        """Return the integral of the surge factor alone from 0 to each hour of one day, in hours."""
        width = self.surge_hours
        day, off = np.divmod(hour - self.surge_hour + _DAY / 2, _DAY)
        off = np.clip(off - _DAY / 2, -width / 2, width / 2)
        bumps = day * width / 2 + off / 2 + width / 4 + width / (4 * np.pi) * np.sin(2 * np.pi * off / width)
        return np.asarray(hour + (self.surge_factor - 1) * bumps)
