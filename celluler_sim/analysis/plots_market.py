"""Plots of a market over time: price, utilisation, queue, revenue, and its two curves at the peak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.reading import Bools, Floats, RunLike, Tables, floats, setting, slots, texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NO_TICK = "no tick was recorded"
MAX_STEPS = 3000
TICKS, WINDOWS = (d.SKY, d.AMBER, d.PURPLE), (d.BLUE, d.ORANGE, d.BLACK)  # light for each tick, dark for the window


def _markets(tables: Tables) -> Iterator[tuple[str, Bools]]:
    """Yield each market's name and its rows of `markets`."""
    names = texts(tables, "markets", "market")
    for name in dict.fromkeys(names):
        yield d.literal(name), np.asarray(names == name)


def _tick_seconds(run: RunLike) -> float:
    time, tick = floats(run.tables, "markets", "time_s"), floats(run.tables, "markets", "tick")
    return float(setting(run.config, "tick_seconds") or time[-1] / (tick[-1] + 1))


def price(run: RunLike) -> Picture:
    """Return the price quoted over time, one line a market."""
    time, quoted = floats(run.tables, "markets", "time_s"), floats(run.tables, "markets", "price_prana")
    if not np.isfinite(quoted).any():
        return d.message("Price", NO_TICK if not len(quoted) else "no offer was made")
    figure, (ax,) = d.canvas("Price over time")
    several = len(set(texts(run.tables, "markets", "market"))) > 1
    for i, (name, rows) in enumerate(_markets(run.tables)):
        colour = d.PALETTE[i % len(d.PALETTE)]
        d.series(ax, time[rows], quoted[rows], colour, name if several else "price quoted")
    base = setting(run.config, "pricing.base_price")
    if base is not None:
        ax.axhline(float(base), color=d.FAINT, linestyle="--", linewidth=1.2, label=f"base price {float(base):g}")
    d.time_axis(ax, time)
    d.from_zero(ax, float(np.nanmax(quoted)))
    ax.set_ylabel("price, PRANA per unit")
    d.legend(ax)
    return figure


def utilisation(run: RunLike) -> Picture:
    """Return the share of capacity in use over time, in each tick and over the pricing window."""
    time = floats(run.tables, "markets", "time_s")
    used, window = (floats(run.tables, "markets", c) for c in ("utilisation", "window_utilisation"))
    if not np.isfinite(used).any():
        return d.message("Utilisation", NO_TICK if not len(used) else "no capacity was on offer")
    figure, (ax,) = d.canvas("Utilisation over time")
    several = len(set(texts(run.tables, "markets", "market"))) > 1
    for i, (name, rows) in enumerate(_markets(run.tables)):
        colour, prefix = TICKS[i % len(TICKS)], f"{name}, " if several else ""
        d.series(ax, time[rows], used[rows], colour, f"{prefix}each tick", width=1.0)
        window_colour = WINDOWS[i % len(WINDOWS)]
        d.series(ax, time[rows], window[rows], window_colour, f"{prefix}over the pricing window", width=2.2)
    d.time_axis(ax, time)
    ax.set_ylim(0, 1.05)
    d.percent_axis(ax)
    ax.set_ylabel("capacity in use, share of offer")
    d.legend(ax)
    return figure


def queue(run: RunLike) -> Picture:
    """Return the requests that wait and those that left unserved, over time."""
    tables = run.tables
    time, waiting = floats(tables, "markets", "time_s"), floats(tables, "markets", "queue")
    if not len(time):
        return d.message("Queue", NO_TICK)
    figure, (top, bottom) = d.canvas("Requests that wait, and those that leave unserved", rows=2, share_x=True)
    for i, (name, rows) in enumerate(_markets(tables)):
        d.series(top, time[rows], waiting[rows], d.PALETTE[i % len(d.PALETTE)], name)
    d.from_zero(top, float(waiting.max()))
    d.whole_numbers(top)
    top.set_ylabel("waiting,\nrequests")
    if len(set(texts(tables, "markets", "market"))) > 1:
        d.legend(top)
    _stack_unserved(bottom, run, time)
    d.time_axis(bottom, time)
    return figure


def _stack_unserved(ax: Axes, run: RunLike, time: Floats) -> None:
    bars = d.spans(time, _tick_seconds(run))
    base = np.zeros(len(bars.left))
    for kind, colour in (("reneged", d.ORANGE), ("expired", d.PURPLE), ("refused", d.AMBER)):
        rate = bars.rate(floats(run.tables, "markets", kind))
        if rate.any():
            left, width = bars.left / 3600, bars.width / 3600
            ax.bar(left, rate, width, bottom=base, align="edge", color=colour, label=kind, linewidth=0)
            base += rate
    if not base.any():
        ax.text(0.5, 0.5, "none left unserved", ha="center", va="center", color=d.FAINT, transform=ax.transAxes)
    d.from_zero(ax, 1.15 * float(base.max()))
    ax.set_ylabel("unserved,\nrequests per h")
    d.legend(ax, "upper left", columns=3)


