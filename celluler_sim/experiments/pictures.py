"""Pictures of experiments. Each takes plain rows or numbers and returns a figure; matplotlib is imported here only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.figures import FIGURES
from celluler_sim.analysis.interactive import note
from celluler_sim.experiments.page import label, shown
from celluler_sim.experiments.statistics import Floats, Interval, Paired, interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from celluler_sim.analysis.picture import Picture

KEY_FIGURES = ("mean_price_prana", "mean_utilisation", "mean_wait_s", "served_share", "welfare_prana", "gini_revenue")
LONG = 24  # rows that a picture with a row per figure can hold


def column(rows: Sequence[Mapping[str, Any]], name: str) -> Floats:
    """Return one figure of every row, (n_rows,), NaN where it is missing."""
    return np.array([math.nan if row.get(name) is None else float(row[name]) for row in rows])


def axis_label(name: str) -> str:
    """Return a figure's words with its unit."""
    info = FIGURES.get(name)
    return d.literal(name if info is None else f"{info.label}, {info.unit}" if info.unit else info.label)


def drawable(rows: Sequence[Mapping[str, Any]], names: Sequence[str] = KEY_FIGURES) -> list[str]:
    """Return those of the figures that at least one row has."""
    return [name for name in names if np.isfinite(column(rows, name)).any()]


def replicates_picture(rows: Sequence[Mapping[str, Any]]) -> Picture:
    """Return every replicate's key figures as dots, in order, with mean and 95 % interval."""
    names = drawable(rows)
    if not names:
        return d.message("Replicates", "no replicate has finished")
    figure, axes = d.canvas("Replicates", rows=2, columns=3)
    number = np.array([row["replicate"] for row in rows])
    for ax, name in zip(axes, names, strict=False):
        values = column(rows, name)
        found = interval(values)
        (dots,) = ax.plot(number, values, ".", color=d.BLUE, markersize=3 if len(rows) > 100 else 5)
        note(dots, [f"world {row['replicate']}, seed {row.get('seed')}: {shown(name, row.get(name))}" for row in rows])
        ax.axhline(found.mean, color=d.ORANGE, linewidth=1.4)
        if math.isfinite(found.low):
            ax.axhspan(found.low, found.high, color=d.ORANGE, alpha=0.25, linewidth=0)
        ax.set_title(axis_label(name), loc="left")
        ax.set_xlabel("replicate")
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    return figure


def comparison_picture(
    figures: Mapping[str, Paired], corrected: Mapping[str, float], names: tuple[str, str]
) -> Picture:
    """Return each figure's paired difference as a share of B's mean, with its 95 % interval.

    Filled markers: the difference is significant at 5 % after Holm's correction.
    """
    known = {n: f for n, f in figures.items() if f.mean_b and math.isfinite(f.low) and n in FIGURES and _varies(f)}
    drawn = dict(list(known.items())[:LONG])
    title = d.literal(f"{names[0]}  less  {names[1]}")
    if not drawn:
        return d.message("Comparison", "no figure differs in any world")
    figure, (ax,) = d.canvas(title if len(title) < 90 else "A less B, in the same worlds")
    figure.set_size_inches(8, 1.4 + 0.26 * len(drawn))
    for place, (name, f) in zip(range(len(drawn))[::-1], drawn.items(), strict=True):
        middle, low, high = (value / abs(f.mean_b) for value in (f.difference, f.low, f.high))
        sure = corrected.get(name, 1.0) < 0.05
        ax.plot([low, high], [place, place], color=d.BLUE, linewidth=1.6)
        (dot,) = ax.plot(middle, place, "o", color=d.BLUE, markerfacecolor=d.BLUE if sure else "white", markersize=6)
        span = ", ".join(shown(name, end) for end in (f.low, f.high))
        note(dot, [f"{label(name)}: {shown(name, f.difference)} [{span}]"])
    ax.axvline(0.0, color=d.INK, linewidth=1.2)
    ax.set_yticks(range(len(drawn))[::-1], [d.literal(label(name)) for name in drawn])
    ends = [abs(end) / abs(f.mean_b) for f in drawn.values() for end in (f.low, f.high)]
    if max(ends) > 4.0:
        ax.set_xscale("symlog", linthresh=1.0)
    d.percent_axis(ax, "x")
    ax.set_xlabel("difference, share of B's mean; 95 % interval")
    return figure


def _varies(f: Paired) -> bool:
    return f.difference != 0 or f.high > f.low


def lines_picture(
    rows: Sequence[Mapping[str, Any]], figure_name: str, along: str, groups: Sequence[str], texts: bool
) -> Picture:
    """Return a figure's mean over replicates along a parameter, a line with a 95 % band for each group.

    Parameters
    ----------
    rows
        Rows of a sweep.
    along
        Parameter on the x axis.
    groups
        Parameters whose values distinguish the lines.
    texts
        Whether the values of ``along`` are names: dots with bars then, evenly spaced.
    """
    figure, (ax,) = d.canvas(axis_label(figure_name))
    values = _values(rows, along)
    for i, key in enumerate(_keys(rows, groups)[: len(d.PALETTE)]):
        mine = [row for row in rows if tuple(row.get(g) for g in groups) == key]
        cells = [interval(column([r for r in mine if r.get(along) == value], figure_name)) for value in values]
        x: Floats = np.arange(len(values), dtype=np.float64) + 0.08 * i if texts else np.array(values, np.float64)
        words = ", ".join(f"{g}={v}" for g, v in zip(groups, key, strict=True))
        line = _line(ax, x, cells, i, words, texts=texts)
        note(line, [_reading(figure_name, *cell, words) for cell in zip(values, cells, strict=True)])
    if texts:
        ax.set_xticks(range(len(values)), [d.literal(value) for value in values])
    ax.set_xlabel(d.literal(along))
    d.legend(ax)
    return figure


