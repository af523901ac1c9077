"""Figures as data for plotly.js: what is drawn by hand comes back by hand; what is unknown stays an image."""

from __future__ import annotations

import json

import numpy as np
import pytest

from celluler_sim.analysis import drawing as d
from celluler_sim.analysis.interactive import figure_data, note
from celluler_sim.analysis.interactive_marks import numbers
from celluler_sim.analysis.plots import PLOTS
from celluler_sim.report import worth_drawing
from tests.analysis.fake_run import fake_run


def read(figure):
    """Return the data of a figure, drawn first."""
    figure.png(50)
    found = figure_data(figure)
    assert found is not None
    json.dumps(found, allow_nan=False)
    return found


@pytest.fixture
def axes():
    """Return a figure with one pair of axes, and these."""
    figure, (ax,) = d.canvas("By hand")
    return figure, ax


def test_a_line_keeps_points_gaps_colour_dash_and_name(axes):
    """Three points, the second unknown: 1, none, 3 in dashed blue, named in the legend."""
    figure, ax = axes
    ax.plot([0.0, 1.0, 2.0], [1.0, np.nan, 3.0], "--", color=d.BLUE, label="a < b")
    d.legend(ax)
    (line,) = read(figure)["data"]
    assert (line["x"], line["y"]) == ([0.0, 1.0, 2.0], [1.0, None, 3.0])
    assert (line["line"]["color"], line["line"]["dash"]) == (d.BLUE, "dash")
    assert (line["name"], line["showlegend"]) == ("a &lt; b", True)


def test_axes_keep_ranges_labels_and_per_cent(axes):
    """An axis from 1 down to 0 in per cent, one of factors from 1 to 1,000: 0 to 3 in powers of ten."""
    figure, ax = axes
    ax.plot([1.0, 1000.0], [0.0, 1.0])
    ax.set_xscale("log")
    ax.set_xlim(1, 1000)
    ax.set_ylim(1.0, 0.0)
    ax.set_ylabel("share")
    d.percent_axis(ax)
    layout = read(figure)["layout"]
    assert (layout["xaxis"]["type"], layout["xaxis"]["range"]) == ("log", [0.0, 3.0])
    assert (layout["yaxis"]["range"], layout["yaxis"]["title"]["text"]) == ([1.0, 0.0], "share")
    assert layout["yaxis"]["tickformat"] == ",.0%"


def test_named_ticks_are_kept(axes):
    """Bars named one and two stand at 0 and 1."""
    figure, ax = axes
    ax.barh([0, 1], [4.0, 6.0], color=d.ORANGE)
    ax.set_yticks([0, 1], ["one", "two"])
    found = read(figure)
    assert (found["layout"]["yaxis"]["tickvals"], found["layout"]["yaxis"]["ticktext"]) == ([0.0, 1.0], ["one", "two"])
    (bars,) = found["data"]
    assert (bars["orientation"], bars["x"], bars["y"]) == ("h", [4.0, 6.0], [0.0, 1.0])


def test_stacked_columns_stand_on_each_other(axes):
    """The second layer, 2 high, begins at 5."""
    figure, ax = axes
    ax.bar([0.0], [5.0], 1.0, align="edge")
    ax.bar([0.0], [2.0], 1.0, bottom=[5.0], align="edge")
    first, second = read(figure)["data"]
    assert (first["x"], first["y"], first["base"]) == ([0.5], [5.0], [0.0])
    assert (second["y"], second["base"], second["customdata"]) == ([2.0], [5.0], [2.0])


def test_error_bars_reach_as_far_as_they_did(axes):
    """3 with bars of 1 down and 2 up."""
    figure, ax = axes
    ax.errorbar([1.0], [3.0], yerr=[[1.0], [2.0]], fmt="o", color=d.BLUE, label="mean")
    (dots,) = read(figure)["data"]
    assert (dots["y"], dots["error_y"]["arrayminus"], dots["error_y"]["array"]) == ([3.0], [1.0], [2.0])
    assert dots["name"] == "mean"


def test_error_bars_of_columns_stand_on_their_ends(axes):
    """A column of 6 with bars of 2 to each side: from 4 to 8, around 6."""
    figure, ax = axes
    ax.barh([0.0], [6.0])
    ax.errorbar([6.0], [0.0], xerr=[2.0], fmt="none", ecolor=d.INK)
    _, bars = sorted(read(figure)["data"], key=lambda trace: trace["type"])
    assert (bars["x"], bars["y"], bars["error_x"]["array"], bars["error_x"]["arrayminus"]) == (
        [6.0],
        [0.0],
        [2.0],
        [2.0],
    )
    assert bars["hoverinfo"] == "skip"


def test_what_goes_right_across_spans_the_axes(axes):
    """A line at 7 from end to end; a band from 1 to 2 as high as the axes."""
    figure, ax = axes
    ax.plot([0.0, 10.0], [5.0, 8.0])
    ax.axhline(7.0)
    ax.axvspan(1.0, 2.0, color=d.GRID)
    ax.set_xlim(0, 10)
    found = read(figure)
    assert [t["x"] for t in found["data"] if t["y"] == [7.0, 7.0]] == [[0.0, 10.0]]
    (band,) = found["layout"]["shapes"]
    assert (band["x0"], band["x1"], band["yref"], band["y0"], band["y1"]) == (1.0, 2.0, "y domain", 0.0, 1.0)


