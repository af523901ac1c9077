"""The dashboard's pictures, as Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from celluler_sim.dashboard.live import Curves

if TYPE_CHECKING:
    from celluler_sim.results import Run

PANELS = {
    "price_prana": "price, PRANA per unit",
    "utilisation": "utilisation, share of capacity",
    "queue": "requests waiting",
}
COLOURS = ("#0b6e99", "#9a9a9a", "#c2571a", "#3f7d3a", "#7b4fa3")
MOST = 2_000  # points drawn of one curve
CONFIG = {
    "displaylogo": False,
    "modeBarButtons": [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
}
"""The buttons of a picture, and no others: one of Plotly's own sends the data to a server."""


def curves(runs: Mapping[str, Curves]) -> go.Figure:
    """Return price, utilisation and queue over time, one panel each, one line a run, on a common clock."""
    figure = make_subplots(rows=len(PANELS), shared_xaxes=True, vertical_spacing=0.06)
    for (title, seen), colour in zip(runs.items(), COLOURS, strict=False):
        step = max(1, len(seen) // MOST)
        for row, name in enumerate(PANELS, 1):
            figure.add_trace(
                go.Scatter(
                    x=seen.hour[::step], y=seen.series[name][::step], name=title, legendgroup=title,
                    showlegend=row == 1, mode="lines", line={"color": colour, "width": 1.6},
                ),
                row=row, col=1,
            )  # fmt: skip
    for row, label in enumerate(PANELS.values(), 1):
        figure.update_yaxes(title_text=label, rangemode="tozero", row=row, col=1)
    figure.update_xaxes(title_text="simulated time, h", row=len(PANELS), col=1)
    figure.update_layout(
        height=640, margin={"l": 70, "r": 20, "t": 20, "b": 50}, template="plotly_white", uirevision="keep",
        legend={"orientation": "h", "y": 1.06},
    )  # fmt: skip
    return figure


def curves_of(run: Run) -> Curves:
    """Return a finished run's curves, from its table ``markets``."""
    markets = run.tables["markets"]
    asked = markets["granted"] + markets["queue"]
    served = (markets["granted"] / asked.where(asked > 0)).fillna(1.0)
    series = {name: served if name == "served" else markets[name] for name in Curves().series}
    return Curves(
        (markets["time_s"] / 3600.0).tolist(), {name: values.astype(float).tolist() for name, values in series.items()}
    )
