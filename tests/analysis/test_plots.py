"""The plots: every one draws on any run, says its units, and shows the numbers it should."""

from __future__ import annotations

import functools
import inspect
import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from celluler_sim.analysis import drawing, plots
from celluler_sim.analysis.plots import CAPTIONS, PLOTS
from celluler_sim.analysis.plots_compare import relative_change
from celluler_sim.analysis.plots_market import at_peak
from celluler_sim.analysis.summary import summarise
from tests.analysis.fake_run import FakeRun, empty_tables, fake_run, hand_made

pytestmark = pytest.mark.filterwarnings("error")

CONFIG = {"tick_seconds": 60.0, "pricing": {"base_price": 100}, "allocation": {"max_share": 0.2}}
WORDS = ("PRANA", "share", "requests", "jobs", "units/s", "h", "min", "s", "providers", "change", "slot", "time")


def of(tables, config=CONFIG):
    """Return a run of these tables."""
    return FakeRun(config, {}, summarise(tables, config), tables)


def long_run():
    """Return a run of 100,000 ticks whose other tables are short."""
    run = fake_run(ticks=50)
    markets = run.tables["markets"]
    n = 2000
    many = pd.concat([markets] * n, ignore_index=True)
    many["tick"] = np.arange(len(many))
    many["time_s"] = 300.0 * (many["tick"] + 1)
    return FakeRun(run.config, {}, run.summary, run.tables | {"markets": many})


RUNS = {
    "a day": lambda: fake_run(variants=("linear", "fixed"), facts={"requests": 9000, "wait_p50_s": 6.0}),
    "one tick": lambda: fake_run(ticks=1, load=0.5, variants=("linear",)),
    "no job": lambda: fake_run(ticks=20, load=0.0, variants=("linear",)),
    "three ticks": lambda: of(hand_made()),
    "no rows": lambda: of(empty_tables(), {}),
    "no tables": lambda: of({}, {}),
    "100,000 ticks": long_run,
}


@pytest.fixture(scope="module")
def runs():
    """Return each run, made once."""
    return functools.cache(lambda name: RUNS[name]())


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.parametrize("case", RUNS)
def test_every_plot_draws_on_any_run(case, name, runs):
    """From no table at all to 100,000 ticks: a figure of 8 by 4 inches that can be saved without a warning."""
    figure = PLOTS[name](runs(case))
    assert isinstance(figure, Figure)
    assert tuple(figure.get_size_inches()) == (8, 4)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert len(buffer.getvalue()) > 1000


@pytest.mark.parametrize("name", [n for n in PLOTS if n != "trace_facts"])
def test_every_axis_of_numbers_says_what_and_in_which_unit(name, runs):
    """Axes with a scale have a label (shared x axes: the lowest one)."""
    for ax in filter(lambda ax: ax.axison, PLOTS[name](runs("a day")).axes):
        labels = [ax.get_ylabel()] if name != "variants" else []
        if ax.get_subplotspec().is_last_row():
            labels.append(ax.get_xlabel())
        for label in labels:
            assert any(word in label for word in WORDS), (name, label)


def test_a_notebook_shows_a_plot_by_itself():
    """A figure made without pyplot has to bring its own picture."""
    assert plots.price(of(hand_made()))._repr_png_().startswith(b"\x89PNG")


def test_every_plot_has_a_caption_of_how_to_read_it():
    """One caption each, a sentence that ends."""
    assert list(CAPTIONS) == list(PLOTS)
    assert all(len(text) > 60 and text.endswith(".") for text in CAPTIONS.values())


def test_plots_are_found_where_a_run_looks_for_them():
    """`run.plot` offers the functions that live in the module of plots and take a run: these and no others."""
    own = inspect.getmembers(plots, lambda f: inspect.isfunction(f) and f.__module__ == plots.__name__)
    assert {name for name, _ in own} == set(PLOTS)
    assert all(next(iter(inspect.signature(f).parameters)) == "run" for _, f in own)


def test_no_global_state_of_pyplot_is_touched():
    """Neither importing nor drawing loads pyplot; importing the module does not even load matplotlib."""
    code = (
        "import sys; from celluler_sim.analysis import plots; assert 'matplotlib' not in sys.modules;"
        "from tests.analysis.fake_run import fake_run; [f(fake_run(ticks=2)) for f in plots.PLOTS.values()];"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["waiting", "lorenz", "provider_shares", "revenue"])