def test_dots_areas_and_segments(axes):
    """Two dots of 36 square points, 6 points or 8.33 pixels wide; a triangle; a segment between two places."""
    figure, ax = axes
    ax.scatter([1.0, 2.0], [3.0, 4.0], s=36, color=d.ORANGE)
    ax.fill_between([0.0, 1.0], [0.0, 0.0], [0.0, 1.0], color=d.GREEN, alpha=0.5)
    ax.hlines([2.5], [0.0], [1.0], color=d.INK)
    ax.bar([], [])
    dots, area, segment = read(figure)["data"]
    dots, area, segment = sorted((dots, area, segment), key=lambda t: (t["mode"] != "markers", "fill" not in t))
    assert (dots["x"], dots["y"], dots["marker"]["color"]) == ([1.0, 2.0], [3.0, 4.0], d.ORANGE)
    assert dots["marker"]["size"] == pytest.approx(6 * 100 / 72)
    assert (area["fillcolor"][:7], int(area["fillcolor"][7:], 16)) == (d.GREEN, 128)
    assert set(zip(area["x"], area["y"], strict=True)) == {(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)}
    assert (segment["x"], segment["y"]) == ([0.0, 1.0], [2.5, 2.5])


def test_a_map_keeps_its_cells(axes):
    """Two by two cells with their middles at 0 and 1, and a scale beside them."""
    figure, ax = axes
    shown = ax.imshow(np.array([[1.0, 2.0], [3.0, np.nan]]), origin="lower", aspect="auto", cmap="viridis")
    figure.colorbar(shown, ax=ax)
    (heat,) = read(figure)["data"]
    assert (heat["z"], heat["x"], heat["y"]) == ([[1.0, 2.0], [3.0, None]], [0.0, 1.0], [0.0, 1.0])
    assert heat["showscale"]


def test_a_scale_that_plotly_lacks_is_bent_beforehand(axes):
    """On a symmetric logarithm that is straight up to 1, the place of 1 is the end of the straight part."""
    figure, ax = axes
    (dot,) = ax.plot([1.0], [0.0], "o")
    note(dot, ["just one"])
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlim(-1, 100)
    found = read(figure)
    (dots,) = found["data"]
    assert dots["x"] == [pytest.approx(1.0 / (1 - 1 / 10), rel=1e-5)]  # matplotlib: linscale over (1 - 1 / base)
    assert dots["text"] == ["just one"]
    assert len(found["layout"]["xaxis"]["tickvals"]) == len(found["layout"]["xaxis"]["ticktext"]) > 2


def test_axes_that_are_moved_together_stay_so():
    """The lower axes follow the upper ones along x."""
    figure, (top, bottom) = d.canvas("Two", rows=2, share_x=True)
    top.plot([0.0, 1.0], [0.0, 1.0])
    bottom.plot([0.0, 1.0], [1.0, 0.0])
    layout = read(figure)["layout"]
    assert "matches" not in layout["xaxis"]
    assert layout["xaxis2"]["matches"] == "x"
    assert layout["yaxis"]["domain"][0] > layout["yaxis2"]["domain"][1]


def test_a_figure_with_something_unknown_stays_an_image(axes):
    """An arrow has no counterpart: no data rather than half a picture."""
    figure, ax = axes
    ax.annotate("here", (0.5, 0.5), xytext=(0.1, 0.1), arrowprops={"arrowstyle": "->"})
    figure.png(50)
    assert figure_data(figure) is None


def test_every_plot_of_a_run_can_be_asked():
    """No plot of a market falls back to its image, and each has something to point at."""
    run = fake_run(ticks=40, variants=("linear", "fixed"))
    for name in worth_drawing(run):
        found = read(PLOTS[name](run))
        assert any(trace.get("hoverinfo") != "skip" for trace in found["data"]), name


def test_six_digits_are_enough():
    """Large and small numbers lose nothing that could be seen, and zero stays zero."""
    assert numbers([0.0, 1.0 / 3, -98765.4321, 1e-20, 6.02214076e23, np.inf]) == [
        0.0, 0.333333, -98765.4, 1e-20, 6.02214e23, None,
    ]  # fmt: skip


def test_a_name_stands_once_in_a_legend_and_its_band_goes_with_it():
    """Two panels share a legend: one entry for the line that both have, and the band of its colour belongs to it."""
    figure, (top, bottom) = d.canvas("Two", rows=2)
    for ax in (top, bottom):
        ax.plot([0.0, 1.0], [0.0, 1.0], color=d.BLUE, label="linear")
        ax.fill_between([0.0, 1.0], [0.0, 0.5], [1.0, 1.5], color=d.BLUE, alpha=0.2)
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center")
    traces = read(figure)["data"]
    assert [t["showlegend"] for t in traces if "fill" not in t] == [True, False]
    assert len({t["legendgroup"] for t in traces}) == 1
