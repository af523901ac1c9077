"""Inequality and concentration."""

from __future__ import annotations

from fractions import Fraction

from celluler_sim.analysis import metrics
from celluler_sim.validation.registry import Answers, Question, Unsupported, checks


@checks("metrics")
def inequality(question: Question) -> Answers:
    """Answer with the measures of a vector of holdings, or with the Gini coefficients of distributions."""
    if question.has("x"):
        return _of_holdings(question)
    if not question.wants("lognormal", "pareto", "exponential", "uniform"):
        raise Unsupported(f"no measure has inputs {', '.join(sorted(question.inputs))}")
    answers = {"exponential": metrics.gini_exponential(), "uniform": metrics.gini_uniform()}
    if question.wants("lognormal"):
        answers["lognormal"] = metrics.gini_lognormal(question["sigma"])
    if question.wants("pareto"):
        answers["pareto"] = metrics.gini_pareto(question["alpha"])
    return answers


def _of_holdings(question: Question) -> Answers:
    x = question["x"]
    return {
        "gini": metrics.gini(x),
        "hhi": metrics.hhi(x),
        "hhi_10000": 10_000 * metrics.hhi(x),
        "theil": metrics.theil(x),
        "jain": metrics.jain(x),
        "effective_number": metrics.effective_number(x),
        "nakamoto_half": metrics.nakamoto(x, Fraction(1, 2)),
        "nakamoto_third": metrics.nakamoto(x, Fraction(1, 3)),
    }