def test_a_market_that_served_nobody_says_so(name, runs):
    """Instead of an empty pair of axes there is a sentence."""
    texts = [t.get_text() for ax in PLOTS[name](runs("no job")).axes for t in ax.texts]
    assert any("no job was served" in text for text in texts)


def line(figure, label, axis=0):
    """Return the data of the line whose label starts so."""
    found = [x for x in figure.axes[axis].lines if str(x.get_label()).startswith(label)]
    assert len(found) == 1, [x.get_label() for x in figure.axes[axis].lines]
    return found[0].get_data()


def test_price_by_hand():
    """Ticks end at 1, 2 and 3 minutes, with prices 100, 200, 300; the axis starts with the first tick."""
    figure = plots.price(of(hand_made()))
    x, y = line(figure, "price quoted")
    assert_allclose(x, [1 / 60, 2 / 60, 3 / 60])
    assert_allclose(y, [100, 200, 300])
    assert figure.axes[0].get_xlim()[0] == pytest.approx(0.0, abs=1e-12)


def test_two_markets_are_two_lines():
    """Each market has its own line, named."""
    tables = hand_made()
    both = pd.concat([tables["markets"], tables["markets"].assign(market="storage", price_prana=7.0)])
    figure = plots.price(of(tables | {"markets": both.sort_values(["tick", "market"], ignore_index=True)}))
    assert_allclose(line(figure, "storage")[1], [7, 7, 7])
    assert_allclose(line(figure, "m")[1], [100, 200, 300])


def test_revenue_by_hand():
    """1,000 PRANA are paid in the second minute: a rate of 60,000 an hour there, and 1,000 in all from then on."""
    top, bottom = plots.revenue(of(hand_made())).axes
    assert_allclose([bar.get_height() for bar in top.patches], [0, 60_000, 0])
    assert_allclose(bottom.lines[0].get_ydata(), [0, 1000, 1000])


def test_queue_by_hand():
    """The queue is 0, 2, 1; one request reneges in the third minute."""
    top, bottom = plots.queue(of(hand_made())).axes
    assert_allclose(top.lines[0].get_ydata(), [0, 2, 1])
    assert_allclose([bar.get_height() for bar in bottom.patches], [0, 0, 60])


def test_supply_and_demand_by_hand():
    """Bids 260, 200, 80 for 3, 1, 2 units/s meet asks 50, 90 with 4, 5; at 200, 4 units/s are wanted, 9 offered."""
    peak = at_peak(hand_made())
    assert (peak.time, peak.quoted) == (120.0, 200.0)
    assert_allclose(peak.demand.price, [260, 200, 80])
    assert_allclose(peak.demand.quantity, [3, 1, 2])
    assert_allclose(peak.supply.price, [50, 90])
    assert peak.demand.within(200.0, buying=True) == 4.0
    assert peak.supply.within(200.0, buying=False) == 9.0
    figure = plots.supply_demand(of(hand_made()))
    x, y = line(figure, "demand")
    assert_allclose(x, [0, 3, 4, 6, 6])
    assert_allclose(y, [260, 260, 200, 80, 0])
    assert any("4 units/s wanted, 9 offered" in str(drawn.get_label()) for drawn in figure.axes[0].lines)


def test_a_bid_without_limit_is_drawn_above_the_axis():
    """Consumers who would pay any price have an infinite bid; the curve starts beyond the top of the figure."""
    tables = hand_made()
    tables["book"].loc[3, "price_prana"] = np.inf
    figure = plots.supply_demand(of(tables))
    first = line(figure, "demand")[1][0]
    assert np.isfinite(first)  # a line to infinity would not be drawn at all
    assert first > figure.axes[0].get_ylim()[1]
    assert figure.axes[0].get_ylim()[1] < 1000


def test_the_market_with_more_demand_is_shown():
    """Of two books, that of the market with the larger demand."""
    tables = hand_made()
    other = tables["book"].assign(market="z", quantity=100.0)
    assert at_peak(tables | {"book": pd.concat([tables["book"], other])}).demand.quantity.sum() == 300.0


def test_waiting_by_hand():
    """Waits 60, 60, 120 s: two thirds within a minute, all within two; one gave up after 90 s."""
    left, right = plots.waiting(of(hand_made())).axes
    assert sum(patch.get_height() for patch in left.patches) == 3
    x, y = line(plots.waiting(of(hand_made())), "started", axis=1)
    assert y[np.searchsorted(x, 60.0, side="right") - 1] == pytest.approx(2 / 3)
    assert y[-1] == 1.0
    assert line(plots.waiting(of(hand_made())), "gave up", axis=1)[0][-1] == 90.0
    assert any("median 60 s" in t.get_text() for t in left.texts)
    assert right.get_xscale() == "log"


