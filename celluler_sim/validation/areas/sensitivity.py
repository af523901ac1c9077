"""Sensitivity indices of functions whose decomposition of variance is known.

The indices come from a quadrature of the decomposition itself, exact to rounding for smooth functions; where SALib is
installed, the path that the simulator takes (`experiments.sensitivity.analyse`) must agree with them to 0.02.

References
----------
Ishigami and Homma (1990), An importance quantification technique in uncertainty analysis for computer models. Sobol
(2001), Global sensitivity indices for nonlinear mathematical models. Saltelli and Sobol (1995), About the use of rank
transformation in sensitivity analysis of model output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from celluler_sim.errors import InvariantError
from celluler_sim.experiments.anova import decompose, product_indices
from celluler_sim.experiments.config import SensitivityConfig
from celluler_sim.experiments.statistics import Floats
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks

SAMPLED = 8192  # base points of the sampled check
AGREES = 0.02
PI = float(np.pi)

Function = Callable[[Floats], Floats]


@checks("sensitivity")
def sensitivity(question: Question) -> Answers:
    """Answer with first-order and total indices, variance and mean."""
    name = str(question.get("function", "")).lower()
    if isinstance(question.get("a"), list):
        return _g_function(question["a"])
    if "ishigami" in name or (not name and question.has("a", "b")):
        return _ishigami(float(question["a"]), float(question["b"]))
    if (coefficients := question.get("coefficients")) is not None:
        return _linear(coefficients, question)
    raise Unsupported("knows the functions of Ishigami (a, b) and Sobol (a: list), and linear ones (coefficients)")


def _ishigami(a: float, b: float) -> Answers:
    """f(x) = sin x1 + a sin^2 x2 + b x3^4 sin x1, each x uniform on [-pi, pi]."""

    def function(x: Floats) -> Floats:
        return np.asarray(np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0]))

    bounds = [(-PI, PI)] * 3
    found = decompose(function, bounds)
    _agree(function, bounds, found)
    return found


def _g_function(a: Sequence[float]) -> Answers:
    """Return the indices of prod_i (|4 x_i - 2| + a_i) / (1 + a_i), each x uniform on [0, 1]."""
    factors = [lambda x, c=float(c): (np.abs(4 * x - 2) + c) / (1 + c) for c in a]
    return product_indices(factors, [(0.0, 1.0)] * len(a))


def _linear(coefficients: Sequence[float], question: Question) -> Answers:
    """Return the indices of sum_i c_i x_i with independent x of given standard deviations, of uniform ones if none."""
    c = np.asarray(coefficients, dtype=np.float64)
    sd = np.asarray(question.get("sd", question.get("sigma", np.sqrt(1 / 12))), dtype=np.float64)
    parts = np.broadcast_to((c * sd) ** 2, c.shape)
    shares = (parts / parts.sum()).tolist()
    return {"S1": shares, "ST": shares, "variance": float(parts.sum())}


def _agree(function: Function, bounds: Sequence[tuple[float, float]], exact: dict[str, Any]) -> None:
    """Hold the sampled indices against the exact ones."""
    if find_spec("SALib") is None:
        return
    from celluler_sim.experiments.sensitivity import analyse

    config = SensitivityConfig(keys={f"x{i + 1}": limits for i, limits in enumerate(bounds)}, samples=SAMPLED)
    sampled = analyse(config, lambda points: {"f": function(points)}).indices["f"]
    for kind in ("S1", "ST"):
        worst = float(np.max(np.abs(sampled[kind] - np.array(exact[kind]))))
        if worst > AGREES:
            raise InvariantError(f"sampled {kind} must be within {AGREES} of the exact ones, got {worst:.3g} off")
