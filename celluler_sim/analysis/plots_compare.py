"""Plots that hold a run against something: its variants, the workload behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.figures import FIGURES, human, trace_label, trace_pairs, trace_unit
from celluler_sim.analysis.interactive import note
from celluler_sim.analysis.reading import RunLike, floats, setting, slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

KEY_FIGURES = (
    "mean_price_prana",
    "mean_utilisation",
    "mean_wait_s",
    "served_share",
    "consumer_surplus_prana",
    "provider_surplus_prana",
    "welfare_prana",
)


def own_name(run: RunLike) -> str:
    """Return how the run itself is called among its variants: by its rules."""
    rules = [setting(run.config, f"{family}.name") for family in ("pricing", "allocation")]
    return "as configured" + (f" ({', '.join(str(r) for r in rules if r)})" if any(rules) else "")


def all_runs(run: RunLike) -> dict[str, RunLike]:
    """Return the run and its variants by name, the run itself first."""
    return {own_name(run): run, **run.variants}


def variants(run: RunLike) -> Picture:
    """Return the price paths of the run and its variants, and by how much their key figures differ."""
    if not run.variants:
        return d.message("Variants", "this run has no variants")
    figure, (left, right) = d.canvas("The same world under other rules", columns=2, widths=(1, 1))
    runs = all_runs(run)
    _price_paths(left, runs)
    _changes(right, run.summary, {name: v.summary for name, v in run.variants.items()})
    handles, labels = left.get_legend_handles_labels()
    columns = min(4, len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    return figure


def _price_paths(ax: Axes, runs: Mapping[str, RunLike]) -> None:
    highest, times = 0.0, [np.empty(0)]
    for i, (name, run) in enumerate(runs.items()):
        time, price = _mean_over_markets(run)
        colour, style = d.PALETTE[i % len(d.PALETTE)], d.DASHES[i % len(d.DASHES)]
        d.series(ax, time, price, colour, d.literal(name), style=style)
        highest = max(highest, float(np.nan_to_num(price).max(initial=0.0)))
        times.append(time)
    d.time_axis(ax, np.concatenate(times))
    d.from_zero(ax, highest)
    ax.set_ylabel("price, PRANA per unit")


def _mean_over_markets(run: RunLike) -> tuple[np.ndarray, np.ndarray]:
    """Return clearing times and the price then, weighted by capacity where there are several markets."""
    time, price = floats(run.tables, "markets", "time_s"), floats(run.tables, "markets", "price_prana")
    weight = np.where(np.isfinite(price), floats(run.tables, "markets", "capacity"), 0.0)
    _, first, index = np.unique(slots(run.tables, "markets", "tick"), return_index=True, return_inverse=True)
    total = np.bincount(index, weight * np.nan_to_num(price), minlength=len(first))
    mass = np.bincount(index, weight, minlength=len(first))
    return time[first], np.divide(total, mass, out=np.full(len(first), np.nan), where=mass > 0)


def _changes(ax: Axes, base: Mapping[str, float | None], others: Mapping[str, Mapping[str, float | None]]) -> None:
    """Draw, for each key figure, by how many per cent each variant differs from the run itself."""
    rows = np.arange(len(KEY_FIGURES))[::-1]
    offsets = np.linspace(0.32, -0.32, len(others)) if len(others) > 1 else np.zeros(1)
    ends = [-0.05, 0.05]
    for i, (variant, summary) in enumerate(others.items(), start=1):
        change = np.array([relative_change(summary.get(name), base.get(name)) for name in KEY_FIGURES])
        marker, colour = "osD^vP*"[(i - 1) % 7], d.PALETTE[i % len(d.PALETTE)]
        size = 6 if len(others) < 5 else 4.5
        (dots,) = ax.plot(change, rows + offsets[i - 1], marker, color=colour, markersize=size)
        note(
            dots, [f"{variant}, {FIGURES[n].label}: {100 * c:+.1f} %" for n, c in zip(KEY_FIGURES, change, strict=True)]
        )
        ends += change[np.isfinite(change)].tolist()
    ax.axvline(0.0, color=d.BLUE, linewidth=1.4)
    ax.set_yticks(rows, [FIGURES[name].label for name in KEY_FIGURES])
    ax.set_ylim(-0.6, len(KEY_FIGURES) - 0.4)
    for row in rows[::2]:
        ax.axhspan(row - 0.5, row + 0.5, color=d.GRID, alpha=0.45, linewidth=0)
    ax.grid(visible=False, axis="y")
    air = 0.08 * (max(ends) - min(ends))
    ax.set_xlim(min(ends) - air, max(ends) + air)
    if max(ends) > 4.0:  # a wait that is many times as long would squeeze everything else
        ax.set_xscale("symlog", linthresh=1.0)
        ax.set_xlim(1.3 * min(ends) - 0.2, 2.0 * max(ends))
    d.percent_axis(ax, "x")
    ax.set_xlabel("change from the run as configured")


def relative_change(value: float | None, base: float | None) -> float:
    """Return by which share ``value`` differs from ``base``, NaN where one is missing or the base is zero.

    >>> relative_change(150.0, 100.0), relative_change(-50.0, -100.0)
    (0.5, 0.5)
    """
    if value is None or not base:
        return float("nan")
    return (value - base) / abs(base)


def trace_facts(run: RunLike) -> Picture:
    """Return the workload's figures that have a simulated counterpart and these side by side, as a table."""
    pairs = [(name, partner) for name, partner in trace_pairs(run.summary) if partner]
    if not pairs:
        return d.message("Workload and simulation", "this workload states no figure to compare")
    figure, (ax,) = d.canvas("Workload and simulation")
    ax.set_axis_off()
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(max(len(pairs), 6) + 0.6, -0.6)
    size = min(11.0, 150.0 / (len(pairs) + 1))
    _table_row(ax, 0, ("", "workload", "simulated", "simulated / workload"), size, bold=True)
    for row, (name, partner) in enumerate(pairs, start=1):
        ax.axhline(row - 0.5, color=d.GRID, linewidth=0.8)
        _table_row(ax, row, fact_cells(run.summary, name, partner), size)
    return figure


def fact_cells(summary: Mapping[str, float | None], name: str, partner: str | None) -> tuple[str, str, str, str]:
    """Return what is fact, its value by the workload, its value in the run, and their ratio, as text."""
    unit, fact = trace_unit(name, partner), summary[name]
    simulated = summary.get(partner) if partner else None
    ratio = f"{simulated / fact:.3g}" if simulated is not None and fact else ""
    return trace_label(name), human(fact, unit), human(simulated, unit) if partner else "", ratio


def _table_row(ax: Axes, row: int, cells: tuple[str, ...], size: float, *, bold: bool = False) -> None:
    for x, text, side in zip((0.0, 0.5, 0.75, 1.0), cells, ("left", "right", "right", "right"), strict=True):
        weight = "bold" if bold else "normal"
        ax.text(x, row, d.literal(text), ha=side, va="center", fontsize=size, color=d.INK, fontweight=weight)
