"""Plots of consensus: how soon it is final, how fair its order is, and what the order is worth."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis import ordering as o
from celluler_sim.analysis.plots_consensus import idle as idle_at_work
from celluler_sim.analysis.plots_consensus import ordered_runs
from celluler_sim.analysis.plots_hashgraph import MOST_MEMBERS
from celluler_sim.analysis.reading import Floats, RunLike, Slots, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NOTHING_ORDERED = "no transaction was ordered"
RESIDUAL = "#f3ead9"  # behind what a hashgraph cannot tell apart
GROUPS = 5  # of consumers, in the plot of who pays
SHADES = ("#cfe3f1", "#9ac4e0", "#5ba3cf", "#2079b4", "#0b4f80")  # from those who spend least to those who spend most


def idle(run: RunLike) -> dict[str, bool]:
    """Return which plots of consensus have nothing to say about a run and its variants."""
    summaries = [other.summary for other in ordered_runs(run).values()]
    figures = ("finality_p95_s", "ordered_against_submission_share", "extracted_prana")
    silent = [not any(s.get(name) for s in summaries) for name in figures]
    woven = setting(run.config, "consensus.name") == "hashgraph"
    few = int(setting(run.config, "consensus.validators") or MOST_MEMBERS + 1) <= MOST_MEMBERS
    told = dict(zip(("finality", "fairness", "extracted"), silent, strict=True))
    return {"hashgraph": not (woven and few), **idle_at_work(run), **told}


def finality(run: RunLike) -> Picture:
    """Return how long transactions took to become final: how many each time, and which share by then."""
    title = "From submission to finality"
    times = {name: o.finality(other.tables) for name, other in ordered_runs(run).items()}
    own = next(iter(times.values()))
    if not any(len(x) for x in times.values()):
        return d.message(title, NOTHING_ORDERED)
    end = max(float(np.quantile(x, 0.97)) for x in times.values() if len(x))
    if end <= 0:
        return d.message(title, "every transaction was final the moment it was submitted")
    figure, (left, right) = d.canvas(title, columns=2)
    own_end = float(own.max(initial=0.0)) or end
    left.hist(own, bins=40, range=(0, own_end), color=d.BLUE, linewidth=0.3, edgecolor="white")
    if len(own) and np.median(own) > 0:
        d.mark_vertical(left, float(np.median(own)), f"median {np.median(own):.3g} s", end=own_end, height=0.97)
    left.set_ylabel(f"transactions, {d.literal(next(iter(times)))}")
    d.large_numbers(left)
    for i, (name, x) in enumerate(times.items()):
        _cumulative(right, x, end, d.literal(name), i, width=1.4 + 0.5 * (len(times) - 1 - i))
    right.set_ylim(0, 1.03)
    d.percent_axis(right)
    right.set_ylabel("share final by then")
    for ax, last in ((left, own_end), (right, end)):
        ax.set_xlim(0, last)
        ax.set_xlabel("time since submission, s")
    d.legend(right, "lower right")
    return figure


def _cumulative(ax: Axes, x: Floats, end: float, name: str, i: int, *, width: float) -> None:
    """Draw one run's line; earlier ones are wider, so that equal ones show beneath each other."""
    if not len(x):
        return
    at = np.linspace(0, end, 400)
    share = np.searchsorted(np.sort(x), at, side="right") / len(x)
    style, colour = d.DASHES[i % len(d.DASHES)], d.PALETTE[i % len(d.PALETTE)]
    ax.step(at, share, style, where="post", color=colour, linewidth=width, label=name)


