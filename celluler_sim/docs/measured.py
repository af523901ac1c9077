"""Figures in the documentation that come from runs: measured anew, and put between their markers.

A page says ``<!-- measured: NAME -->`` and ``<!-- end -->``; what stands between the two is replaced. A scenario whose
trace is not there is skipped, and what was measured before stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis.figures import FIGURES, human, trace_pairs
from celluler_sim.docs.markdown import code, table
from celluler_sim.errors import TraceError

if TYPE_CHECKING:
    from celluler_sim.results import Run

BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SURPLUS = ("consumer_surplus_prana", "provider_surplus_prana")
PRICES = ("mean_price_prana", "mean_utilisation", "served_share", "mean_wait_s", *SURPLUS)
SHARES = (
    "mean_utilisation", "served_share", "served_work_share", "mean_wait_s", "welfare_prana", "welfare_share_of_optimum",
    "jain_served",
)  # fmt: skip
PRICING_VARIANTS = 'variants={linear: ["pricing=linear"], fixed: ["pricing=fixed"]}'
REPLICATES = 8  # of the textbook queue
WORLDS = 5  # in which two pricing rules are compared


@cache
def _run(scenario: str, *overrides: str) -> Run:
    from celluler_sim.run import simulate

    return simulate(scenario, overrides)


def _congestion() -> Run:
    return _run("compute_congestion", PRICING_VARIANTS)


def _rows(first: str, run: Run, columns: Sequence[str]) -> str:
    """Return a table with a row for a run, called ``first``, and each of its variants, and a column a figure."""
    head = ["", *(FIGURES[name].label for name in columns)]
    runs = {first: run, **run.variants}
    cells = ([code(name), *(human(r.summary[c], FIGURES[c].unit) for c in columns)] for name, r in runs.items())
    return table(head, cells)


def _pricing() -> str:
    return _rows("sliding_window", _congestion(), PRICES)


def _paired() -> str:
    """Return how much linear differs from sliding_window in each of some worlds: mean and standard error."""
    names = ("mean_price_prana", "mean_utilisation", "served_share", "mean_wait_s", "welfare_prana")
    change = np.array([_differences(f"replicate={i}", names) for i in range(WORLDS)])
    mean, error = change.mean(axis=0), change.std(axis=0, ddof=1) / WORLDS**0.5
    cells = zip(names, mean, error, (change > 0).sum(axis=0), strict=True)
    head = ["linear less sliding_window", "mean difference", "standard error", f"worlds of {WORLDS} with more"]
    return table(head, ([FIGURES[n].label, *_signed(n, m, e), str(more)] for n, m, e, more in cells))


def _differences(world: str, names: Sequence[str]) -> list[float]:
    linear, steep = (_run("compute_congestion", f"pricing={rule}", world) for rule in ("linear", "sliding_window"))
    return [float(linear.summary[name] or 0.0) - float(steep.summary[name] or 0.0) for name in names]


def _signed(name: str, *values: float) -> list[str]:
    """Return figures for reading; differences of shares are in percentage points."""
    unit = FIGURES[name].unit
    return [human(value, unit).replace(" %", " points") for value in values]


def _price_cycle() -> str:
    return _rows("sawtooth", _run("price_cycle"), PRICES)


def _timing() -> str:
    """Return what consumers of each behaviour got under each cycle."""
    run = _run("price_cycle")
    rows = []
    for name, other in {"sawtooth": run, **run.variants}.items():
        agents, jobs = other.tables["agents"], other.tables["jobs"]
        last = agents[(agents["type"] == "consumer") & (agents["tick"] == agents["tick"].max())].set_index("slot")
        jobs = jobs.assign(behaviour=jobs["consumer"].map(last["behaviour"]))
        for behaviour, mine in jobs.groupby("behaviour"):
            surplus = last.loc[last["behaviour"] == behaviour, "surplus_prana"].mean()
            waits, price = mine["wait_s"].mean(), mine["price_prana"].mean()
            cells = (human(surplus, "PRANA"), human(waits, "s"), human(price, "PRANA/unit"))
            rows.append([code(name), code(str(behaviour)), *cells])
    return table(["cycle", "behaviour", "surplus per consumer", "mean wait", "mean price of its jobs"], rows)


def _allocation_contest() -> str:
    return _rows("fair_share", _run("allocation_contest"), SHARES)


def _ordering_attack() -> str:
    """Return what each order of transactions leaves to whom."""
    run = _run("ordering_attack")
    columns = ("mean_price_paid_prana", "served_share", "mean_wait_s", *SURPLUS)
    rows = []
    for name, other in run.variants.items():
        taken = float(other.tables["markets"]["skimmed_prana"].sum())
        rows.append([code(name), *(human(other.summary[c], FIGURES[c].unit) for c in columns), human(taken, "PRANA")])
    return table(["", *(FIGURES[c].label for c in columns), "taken by proposers"], rows)


def _erlang() -> str:
    from celluler_sim.analysis.queueing import mean_wait

    waits = [float(_run("erlang", f"replicate={i}").summary["mean_wait_s"] or 0.0) for i in range(REPLICATES)]
    low, high = human(min(waits), "s"), human(max(waits), "s")
    spread = human(float(np.std(waits, ddof=1)) / len(waits) ** 0.5, "s")
    return table(
        ["mean wait", ""],
        [
            ["Erlang's formula, 8 erlangs on 10 servers", human(mean_wait(8.0, 10, 1 / 1200.0), "s")],
            [f"mean of {REPLICATES} runs, with its standard error", f"{human(float(np.mean(waits)), 's')}, {spread}"],
            ["shortest and longest of these runs", f"{low}, {high}"],
        ],
    )


def _trace(scenario: str) -> str:
    from celluler_sim.analysis.plots_compare import fact_cells

    summary = _run(scenario).summary
    pairs = [(name, partner) for name, partner in trace_pairs(summary) if partner]
    rows = [fact_cells(summary, *pair) for pair in pairs]
    paired = {partner for _, partner in pairs}
    more = [name for name in ("mean_utilisation", "served_share", "mean_wait_s") if name not in paired]
    rows += [(FIGURES[name].label, "", human(summary[name], FIGURES[name].unit), "") for name in more]
    return table(["", "trace", "run", "run / trace"], rows)


MEASURED: Mapping[str, Callable[[], str]] = {
    "pricing": _pricing,
    "paired": _paired,
    "price_cycle": _price_cycle,
    "timing": _timing,
    "allocation_contest": _allocation_contest,
    "ordering_attack": _ordering_attack,
    "erlang": _erlang,
    "gpu_cluster": lambda: _trace("gpu_cluster"),
    "llm_serving": lambda: _trace("llm_serving"),
}


def picture() -> bytes:
    """Return the README's picture: the congested day under three pricing rules, PNG."""
    png: bytes = _congestion().plot.variants().png(dpi=110)
    return png


def refresh(folder: Path) -> None:
    """Measure, and replace every block in the README and in the pages of ``folder``, and the picture."""
    found: dict[str, str] = {}
    for name, measure in MEASURED.items():
        try:
            found[name] = measure()
        except TraceError:  # what was measured where the trace is stays
            continue
    for page in [folder.parent / "README.md", *sorted(folder.rglob("*.md"))]:
        old = page.read_text("utf-8")
        new = BLOCK.sub(lambda m: m[1] + (found[m[2]] + "\n" if m[2] in found else m[3]) + m[4], old)
        if new != old:
            page.write_text(new, "utf-8")
    images = folder / "images"
    images.mkdir(exist_ok=True)
    (images / "congestion.png").write_bytes(picture())