def test_provider_shares_by_hand():
    """Two providers sold half each, a third nothing; the cap is drawn; two make a majority."""
    left, right = plots.provider_shares(of(hand_made())).axes
    assert_allclose([bar.get_height() for bar in left.patches], [0.5, 0.5, 0.0])
    assert_allclose(left.lines[0].get_ydata(), [0.2, 0.2])
    assert_allclose(right.lines[0].get_ydata(), [0, 0.5, 1, 1])
    assert_allclose(right.lines[1].get_data(), [[2], [1]])


def test_lorenz_by_hand():
    """One of three providers has all revenue."""
    x, y = line(plots.lorenz(of(hand_made())), "revenue of 3 providers, Gini 0.67")
    assert_allclose(x, [0, 1 / 3, 2 / 3, 1])
    assert_allclose(y, [0, 0, 0, 1], atol=1e-12)


def test_variants_show_the_change_from_the_run_itself():
    """A variant at twice the mean price stands at +100 %."""
    run = of(hand_made())
    tables = hand_made()
    tables["markets"]["price_prana"] *= 2
    run.variants["dear"] = of(tables)
    left, right = plots.variants(run).axes
    assert_allclose(left.lines[1].get_ydata(), [200, 400, 600])
    assert right.lines[0].get_xdata()[0] == pytest.approx(1.0)


def test_names_from_a_scenario_are_drawn_as_they_are():
    """Dollar signs are no formula, and an underscore in front hides nothing."""
    run = of(hand_made(), CONFIG | {"pricing": {"name": r"$\broken$"}})
    run.variants["_$x$"] = of(hand_made())
    run.tables["markets"]["market"] = r"$\no$"
    for name in ("variants", "queue", "utilisation"):
        PLOTS[name](run).savefig(io.BytesIO(), format="png")
    assert [t.get_text() for t in plots.variants(run).legends[0].texts][1] == r" _\$x\$"


@pytest.mark.parametrize(
    ("value", "base", "change"), [(150, 100, 0.5), (-50, -100, 0.5), (0, 4, -1), (1, 0, np.nan), (None, 1, np.nan)]
)
def test_relative_change(value, base, change):
    """Up is positive whatever the sign of the base; no base, no change."""
    assert relative_change(value, base) == pytest.approx(change, nan_ok=True)


def test_trace_facts_show_both_and_their_ratio(runs):
    """The trace's figure, the run's, and one over the other."""
    run = runs("a day")
    texts = [t.get_text() for t in plots.trace_facts(run).axes[0].texts]
    assert "9,000 jobs" in texts
    assert f"{run.summary['jobs_submitted'] / 9000:.3g}" in texts


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(np.nan)), min_size=1, max_size=200), st.integers(1, 50))
def test_thinning_keeps_the_range_and_the_order(values, to):
    """No peak is lost: the bands reach the smallest and the largest number; time still runs forward."""
    y = np.array(values)
    thinned = drawing.thin(np.arange(len(y), dtype=float), y, points=to, to=to)
    assert len(thinned.x) == min(to, len(y))
    assert np.all(np.diff(thinned.x) > 0)
    if np.isfinite(y).any():
        assert np.nanmin(thinned.low) == np.nanmin(y)
        assert np.nanmax(thinned.high) == np.nanmax(y)
        known = np.isfinite(thinned.mean)
        slack = 1e-6 + 1e-9 * np.abs(thinned.mean[known])
        assert np.all(thinned.low[known] <= thinned.mean[known] + slack)
        assert np.all(thinned.mean[known] <= thinned.high[known] + slack)


@settings(deadline=None)
@given(st.integers(1, 5000), st.sampled_from([1.0, 60.0, 300.0, 3600.0]))
def test_spans_cover_every_tick_and_lose_nothing(ticks, tick_s):
    """A rate of one unit a tick is one unit a tick in every span, also in the last, shorter one."""
    time = tick_s * np.arange(1, ticks + 1)
    bars = drawing.spans(time, tick_s)
    assert len(bars.left) <= drawing.MAX_BARS + 1
    assert np.all((bars.left[bars.of] < time) & (time <= bars.left[bars.of] + bars.width[bars.of] + 1e-6))
    assert_allclose(bars.rate(np.ones(ticks)), 3600 / tick_s)
