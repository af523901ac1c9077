"""A matplotlib figure as data that plotly.js draws: the same picture, but one can point at it, zoom and hide lines.

Every plot is drawn once, by matplotlib; what its axes hold is read back here. So a new plot is interactive without a
second version of it. A figure that holds something not known here stays an image: `figure_data` returns None.

Colours are ``#rrggbb`` or ``#rrggbbaa``, so that the page can turn them for the dark; text is escaped, as plotly.js
reads some markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celluler_sim.analysis.interactive_axes import AxesReading
from celluler_sim.analysis.interactive_marks import Json, UnknownArtistError, note, share, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from celluler_sim.analysis.picture import Picture

__all__ = ["figure_data", "note"]


def figure_data(figure: Picture) -> Json | None:
    """Return ``{data, layout, ratio}`` for plotly.js, or None where the figure holds what it cannot draw alike.

    The figure must have been drawn, as `Picture.png` does: only then are places and ranges known.
    """
    try:
        return FigureReading(figure).result()
    except (UnknownArtistError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None  # whatever a plot of somebody's own may hold: its image is there, and the report must not fail


class FigureReading:
    """Goes through a figure once and collects traces and layout."""

    def __init__(self, figure: Picture) -> None:
        self.figure = figure
        self.scales: list[Axes] = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
        self.axes: list[Axes] = [ax for ax in figure.axes if ax not in self.scales]
        self.traces: list[tuple[float, Json]] = []  # with the height in the pile
        self.layout: Json = {"annotations": [], "shapes": [], "barmode": "overlay"}
        self.rising: list[bool] = []  # of every line, whether it is read by its value at x
        self.groups: set[str] = set()  # names in legends

    def result(self) -> Json:
        """Return the figure."""
        self._frame()
        for number, ax in enumerate(self.axes, start=1):
            AxesReading(self, ax, "" if number == 1 else str(number)).read()
        self.layout["hovermode"] = "x unified" if self.rising and all(self.rising) else "closest"
        traces = [trace for _, trace in sorted(self.traces, key=lambda entry: entry[0])]
        width, height = self.figure.get_size_inches()
        return {"data": traces, "layout": self.layout, "ratio": round(float(width / height), 4)}

    def _frame(self) -> None:
        """Set title and what holds for all axes."""
        heading = self.figure.get_suptitle()
        self.layout |= {
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "font": {"color": "#1f2933", "size": 12.5},
            "showlegend": False,
        }
        if heading:
            self.layout["title"] = {
                "text": f"<b>{words(heading)}</b>", "x": 0.012, "xanchor": "left", "y": 0.985, "yanchor": "top",
                "yref": "container", "font": {"size": 16},
            }  # fmt: skip
        for legend in self.figure.legends:
            self.legend(legend, "legend")

    def legend(self, legend: Any, key: str) -> None:
        """Place a legend where matplotlib has it."""
        box = legend.get_window_extent().transformed(self.figure.transFigure.inverted())
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        left, low = x < 0.5, y < 0.5
        self.layout["showlegend"] = True
        self.layout[key] = {
            "x": share(box.x0 if left else box.x1), "xanchor": "left" if left else "right",
            "y": share(box.y0 if low else box.y1), "yanchor": "bottom" if low else "top",
            "orientation": "h" if legend._ncols > 1 else "v",  # noqa: SLF001 - it has no other name
            "bgcolor": "#ffffffd9", "font": {"size": 12},
        }  # fmt: skip
