"""One style for all plots, and the helpers they share. matplotlib is imported where it is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from celluler_sim.analysis.reading import Floats, Slots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
# Okabe and Ito (2008), Color universal design, without the yellow that vanishes on white
BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000",
)  # fmt: skip
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
DASHES = ("-", "--", "-.", ":")
MAX_POINTS = 3000  # more than a figure 8 inches wide can show
THINNED_TO = 400
MAX_BARS = 36
Corner = Literal["best", "upper left", "upper right", "lower right"]


class Thinned(NamedTuple):
    """A series cut down to what can be seen."""

    x: Floats  #    (n_bins,) middle of each bin
    mean: Floats  # (n_bins,) NaN where a bin holds no number
    low: Floats  #  (n_bins,)
    high: Floats  # (n_bins,)


def thin(x: Floats, y: Floats, points: int = MAX_POINTS, to: int = THINNED_TO) -> Thinned:
    """Return mean and range of ``y`` in ``to`` bins of equally many entries where it has more than ``points``.

    NaN entries count for nothing.

    >>> thin(np.arange(4.0), np.array([1.0, 3.0, np.nan, 8.0]), points=2, to=2).mean.tolist()
    [2.0, 8.0]
    """
    if len(x) <= points:
        return Thinned(x, y, y, y)
    starts = np.linspace(0, len(x), to, endpoint=False).astype(np.int64)
    known = np.isfinite(y)
    count = np.add.reduceat(known.astype(np.float64), starts)
    total = np.add.reduceat(np.where(known, y, 0.0), starts)
    mean = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
    middle = np.add.reduceat(x, starts) / np.diff(np.append(starts, len(x)))
    return Thinned(middle, mean, np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts))


def canvas(
    title: str, rows: int = 1, columns: int = 1, *, widths: Iterable[float] | None = None, share_x: bool = False
) -> tuple[Picture, list[Axes]]:
    """Return an empty figure of 8 by 4 inches in the common style and its axes, row by row."""
    from celluler_sim.analysis.picture import Picture

    figure = Picture(figsize=(8, 4), dpi=100, layout="constrained", facecolor="white")
    ratios = None if widths is None else list(widths)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share_x, width_ratios=ratios)
    figure.suptitle(title, x=0.012, ha="left", fontsize=12, fontweight="bold", color=INK)
    axes: list[Axes] = list(grid.ravel())
    for ax in axes:
        _dress(ax)
    return figure, axes


def _dress(ax: Axes) -> None:
    ax.set_axisbelow(True)
    ax.grid(visible=True, color=GRID, linewidth=0.8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
    ax.tick_params(colors=INK, labelsize=9, color=FAINT)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(INK)
        label.set_fontsize(10)
    ax.title.set_color(INK)
    ax.title.set_fontsize(10)


def message(title: str, text: str) -> Picture:
    """Return a figure that says why there is nothing to draw."""
    figure, (ax,) = canvas(title)
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", fontsize=13, color=FAINT, transform=ax.transAxes)
    return figure


def literal(text: object) -> str:
    r"""Return text from outside as it must be given to matplotlib to appear as it is.

    Dollar signs would start a formula, a leading underscore would hide the entry from legends.

    >>> literal("_5 $")
    ' _5 \\$'
    """
    plain = str(text).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def legend(ax: Axes, where: Corner = "best", columns: int = 1) -> None:
    """Add a legend in the common style, if there is anything to name."""
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc=where, fontsize=9, frameon=True, framealpha=0.85, edgecolor="none", labelcolor=INK, ncols=columns)


def hours(seconds: Floats) -> Floats:
    """Return hours of simulated time."""
    return seconds / 3600.0


def time_axis(ax: Axes, time_s: Floats) -> None:
    """Label the x axis in hours of simulated time, from the start of the first tick, with ticks at round hours."""
    from matplotlib.ticker import MultipleLocator

    moments = hours(np.unique(time_s))
    low = float(2 * moments[0] - moments[1]) if len(moments) > 1 else 0.0
    high = max(float(moments[-1]), low + 1e-6)
    steps = np.array(
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 120, 240, 480, 1200, 2400, 4800]
    )
    fitting = steps[(high - low) / steps <= 10]
    if len(fitting):
        ax.xaxis.set_major_locator(MultipleLocator(float(fitting[0])))
    ax.set_xlim(low, high)
    ax.set_xlabel("simulated time, h")


def series(
    ax: Axes, time_s: Floats, y: Floats, colour: str, label: str = "", *, style: str = "-", width: float = 1.6
) -> None:
    """Draw a line over time; where it had to be thinned, a band shows the range between its points."""
    line = thin(hours(time_s), y)
    marker = "o" if np.count_nonzero(np.isfinite(line.mean)) == 1 else ""
    ax.plot(
        line.x, line.mean, style, color=colour, linewidth=width, label=label or None, marker=marker, clip_on=not marker
    )
    if len(line.x) < len(y):
        ax.fill_between(line.x, line.low, line.high, color=colour, alpha=0.25, linewidth=0)


class Bars(NamedTuple):
    """Spans of time, equal but for the last."""

    left: Floats  #  (n,) s
    width: Floats  # (n,) s, the last one may be cut short
    of: Slots  #     (n_rows,) which span each row falls into

    def rate(self, amount: Floats) -> Floats:
        """Return ``amount``, (n_rows,), summed in each span, per hour, (n,)."""
        total = np.bincount(self.of, amount, minlength=len(self.left))
        return np.asarray(total / (self.width / 3600.0))


def spans(time_s: Floats, tick_s: float) -> Bars:
    """Return round spans of time, at most `MAX_BARS`, that cover rows stamped with the *end* of their tick."""
    round_s = np.array(
        [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, *(86_400.0 * np.array([2, 5, 10, 30]))]
    )
    first, last = float(time_s.min()) - tick_s, float(time_s.max())
    fitting = round_s[(round_s >= tick_s) & ((last - first) / round_s <= MAX_BARS)]
    width = max(tick_s, (last - first) / MAX_BARS) if not len(fitting) else float(fitting[0])
    start = np.floor(first / width + 1e-9) * width
    index = np.maximum(np.ceil((time_s - start) / width - 1e-9) - 1, 0).astype(np.int64)
    left = start + width * np.arange(int(index.max()) + 1)
    return Bars(left, np.minimum(width, last - left), index)


def percent_axis(ax: Axes, which: str = "y", decimals: int | None = None) -> None:
    """Show shares as per cent on one axis."""
    from matplotlib.ticker import PercentFormatter

    (ax.yaxis if which == "y" else ax.xaxis).set_major_formatter(PercentFormatter(1.0, decimals=decimals))


def large_numbers(ax: Axes) -> None:
    """Show thousands as k, millions as M, billions as bn on the y axis."""
    from matplotlib.ticker import FuncFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def short(value: float) -> str:
    """Return a large number in a few characters.

    >>> short(2_500_000), short(800), short(-4e9)
    ('2.5 M', '800', '-4 bn')
    """
    for size, name in ((1e12, "tn"), (1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g} {name}"
    return f"{value:.4g}"


def whole_numbers(ax: Axes, which: str = "y") -> None:
    """Put ticks at whole numbers only, for counts."""
    from matplotlib.ticker import MaxNLocator

    (ax.yaxis if which == "y" else ax.xaxis).set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))


def from_zero(ax: Axes, top: float) -> None:
    """Let the y axis start at zero and leave some air above ``top``."""
    ax.set_ylim(0, 1.08 * top if np.isfinite(top) and top > 0 else 1)


def mark_vertical(ax: Axes, x: float, text: str, *, end: float, height: float) -> None:
    """Draw a dashed vertical line with its figure on the side where an axis that stops at ``end`` has more room."""
    ax.axvline(x, color=INK, linestyle="--", linewidth=1.2)
    inside = x < 0.55 * end
    ax.annotate(
        text, (x, height), xycoords=("data", "axes fraction"), xytext=(4 if inside else -4, 0),
        textcoords="offset points", fontsize=9, color=INK, va="top", ha="left" if inside else "right",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )  # fmt: skip
