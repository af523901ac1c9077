"""The figures that sum up a run: flat, with stable names, the unit in the name's ending."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from celluler_sim.analysis.figures import FIGURES, format_table
from celluler_sim.analysis.ordering import ordering_figures
from celluler_sim.analysis.pools import pool_figures
from celluler_sim.analysis.reading import (
    SERVED,
    Bools,
    Floats,
    Tables,
    flags,
    floats,
    revenue_by_provider,
    slots,
    work_by_provider,
)
from celluler_sim.analysis.training import TABLES as TRAINING_TABLES
from celluler_sim.analysis.training import training_figures
from celluler_sim.analysis.trust import TABLES as TRUST_TABLES
from celluler_sim.analysis.trust import governance_figures, trust_figures

__all__ = ["FIGURES", "format_table", "served_share_by_consumer", "summarise"]

Figures = dict[str, float | None]

USED = (
    "markets", "jobs", "fills", "agents", "transactions", "pools", "pool_members", "pool_moves", *TRAINING_TABLES,
    *TRUST_TABLES,
)  # fmt: skip


def summarise(tables: Tables, config: Mapping[str, Any], facts: Mapping[str, float] | None = None) -> Figures:
    """Return the figures of `FIGURES`, all but those of speed, and the workload's facts as ``trace_<name>``.

    Parameters
    ----------
    tables
        Tables by name, with the columns of `celluler_sim.tables`; missing and empty ones are allowed.
    config
        The composed configuration of the run.
    facts
        What the workload says of its trace, or of the generator fitted to one.

    Returns
    -------
    dict
        Floats by name; None where a figure has no meaning (the mean wait of no job, say).
    """
    tables = {name: tables[name] for name in USED if name in tables}  # reading a table may copy it
    found = _price(tables) | _use(tables) | _service(tables) | _waits(tables, config) | _times(tables, config)
    found |= _welfare(tables) | _distribution(tables, config) | ordering_figures(tables) | _size(tables)
    found |= pool_figures(tables) | training_figures(tables)
    found |= trust_figures(tables, config) | governance_figures(tables)
    figures = {name: _clean(found[name]) for name in FIGURES if name in found}
    return figures | {f"trace_{name}": _clean(value) for name, value in (facts or {}).items()}


def _clean(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _mean(x: Floats, weight: Floats | None = None) -> float | None:
    if not len(x) or (weight is not None and not weight.sum() > 0):
        return None
    return float(np.average(x, weights=weight))


def _quantile(x: Floats, q: float) -> float | None:
    return float(np.quantile(x, q)) if len(x) else None


def _max(x: Floats) -> float | None:
    return float(x.max()) if len(x) else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _price(tables: Tables) -> Figures:
    quoted = floats(tables, "markets", "price_prana")
    quoted = quoted[np.isfinite(quoted)]
    work = floats(tables, "fills", "work")
    return {
        "mean_price_prana": _mean(quoted),
        "mean_price_paid_prana": _mean(floats(tables, "fills", "price_prana"), work),
        "price_p95_prana": _quantile(quoted, 0.95),
        "price_max_prana": _max(quoted),
    }


def _use(tables: Tables) -> Figures:
    busy, capacity = floats(tables, "markets", "busy"), floats(tables, "markets", "capacity")
    used = floats(tables, "markets", "utilisation")
    tick = slots(tables, "markets", "tick")
    queue = np.bincount(tick, floats(tables, "markets", "queue")) if len(tick) else np.empty(0)
    work, served = floats(tables, "jobs", "work"), flags(tables, "jobs", "status", *SERVED)
    return {
        "mean_utilisation": _ratio(float(busy.sum()), float(capacity.sum())),
        "peak_utilisation": _max(used[np.isfinite(used)]),
        "mean_queue": _mean(queue.astype(np.float64)),
        "peak_queue": _max(queue.astype(np.float64)),
        "requested_work_units": float(work.sum()),
        "served_work_units": float(work[served].sum()),
    }


def _decided(tables: Tables) -> tuple[Bools, Bools]:
    """Return which jobs are no longer waiting and which of all jobs started, both (n_jobs,)."""
    return ~flags(tables, "jobs", "status", "waiting"), flags(tables, "jobs", "status", *SERVED)


def _service(tables: Tables) -> Figures:
    decided, served = _decided(tables)
    work = floats(tables, "jobs", "work")
    kinds = ("finished", "running", "waiting", "reneged", "expired", "refused")
    n = {kind: float(np.count_nonzero(flags(tables, "jobs", "status", kind))) for kind in kinds}
    tick, postponed = slots(tables, "markets", "tick"), floats(tables, "markets", "postponed")
    return {
        "served_share": _ratio(float(served.sum()), float(decided.sum())),
        "served_work_share": _ratio(float(work[served].sum()), float(work[decided].sum())),
        "unserved_share": _ratio(float((decided & ~served).sum()), float(decided.sum())),
        "reneged_share": _ratio(n["reneged"], float(decided.sum())),
        "jobs_submitted": float(len(decided)),
        **{f"jobs_{kind}": n[kind] for kind in kinds},
        "jobs_unfinished": n["running"] + n["waiting"],
        "jobs_postponed": float(postponed[tick == tick.max(initial=0)].sum()),
    }


def _waits(tables: Tables, config: Mapping[str, Any]) -> Figures:
    wait = floats(tables, "jobs", "wait_s")
    wait = wait[np.isfinite(wait)]
    gone = flags(tables, "jobs", "status", "reneged")
    gave_up = (floats(tables, "jobs", "finished_s") - floats(tables, "jobs", "born_s"))[gone]
    one_tick = float(config.get("tick_seconds", 0.0))
    return {
        "mean_wait_s": _mean(wait),
        "wait_p50_s": _quantile(wait, 0.5),
        "wait_p90_s": _quantile(wait, 0.90),
        "wait_p95_s": _quantile(wait, 0.95),
        "wait_p99_s": _quantile(wait, 0.99),
        "wait_zero_share": _mean((wait <= one_tick).astype(np.float64)),
        "mean_wait_reneged_s": _mean(gave_up[np.isfinite(gave_up)]),
    }


def _span(tables: Tables, config: Mapping[str, Any]) -> float:
    """Return the seconds that the tables cover: all from the start, but for a branch, which begins later."""
    time = floats(tables, "markets", "time_s")
    return float(time.max() - max(time.min() - float(config.get("tick_seconds", 0.0)), 0.0)) if len(time) else 0.0


def _times(tables: Tables, config: Mapping[str, Any]) -> Figures:
    finished = flags(tables, "jobs", "status", "finished")
    service = (floats(tables, "jobs", "finished_s") - floats(tables, "jobs", "started_s"))[finished]
    born, end = floats(tables, "jobs", "born_s"), _span(tables, config)
    gaps = np.diff(np.sort(born, kind="stable"))
    return {
        "mean_service_s": _mean(service),
        "service_p50_s": _quantile(service, 0.5),
        "arrivals_per_hour": _ratio(3600.0 * len(born), end),
        "arrivals_per_second": _ratio(float(len(born)), end),
        "interarrival_cv": _ratio(float(gaps.std()), float(gaps.mean())) if len(gaps) else None,
    }


def _welfare(tables: Tables) -> Figures:
    consumers = float(floats(tables, "markets", "consumer_surplus_prana").sum())
    providers = float(floats(tables, "markets", "provider_surplus_prana").sum())
    gain, optimum = floats(tables, "markets", "gain_prana"), floats(tables, "markets", "optimum_prana")
    known = np.isfinite(optimum)
    return {
        "consumer_surplus_prana": consumers,
        "provider_surplus_prana": providers,
        "welfare_prana": consumers + providers,
        "welfare_share_of_optimum": _ratio(float(gain[known].sum()), float(optimum[known].sum())),
        "revenue_prana": float(floats(tables, "markets", "revenue_prana").sum()),
    }


def _distribution(tables: Tables, config: Mapping[str, Any]) -> Figures:
    from celluler_sim.analysis.metrics import gini, hhi, jain, nakamoto

    revenue, sold = revenue_by_provider(tables, config), work_by_provider(tables, config)
    service = served_share_by_consumer(tables)
    return {
        "gini_revenue": gini(revenue) if revenue.sum() > 0 else None,
        "jain_served": jain(service) if service.sum() > 0 else None,
        "hhi_providers": hhi(sold) if sold.sum() > 0 else None,
        "nakamoto_half": nakamoto(sold, 0.5) if sold.sum() > 0 else None,
        "relaxed_ticks_share": _mean(floats(tables, "markets", "relaxed")),
    }


def served_share_by_consumer(tables: Tables) -> Floats:
    """Return each consumer's share of work that was served, over consumers with a decided job, (n,)."""
    decided, served = _decided(tables)
    consumer, work = slots(tables, "jobs", "consumer"), floats(tables, "jobs", "work")
    asked = np.bincount(consumer[decided], work[decided], minlength=consumer.max(initial=-1) + 1)
    given = np.bincount(consumer[served], work[served], minlength=len(asked))
    return np.asarray(given[asked > 0] / asked[asked > 0])


def _size(tables: Tables) -> Figures:
    tick, providers = slots(tables, "markets", "tick"), floats(tables, "markets", "providers")
    time = floats(tables, "markets", "time_s")
    return {
        "n_providers_start": float(providers[tick == tick.min()].sum()) if len(tick) else None,
        "n_providers_end": float(providers[tick == tick.max()].sum()) if len(tick) else None,
        "n_consumers": float(len(np.unique(slots(tables, "jobs", "consumer")))),
        "n_ticks": float(len(np.unique(tick))),
        "simulated_s": float(time.max(initial=0.0)),
    }
