"""Utilisation over a sliding window: what "how busy" means to a pricing rule."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np


class UtilisationWindow:
    """The time-weighted mean of a step function over the last ``seconds``.

    An observation holds until the next one. Before a full window has been observed the mean is over the time observed
    so far; before anything has been observed it is 0. Each observation is added once and dropped once, so a tick costs
    the same however long the window, and memory holds one window.

    >>> window = UtilisationWindow(3600)
    >>> for time, value in [(0, 0.2), (2000, 0.9), (4000, 0.4), (4600, 0.6)]:
    ...     window.observe(time, value)
    >>> round(window.mean(5000), 12)  # (600 * 0.2 + 2000 * 0.9 + 600 * 0.4 + 400 * 0.6) / 3600
    0.666666666667
    """

    def __init__(self, seconds: float) -> None:
        """Start an empty window of ``seconds`` > 0."""
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"window seconds must be a finite number > 0, got {seconds}")
        self.seconds = seconds
        self._steps: deque[tuple[float, float, float]] = deque()  # start in s, value, integral up to the start
        self._now = -math.inf  # nothing earlier may be observed or asked for
        self._range = (math.inf, -math.inf)
        self._dropped = 0

    def __len__(self) -> int:
        """Return how many steps are held."""
        return len(self._steps)

    def observe(self, time: float, value: float) -> None:
        """Note that the value is ``value`` from ``time`` (s) on; a second observation of one moment replaces the first.

        Raises
        ------
        ValueError
            If the time lies before one already observed or asked for, or a figure is not finite.
        """
        self._advance(time)
        if not math.isfinite(value):
            raise ValueError(f"an observed utilisation must be a finite number, got {value}")
        if self._steps and self._steps[-1][0] == time:
            self._steps.pop()
        self._steps.append((time, value, self._integral(time) if self._steps else 0.0))
        self._range = min(self._range[0], value), max(self._range[1], value)

    def observe_mean(self, t0: float, t1: float, mean: float) -> None:
        """Note that the value averaged ``mean`` over [t0, t1) (s), a tick's length."""
        if not t1 > t0:
            raise ValueError(f"a tick must end after it starts at {t0} s, got {t1}")
        self.observe(t0, mean)
        self._now = t1

    def mean(self, now: float) -> float:
        """Return the time-weighted mean over (now - seconds, now].

        Raises
        ------
        ValueError
            If ``now`` lies before a moment already observed or asked for.
        """
        self._advance(now)
        if not self._steps:
            return 0.0
        start = max(now - self.seconds, self._steps[0][0])
        if start >= now:
            return self._steps[-1][1]
        first, value, before = self._steps[0]
        mean = (self._integral(now) - before - value * (start - first)) / (now - start)
        return min(max(mean, self._range[0]), self._range[1])  # rounding must not leave the range of the values

    def _integral(self, time: float) -> float:
        start, value, before = self._steps[-1]
        return before + value * (time - start)

    def _advance(self, now: float) -> None:
        """Move on to ``now`` and drop the steps that ended before the window."""
        if not (math.isfinite(now) and now >= self._now):
            raise ValueError(f"time must not run backwards from {self._now} s, got {now}")
        self._now = now
        while len(self._steps) > 1 and self._steps[1][0] <= now - self.seconds:
            self._steps.popleft()
            self._dropped += 1
        if self._dropped > len(self._steps):
            self._rebase()

    def _rebase(self) -> None:
        """Integrate afresh from the first step held, so that rounding cannot add up over a long run."""
        total, held = 0.0, list(self._steps)
        for i, (start, value, _) in enumerate(held):
            held[i] = (start, value, total)
            total += value * (held[i + 1][0] - start) if i + 1 < len(held) else 0.0
        self._steps = deque(held)
        self._dropped = 0


Observations = Iterable[tuple[float, float]]  # time in s and value; any order, the last of one moment counts


def time_weighted(observations: Observations, now: float, seconds: float) -> float:
    """Return the mean over (now - seconds, now] of the step function whose last value holds: the reading used here."""
    window = UtilisationWindow(seconds)
    for time, value in sorted(observations, key=lambda seen: seen[0]):
        if time <= now:
            window.observe(time, value)
    return window.mean(now)


def sample_mean(observations: Observations, now: float, seconds: float) -> float:
    """Return the plain mean of the observations inside (now - seconds, now], blind to how long each one held.

    Raises
    ------
    ValueError
        If the window holds no observation.
    """
    inside = [value for time, value in observations if now - seconds < time <= now]
    if not inside:
        raise ValueError(f"sample_mean needs an observation in ({now - seconds:g}, {now:g}] s, got none")
    return float(np.mean(inside))