def _reading(figure_name: str, value: Any, cell: Interval, words: str) -> str:
    """Return what is to be read at one point: value, mean with its interval, number of worlds."""
    mean, low, high = (shown(figure_name, end) for end in (cell.mean, cell.low, cell.high))
    span = f" [{low}, {high}]" if math.isfinite(cell.low) else ""
    return f"{value}, {words}: {mean}{span}, {cell.n} worlds" if words else f"{value}: {mean}{span}, {cell.n} worlds"


def _line(ax: Axes, x: Floats, cells: Sequence[Interval], number: int, words: str, *, texts: bool) -> Line2D:
    colour, name = d.PALETTE[number % len(d.PALETTE)], d.literal(words) if words else None
    mean, low, high = (np.array([getattr(cell, end) for cell in cells]) for end in ("mean", "low", "high"))
    if texts:
        spread = np.nan_to_num(np.stack([mean - low, high - mean]))
        line: Line2D = ax.errorbar(x, mean, yerr=spread, fmt="o", color=colour, capsize=3, label=name).lines[0]
        return line
    (line,) = ax.plot(x, mean, marker="o", markersize=4, color=colour, label=name)
    ax.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
    return line


def _values(rows: Sequence[Mapping[str, Any]], parameter: str) -> list[Any]:
    """Return the values of a parameter, numbers in order, names as they came."""
    values = list(dict.fromkeys(row.get(parameter) for row in rows))
    numeric = all(isinstance(value, int | float) for value in values)
    return sorted(values) if numeric else values


def _keys(rows: Sequence[Mapping[str, Any]], groups: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(tuple(row.get(g) for g in groups) for row in rows))


def heat_picture(rows: Sequence[Mapping[str, Any]], figure_name: str, x: str, y: str) -> Picture:
    """Return a figure's mean over replicates for every pair of values of two parameters."""
    figure, (ax,) = d.canvas(axis_label(figure_name))
    across, up = _values(rows, x), _values(rows, y)
    mean = np.full((len(up), len(across)), np.nan)
    for i, b in enumerate(up):
        for j, a in enumerate(across):
            mean[i, j] = interval(column([r for r in rows if r.get(x) == a and r.get(y) == b], figure_name)).mean
    heat = ax.imshow(mean, origin="lower", aspect="auto", cmap="viridis")
    ax.grid(visible=False)
    ax.set_xticks(range(len(across)), [d.literal(value) for value in across])
    ax.set_yticks(range(len(up)), [d.literal(value) for value in up])
    ax.set_xlabel(d.literal(x))
    ax.set_ylabel(d.literal(y))
    figure.colorbar(heat, ax=ax)
    if mean.size <= 64:
        middle = np.nanmean(mean) if np.isfinite(mean).any() else 0.0
        for (i, j), value in np.ndenumerate(mean):
            ax.text(
                j, i, f"{value:.4g}", ha="center", va="center", fontsize=8, color="white" if value < middle else "black"
            )
    return figure


def tornado_picture(title: str, names: Sequence[str], size: Floats, spread: Floats, what: str) -> Picture:
    """Return one bar a key, the strongest on top, with the ends of its interval."""
    order = np.argsort(np.nan_to_num(size), kind="stable")
    figure, (ax,) = d.canvas(title)
    figure.set_size_inches(8, 1.6 + 0.34 * len(names))
    ax.barh(range(len(order)), size[order], color=d.BLUE, height=0.6)
    ax.errorbar(size[order], range(len(order)), xerr=np.nan_to_num(spread[order]), fmt="none", ecolor=d.INK, capsize=3)
    ax.set_yticks(range(len(order)), [d.literal(names[i]) for i in order])
    ax.set_xlabel(what)
    return figure


def sobol_picture(title: str, names: Sequence[str], indices: Mapping[str, Floats]) -> Picture:
    """Return first-order and total Sobol indices side by side, with their 95 % intervals."""
    figure, (ax,) = d.canvas(title)
    x = np.arange(len(names))
    for shift, kind, colour, words in ((-0.2, "S1", d.BLUE, "first order"), (0.2, "ST", d.ORANGE, "total")):
        ax.bar(x + shift, indices[kind], 0.38, color=colour, label=words)
        ax.errorbar(
            x + shift, indices[kind], yerr=np.nan_to_num(indices[f"{kind}_conf"]), fmt="none", ecolor=d.INK, capsize=3
        )
    ax.axhline(0.0, color=d.INK, linewidth=1)
    ax.set_xticks(x, [d.literal(name) for name in names], rotation=20 if len(names) > 3 else 0)
    ax.set_ylabel("share of variance")
    d.legend(ax)
    return figure