def revenue(run: RunLike) -> Picture:
    """Return what providers were paid, per hour and cumulative."""
    time, paid = floats(run.tables, "markets", "time_s"), floats(run.tables, "markets", "revenue_prana")
    if not paid.any():
        return d.message("Revenue", NO_TICK if not len(time) else "no job was served to its end")
    figure, (top, bottom) = d.canvas("Revenue of the providers", rows=2, share_x=True)
    bars = d.spans(time, _tick_seconds(run))
    top.bar(bars.left / 3600, bars.rate(paid), bars.width / 3600, align="edge", color=d.BLUE, linewidth=0.3, ec="white")
    top.set_ylabel("PRANA per h")
    d.series(bottom, time, np.cumsum(paid), d.GREEN)
    bottom.set_ylabel("PRANA so far")
    for ax in (top, bottom):
        d.large_numbers(ax)
    d.from_zero(bottom, float(paid.sum()))
    d.time_axis(bottom, time)
    return figure


class Side(NamedTuple):
    """One side of a market, best price first."""

    price: Floats  #    (n,) PRANA per unit
    quantity: Floats  # (n,) units/s

    def within(self, price: float, *, buying: bool) -> float:
        """Return the capacity, units/s, of those who would trade at ``price``."""
        return float(self.quantity[self.price >= price if buying else self.price <= price].sum())


def _side(price: Floats, quantity: Floats, *, buying: bool) -> Side:
    order = np.argsort(-price if buying else price, kind="stable")
    return Side(price[order], quantity[order])


class Peak(NamedTuple):
    """Both sides of a market at its busiest clearing."""

    time: float  #   s, NaN where unknown
    quoted: float  # PRANA per unit, NaN where unknown
    demand: Side
    supply: Side


def at_peak(tables: Tables) -> Peak | None:
    """Return who would buy and who would sell at the busiest clearing, from `book`; None where none was kept.

    Where several markets kept one, the one with the largest demand is taken.
    """
    market, side = texts(tables, "book", "market"), texts(tables, "book", "side")
    price, quantity = floats(tables, "book", "price_prana"), floats(tables, "book", "quantity")
    if not len(side):
        return None
    wanted = {name: quantity[(market == name) & (side == "request")].sum() for name in dict.fromkeys(market)}
    busiest = max(wanted, key=lambda name: float(wanted[name]))
    buying, selling = ((market == busiest) & (side == kind) for kind in ("request", "offer"))
    tick = slots(tables, "book", "tick")[market == busiest][0]
    row = np.flatnonzero((slots(tables, "markets", "tick") == tick) & (texts(tables, "markets", "market") == busiest))
    time, quoted = (floats(tables, "markets", c)[row] for c in ("time_s", "price_prana"))
    return Peak(
        float(time[0]) if len(row) else np.nan,
        float(quoted[0]) if len(row) else np.nan,
        _side(price[buying], quantity[buying], buying=True),
        _side(price[selling], quantity[selling], buying=False),
    )


def supply_demand(run: RunLike) -> Picture:
    """Return the supply and the demand curve at the busiest clearing, and the price quoted there."""
    peak = at_peak(run.tables)
    if peak is None:
        return d.message("Supply and demand", "no request and no offer was recorded")
    figure, (ax,) = d.canvas("Supply and demand at the busiest moment" + _when(peak.time))
    top = _price_range(peak)
    _curve(ax, peak.demand, 0.0, d.BLUE, "demand: what consumers would pay")
    _curve(ax, peak.supply, top, d.ORANGE, "supply: what providers ask")
    if np.isfinite(peak.quoted):
        ax.axhline(peak.quoted, color=d.INK, linestyle="--", linewidth=1.2, label=_quoted_label(peak))
    ax.set_ylim(0, top)
    ax.set_xlim(0, 1.03 * max(peak.demand.quantity.sum(), peak.supply.quantity.sum()))
    ax.set_xlabel("capacity, units/s")
    ax.set_ylabel("price, PRANA per unit")
    d.legend(ax, "upper right")
    return figure


def _when(time: float) -> str:
    return f" ({time / 3600:.3g} h)" if np.isfinite(time) else ""


def _price_range(peak: Peak) -> float:
    """Return an upper end of the price axis that shows all asks and all but the few highest bids."""
    bids = peak.demand.price[np.isfinite(peak.demand.price)]
    bid = float(np.quantile(bids, 0.97)) if len(bids) else 0.0
    ends = [bid, 1.15 * float(peak.supply.price.max(initial=0.0)), 1.3 * np.nan_to_num(peak.quoted)]
    return 1.05 * max(ends) or 1.0


def _quoted_label(peak: Peak) -> str:
    wanted, offered = peak.demand.within(peak.quoted, buying=True), peak.supply.within(peak.quoted, buying=False)
    return f"price quoted {d.short(peak.quoted)}: {d.short(wanted)} units/s wanted, {d.short(offered)} offered"


def _curve(ax: Axes, side: Side, end: float, colour: str, label: str) -> None:
    """Draw price against cumulative quantity as steps, ending in a vertical line to ``end``."""
    if not len(side.price):
        return
    keep = np.unique(np.linspace(0, len(side.price) - 1, MAX_STEPS).astype(np.int64))
    total = np.cumsum(side.quantity)[keep]
    x = np.concatenate([[0.0], total, total[-1:]])
    y = np.concatenate([side.price[:1], side.price[keep], [end]])
    ax.step(x, np.where(np.isfinite(y), y, 1e12), where="pre", color=colour, linewidth=1.8, label=label)
