"""Checks of deliveries: what is looked at, what is found, who is accused. Nothing here knows who cheats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Frozen, Slots
from celluler_sim.mechanisms.penalties import OFFENCES
from celluler_sim.mechanisms.verification import (
    Evidence,
    Metering,
    ProfitAudit,
    RedundantExecution,
    ReputationTracking,
    Verdicts,
    Verification,
)
from celluler_sim.streams import Draws

Bools = npt.NDArray[np.bool_]
COLUMNS = ("agent", "item", "job", "claimed", "found", "answer", "failed")  # of `Evidence`, in order
Asked = Callable[[Slots, Slots], Slots]  # (agents, items) -> digests of what they answer


@dataclass(frozen=True)
class Findings(Frozen):
    """What checks of one tick's deliveries found."""

    checked: Bools  # (n,) whether the delivery was looked at
    guilty: Bools  #  (n,) whether it was found wanting by itself
    missing: Floats  # (n,) share of the work found missing, 0 where not guilty
    verdicts: Verdicts  # on everybody looked at, all its deliveries together
    unpaid: int = 0  # deliveries that were not looked at since nobody would have paid for it
    again: Slots = field(default_factory=lambda: np.zeros(0, np.int64))  # (n_copies,) who executed work again


def offence_of(rule: Verification) -> int:
    """Return the place in `OFFENCES` of what a rule finds out."""
    names = {ProfitAudit: "profit_manipulation", RedundantExecution: "incorrect_result", ReputationTracking: "downtime"}
    return OFFENCES.index(names.get(type(rule), "false_provisioning"))


def price_of_check(rule: Verification) -> float:
    """Return what looking at one row costs, PRANA, as far as the rule says so beforehand."""
    copies = rule.copies - 1 if isinstance(rule, RedundantExecution) else 1
    return float(getattr(rule, "cost_per_check", 0.0)) * copies


def examine(
    rule: Verification, evidence: Evidence, draws: Draws, helpers: Slots, asked: Asked, most: int | None = None
) -> Findings:
    """Check deliveries by a rule of the family ``verification``; no more than ``most``, those of lowest number.

    A rule that measures, or repeats, judges each delivery for the fine, and each agent by all its deliveries for the
    accusation; deliveries that the customer saw fail are no evidence of deceit. Repeating has some of ``helpers``
    (slots) execute the work again, whose answers ``asked`` fetches.
    """
    n, direct = len(evidence), isinstance(rule, Metering | RedundantExecution)
    rows = np.flatnonzero(~evidence.failed) if direct else np.arange(n)  # a failure that was owned up to hides nothing
    shown = _rows(evidence, rows)
    chosen, guilty, missing = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.zeros(n)
    chosen[rows] = rule.chosen(shown.item, draws)
    beyond = _beyond(chosen, evidence.item, most)
    if beyond.any():
        chosen &= ~beyond
        rows = rows[~beyond[rows]]
        shown = _rows(evidence, rows)
    unpaid = int(beyond.sum())
    if not chosen.any():
        return Findings(chosen, guilty, missing, Verdicts.nobody(), unpaid)
    if isinstance(rule, RedundantExecution):
        shown = _repeated(rule, shown, chosen[rows], draws, helpers, asked)
    again = shown.agent[len(rows) :]
    if direct:
        accused = rule.inspect(replace(shown, agent=np.arange(len(shown))), draws).accused
        guilty[rows[accused[accused < len(rows)]]] = True
        whole = isinstance(rule, RedundantExecution)
        found = 1.0 if whole else np.clip(1.0 - evidence.found / evidence.claimed, 0.0, 1.0)
        missing = np.where(guilty, found, 0.0)
    return Findings(chosen, guilty, missing, rule.inspect(shown, draws), unpaid, again)


def _beyond(chosen: Bools, item: Slots, most: int | None) -> Bools:
    """Return which chosen rows come after the first ``most``, by their numbers, (n,)."""
    order = np.argsort(item, kind="stable")
    beyond = np.zeros(len(item), np.bool_)
    if most is not None:
        beyond[order] = chosen[order] & (np.cumsum(chosen[order]) > most)
    return beyond


def _rows(evidence: Evidence, rows: Slots) -> Evidence:
    return Evidence(*(getattr(evidence, c)[rows] for c in COLUMNS))


def _repeated(
    rule: RedundantExecution, evidence: Evidence, chosen: Bools, draws: Draws, helpers: Slots, asked: Asked
) -> Evidence:
    """Return the evidence with the rows of those who execute chosen work again; others than the first, and distinct."""
    rows, copies = np.flatnonzero(chosen), min(rule.copies - 1, len(helpers) - 1)
    if copies <= 0:
        return evidence
    first, item = evidence.agent[rows], evidence.item[rows]
    place = np.searchsorted(helpers, first)
    step = 1 + (draws.uniform(2 * item + 1) * (len(helpers) - 1)).astype(np.int64)
    turn = np.arange(copies)
    offset = 1 + (step[:, None] - 1 + turn) % (len(helpers) - 1)
    agent = helpers[(place[:, None] + offset) % len(helpers)].ravel()
    again = np.repeat(item, copies)
    more = Evidence.of(agent, again, again, 1.0, 1.0, asked(agent, again), 0)
    return Evidence(*(np.concatenate([getattr(evidence, c), getattr(more, c)]) for c in COLUMNS))
