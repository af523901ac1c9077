"""Plots of who got what: waiting times, Lorenz curves, shares of the providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.figures import human
from celluler_sim.analysis.reading import (
    Floats,
    RunLike,
    Slots,
    flags,
    floats,
    revenue_by_provider,
    setting,
    spending_by_consumer,
    work_by_provider,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NO_JOB = "no job was served"
TOP = 20


def waiting(run: RunLike) -> Picture:
    """Return how long jobs waited for their start, and apart from them how long until consumers gave up."""
    wait = floats(run.tables, "jobs", "wait_s")
    wait = wait[np.isfinite(wait)]
    gone = flags(run.tables, "jobs", "status", "reneged")
    gave_up = (floats(run.tables, "jobs", "finished_s") - floats(run.tables, "jobs", "born_s"))[gone]
    if not len(wait):
        return d.message("Waiting", NO_JOB)
    figure, (left, right) = d.canvas("Waiting", columns=2)
    _histogram(left, wait)
    _cumulative(right, wait, d.BLUE, f"started ({len(wait):,} jobs)")
    if len(gave_up):
        _cumulative(right, gave_up, d.ORANGE, f"gave up ({len(gave_up):,} jobs)", "--")
    _log_time(right, np.concatenate([wait, gave_up]))
    right.set_ylabel("share of jobs within this time")
    d.percent_axis(right)
    right.set_ylim(0, 1.03)
    d.legend(right)
    return figure


def _time_unit(seconds: float) -> tuple[float, str]:
    if seconds < 180:
        return 1.0, "s"
    return (60.0, "min") if seconds < 10_800 else (3600.0, "h")


def _histogram(ax: Axes, wait: Floats) -> None:
    """Draw how many jobs waited how long, with median and 95 % quantile; the axis ends soon after the latter."""
    longest, most = float(wait.max()), float(np.quantile(wait, 0.95))
    end = min(1.5 * most, longest) or longest or 1.0
    size, unit = _time_unit(end)
    ax.hist(wait / size, bins=np.linspace(0.0, end / size, 31).tolist(), color=d.BLUE)
    ax.set_xlim(0, end / size)
    ax.set_ylim(0, 1.2 * ax.get_ylim()[1])
    for at, name, height in ((float(np.median(wait)), "median", 0.99), (most, "95 % within", 0.91)):
        d.mark_vertical(ax, at / size, f"{name} {human(at, 's')}", end=end / size, height=height)
    d.whole_numbers(ax)
    ax.set_ylabel("jobs that started")
    beyond = float(np.mean(wait > end))
    ax.set_xlabel(f"wait until start, {unit}" + (f" ({100 * beyond:.2g} % wait longer)" if beyond else ""))


def _cumulative(ax: Axes, x: Floats, colour: str, label: str, style: str = "-") -> None:
    """Draw the empirical distribution function, thinned to quantiles where there are many jobs."""
    q = np.linspace(0, 1, min(len(x), d.MAX_POINTS) + 1)
    at = np.maximum(np.quantile(x, q, method="inverted_cdf"), 1.0)
    ax.step(np.append(1.0, at), np.append(0.0, q), style, where="post", color=colour, label=label, linewidth=1.8)


def _log_time(ax: Axes, seconds: Floats) -> None:
    """Let the x axis run from a second upwards in factors, so that short and long waits are both visible."""
    names = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h", 864_000: "10 d"}
    end = max(60.0, 1.1 * float(seconds.max()))
    shown = {at: name for at, name in names.items() if at <= end}
    ax.set_xscale("log")
    ax.set_xlim(1.0, end)
    ax.set_xticks(list(shown), list(shown.values()))
    ax.set_xticks([], minor=True)
    ax.set_xlabel("time since the job was wanted")


def lorenz(run: RunLike) -> Picture:
    """Return the Lorenz curves of revenue over providers and of spending over consumers."""
    revenue, spending = revenue_by_provider(run.tables, run.config), spending_by_consumer(run.tables)
    if not revenue.sum() > 0 and not spending.sum() > 0:
        return d.message("Lorenz curve", NO_JOB)
    figure, (ax,) = d.canvas("Who earns and who spends: Lorenz curves")
    ax.plot([0, 1], [0, 1], color=d.FAINT, linewidth=1.2, linestyle=":", label="all equal")
    _lorenz_line(ax, revenue, d.BLUE, f"revenue of {len(revenue):,} providers")
    _lorenz_line(ax, spending, d.ORANGE, f"spending of {len(spending):,} consumers", "--")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    for which in ("x", "y"):
        d.percent_axis(ax, which)
    ax.set_xlabel("share of providers, of consumers, poorest first")
    ax.set_ylabel("their share of the total")
    d.legend(ax, "upper left")
    return figure


def _lorenz_line(ax: Axes, x: Floats, colour: str, label: str, style: str = "-") -> None:
    from celluler_sim.analysis.metrics import gini, lorenz

    if x.sum() > 0:
        line = d.thin(*lorenz(x))
        ax.plot(line.x, line.mean, color=colour, linewidth=1.8, linestyle=style, label=f"{label}, Gini {gini(x):.2f}")


def provider_shares(run: RunLike) -> Picture:
    """Return each provider's share of the work sold: the largest, and all of them summed up."""
    from celluler_sim.analysis.metrics import hhi, nakamoto

    work = work_by_provider(run.tables, run.config)
    if not work.sum() > 0:
        return d.message("Shares of the providers", NO_JOB)
    share = work / work.sum()
    order = np.argsort(-share, kind="stable")
    n_half = int(nakamoto(work, 0.5))
    title = f"Shares of the work sold (HHI {human(hhi(work), 'index')})"
    figure, (left, right) = d.canvas(title, columns=2, widths=(3, 2))
    cap = setting(run.config, "allocation.max_share")
    _largest(left, share[order], order, None if cap is None else float(cap))
    _summed(right, share[order], n_half)
    return figure


