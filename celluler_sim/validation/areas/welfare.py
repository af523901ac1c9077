"""Welfare optima with indivisible jobs."""

from __future__ import annotations

from celluler_sim.mechanisms.welfare import assignment, knapsack
from celluler_sim.validation.registry import Answers, Question, checks


@checks("milp-welfare")
def welfare(question: Question) -> Answers:
    """Answer with the best assignment of a matrix of values, or the best set of jobs for one machine."""
    if question.has("values"):
        best = assignment(question["values"])
        return {"assignment": best.columns, "welfare": best.value, "vcg_payments": best.payments}
    sizes, values = zip(*question["jobs"], strict=True)
    filled = knapsack(question["capacity"], sizes, values)
    return {
        "optimal_value": filled.value,
        "jobs": filled.jobs,
        "greedy_by_density_value": filled.greedy,
        "lp_relaxation": filled.relaxation,
        "vcg_payments": filled.payments,
    }
