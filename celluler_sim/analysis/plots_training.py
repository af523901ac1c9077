"""Plots of a training market: learning curves against data, price against quality, validation, who is paid for data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.reading import Bools, Floats, RunLike, Tables, flags, floats, setting, slots, texts
from celluler_sim.analysis.training import first_refusals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

NO_MODEL = "no model was trained"
MOST_TASKS = 6
MOST_DOTS = 400
MARKERS = ("o", "s", "^", "D", "v", "P")


def idle(run: RunLike) -> dict[str, bool]:
    """Return which of these plots have nothing to say about a run."""
    trained = bool(_judged(run.tables).any())
    return {
        "learning_curves": not trained,
        "model_prices": not trained,
        "validation": not trained,
        "data_income": not len(slots(run.tables, "datasets", "dataset")),
    }


def _judged(tables: Tables) -> Bools:
    return flags(tables, "trainings", "status", "accepted", "refused")


def _tasks(tables: Tables, rows: Bools) -> list[str]:
    """Return the tasks with most models, the most frequent first."""
    names, counts = np.unique(texts(tables, "trainings", "task")[rows].astype(str), return_counts=True)
    return [str(names[i]) for i in np.argsort(-counts, kind="stable")[:MOST_TASKS]]


def learning_curves(run: RunLike) -> Picture:
    """Return error against training: real runs (dots), the fitted power laws (lines), this run's models (rings)."""
    from celluler_sim.workloads.training_fitted import TASKS
    from celluler_sim.workloads.training_points import POINTS

    rows = _judged(run.tables)
    tasks = [name for name in _tasks(run.tables, rows) if name in TASKS]
    if not tasks:
        return d.message("Learning curves", NO_MODEL)
    columns = -(-len(tasks) // 2) if len(tasks) > 3 else len(tasks)
    figure, axes = d.canvas(
        "Learning curves: real runs, fits, and this run's models", -(-len(tasks) // columns), columns
    )
    task = texts(run.tables, "trainings", "task").astype(str)
    done, quality = floats(run.tables, "trainings", "training_done"), floats(run.tables, "trainings", "quality")
    for i, (ax, name) in enumerate(zip(axes, tasks, strict=False)):
        kind, mine = TASKS[name], rows & (task == name)
        x, error = (np.array(column) for column in POINTS[name])
        low = min(float(x.min()), float(done[mine].min(initial=1.0))) * 0.9
        grid = np.geomspace(max(low, 0.02), max(1.05, float(done[mine].max(initial=1.0))), 100)
        ax.plot(done[mine], quality[mine], MARKERS[0], ms=3, mfc="none", color=d.SKY, alpha=0.6, label="this run")
        ax.plot(grid, kind.quality(grid), color=d.INK, linewidth=1.6, label="fit, all data")
        ax.plot(x, kind.of_error(error), "o", ms=4.5, color=d.ORANGE, label="MLPerf v4.0, medians")
        ax.set_xscale("log")
        ax.set_title(d.literal(name), loc="left")
        _plain_log(ax)
        if i % columns == 0:
            ax.set_ylabel("quality, share")
        if i >= len(tasks) - columns:
            ax.set_xlabel("training, share of target's")
    for ax in axes[len(tasks) :]:
        ax.set_axis_off()
    spare = axes[-1] if len(axes) > len(tasks) else axes[0]
    handles, labels = axes[0].get_legend_handles_labels()
    spare.legend(handles, labels, loc="center" if spare is not axes[0] else "lower right", fontsize=9, edgecolor="none")
    return figure


def _plain_log(ax: Axes) -> None:
    """Write a few plain numbers on a logarithmic axis of shares."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    ax.xaxis.set_major_locator(FixedLocator([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def model_prices(run: RunLike) -> Picture:
    """Return what models cost against how good they are, by task, and what buyers got of what they had ordered."""
    rows = flags(run.tables, "trainings", "status", "accepted")
    if not rows.any():
        return d.message("Price against quality", NO_MODEL)
    figure, (left, right) = d.canvas("Price against quality", columns=2)
    task = texts(run.tables, "trainings", "task").astype(str)
    paid, score = floats(run.tables, "trainings", "paid_prana"), floats(run.tables, "trainings", "score")
    attained = score / floats(run.tables, "trainings", "wanted")
    share = paid / np.where(rows, floats(run.tables, "trainings", "agreed_prana"), np.nan)
    for i, name in enumerate(_tasks(run.tables, rows)):
        mine = np.flatnonzero(rows & (task == name))[:MOST_DOTS]
        style: dict[str, Any] = {"color": d.PALETTE[i], "ms": 4, "alpha": 0.6, "linestyle": "none"}
        left.plot(score[mine], paid[mine], MARKERS[i], label=d.literal(name), **style)
        right.plot(attained[mine], share[mine], MARKERS[i], **style)
    left.set_yscale("log")
    _plain_prices(left, paid[rows])
    left.set_xlabel("score by validators, share")
    left.set_ylabel("price paid, PRANA")
    right.axvline(1.0, color=d.INK, linestyle="--", linewidth=1)
    right.set_xlabel("score over quality ordered, share")
    right.set_ylabel("paid of what was agreed, share")
    d.percent_axis(right, decimals=1)
    handles, labels = left.get_legend_handles_labels()
    right.legend(handles, labels, loc="lower right", fontsize=9, edgecolor="none")
    return figure


def _plain_prices(ax: Axes, paid: Floats) -> None:
    """Write round numbers on a logarithmic axis of prices."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    ends = np.floor(np.log10(max(float(paid.min()), 1e-3))), np.ceil(np.log10(max(float(paid.max()), 1e-3)))
    ax.yaxis.set_major_locator(FixedLocator([k * 10.0**e for e in np.arange(*ends) for k in (1, 2, 5)]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: d.short(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def validation(run: RunLike) -> Picture:
    """Return how claims fare before the first panel: its test's statistic, and refusals against its power."""
    from scipy.stats import beta

    refused, lie = first_refusals(run.tables)
    if not len(refused):
        return d.message("Validation", NO_MODEL)
    figure, (left, right) = d.canvas("Claims and the validators' folds", columns=2)
    first = slots(run.tables, "validations", "stage") == 0
    statistic = floats(run.tables, "validations", "statistic")[first]
    finite = np.clip(np.nan_to_num(statistic, posinf=10, neginf=-6), -6, 10)
    bins = np.linspace(-6, 10, 33).tolist()
    for chosen, colour, label in ((~lie, d.BLUE, "true claims"), (lie, d.ORANGE, "overstated")):
        if chosen.any():
            left.hist(
                finite[chosen], bins, color=colour, alpha=0.6, label=f"{label} ({int(chosen.sum())})", density=True
            )
    left.set_xlabel("claim less mean score, standard errors")
    left.set_ylabel("density, share")
    rule = _rule(run)
    if rule is not None:
        from scipy.special import stdtrit

        critical = float(stdtrit(rule.folds - 1, 1 - rule.significance)) if rule.test == "t" else 1.645
        left.axvline(critical, color=d.INK, linestyle="--", linewidth=1.2, label="refused beyond")
        quality = floats(run.tables, "validations", "quality")[first]
        grid = np.linspace(0.0, 0.12, 61)
        curve = [float(np.mean(rule.power(quality, over))) for over in grid]
        right.plot(grid, curve, color=d.INK, linewidth=1.6, label=f"power of the test, {rule.folds} folds")
    for chosen, colour, over in ((~lie, d.BLUE, 0.0), (lie, d.ORANGE, _overstatement(run))):
        n, k = int(chosen.sum()), int(refused[chosen].sum())
        if n:
            low, high = beta.ppf(0.025, k, n - k + 1) if k else 0.0, beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
            rate = k / n
            right.errorbar(
                over, rate, [[rate - low], [high - rate]], fmt="o", color=colour, capsize=3,
                label=f"refused in this run: {rate:.0%} of {n}",
            )  # fmt: skip
    right.set_xlabel("overstatement of quality, share")
    right.set_ylabel("claims refused by the first panel, share")
    right.set_ylim(0, 1.02)
    d.percent_axis(right)
    d.legend(left, "upper right")
    d.legend(right, "lower right")
    return figure


def _rule(run: RunLike) -> Any:
    """Return the cross-validation that a run was configured with, or None."""
    from celluler_sim.mechanisms.cross_validation import CrossValidation

    keys = setting(run.config, "training.validation")
    return CrossValidation(**keys) if isinstance(keys, Mapping) else None


def _overstatement(run: RunLike) -> float:
    first = slots(run.tables, "validations", "stage") == 0
    above = floats(run.tables, "validations", "claimed")[first] - floats(run.tables, "validations", "quality")[first]
    return float(np.median(above[above > 1e-12])) if (above > 1e-12).any() else 0.0


def data_income(run: RunLike) -> Picture:
    """Return how much of the data models are trained on over time, and what owners and copiers earn, by rule."""
    if not len(slots(run.tables, "datasets", "dataset")):
        return d.message("Data", "no data provider was paid")
    figure, (left, right) = d.canvas("Data under each rule", columns=2)
    own = str(setting(run.config, "sharing.name") or "as configured")
    runs: list[tuple[str, RunLike]] = [(own, run), *run.variants.items()]
    highest = 0.0
    for i, (name, one) in enumerate(runs):
        rows = flags(one.tables, "trainings", "status", "accepted")
        begun = floats(one.tables, "trainings", "started_s")[rows]
        share = floats(one.tables, "trainings", "data")[rows]
        order = np.argsort(begun, kind="stable")
        colour, style = d.PALETTE[i % len(d.PALETTE)], d.DASHES[i % len(d.DASHES)]
        left.step(begun[order] / 3600, share[order], style, where="post", color=colour, label=d.literal(name))
        for k, (lots, label) in enumerate(_income(one.tables)):
            highest = max(highest, lots)
            right.bar(i + 0.4 * (k - 0.5), lots, 0.36, color=(d.BLUE, d.AMBER)[k], label=label if i == 0 else None)
    left.set_ylim(0, 1.02)
    left.set_xlabel("simulated time, h")
    left.set_ylabel("share of the full data used")
    d.percent_axis(left)
    right.set_xticks(range(len(runs)), [d.literal(name) for name, _ in runs], rotation=20, ha="right")
    right.set_ylabel("paid to a data provider, PRANA")
    d.from_zero(right, 1.2 * highest)
    d.large_numbers(right)
    d.legend(left, "lower right")
    d.legend(right, "upper right")
    return figure


def _income(tables: Tables) -> list[tuple[float, str]]:
    """Return the mean income of providers of data of their own and of copies, PRANA, with words for each."""
    who, paid = slots(tables, "datasets", "dataset"), floats(tables, "datasets", "paid_prana")
    copied = slots(tables, "datasets", "copy_of") >= 0
    found = []
    for rows, label in ((~copied, "data of its own"), (copied, "a copy")):
        n = len(np.unique(who[rows]))
        found.append((float(paid[rows].sum()) / n if n else 0.0, label))
    return found


def held_out_times(measured: Floats, predicted: Floats, benchmark: list[str]) -> Picture:
    """Return predicted against measured time to target of systems that were left out, in minutes, both logarithmic."""
    figure, (ax,) = d.canvas("Time to target of systems whose submitter was left out")
    names = np.array(benchmark)
    for i, name in enumerate(sorted(set(benchmark))):
        mine = names == name
        ax.plot(
            measured[mine] / 60, predicted[mine] / 60, MARKERS[i % len(MARKERS)], ms=4.5, alpha=0.7, linestyle="none",
            color=d.PALETTE[i % len(d.PALETTE)], mfc="none" if i >= len(d.PALETTE) else None, label=d.literal(name),
        )  # fmt: skip
    ends = np.array([min(measured.min(), predicted.min()), max(measured.max(), predicted.max())]) / 60
    ax.plot(ends, ends, color=d.INK, linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("measured, min")
    ax.set_ylabel("predicted, min")
    d.legend(ax, "upper left", columns=2)
    return figure
