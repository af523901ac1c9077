"""Plots of trust and governance: reputations, detection, money lost, readiness to cheat, votes and power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.detection import bands, curve
from celluler_sim.analysis.deterrence import READINGS, Fraud
from celluler_sim.analysis.reading import Bools, Floats, RunLike, Slots, Tables, flags, floats, setting, slots, texts
from celluler_sim.analysis.trust import money_saved, trust_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NO_TRUST = "nothing was delivered under a rule of trust"
NO_CHEATS = "nobody cheated, or everybody did"
NO_VOTE = "no vote was counted"
MOST_PATHS = 60


def idle(run: RunLike) -> dict[str, bool]:
    """Return which of these plots have nothing to say about a run."""
    return {
        "reputations": not len(slots(run.tables, "reputation", "tick")),
        "detection": _scores(run.tables) is None,
        "fraud_losses": not (floats(run.tables, "deliveries", "cheated") > 0).any(),
        "deterrence": not len(_deterrence(run)[0]),
        "voting_power": not len(slots(run.tables, "votes", "voter")),
    }


def _seconds(run: RunLike, tick: Slots | Floats) -> Floats:
    return np.asarray(tick * float(setting(run.config, "tick_seconds") or 1.0), dtype=np.float64)


def reputations(run: RunLike) -> Picture:
    """Return the paths of reputations, one line a provider, and the means of the honest and of cheats."""
    title = "Reputation of the honest and of cheats"
    tick, who = slots(run.tables, "reputation", "tick"), slots(run.tables, "reputation", "provider")
    if not len(tick):
        return d.message(title, NO_TRUST)
    score, honest = floats(run.tables, "reputation", "score"), flags(run.tables, "reputation", "fraud", "honest")
    figure, (ax,) = d.canvas(title)
    for k, (mask, name) in enumerate(((honest, "honest"), (~honest, "cheats"))):
        for provider in np.unique(who[mask])[:MOST_PATHS]:
            mine = mask & (who == provider)
            ax.plot(d.hours(_seconds(run, tick[mine])), score[mine], color=d.PALETTE[k], linewidth=0.5, alpha=0.35)
        at, mean = _mean_path(tick[mask], score[mask])
        if len(at):
            ax.plot(d.hours(_seconds(run, at)), mean, color=d.PALETTE[k], linewidth=2.5, label=f"{name}, mean")
    least = float(setting(run.config, "trust.min_reputation") or 0.0)
    if least:
        ax.axhline(least, color=d.INK, linestyle="--", linewidth=1.0, label="let in from here on")
    ax.set_xlabel("time, h")
    ax.set_ylabel("reputation")
    d.from_zero(ax, 1.0)
    d.legend(ax)
    return figure


def _mean_path(tick: Floats, value: Floats) -> tuple[Floats, Floats]:
    at, row = np.unique(tick, return_inverse=True)
    return at.astype(np.float64), np.bincount(row, value) / np.maximum(np.bincount(row), 1) if len(at) else value


def _scores(tables: Tables) -> tuple[Bools, dict[str, Floats]] | None:
    """Return who cheats, of those that have delivered, and what speaks against each; None where all are alike."""
    tick = slots(tables, "reputation", "tick")
    last = tick == tick.max(initial=-1)
    provider = slots(tables, "reputation", "provider")[last]
    sold = np.isin(provider, slots(tables, "deliveries", "provider"))
    cheat = ~flags(tables, "reputation", "fraud", "honest")[last][sold]
    if not cheat.any() or cheat.all():
        return None
    worst = np.zeros(int(provider.max()) + 1)
    rows = slots(tables, "deliveries", "provider")
    known = rows <= provider.max()
    np.maximum.at(worst, rows[known], floats(tables, "deliveries", "suspicion")[known])
    return cheat, {
        "low reputation": -floats(tables, "reputation", "score")[last][sold],
        "worst check": worst[provider[sold]],
    }


def detection(run: RunLike) -> Picture:
    """Return ROC and precision-recall curves of reputation and of checks, against who really cheats.

    Shaded, and in brackets: 95 % intervals by bootstrap over agents, see `detection.bands`.
    """
    title = "Telling cheats from honest providers"
    found = _scores(run.tables)
    if found is None:
        return d.message(title, NO_CHEATS)
    cheat, scores = found
    figure, (left, right) = d.canvas(title, 1, 2)
    for k, (name, score) in enumerate(scores.items()):
        c, b = curve(cheat, score), bands(cheat, score)
        area = f"{name}, area {c.auc:.2f} ({b.auc[0]:.2f} to {b.auc[1]:.2f})"
        average = f"{name}, {c.average_precision:.2f} ({b.average_precision[0]:.2f} to {b.average_precision[1]:.2f})"
        left.step(c.false_alarm_rate, c.recall, where="post", color=d.PALETTE[k], label=area)
        right.plot(c.recall, c.precision, color=d.PALETTE[k], marker=".", label=average)
        for ax, ends in ((left, b.recall), (right, b.precision)):
            ax.fill_between(b.grid, ends[0], ends[1], color=d.PALETTE[k], alpha=0.15, linewidth=0)
    left.plot([0, 1], [0, 1], color=d.INK, linestyle=":", linewidth=1.0, label="by luck")
    right.axhline(cheat.mean(), color=d.INK, linestyle=":", linewidth=1.0, label="by luck")
    for ax, x, y in (
        (left, "honest providers flagged", "cheats flagged"),
        (right, "cheats flagged", "flags that are right"),
    ):
        ax.set_xlabel(x)
        ax.set_ylabel(y)
        for which in ("x", "y"):
            d.percent_axis(ax, which, decimals=0)
        ax.set_ylim(-0.02, 1.05)
        d.legend(ax, "lower right" if ax is left else "best")
    return figure


def fraud_losses(run: RunLike) -> Picture:
    """Return what was paid for nothing, withheld, slashed and spent on checks, summed over time."""
    title = "What fraud cost, and what was done about it"
    t = run.tables
    if not len(slots(t, "deliveries", "tick")):
        return d.message(title, NO_TRUST)
    figure, (ax,) = d.canvas(title)
    tick, price = slots(t, "deliveries", "tick"), floats(t, "deliveries", "price_prana")
    lines = {
        "paid for work not done": (tick, floats(t, "deliveries", "lost_prana")),
        "withheld": (tick, price - floats(t, "deliveries", "earned_prana")),
        "slashed from bonds": (slots(t, "penalties", "tick"), floats(t, "penalties", "slashed_prana")),
        "spent on checks": (slots(t, "checks", "tick"), floats(t, "checks", "paid_prana")),
    }
    end = int(tick.max()) + 1
    for k, (name, (when, amount)) in enumerate(lines.items()):
        total = np.cumsum(np.bincount(when, amount, minlength=end))
        ax.plot(d.hours(_seconds(run, np.arange(1, len(total) + 1))), total, color=d.PALETTE[k], label=name)
    for name, blind in _blind(run).items():
        saved = money_saved(t, blind.tables)
        said = f"against {d.literal(name)}: {saved.prevented:,.0f} prevented for {saved.spent:,.0f}"
        ax.plot([], [], " ", label=said)
    ax.set_xlabel("time, h")
    ax.set_ylabel("PRANA so far")
    d.large_numbers(ax)
    d.legend(ax)
    return figure


def _blind(run: RunLike) -> dict[str, RunLike]:
    """Return the variants of a run in which nobody looks."""
    if not floats(run.tables, "checks", "paid_prana").any():
        return {}
    return {name: v for name, v in run.variants.items() if setting(v.config, "verification.probability") == 0}


def _deterrence(run: RunLike) -> tuple[Floats, Floats, list[str]]:
    """Return (audit probability, mean readiness to cheat at the end, name) of the run and its variants, by chance."""
    rows = []
    for name, other in (("as configured", run), *run.variants.items()):
        p = setting(other.config, "verification.probability")
        found = trust_figures(other.tables, other.config)["cheating_propensity"]
        if p is not None and found is not None and setting(other.config, "trust.fraud.learning") not in (None, "none"):
            rows.append((float(p), found, name))
    rows.sort()
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), [r[2] for r in rows]


def deterrence(run: RunLike) -> Picture:
    """Return how ready learning cheats are to cheat, against the audit probability, with Becker's thresholds."""
    title = "Readiness to cheat against the chance to be checked"
    p, ready, names = _deterrence(run)
    if not len(p):
        return d.message(title, "no cheat learned")
    figure, (ax,) = d.canvas(title)
    ax.scatter(p, ready, color=d.PALETTE[0], zorder=3)
    for x, y, name in zip(p, ready, names, strict=True):
        ax.annotate(d.literal(name), (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
    multiple = float(setting(run.config, "trust.fine_multiple") or 0.0)
    if multiple > 0:
        for k, reading in enumerate(READINGS):
            at = Fraud(gain=1.0, fine=multiple).threshold(reading)
            if at <= 1:
                ax.axvline(at, color=d.PALETTE[k + 1], linestyle="--", label=f"threshold, gain {reading}")
        d.legend(ax)
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("share of deliveries checked")
    ax.set_ylabel("chance to cheat on a delivery")
    return figure


def voting_power(run: RunLike) -> Picture:
    """Return voters' power against their stake at each way of voting, and what became of the proposals."""
    title = "Vote power against stake"
    runs = {"as configured": run, **run.variants}
    runs = {name: other for name, other in runs.items() if len(slots(other.tables, "votes", "voter"))}
    if not runs:
        return d.message(title, NO_VOTE)
    figure, (left, right) = d.canvas(title, 1, 2)
    top = 0.0
    for k, (name, other) in enumerate(runs.items()):
        stake, power = _first_count(other.tables)
        top = max(top, float(stake.max()), float(power.max()))
        left.scatter(
            stake, power, color=d.PALETTE[k % len(d.PALETTE)], s=22, label=d.literal(name), alpha=0.8, edgecolors="none"
        )
    left.plot([0, top], [0, top], color=d.INK, linestyle=":", linewidth=1.0)
    left.set_xlabel("share of all stake")
    left.set_ylabel("share of voting power (Banzhaf)")
    for which in ("x", "y"):
        d.percent_axis(left, which, decimals=0)
    _outcomes(right, runs)
    handles, labels = left.get_legend_handles_labels()
    more, names = right.get_legend_handles_labels()
    figure.legend(
        [*handles, *more], [*labels, *names], loc="outside lower center", ncols=5, fontsize=9, frameon=False
    )  # fmt: skip
    return figure


def _first_count(tables: Tables) -> tuple[Floats, Floats]:
    """Return share of stake and share of power, (n_voters,) each, at the first proposal counted."""
    number = slots(tables, "votes", "proposal")
    first = number == number.min()
    stake = floats(tables, "votes", "stake_prana")[first]
    return stake / stake.sum(), floats(tables, "votes", "power")[first]


def _outcomes(ax: Axes, runs: dict[str, RunLike]) -> None:
    """Draw turnout and approval of the first proposal counted of each run, as bars."""
    at = np.arange(len(runs), dtype=np.float64)
    for k, column in enumerate(("turnout", "approval")):
        values = []
        for other in runs.values():
            counted = flags(other.tables, "proposals", "status", "executed", "rejected", "failed")
            values.append(float(floats(other.tables, "proposals", column)[counted][0]))
        ax.barh(at + 0.2 - 0.4 * k, values, height=0.38, color=d.PALETTE[k], label=column)
    status = [
        str(texts(o.tables, "proposals", "status")[
            flags(o.tables, "proposals", "status", "executed", "rejected", "failed")
        ][0])
        for o in runs.values()
    ]  # fmt: skip
    ax.set_yticks(at, [f"{d.literal(name)}\n{s}" for name, s in zip(runs, status, strict=True)], fontsize=8)
    ax.invert_yaxis()
    ax.axvline(0.67, color=d.INK, linestyle="--", linewidth=1.0)
    d.percent_axis(ax, "x", decimals=0)
    ax.grid(visible=False, axis="y")