def fairness(run: RunLike) -> Picture:
    """Return the share of pairs ordered against submission, by the time between the two submissions."""
    title = "Who was first? Pairs that the order turned round"
    runs = ordered_runs(run)
    unit = next((u for other in runs.values() if (u := o.gossip_interval(other.config))), None)
    found = {name: o.fairness(other.tables, unit or 1.0) for name, other in runs.items()}
    if not any(f.pairs.any() for f in found.values()):
        return d.message(title, NOTHING_ORDERED)
    figure, (ax, moved) = d.canvas(title, columns=2, widths=(1.7, 1))
    bins = np.arange(len(o.GAP_BINS) - 1)
    shift = np.linspace(-0.18, 0.18, len(found)) if len(found) > 1 else np.zeros(1)
    for i, (name, f) in enumerate(found.items()):
        error = np.maximum(np.stack([f.share - f.low, f.high - f.share]), 0.0)
        ax.errorbar(
            bins + shift[i], f.share, error, fmt=d.DASHES[i % len(d.DASHES)], marker="osD^vP*"[i % 7], markersize=5,
            color=d.PALETTE[i % len(d.PALETTE)], linewidth=1.6, elinewidth=1, capsize=2, label=d.literal(name),
        )  # fmt: skip
    if unit:
        ax.axvspan(-0.5, 2.5, color=RESIDUAL, linewidth=0, zorder=0, label="below two gossip intervals")
    ax.axhline(0.5, color=d.FAINT, linestyle="--", linewidth=1.2, label="a coin toss")
    if unit:
        label = "a hashgraph's events (reference)"
        ax.plot(bins, o.MEASURED, "x", color=d.INK, markersize=7, markeredgewidth=1.6, label=label)
    _gap_axis(ax, unit)
    highest = max(float(np.nan_to_num(f.high[f.pairs > 0]).max(initial=0.0)) for f in found.values())
    ax.set_ylim(-0.015, max(0.56, 1.08 * highest))
    d.percent_axis(ax, decimals=0)
    ax.set_ylabel("ordered against submission,\nshare of pairs")
    ax.set_xlim(-0.5, len(bins) - 0.5)
    _displacement(moved, runs)
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _displacement(ax: Axes, runs: Mapping[str, RunLike]) -> None:
    """Draw which share of the transactions is at least so many places off their place by submission."""
    furthest, highest = 2.0, 0.0
    for i, other in enumerate(runs.values()):
        x = np.sort(o.rank_displacement(other.tables))
        if len(x):
            places = np.unique(np.append(x[x > 0], 1.0))
            share = 1 - np.searchsorted(x, places) / len(x)
            colour, style = d.PALETTE[i % len(d.PALETTE)], d.DASHES[i % len(d.DASHES)]
            ax.plot(places, share, style, marker="osD^vP*"[i % 7], markersize=3.5, color=colour, linewidth=1.6)
            furthest, highest = max(furthest, float(places[-1])), max(highest, float(share[0]))
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlim(0.9, 1.1 * furthest)
    d.from_zero(ax, max(highest, 0.05))
    d.percent_axis(ax, decimals=0)
    ax.set_xlabel("places off, at least")
    ax.set_ylabel("share of transactions")


def _gap_axis(ax: Axes, unit: float | None) -> None:
    """Name the bins in seconds, and in gossip intervals where there are some."""
    edges = np.asarray(o.GAP_BINS)
    spans = list(pairwise(edges))
    names = [f"{a * (unit or 1.0):g}–{b * (unit or 1.0):g}" for a, b in spans]
    said = "time between the two submissions, s"
    if unit and unit != 1.0:
        names = [f"{name}\n({a:g}–{b:g})" for name, (a, b) in zip(names, spans, strict=True)]
        said += " (in gossip intervals)"
    elif unit:
        said += "; a gossip interval is 1 s"
    ax.set_xticks(np.arange(len(names)), names)
    ax.set_xlabel(said)
    ax.grid(visible=False, axis="x")


def extracted(run: RunLike) -> Picture:
    """Return what proposers extracted under each order rule, who paid it, and what share of spending it was."""
    title = "What the order is worth to those who make it"
    runs = ordered_runs(run)
    payers = {name: o.payers_by_spending(other.tables, GROUPS) for name, other in runs.items()}
    if not any(p.extracted.any() for p in payers.values()):
        return d.message(title, "nothing was extracted by position")
    figure, (left, right) = d.canvas(title, columns=2, widths=(1.25, 1))
    rows = np.arange(len(runs))[::-1]
    _stack_payers(left, rows, payers)
    base = next(
        ((n, r) for n, r in runs.items() if setting(r.config, "consensus.name") == "fifo"), next(iter(runs.items()))
    )
    loss = [o.consumers_loss(other.tables, base[1].tables) for other in runs.values()]
    left.plot(loss, rows, "D", color=d.ORANGE, markersize=6, label=f"consumers' loss against {d.literal(base[0])}")
    left.axvline(0.0, color=d.INK, linewidth=1.0)
    left.set_yticks(rows, [d.literal(name) for name in runs])
    left.set_ylim(-0.6, len(runs) - 0.4)
    left.grid(visible=False, axis="y")
    _short_x(left)
    left.set_xlabel("PRANA")
    for i, (name, p) in enumerate(payers.items()):
        if p.extracted.any():
            colour, marker = d.PALETTE[i % len(d.PALETTE)], "osD^vP*"[i % 7]
            right.plot(np.arange(1, len(p.spent) + 1), p.share, f"-{marker}", color=colour, label=d.literal(name))
    right.set_xticks(np.arange(1, GROUPS + 1), ["least", *[""] * (GROUPS - 2), "most"])
    right.set_xlabel("fifths of consumers, by spending")
    right.set_ylim(bottom=0)
    d.percent_axis(right, decimals=0)
    right.set_ylabel("extracted, share of their spending")
    d.legend(right)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _stack_payers(ax: Axes, rows: Slots, payers: Mapping[str, o.Payers]) -> None:
    """Draw one bar a run, stacked by fifths of consumers."""
    parts = np.array([np.pad(p.extracted, (0, GROUPS - len(p.extracted))) for p in payers.values()])
    names = ("paid by the fifth that spends least", "second", "third", "fourth", "most")
    base = np.zeros(len(rows))
    for k in range(GROUPS):
        ax.barh(rows, parts[:, k], 0.55, left=base, color=SHADES[k], linewidth=0.3, edgecolor="white", label=names[k])
        base += parts[:, k]


def _short_x(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: d.short(value)))