def _largest(ax: Axes, share: Floats, slot: Slots, cap: float | None) -> None:
    """Draw the largest providers, and the cap unless it is far above them all."""
    n = min(TOP, len(share))
    ax.bar(np.arange(n), share[:n], color=d.BLUE, width=0.8)
    ax.set_xticks(np.arange(n), [str(s) for s in slot[:n]], fontsize=8, rotation=90 if slot[:n].max() > 99 else 0)
    top = float(share[0])
    if cap is not None:
        near = cap <= 5 * top
        label = f"cap {100 * cap:g} %" + ("" if near else ", above this axis")
        if near:
            ax.axhline(cap, color=d.ORANGE, linestyle="--", linewidth=1.4)
            top = max(top, cap)
        ax.annotate(
            label, (1.0, cap if near else top), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", fontsize=9, color=d.ORANGE,
        )  # fmt: skip
    d.from_zero(ax, 1.05 * top)
    d.percent_axis(ax)
    rest = f", {len(share) - n:,} others: {100 * share[n:].sum():.1f} %" if n < len(share) else ""
    ax.set_xlabel(f"the {n} largest by slot{rest}" if rest else "provider, by slot")
    ax.set_ylabel("share of the work sold")
    ax.grid(visible=False, axis="x")


def _summed(ax: Axes, share: Floats, n_half: int) -> None:
    line = d.thin(np.arange(len(share) + 1.0), np.concatenate([[0.0], np.cumsum(share)]))
    ax.plot(line.x, line.mean, color=d.BLUE, linewidth=1.8)
    ax.plot([n_half], [share[:n_half].sum()], "o", color=d.INK, label=f"majority: {n_half:,} of {len(share):,}")
    ax.axhline(0.5, color=d.FAINT, linestyle=":", linewidth=1.2)
    ax.set_xlim(0, len(share))
    ax.set_ylim(0, 1.03)
    d.percent_axis(ax)
    d.whole_numbers(ax, "x")
    ax.set_xlabel("providers, largest first")
    ax.set_ylabel("share of the work, summed")
    d.legend(ax, "lower right")
