"""Plots of resource pools: what each rule gives whom, and who stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.pools import FirstShares, course, first_shares
from celluler_sim.analysis.reading import RunLike, Slots, floats, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NO_POOLS = "there were no pools"
MARKS = ("o", "s", "^", "D", "v", "P", "X")


def pooled_runs(run: RunLike) -> dict[str, RunLike]:
    """Return the run and its variants that have pools, by name.

    The run itself is called by its way of forming pools where the variants differ in that, else by its sharing rule.
    """
    every = [other for other in (run, *run.variants.values()) if _has_pools(other)]
    ways = {setting(other.config, "pools.formation") for other in every}
    own = setting(run.config, "pools.formation" if len(ways) > 1 else "sharing.name")
    runs = {str(own or "as configured"): run} if _has_pools(run) else {}
    for name, other in run.variants.items():
        if _has_pools(other):
            runs[name if name not in runs else f"variant {name}"] = other
    return runs


def _has_pools(run: RunLike) -> bool:
    return setting(run.config, "pools.name") not in (None, "none")


def idle(run: RunLike) -> dict[str, bool]:
    """Return which plots of pools have nothing to say about a run and its variants."""
    runs = pooled_runs(run).values()
    return {
        "pool_shares": not any(first_shares(other.tables) for other in runs),
        "pool_membership": not any((floats(other.tables, "pool_members", "pool") >= 0).any() for other in runs),
    }


def pool_shares(run: RunLike) -> Picture:
    """Return what each sharing rule gave the members of one pool in its first period, beside what each had alone."""
    title = "One pool's first period: who gets what under which rule"
    found = {name: s for name, other in pooled_runs(run).items() if (s := first_shares(other.tables)) is not None}
    if not found:
        return d.message(title, NO_POOLS)
    first = next(iter(found.values()))
    same = {name: s for name, s in found.items() if np.array_equal(s.member, first.member)}
    figure, (ax,) = d.canvas(title)
    order = np.argsort(-first.contribution, kind="stable")
    for k, (name, shares) in enumerate(same.items()):
        _points(ax, shares, order, name, k, len(same))
    at = np.arange(len(order))
    ax.hlines(first.outside[order], at - 0.42, at + 0.42, color=d.INK, linewidth=1.6, label="alone")
    ax.set_xticks(
        at, [f"{m}\n{100 * c:.0f} %" for m, c in zip(first.member[order], first.contribution[order], strict=True)]
    )
    ax.set_xlabel("member, and what it contributes")
    ax.set_ylabel("share of the pool's worth")
    highest = max(float((s.share + s.error).max()) for s in same.values())
    d.from_zero(ax, max(highest, float(first.outside.max())))
    d.percent_axis(ax, decimals=0)
    ax.grid(visible=False, axis="x")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), fontsize=9, frameon=False)
    return figure


def _points(ax: Axes, shares: FirstShares, order: Slots, name: str, k: int, n: int) -> None:
    """Draw one rule's shares with their 95 % intervals, beside those of the other rules."""
    at = np.arange(len(order)) + (k - (n - 1) / 2) * min(0.18, 0.8 / n)
    ax.errorbar(
        at, shares.share[order], yerr=shares.error[order], fmt=MARKS[k % len(MARKS)], capsize=3, linewidth=1.2,
        color=d.PALETTE[k % len(d.PALETTE)], markersize=6, label=d.literal(name),
    )  # fmt: skip


def pool_membership(run: RunLike) -> Picture:
    """Return the share of members in pools over time, and of those who would do better alone, by rule."""
    title = "Who stays"
    runs = pooled_runs(run)
    found = {
        name: course(other.tables, float(setting(other.config, "pools.period_s") or 1.0))
        for name, other in runs.items()
    }
    if not any(len(c.time_s) for c in found.values()):
        return d.message(title, NO_POOLS)
    figure, axes = d.canvas(title, columns=2)
    for k, (name, c) in enumerate(found.items()):
        for ax, y in zip(axes, (c.pooled, c.better), strict=True):
            ax.plot(
                d.hours(c.time_s), y, color=d.PALETTE[k % len(d.PALETTE)], marker=MARKS[k % len(MARKS)], markersize=4,
                linewidth=1.4, label=d.literal(name),
            )  # fmt: skip
    end = max(float(c.time_s.max(initial=0.0)) for c in found.values())
    for ax, label in zip(axes, ("members in a pool", "of those, better off alone"), strict=True):
        ax.set_xlim(0, 1.03 * end / 3600)
        ax.set_ylim(-0.03, 1.05)
        d.percent_axis(ax, decimals=0)
        ax.set_xlabel("simulated time, h")
        ax.set_ylabel(label)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(5, len(labels)), fontsize=9, frameon=False)
    return figure
