"""Plots of consensus at work: what it does over time, faults included, and how it grows with its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.ordering import finality as finality_of
from celluler_sim.analysis.ordering import gossip_interval
from celluler_sim.analysis.plots_compare import own_name
from celluler_sim.analysis.reading import Floats, RunLike, Slots, floats, setting, slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

REFERENCE = {  # members: gossip intervals from creation to order (mean), events per member and round; no delays
    4: (9.5, 3.3), 8: (17.6, 6.1), 10: (19.0, 6.3), 16: (23.0, 7.5), 32: (29.0, 9.4), 64: (35.0, 10.8),
    128: (38.0, 12.3), 512: (47.0, 15.0),
}  # fmt: skip
FEWEST_SIZES = 3  # networks of different size that make a curve
SHADES = ("#fdebd9", "#e3efe9", "#ece6f2")  # of times at which something is amiss
PANELS = ("median time\nto finality, s", "pending", "expired\na tick", "rounds\na minute")


def ordered_runs(run: RunLike) -> dict[str, RunLike]:
    """Return the run and those variants that have another consensus than runs before them, by name."""
    runs: dict[str, RunLike] = {str(setting(run.config, "consensus.name") or own_name(run)): run}
    seen = [run.config.get("consensus")]
    for name, other in run.variants.items():
        if (rule := other.config.get("consensus")) not in seen:
            seen.append(rule)
            runs[name if name not in runs else f"variant {name}"] = other
    return runs


def gossiping(run: RunLike) -> dict[str, RunLike]:
    """Return those of the ordered runs whose validators gossip, by name."""
    return {name: r for name, r in ordered_runs(run).items() if setting(r.config, "consensus.name") == "hashgraph"}


# ---- over time -------------------------------------------------------------------------------------------------------


def consensus(run: RunLike) -> Picture:
    """Return finality, transactions pending and expired, and rounds decided, over time; faults are shaded."""
    title = "Consensus over time"
    runs = {name: r for name, r in ordered_runs(run).items() if len(slots(r.tables, "consensus", "tick"))}
    if not runs:
        return d.message(title, "no tick was recorded")
    figure, axes = d.canvas(title, rows=4, share_x=True)
    figure.set_size_inches(8, 7)
    for ax, label in zip(axes, PANELS, strict=True):
        ax.set_ylabel(label)
    highest, time = np.zeros(4), np.empty(0)
    for i, (name, other) in enumerate(runs.items()):
        time, lines = _over_time(other)
        colour, style = d.PALETTE[i % len(d.PALETTE)], d.DASHES[i % len(d.DASHES)]
        for k, (ax, y) in enumerate(zip(axes, lines, strict=True)):
            d.series(ax, time, y, colour, d.literal(name), style=style, width=2.2 if i == 0 else 1.4)
            highest[k] = max(highest[k], float(np.nan_to_num(y).max(initial=0.0)))
    for k, ax in enumerate(axes):
        d.from_zero(ax, float(highest[k]))
        _shade_faults(ax, run)
    d.time_axis(axes[-1], time)
    for ax in axes[:-1]:
        ax.set_xlabel("")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9, frameon=False)
    return figure


def _over_time(run: RunLike) -> tuple[Floats, tuple[Floats, ...]]:
    """Return the ends of ticks (s), and by tick: median finality, pending, expired, rounds decided a minute."""
    seconds = float(setting(run.config, "tick_seconds") or 1.0)
    names = ("latency_p50_s", "pending", "expired", "rounds")
    finality, pending, expired, rounds = (floats(run.tables, "consensus", name) for name in names)
    time: Floats = seconds * (floats(run.tables, "consensus", "tick") + 1)
    if setting(run.config, "consensus.name") != "hashgraph":
        rounds = np.full(len(time), np.nan)
    return time, (finality, pending, expired, rounds * (60.0 / seconds))


def _shade_faults(ax: Axes, run: RunLike) -> None:
    """Shade the times of the run's own faults."""
    faults = setting(run.config, "consensus.faults") or ()
    end = float(slots(run.tables, "consensus", "tick").max() + 1) * float(setting(run.config, "tick_seconds") or 1.0)
    kinds: dict[tuple[float, float], list[str]] = {}
    for fault in faults:
        span = float(fault.get("start_s") or 0.0), min(float(fault.get("end_s") or np.inf), end)
        kinds.setdefault(span, []).append(str(fault.get("kind")))
    for i, (span, names) in enumerate(kinds.items()):
        label = f"{' and '.join(dict.fromkeys(names))} (of the run itself)"
        left, right = (x / 3600.0 for x in span)
        ax.axvspan(left, right, color=SHADES[i % len(SHADES)], zorder=0, linewidth=0, label=label)


