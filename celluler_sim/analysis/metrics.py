"""Inequality, concentration and fairness of a vector of holdings.

All take finite numbers >= 0, at least one. Where every holding is 0 the holders are equal: each has a share of 1/n.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats


def _holdings(name: str, x: npt.ArrayLike) -> Floats:
    """Return ``x`` as a column of floats, or refuse it."""
    column = np.asarray(x, dtype=np.float64)
    if column.ndim != 1 or not column.size:
        raise ValueError(f"{name} needs one row of at least one holding, got shape {column.shape}")
    if (bad := ~(np.isfinite(column) & (column >= 0))).any():
        raise ValueError(f"{name} needs finite holdings >= 0, got {column[bad][0]} at row {int(bad.argmax())}")
    return column


def _shares(name: str, x: npt.ArrayLike) -> Floats:
    """Return each holder's share of the total, (n,); 1/n each where the total is 0."""
    column = _holdings(name, x)
    largest = column.max()
    if largest == 0:
        return np.full(column.shape, 1 / column.size)
    column = column / largest  # the sum of very large or very small holdings stays in range
    return np.asarray(column / column.sum())


def gini(x: npt.ArrayLike) -> float:
    """Return the Gini coefficient, population form: sum over all pairs of |xi - xj| / (2 n^2 mean); 0 is equality.

    References
    ----------
    Gini (1912), Variabilita e mutabilita.

    >>> gini([0, 0, 0, 0, 10])
    0.8
    """
    share = np.sort(_shares("gini", x), kind="stable")  # nearly sorted holdings are quick for the stable sort
    n = share.size
    rank = np.arange(1 - n, n, 2, dtype=np.float64)  # 2 i - n - 1 for i = 1..n
    return max(0.0, float(rank @ share) / n)


def lorenz(x: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the Lorenz curve: shares of the holders, poorest first, and of the total they hold, both (n + 1,) from 0.

    References
    ----------
    Lorenz (1905), Methods of measuring the concentration of wealth.
    """
    share = np.sort(_shares("lorenz", x), kind="stable")
    held = np.concatenate(([0.0], np.cumsum(share)))
    return np.linspace(0.0, 1.0, share.size + 1), held / held[-1]


def theil(x: npt.ArrayLike) -> float:
    """Return Theil's T, the mean of (x/mean) ln(x/mean) with 0 ln 0 = 0; from 0 to ln n.

    References
    ----------
    Theil (1967), Economics and Information Theory.
    """
    share = _shares("theil", x)
    relative = share[share > 0] * share.size
    return max(0.0, float(np.sum(relative * np.log(relative))) / share.size)


def hhi(x: npt.ArrayLike) -> float:
    """Return the Herfindahl-Hirschman index, the sum of squared shares, from 1/n to 1 (times 10,000 in law).

    References
    ----------
    Hirschman (1964), The paternity of an index.
    """
    share = _shares("hhi", x)
    return float(share @ share)


def effective_number(x: npt.ArrayLike) -> float:
    """Return how many equal holders would be as concentrated: 1 / HHI."""
    return 1.0 / hhi(x)


def jain(x: npt.ArrayLike) -> float:
    """Return Jain's fairness index (sum x)^2 / (n sum x^2), from 1/n to 1, the equal split.

    References
    ----------
    Jain, Chiu and Hawe (1984), A quantitative measure of fairness.
    """
    share = _shares("jain", x)
    return min(1.0, 1.0 / (share.size * float(share @ share)))


def nakamoto(x: npt.ArrayLike, threshold: float | Fraction = Fraction(1, 2)) -> int:
    """Return the fewest holders who together have *strictly* more than ``threshold`` of the total.

    Sums are rounded once (`math.fsum`), and a lead of four roundings or less counts as a tie.

    References
    ----------
    Srinivasan and Lee (2017), Quantifying decentralization.

    >>> nakamoto([25, 25, 25, 25])
    3
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"nakamoto threshold must be >= 0 and < 1, got {threshold}")
    holdings = _holdings("nakamoto", x)
    column = np.sort(holdings if holdings.any() else np.ones(holdings.shape), kind="stable")[::-1]
    bar = float(threshold) * math.fsum(column) * (1 + 4 * np.finfo(np.float64).eps)
    count = max(1, int(np.searchsorted(np.cumsum(column), bar, side="right")))
    while count > 1 and math.fsum(column[: count - 1]) > bar:
        count -= 1
    while math.fsum(column[:count]) <= bar:
        count += 1
    return count


def _positive(name: str, value: float, above: float = 0.0) -> float:
    if not (math.isfinite(value) and value > above):
        raise ValueError(f"{name} must be a finite number > {above:g}, got {value}")
    return value


def gini_lognormal(sigma: float) -> float:
    """Return the Gini coefficient of a lognormal with log-standard-deviation ``sigma``: 2 Phi(sigma/sqrt 2) - 1.

    References
    ----------
    Kleiber and Kotz (2003), Statistical Size Distributions in Economics and Actuarial Sciences; so the next three.
    """
    return math.erf(_positive("sigma", sigma) / 2)


def gini_pareto(alpha: float) -> float:
    """Return the Gini coefficient of a Pareto distribution with tail index ``alpha`` > 1: 1 / (2 alpha - 1)."""
    return 1 / (2 * _positive("alpha", alpha, above=1.0) - 1)


def gini_exponential() -> float:
    """Return the Gini coefficient of every exponential distribution: 1/2."""
    return 0.5


def gini_uniform(low: float = 0.0, high: float = 1.0) -> float:
    """Return the Gini coefficient of the uniform distribution on [low, high], low >= 0: (high-low)/(3 (high+low))."""
    if not 0 <= low < _positive("high", high):
        raise ValueError(f"low must be >= 0 and < high = {high:g}, got {low}")
    return (high - low) / (3 * (high + low))
