"""Dividing one capacity, or several resources, among users."""

from __future__ import annotations

from typing import Any

from celluler_sim.analysis.fairness import asset_fairness, competitive_equilibrium
from celluler_sim.mechanisms.drf import dominant_resource_fairness
from celluler_sim.mechanisms.filling import capped_equal_share, max_min, proportional_share
from celluler_sim.validation.registry import Answers, Question, checks


@checks("max-min")
def division(question: Question) -> Answers:
    """Answer with the (weighted) max-min division, beside the one-pass rule that strands capacity."""
    capacity, demands = question["capacity"], question["demands"]
    shares = max_min(capacity, demands, question.get("weights"))
    naive = capped_equal_share(capacity, demands)
    return {
        "max_min": shares,
        "sum": shares.sum(),
        "naive_capped_equal_share": naive,
        "naive_unallocated": capacity - naive.sum(),
    }


@checks("proportional-share")
def proportional(question: Question) -> Answers:
    """Answer with the division by weights, and with what caps leave over redistributed."""
    capacity, weights = question["capacity"], question["weights"]
    capped = proportional_share(capacity, weights, question.get("caps"))
    return {"proportional": proportional_share(capacity, weights), "proportional_capped_redistributed": capped}


@checks("drf")
def several_resources(question: Question) -> Answers:
    """Answer with dominant resource fairness and, where asked for, its two rivals."""
    economy = question["capacity"], question["demand_per_task"], question.get("weights")
    fair = dominant_resource_fairness(*economy)
    answers: dict[str, Any] = {"tasks": fair.tasks, "dominant_shares": fair.shares, "used": fair.used}
    if question.wants("asset_fairness_tasks"):
        answers["asset_fairness_tasks"] = asset_fairness(*economy)
    if question.wants("ceei_tasks"):
        answers["ceei_tasks"] = competitive_equilibrium(*economy)
    return answers
