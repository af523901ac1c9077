"""Figures of a training market, read from its tables; none of them where nobody ordered a model."""

from __future__ import annotations

import numpy as np

from celluler_sim.analysis.reading import Bools, Floats, Tables, flags, floats, slots

Figures = dict[str, float | None]
TABLES = ("trainings", "validations", "datasets", "provisions")


def training_figures(tables: Tables) -> Figures:
    """Return the figures of the training market; all None without an order."""
    done = {s: flags(tables, "trainings", "status", s) for s in ("accepted", "refused", "reneged", "expired")}
    decided = np.logical_or.reduce(list(done.values()))
    some = bool(len(decided))
    accepted = done["accepted"]

    def column(name: str, rows: Bools = accepted) -> Floats:
        return floats(tables, "trainings", name)[rows]

    def total(name: str) -> float | None:
        return float(floats(tables, "trainings", name).sum()) if some else None

    wait = column("started_s") - column("submitted_s")
    return {
        "models_ordered": float(len(decided)) if some else None,
        "models_accepted_share": _mean(accepted[decided].astype(np.float64)),
        "model_wait_s": _mean(wait),
        "mean_model_price_prana": _mean(column("paid_prana")),
        "model_quality_share": _mean(column("quality") / column("wanted")),
        "model_data_share": _mean(column("data")),
        "model_energy_kwh": total("energy_kwh"),
        "model_revenue_prana": total("paid_prana"),
        "model_compute_prana": total("compute_prana"),
        "model_data_prana": total("data_prana"),
        "provisions_done_share": _mean(flags(tables, "provisions", "stage", "done").astype(np.float64)),
        **_validation(tables),
    }


def _validation(tables: Tables) -> Figures:
    """Return how claims fared before the first panel and for good, by whether they were true."""
    refused, lie = first_refusals(tables)
    final, lied = flags(tables, "trainings", "status", "refused"), floats(tables, "trainings", "overstatement") > 0
    judged = final | flags(tables, "trainings", "status", "accepted")
    return {
        "overstated_refused_share": _mean(refused[lie].astype(np.float64)),
        "overstated_caught_share": _mean(final[judged & lied].astype(np.float64)),
        "honest_refused_share": _mean(refused[~lie].astype(np.float64)),
        "honest_caught_share": _mean(final[judged & ~lied].astype(np.float64)),
        "disputed_share": _mean(floats(tables, "trainings", "disputed")[judged]),
    }


def first_refusals(tables: Tables) -> tuple[Bools, Bools]:
    """Return which claims the first panel refused and which overstated, (n,) each."""
    first = slots(tables, "validations", "stage") == 0
    refused = floats(tables, "validations", "refused")[first] > 0
    above = floats(tables, "validations", "claimed")[first] - floats(tables, "validations", "quality")[first]
    return refused, above > 1e-12


def _mean(x: Floats) -> float | None:
    return float(np.mean(x)) if len(x) else None
