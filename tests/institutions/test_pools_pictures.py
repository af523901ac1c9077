"""Figures and pictures of pools: they show what the tables say, and say so where there is nothing to show."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import celluler_sim
from celluler_sim.analysis import plots
from celluler_sim.analysis.plots_pools import NO_POOLS
from celluler_sim.analysis.pools import course, first_shares, pool_figures
from celluler_sim.report import worth_drawing
from tests.analysis.fake_run import empty_tables
from tests.institutions.pools_worlds import SMALL

NAMES = ("pool_shares", "pool_membership")
pytestmark = pytest.mark.filterwarnings("error")


def members(*rows):
    """Return tables with these members: (period, member, pool, share, outside, better_outside, blocking)."""
    names = ["period", "member", "pool", "share_prana", "outside_prana", "better_outside", "blocking"]
    frame = pd.DataFrame(rows, columns=names)
    frame["contribution"], frame["standard_error_prana"], frame["paid_prana"] = 0.5, 1.0, 2.0
    return {**empty_tables(), "pool_members": frame}


THREE = members(
    (0, 0, 1, 30.0, 40.0, True, True), (0, 1, 1, 70.0, 20.0, False, True), (0, 2, -1, np.nan, 5.0, False, False),
    (1, 0, -1, np.nan, 9.0, False, False), (1, 1, -1, np.nan, 9.0, False, False), (1, 2, -1, np.nan, 5.0, False, False),
)  # fmt: skip


def test_membership_and_stability_by_hand():
    """Two of three are in a pool at first, one of them better off alone; then the pool is gone."""
    found = course(THREE, 3600.0)
    np.testing.assert_array_equal(found.time_s, [3600, 7200])
    np.testing.assert_allclose(found.pooled, [2 / 3, 0])
    np.testing.assert_array_equal(found.better, [0.5, np.nan])
    np.testing.assert_array_equal(found.blocking, [1.0, np.nan])


def test_first_shares_by_hand():
    """30 and 70 of 100 with a standard error of 1 each: 0.3 and 0.7, give or take 0.0196; alone 0.4 and 0.2."""
    found = first_shares(THREE)
    assert found is not None
    np.testing.assert_allclose(found.share, [0.3, 0.7])
    np.testing.assert_allclose(found.error, [0.0196, 0.0196])
    np.testing.assert_allclose(found.outside, [0.4, 0.2])


def test_figures_by_hand():
    """Two of six rows are in a pool, one better off alone, both blocking, six times 2 PRANA paid."""
    figures = pool_figures(THREE)
    assert figures["pool_membership_share"] == pytest.approx(1 / 3)
    assert figures["pool_better_outside_share"] == pytest.approx(0.5)
    assert figures["pool_blocking_share"] == pytest.approx(1.0)
    assert figures["pool_paid_prana"] == pytest.approx(12.0)
    assert set(pool_figures(empty_tables()).values()) == {None}


def test_pictures_of_a_run_with_pools_and_of_one_without():
    """With pools both pictures have axes and the report wants them; without, they say why not."""
    run = celluler_sim.simulate(
        "resource_pool", [*SMALL, "variants={equal: ['sharing=equal'], alone: ['pools=none']}"], seed=2
    )
    assert set(NAMES) <= set(worth_drawing(run))
    for name in NAMES:
        figure = plots.PLOTS[name](run)
        assert figure.axes[0].axison
        assert {t.get_text() for t in figure.legends[0].get_texts()} >= {"shapley", "equal"}
        assert "alone" not in {t.get_text() for t in figure.legends[0].get_texts()} or name == "pool_shares"
    shown = plots.PLOTS["pool_membership"](run).axes[0].lines[0].get_ydata()
    np.testing.assert_allclose(shown, course(run.tables, 7200.0).pooled)
    lone = run.variants["alone"]
    assert not set(NAMES) & set(worth_drawing(lone))
    for name in NAMES:
        assert NO_POOLS in " ".join(t.get_text() for t in plots.PLOTS[name](lone).axes[0].texts)
