"""What became of trust and governance: money lost to fraud, how good detection was, who decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from celluler_sim.analysis.detection import confusion, curve
from celluler_sim.analysis.metrics import nakamoto
from celluler_sim.analysis.reading import Bools, Floats, Tables, flags, floats, setting, slots

TABLES = ("deliveries", "penalties", "reputation", "rings", "proposals", "votes")
Figures = dict[str, float | None]


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def truth_and_accused(tables: Tables) -> tuple[Bools, Bools]:
    """Return who of the providers with a delivery cheated, and who was accused for good, (n_providers,) each.

    Members of rings cheat with their asks; an accusation that an appeal took back counts as none.
    """
    who, row = np.unique(slots(tables, "deliveries", "provider"), return_inverse=True)
    cheats = np.bincount(row, floats(tables, "deliveries", "cheated"), len(who)) > 0 if len(who) else np.zeros(0, bool)
    ring = slots(tables, "reputation", "provider")[flags(tables, "reputation", "fraud", "ring")]
    kept = flags(tables, "penalties", "kind", "accusation") & ~flags(tables, "penalties", "appeal", "granted")
    accused = slots(tables, "penalties", "provider")[kept]
    return cheats | np.isin(who, ring), np.isin(who, accused)


def last_standing(tables: Tables) -> tuple[Floats, Bools, Bools, Bools]:
    """Return (score, whether it is a cheat, is let in, has delivered) of every provider in the last sample."""
    tick = slots(tables, "reputation", "tick")
    last = tick == tick.max(initial=-1)
    cheat = ~flags(tables, "reputation", "fraud", "honest")
    return (
        floats(tables, "reputation", "score")[last], cheat[last],
        floats(tables, "reputation", "admitted")[last].astype(np.bool_),
        np.isin(slots(tables, "reputation", "provider")[last], slots(tables, "deliveries", "provider")),
    )  # fmt: skip


def detection_delay(tables: Tables, tick_seconds: float) -> float | None:
    """Return the mean time from a cheat's first fraud to its first accusation, s, over cheats that were accused."""
    cheated = floats(tables, "deliveries", "cheated") > 0
    first: dict[int, int] = {}
    pairs = zip(
        slots(tables, "deliveries", "provider")[cheated], slots(tables, "deliveries", "tick")[cheated], strict=True
    )
    for provider, tick in pairs:
        first.setdefault(int(provider), int(tick))
    accused = flags(tables, "penalties", "kind", "accusation")
    found: dict[int, int] = {}
    for provider, tick in zip(
        slots(tables, "penalties", "provider")[accused], slots(tables, "penalties", "tick")[accused], strict=True
    ):
        if int(provider) in first and tick >= first[int(provider)]:
            found.setdefault(int(provider), int(tick))
    delays = [found[p] - first[p] for p in found]
    return float(np.mean(delays)) * tick_seconds if delays else None


def trust_figures(tables: Tables, config: Mapping[str, Any]) -> Figures:
    """Return the summary's figures of trust; None where there is none."""
    price, lost = floats(tables, "deliveries", "price_prana"), floats(tables, "deliveries", "lost_prana")
    cheated = floats(tables, "deliveries", "cheated")
    truth, accused = truth_and_accused(tables)
    table = confusion(truth, accused)
    score, cheat, admitted, sold = last_standing(tables)
    known = cheat[sold]
    withheld = floats(tables, "deliveries", "price_prana") - floats(tables, "deliveries", "earned_prana")
    some = len(price) > 0
    return {
        "fraud_share": _ratio(float(cheated.sum()), len(cheated)),
        "fraud_loss_prana": float(lost.sum()) if some else None,
        "fraud_loss_share": _ratio(float(lost.sum()), float(price.sum())),
        "withheld_prana": float(withheld.sum()) if some else None,
        "checks_prana": float(floats(tables, "deliveries", "check_prana").sum()) if some else None,
        "slashed_prana": float(floats(tables, "penalties", "slashed_prana").sum()) if some else None,
        "detection_precision": table.precision if some else None,
        "detection_recall": table.recall if some else None,
        "false_alarm_share": table.false_alarm_rate if some else None,
        "detection_delay_s": detection_delay(tables, float(setting(config, "tick_seconds") or 0.0)),
        "reputation_auc": curve(known, -score[sold]).auc if known.any() and not known.all() else None,
        "cheats_admitted_share": _ratio(float((cheat & admitted).sum()), float(cheat.sum())),
        "honest_admitted_share": _ratio(float((~cheat & admitted).sum()), float((~cheat).sum())),
        "cheating_propensity": float(floats(tables, "reputation", "propensity")[_last(tables)][cheat].mean())
        if cheat.any()
        else None,
        "mean_latency_ms": float(floats(tables, "deliveries", "latency_ms").mean()) if some else None,
        "breaches": float(flags(tables, "penalties", "kind", "breach").sum()) if some else None,
        "rings_holding_share": _rings_holding(tables),
    }


def _last(tables: Tables) -> Bools:
    tick = slots(tables, "reputation", "tick")
    return np.asarray(tick == tick.max(initial=-1))


def _rings_holding(tables: Tables) -> float | None:
    period = slots(tables, "rings", "period")
    holds = floats(tables, "rings", "holds")[period == period.max(initial=-1)]
    return float(holds.mean()) if len(holds) else None


def governance_figures(tables: Tables) -> Figures:
    """Return the summary's figures of governance; None where there is none."""
    status_known = len(slots(tables, "proposals", "proposal"))
    closed = flags(tables, "proposals", "status", "executed", "rejected", "failed")
    first = slots(tables, "votes", "proposal") == slots(tables, "votes", "proposal").min(initial=0)
    stake, power = floats(tables, "votes", "stake_prana")[first], floats(tables, "votes", "power")[first]
    some = len(stake) > 0 and stake.sum() > 0
    executed = flags(tables, "proposals", "status", "executed")
    return {
        "proposals_executed": float(executed.sum()) if status_known else None,
        "proposals_refused": float(flags(tables, "proposals", "status", "refused").sum()) if status_known else None,
        "mean_turnout": float(floats(tables, "proposals", "turnout")[closed].mean()) if closed.any() else None,
        "mean_approval": float(floats(tables, "proposals", "approval")[closed].mean()) if closed.any() else None,
        "bribes_prana": float(floats(tables, "proposals", "bribes_prana").sum()) if status_known else None,
        "largest_stake_share": float(stake.max() / stake.sum()) if some else None,
        "largest_power_share": float(power.max()) if some else None,
        "nakamoto_votes": float(nakamoto(stake)) if some else None,
    }
