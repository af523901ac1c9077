"""What became of trust and governance: money lost to fraud, how good detection was, who decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from celluler_sim.analysis.detection import Money, confusion, curve
from celluler_sim.analysis.metrics import nakamoto
from celluler_sim.analysis.reading import Bools, Floats, Slots, Tables, flags, floats, setting, slots

TABLES = ("deliveries", "reports", "checks", "penalties", "reputation", "rings", "proposals", "votes")
Figures = dict[str, float | None]


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def truth_and_accused(tables: Tables) -> tuple[Bools, Bools]:
    """Return who of those with a delivery or a report cheated, and who was accused for good, (n_providers,) each.

    Members of rings cheat with their asks; an accusation that an appeal took back counts as none.
    """
    who = np.unique(np.concatenate([slots(tables, "deliveries", "provider"), slots(tables, "reports", "member")]))
    cheats = np.isin(who, _offences(tables)[0])
    ring = slots(tables, "reputation", "provider")[flags(tables, "reputation", "fraud", "ring")]
    kept = flags(tables, "penalties", "kind", "accusation") & ~flags(tables, "penalties", "appeal", "granted")
    accused = slots(tables, "penalties", "provider")[kept]
    return cheats | np.isin(who, ring), np.isin(who, accused)


def _offences(tables: Tables) -> tuple[Slots, Slots]:
    """Return (provider, tick) of every delivery that was a fraud, and every report that was overstated, by tick."""
    fraud = floats(tables, "deliveries", "cheated") > 0
    lie = floats(tables, "reports", "overstated") > 0
    who = np.concatenate([slots(tables, "deliveries", "provider")[fraud], slots(tables, "reports", "member")[lie]])
    tick = np.concatenate([slots(tables, "deliveries", "tick")[fraud], slots(tables, "reports", "tick")[lie]])
    order = np.argsort(tick, kind="stable")
    return who[order], tick[order]


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
    first: dict[int, int] = {}
    for provider, tick in zip(*_offences(tables), strict=True):
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
    spent, (recovered, wrongly) = checks_paid(tables), recovery(tables)
    overstated = floats(tables, "reports", "overstated")
    breaches = float(flags(tables, "penalties", "kind", "breach").sum())
    return {
        "fraud_share": _ratio(float(cheated.sum()), len(cheated)),
        "fraud_loss_prana": float(lost.sum()) if some else None,
        "fraud_loss_share": _ratio(float(lost.sum()), float(price.sum())),
        "withheld_prana": float(withheld.sum()) if some else None,
        "withheld_share": _ratio(float(withheld.sum()), float(price.sum())),
        "checks_prana": spent if some else None,
        "checks_unpaid": float(floats(tables, "checks", "unpaid").sum()) if some else None,
        "recovered_prana": recovered if some else None,
        "recovered_per_prana": _ratio(recovered, spent),
        "wrongly_taken_prana": wrongly if some else None,
        "overstated_share": _ratio(float(overstated.sum()), len(overstated)),
        "misreport_gain_prana": _kept(tables),
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
        "breaches": breaches if some else None,
        "breaches_per_provider": _ratio(breaches, len(np.unique(slots(tables, "deliveries", "provider")))),
        "rings_holding_share": _rings_holding(tables),
    }


def checks_paid(tables: Tables) -> float:
    """Return what was paid to those who looked at deliveries, reports, bids and trades, PRANA."""
    return float(floats(tables, "checks", "paid_prana").sum())


def recovery(tables: Tables) -> tuple[float, float]:
    """Return (what checks took back from cheats, what they took from the honest), PRANA.

    Taken back is what was found missing and not paid, lies of members of pools included, and what cheats lost of their
    bonds; an appeal that was granted counts as nothing taken.
    """
    guilty = floats(tables, "deliveries", "guilty") > 0
    withheld = (floats(tables, "deliveries", "price_prana") - floats(tables, "deliveries", "earned_prana"))[guilty]
    cheated = floats(tables, "deliveries", "cheated")[guilty] > 0
    believed = floats(tables, "reports", "believed") < floats(tables, "reports", "said")
    gain = np.maximum(floats(tables, "reports", "gain_prana"), 0.0)[believed]
    slashed, cheat = floats(tables, "penalties", "slashed_prana"), floats(tables, "penalties", "cheat") > 0
    kept = ~flags(tables, "penalties", "appeal", "granted")
    back = withheld[cheated].sum() + gain.sum() + slashed[kept & cheat].sum()
    return float(back), float(withheld[~cheated].sum() + slashed[kept & ~cheat].sum())


def _kept(tables: Tables) -> float | None:
    """Return what overstatements brought that pools believed, less what they lost, PRANA; None without reports."""
    gain, held = floats(tables, "reports", "gain_prana"), floats(tables, "reports", "held")
    return float(gain[floats(tables, "reports", "believed") > held].sum()) if len(gain) else None


def money_saved(tables: Tables, blind: Tables) -> Money:
    """Return what detection was worth, against the same world where nobody looked.

    Prevented is the share of the price that was paid for nothing there less the same share here, times the price here:
    worlds that differ in their checks soon differ in their deliveries too.
    """
    here, there = (floats(t, "deliveries", "price_prana").sum() for t in (tables, blind))
    lost, without = (floats(t, "deliveries", "lost_prana").sum() for t in (tables, blind))
    prevented = float(without / there * here - lost) if there else 0.0
    recovered, wrongly = recovery(tables)
    return Money(prevented, recovered, checks_paid(tables), wrongly)


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