# ---- by the number of members ----------------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """Networks by their number of members."""

    members: Slots  # (n,)
    median: Floats  # (n,) gossip intervals from submission to finality
    late: Floats  #   (n,) the 95 % quantile of the same
    pace: Floats  #   (n,) events per member and round


def sizes(run: RunLike) -> Sizes:
    """Return what a run and its variants show about networks of different size; the first run of each size counts."""
    rows: dict[int, tuple[float, ...]] = {}
    for other in gossiping(run).values():
        latency, interval = finality_of(other.tables), gossip_interval(other.config)
        members = int(setting(other.config, "consensus.validators") or 0)
        events, rounds = (float(floats(other.tables, "consensus", c).sum()) for c in ("events", "rounds"))
        if interval and len(latency) and rounds and members not in rows:
            rows[members] = (*np.quantile(latency / interval, (0.5, 0.95)).tolist(), events / members / rounds)
    order = sorted(rows)
    columns = np.array([rows[m] for m in order]).reshape(len(order), 3).T
    return Sizes(np.array(order, np.int64), *columns)


def members(run: RunLike) -> Picture:
    """Return how time to finality and the pace of rounds grow with the number of validators."""
    title, found = "From few validators to many", sizes(run)
    if len(found.members) < FEWEST_SIZES:
        return d.message(title, f"needs networks of {FEWEST_SIZES} sizes or more among this run and its variants")
    figure, (left, right) = d.canvas(title, columns=2)
    left.plot(found.members, found.median, "-o", color=d.BLUE, label="median, of transactions")
    left.plot(found.members, found.late, "--s", color=d.ORANGE, markersize=5, label="95 % of transactions within")
    right.plot(found.members, found.pace, "-o", color=d.BLUE, label="events per member and round")
    known = np.array(sorted(REFERENCE))
    for ax, k, words in ((left, 0, "an event, creation to order, mean"), (right, 1, "events per member and round")):
        reference = [REFERENCE[m][k] for m in known.tolist()]
        ax.plot(known, reference, "x", color=d.INK, markeredgewidth=1.6, label=f"reference: {words}")
        _log_axis(ax, np.union1d(found.members, known[[0, -1]]))
        d.legend(ax, "upper left")
    d.from_zero(left, 1.35 * float(found.late.max()))
    d.from_zero(right, 1.3 * float(max(found.pace.max(), 15.0)))
    left.set_ylabel("time to finality, gossip intervals")
    right.set_ylabel("events a member creates in a round")
    return figure


def _log_axis(ax: Axes, at: Slots) -> None:
    """Put members on a scale of doublings."""
    from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

    ax.set_xscale("log", base=2)
    powers = 2 ** np.arange(int(np.log2(at.min())), int(np.ceil(np.log2(at.max()))) + 1)
    ax.xaxis.set_major_locator(FixedLocator(powers.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xlabel("validators")


def idle(run: RunLike) -> dict[str, bool]:
    """Return which plots of consensus at work have nothing to say about a run and its variants."""
    runs = ordered_runs(run).values()
    busy = any((floats(r.tables, "consensus", c) > 0).any() for r in runs for c in ("rounds", "expired", "pending"))
    few = len(gossiping(run)) < FEWEST_SIZES or len(sizes(run).members) < FEWEST_SIZES
    return {"consensus": not busy, "members": few}
