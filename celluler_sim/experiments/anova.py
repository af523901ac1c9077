"""The decomposition of variance itself, by quadrature: exact indices to hold estimates against.

References
----------
Sobol (2001), Global sensitivity indices for nonlinear mathematical models and their Monte Carlo estimates. Owen (2013),
Variance components and generalized Sobol' indices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from celluler_sim.experiments.statistics import Floats

NODES = 24  # of Gauss and Legendre in each half of a range: exact for polynomials up to degree 47
MOST_KEYS = 4  # of the full grid: 48 nodes a key


def nodes(low: float, high: float) -> tuple[Floats, Floats]:
    """Return nodes and weights, (48,) each, for a mean over [low, high]; its halves are integrated separately."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    middle = (low + high) / 2
    halves = [(a + (b - a) * (x + 1) / 2, w / 4) for a, b in ((low, middle), (middle, high))]
    return np.concatenate([points for points, _ in halves]), np.concatenate([weights for _, weights in halves])


def decompose(function: Callable[[Floats], Floats], bounds: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return S1, ST, the index of each pair, variance and mean of a function of independent uniforms.

    1. Values on the full grid. 2. For each set of keys, the variance of the mean over all others. 3. S1: of one key
    alone; ST: what remains when all the others are known; of a pair: beyond its two keys.

    Parameters
    ----------
    function
        Of points, (n, n_keys), to values, (n,).
    bounds
        Range of each key, at most four.
    """
    k = len(bounds)
    if not 1 <= k <= MOST_KEYS:
        raise ValueError(f"decompose needs 1 to {MOST_KEYS} keys, got {k}")
    grids = [nodes(*limits) for limits in bounds]
    points = np.stack(np.meshgrid(*[x for x, _ in grids], indexing="ij"), axis=-1)
    values = function(points.reshape(-1, k)).reshape(points.shape[:-1])
    weights = [w for _, w in grids]
    mean = float(_mean_over(values, weights, range(k)))
    closed = {
        own: _variance_of(values - mean, weights, own)
        for r in (1, 2, k - 1, k)
        for own in itertools.combinations(range(k), r)
    }
    variance = closed[tuple(range(k))]
    first = [closed[i,] / variance for i in range(k)]
    rest = [closed.get(tuple(j for j in range(k) if j != i), 0.0) for i in range(k)]
    pairs = {
        f"S{i + 1}{j + 1}": closed[i, j] / variance - first[i] - first[j]
        for i, j in itertools.combinations(range(k), 2)
    }
    return {"S1": first, "ST": [1 - part / variance for part in rest], "variance": variance, "mean": mean, **pairs}


def _mean_over(values: Floats, weights: Sequence[Floats], keys: Sequence[int]) -> Floats:
    for key in sorted(keys, reverse=True):
        values = np.tensordot(values, weights[key], axes=(key, 0))
    return values


def _variance_of(values: Floats, weights: Sequence[Floats], own: Sequence[int]) -> float:
    """Return the variance of the mean of centred values over all keys but ``own``."""
    others = [key for key in range(values.ndim) if key not in own]
    left = _mean_over(values, weights, others)
    return float(_mean_over(left**2, [weights[key] for key in own], range(len(own))))


def product_indices(
    factors: Sequence[Callable[[Floats], Floats]], bounds: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Return the same for a product of functions of one key each, any number of keys.

    Of the factors, m_i are the means and v_i the variances. The variance is prod(m_i^2 + v_i) - prod(m_i^2). That of
    the mean given key i is v_i prod_{j != i} m_j^2; with all others known, v_i prod_{j != i} (m_j^2 + v_j) remains.
    """
    grids = [nodes(*limits) for limits in bounds]
    values = [factor(x) for factor, (x, _) in zip(factors, grids, strict=True)]
    m = np.array([w @ f for f, (_, w) in zip(values, grids, strict=True)])
    v = np.array([w @ (f - a) ** 2 for f, a, (_, w) in zip(values, m, grids, strict=True)])
    square, both = m**2, m**2 + v
    variance = float(both.prod() - square.prod())
    n = range(len(m))
    first = [float(v[i] * np.delete(square, i).prod() / variance) for i in n]
    total = [float(v[i] * np.delete(both, i).prod() / variance) for i in n]
    return {"S1": first, "ST": total, "variance": variance, "mean": float(m.prod())}
