"""The summary's figures, on tables small enough for paper, and on none at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celluler_sim.analysis.figures import human, trace_pairs
from celluler_sim.analysis.reading import (
    n_providers,
    revenue_by_provider,
    setting,
    spending_by_consumer,
    work_by_provider,
)
from celluler_sim.analysis.summary import FIGURES, format_table, served_share_by_consumer, summarise
from celluler_sim.tables import TABLES
from tests.analysis.fake_run import empty_tables, fake_run, hand_made

CONFIG = {"tick_seconds": 60.0, "agents": {"providers": {"count": 3}}}
SPEED = {"simulation_seconds", "agent_steps_per_second"}

BY_HAND = {
    "mean_price_prana": 200.0,  # 100, 200, 300
    "mean_price_paid_prana": 200.0,  # (10 * 100 + 10 * 200 + 20 * 250) / 40
    "price_p95_prana": 290.0,
    "price_max_prana": 300.0,
    "mean_utilisation": 0.5,  # 20 of 40, not the mean of 0, 1/2, 3/4
    "peak_utilisation": 0.75,
    "mean_queue": 1.0,
    "peak_queue": 2.0,
    "requested_work_units": 66.0,
    "served_work_units": 40.0,
    "served_share": 0.6,  # 3 of 5: the one that waits at the end is left out
    "served_work_share": 40 / 65,
    "unserved_share": 0.4,
    "reneged_share": 0.2,
    "mean_wait_s": 80.0,  # 60, 120, 60
    "wait_p50_s": 60.0,
    "wait_p95_s": 114.0,
    "wait_zero_share": 2 / 3,
    "mean_wait_reneged_s": 90.0,
    "mean_service_s": 50.0,
    "service_p50_s": 50.0,
    "arrivals_per_hour": 120.0,  # 6 in three minutes
    "arrivals_per_second": 1 / 30,
    "jobs_submitted": 6.0,
    "jobs_finished": 1.0,
    "jobs_running": 2.0,
    "jobs_waiting": 1.0,
    "jobs_unfinished": 3.0,
    "jobs_reneged": 1.0,
    "jobs_expired": 0.0,
    "jobs_refused": 1.0,
    "jobs_postponed": 4.0,
    "consumer_surplus_prana": 150.0,
    "provider_surplus_prana": 50.0,
    "welfare_prana": 200.0,
    "welfare_share_of_optimum": 0.5,  # 6 + 0 of 8 + 4: the tick without an optimum counts on neither side
    "revenue_prana": 1000.0,
    "gini_revenue": 2 / 3,  # one of three has all
    "jain_served": 0.6,  # shares 1, 1/2, 0: (3/2)^2 / (3 * 5/4)
    "hhi_providers": 0.5,  # two sold 20 units each
    "nakamoto_half": 2.0,
    "relaxed_ticks_share": 1 / 3,
    "n_providers_start": 2.0,
    "n_providers_end": 3.0,
    "n_consumers": 3.0,
    "n_ticks": 3.0,
    "simulated_s": 180.0,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_figure_by_hand(name):
    """Six jobs, three providers, three ticks: each figure can be checked on paper."""
    assert summarise(hand_made(), CONFIG)[name] == pytest.approx(BY_HAND[name])


def test_every_figure_is_described_and_no_other_is_made():
    """What the summary holds is exactly what `FIGURES` describes, but for the speed that only the run knows."""
    assert set(summarise(hand_made(), CONFIG)) == set(FIGURES) - SPEED
    assert all(info.label and info.meaning for info in FIGURES.values())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tables", [{}, empty_tables()], ids=["no tables", "no rows"])
def test_no_job_gives_none_without_a_warning(tables):
    """A mean of nothing is None; a sum of nothing is zero."""
    figures = summarise(tables, {})
    assert figures["mean_wait_s"] is None
    assert figures["served_share"] is None
    assert figures["gini_revenue"] is None
    assert figures["welfare_prana"] == 0.0
    assert figures["jobs_submitted"] == 0.0
    assert "jobs submitted" in format_table(figures)


@pytest.mark.filterwarnings("error")
def test_ticks_without_any_job_still_have_a_price():
    """An idle market quotes its base price; waiting and concentration have no meaning."""
    figures = fake_run(ticks=5, load=0.0).summary
    assert figures["mean_price_prana"] == pytest.approx(100.0)
    assert figures["mean_utilisation"] == 0.0
    assert figures["hhi_providers"] is None


def test_a_tick_without_offers_does_not_spoil_the_price():
    """The price of a tick without an offer is NaN and counts for nothing: (100 + 300) / 2."""
    tables = hand_made()
    tables["markets"].loc[1, "price_prana"] = np.nan
    figures = summarise(tables, CONFIG)
    assert figures["mean_price_prana"] == pytest.approx(200.0)
    assert figures["price_max_prana"] == 300.0


def test_the_queue_of_two_markets_is_summed_tick_by_tick():
    """Queues 0, 2, 1 twice over: the longest is 4, the mean 2."""
    tables = hand_made()
    other = tables["markets"].assign(market="storage")
    tables["markets"] = type(other)({c: np.concatenate([other[c], other[c]]) for c in other.columns})
    figures = summarise(tables, CONFIG)
    assert (figures["peak_queue"], figures["mean_queue"]) == (4.0, 2.0)
    assert figures["n_providers_end"] == 6.0
    assert figures["n_ticks"] == 3.0


def test_a_summary_is_strict_json():
    """No NaN, no NumPy type."""
    figures = summarise(hand_made(), CONFIG, {"wait_mean_s": float("nan"), "jobs": np.float64(9)})
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["trace_wait_mean_s"] is None


def test_real_tables_give_consistent_figures():
    """Shares add up, counts too, and surplus plus surplus is welfare."""
    f = fake_run(ticks=150, load=0.1).summary
    kinds = ("finished", "running", "waiting", "reneged", "expired", "refused")
    assert f["jobs_submitted"] == sum(f[f"jobs_{kind}"] for kind in kinds)
    assert f["served_share"] + f["unserved_share"] == pytest.approx(1.0)
    assert f["welfare_prana"] == pytest.approx(f["consumer_surplus_prana"] + f["provider_surplus_prana"])
    assert f["wait_p50_s"] <= f["wait_p90_s"] <= f["wait_p95_s"] <= f["wait_p99_s"]
    assert 1 / 40 <= f["hhi_providers"] < 1


@settings(deadline=None)
@given(st.permutations(range(6)), st.permutations(range(3)))
def test_order_of_rows_and_names_of_agents_do_not_matter(rows, names):
    """Shuffling the jobs and renumbering consumers and providers leaves every figure as it was."""
    tables = hand_made()
    tables["jobs"] = tables["jobs"].iloc[list(rows)]
    for table, column in (("jobs", "consumer"), ("fills", "provider"), ("fills", "consumer")):
        tables[table][column] = np.array(names)[tables[table][column]]
    expected = summarise(hand_made(), CONFIG)
    for name, value in summarise(tables, CONFIG).items():
        assert value == pytest.approx(expected[name]), name


def test_money_by_agent_by_hand():
    """Only the finished job has been paid for; work counts as sold from its start."""
    tables = hand_made()
    assert revenue_by_provider(tables, CONFIG).tolist() == [1000.0, 0.0, 0.0]
    assert work_by_provider(tables, CONFIG).tolist() == [20.0, 20.0, 0.0]
    assert spending_by_consumer(tables).tolist() == [1000.0, 0.0, 0.0]
    assert served_share_by_consumer(tables).tolist() == [1.0, 0.5, 0.0]


def test_providers_without_a_sale_are_counted():
    """Providers are found in samples, sales and, where nothing was recorded, the configuration."""
    tables = hand_made()
    assert n_providers(tables, {}) == 3
    assert n_providers(tables | {"agents": empty_tables()["agents"]}, {}) == 2
    assert n_providers({}, CONFIG) == 3
    assert n_providers({}, {}) == 0


def test_setting_of_a_missing_key_is_none():
    """A path that leads nowhere, or through a plain value, is no error."""
    assert setting({"pricing": {"base_price": 5}}, "pricing.base_price") == 5
    assert setting({"pricing": 3}, "pricing.base_price") is None


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "none"),
        (0.0, "s", "0 s"),
        (59.94, "s", "59.9 s"),
        (600.0, "s", "10.0 min"),
        (36_000.0, "s", "10.0 h"),
        (864_000.0, "s", "10.0 d"),
        (0.12345, "share", "12.3 %"),
        (0.0375, "index", "0.0375"),
        (0.6, "index", "0.600"),
        (4555.0, "jobs", "4,555 jobs"),
        (287.684, "PRANA/unit", "287.68 PRANA/unit"),
        (-3.76e9, "PRANA", "-3.76 billion PRANA"),
        (7000.0, "", "7,000"),
    ],
)
def test_human_words(value, unit, text):
    """Units that fit the size, and no false precision."""
    assert human(value, unit) == text


def test_table_for_the_terminal_is_aligned():
    """Values end in one column; sections are headed; no line says a count of zero."""
    lines = format_table(summarise(hand_made(), CONFIG)).split("\n")
    rows = [line for line in lines if line.startswith("  ")]
    assert len({len(row) for row in rows}) == 1
    assert {"Price", "Service", "Welfare", "Distribution"} <= set(lines)
    assert not any("jobs expired" in row for row in rows)


def test_trace_figures_meet_their_simulated_ones():
    """A fact with a counterpart comes first and is printed beside it; one without stands alone."""
    facts = {"gpus": 42.0, "requests": 8.0, "wait_p50_s": 2.0, "share_never_scheduled": 0.11}
    summary = summarise(hand_made(), CONFIG, facts)
    assert trace_pairs(summary) == [
        ("trace_requests", "jobs_submitted"),
        ("trace_wait_p50_s", "wait_p50_s"),
        ("trace_share_never_scheduled", "unserved_share"),
        ("trace_gpus", None),
    ]
    assert "8 jobs (run: 6 jobs)" in format_table(summary)


def test_the_summary_reads_only_columns_that_tables_have():
    """A renamed column would read as empty: every name used in the analysis must be in the schema."""
    import re
    from pathlib import Path

    import celluler_sim.analysis as package

    used = set()
    for file in Path(package.__path__[0]).glob("*.py"):
        used |= set(re.findall(r'(?:floats|slots|texts|flags)\(\w+(?:\.\w+)?, "(\w+)", "(\w+)"', file.read_text()))
    assert len(used) > 30
    known = {(table.name, column.name) for table in TABLES.values() for column in table.columns}
    assert used <= known
