"""Conservation of money: exact splits and fees."""

from __future__ import annotations

from collections.abc import Sequence

from celluler_sim.ledger import split_fee, split_units
from celluler_sim.validation.registry import Answers, Question, checks


@checks("conservation")
def conservation(question: Question) -> Answers:
    """Answer with the parts of a split, after the fee where one is taken; all whole numbers of 1e-18 PRANA."""
    weights = question["weights"]
    if question.has("amount_units"):
        fee, parts = split_fee(int(question["amount_units"]), question.get("fee_bps", 0), weights)
        return {"fee": fee, "parts": parts, "sum": fee + sum(parts)}
    total = int(question["total_units"])
    parts = split_units(total, weights)
    return {
        "parts": parts,
        "sum": sum(parts),
        "floors_lost": total - sum(total * weight // sum(weights) for weight in weights),
        "float_error": _lost_in_floats(total, weights),
    }


def _lost_in_floats(total: int, weights: Sequence[int]) -> int:
    """Return what a split in IEEE doubles makes (or, negative, loses): the reason why the ledger uses integers."""
    whole = sum(weights)
    return sum(int(total * (weight / whole)) for weight in weights) - total
