"""Means with intervals, paired differences, and Holm's correction: the arithmetic behind every experiment.

References
----------
Student (1908), The probable error of a mean. Holm (1979), A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean, and where it would be in 95 of 100 experiments."""

    n: int  # finite values
    mean: float
    low: float  # NaN with fewer than two values
    high: float
    sd: float

    @property
    def width(self) -> float:
        """From low to high."""
        return self.high - self.low


def interval(values: Sequence[float] | Floats) -> Interval:
    """Return mean and 95 % t interval of the finite ones of ``values``, (n,).

    >>> interval([1.0, 2.0, 3.0]).mean
    2.0
    >>> round(interval([1.0, 2.0, 3.0]).high, 3)  # 2 + 4.303 / sqrt(3)
    4.484
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[np.isfinite(x)]
    n = len(x)
    if not n:
        return Interval(0, math.nan, math.nan, math.nan, math.nan)
    mean = float(x.mean())
    if n == 1:
        return Interval(1, mean, math.nan, math.nan, math.nan)
    sd = _sd(x)
    half = t_quantile(n - 1) * sd / math.sqrt(n)
    return Interval(n, mean, mean - half, mean + half, sd)


def _sd(x: Floats) -> float:
    """Return the standard deviation, exactly 0 where all values are one: their mean may be off by a rounding."""
    return 0.0 if (x == x[0]).all() else float(x.std(ddof=1))


def t_quantile(freedom: int, level: float = LEVEL) -> float:
    """Return the two-sided quantile of Student's t with ``freedom`` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


class Paired(NamedTuple):
    """One figure of A and B in the same worlds."""

    n: int  # worlds in which both have the figure
    mean_a: float
    mean_b: float
    difference: float  # of A less B
    low: float
    high: float
    p: float  # of a difference of 0, two-sided
    variance_ratio: float  # variance of a difference between unpaired worlds over that within a world


def paired(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Paired:
    """Return the paired t comparison of ``a`` and ``b``, (n,), entry i of both from world i.

    The variance ratio is (var a + var b) / var(a - b): by how many times more unpaired worlds would be needed for an
    interval of the same width. It is infinite where the difference is one in every world, NaN where nothing varies.
    """
    both = np.stack([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    both = both[:, np.isfinite(both).all(axis=0)]
    n = both.shape[1]
    if not n:
        return Paired(0, *[math.nan] * 7)
    d = interval(both[0] - both[1])
    return Paired(n, float(both[0].mean()), float(both[1].mean()), d.mean, d.low, d.high, _p_value(d), _ratio(both, d))


def _p_value(d: Interval) -> float:
    if d.n < 2:
        return math.nan
    if d.sd == 0:
        return 1.0 if d.mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(d.n - 1, -abs(d.mean) / (d.sd / math.sqrt(d.n))))


def _ratio(both: Floats, d: Interval) -> float:
    if d.n < 2:
        return math.nan
    apart = _sd(both[0]) ** 2 + _sd(both[1]) ** 2
    if d.sd == 0:
        return math.inf if apart > 0 else math.nan
    return apart / d.sd**2


def holm(p: Sequence[float] | Floats) -> Floats:
    """Return the p-values, (n,), corrected for their number; NaN stays and does not count.

    1. Sort ascending: p(1) <= p(2) <= … 2. Multiply p(k) by n - k + 1. 3. Let none be below one before it, nor above 1.

    >>> holm([0.01, 0.04, 0.03]).tolist()  # 0.01 * 3, then 0.03 * 2, then 0.04 * 1, which may not be less than 0.06
    [0.03, 0.06, 0.06]
    """
    raw = np.asarray(p, dtype=np.float64)
    corrected = np.full(raw.shape, np.nan)
    known = np.flatnonzero(np.isfinite(raw))
    order = known[np.argsort(raw[known], kind="stable")]
    steps = raw[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
