"""Figures of order: worked by hand, properties on random orders, and what greed costs in the market itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from benchmarks.ordering_attack import GREEDY, loss, outcomes
from celluler_sim.analysis import ordering as o
from celluler_sim.analysis.summary import summarise
from tests.analysis.fake_run import empty_tables, frame


def transactions(submitted, order, final=None):
    """Return tables with these transactions and nothing else."""
    rows = {
        "transaction": np.arange(len(order)), "submitted_s": np.asarray(submitted, float), "order": order,
        "final_s": np.asarray(submitted if final is None else final, float),
    }  # fmt: skip
    return empty_tables() | {"transactions": frame("transactions", rows)}


def sales():
    """Return three jobs of two consumers: 10, 20 and 10 units at 100 PRANA; of the last two a part is skimmed."""
    fills = {
        "fill": [0, 1, 2], "job": [7, 3, 5], "consumer": [0, 1, 1], "price_prana": [100.0, 100.0, 100.0],
        "skim_prana": [0.0, 10.0, 30.0], "proposer": [-1, 2, 0], "work": [10.0, 20.0, 10.0],
    }  # fmt: skip
    jobs = {"job": [3, 5, 7, 9], "consumer": [1, 1, 0, 0], "value_prana": [150.0, 400.0, 120.0, 80.0]}
    return transactions([0.0], [0]) | {"fills": frame("fills", fills), "jobs": frame("jobs", jobs)}


def test_pairs_by_hand():
    """Submitted at 0, 1, 3 s, ordered second, first, third: of gaps 1, 2 and 3 s the first pair is turned round."""
    gap, wrong = o.pairs(transactions([0, 1, 3], [1, 0, 2]), max_gap=10.0)
    assert sorted(zip(gap.tolist(), wrong.tolist(), strict=True)) == [(1.0, True), (2.0, False), (3.0, False)]
    assert o.pairs(transactions([0, 1, 3], [1, 0, 2]), max_gap=2.0).gap.max() == 2.0


def test_expired_and_simultaneous_transactions_make_no_pair():
    """Of 0, 0, 1 s and one that expired, only the two pairs a second apart can be right or wrong."""
    gap, wrong = o.pairs(transactions([0, 0, 1, 1.5], [2, 0, 1, -1]), max_gap=10.0)
    assert gap.tolist() == [1.0, 1.0]
    assert sorted(wrong.tolist()) == [False, True]


def test_fairness_by_hand():
    """In units of 2 s, gaps of 1 (wrong), 2 and 3 s fall into the bins up to 0.5, up to 1 and up to 2."""
    f = o.fairness(transactions([0, 1, 3], [1, 0, 2]), unit_s=2.0)
    assert f.edges.tolist() == [0, 1, 2, 4, 8, 16, 32]
    assert f.pairs.tolist() == [1, 1, 1, 0, 0, 0]
    assert_allclose(f.share[:3], [1, 0, 0])
    assert np.isnan(f.share[3:]).all()
    assert (f.low[:3] <= f.share[:3] + 1e-12).all()
    assert (f.share[:3] <= f.high[:3] + 1e-12).all()


def test_a_sample_of_pairs_shows_what_all_pairs_show():
    """With a delay of 1 s on average, 2,000 of some 100,000 pairs give the share of all within 4 standard errors."""
    rng = np.random.default_rng(5)
    time = np.sort(rng.uniform(0, 400, 4000))
    order = np.empty(4000, int)
    order[np.argsort(time + rng.exponential(1.0, 4000))] = np.arange(4000)
    tables = transactions(time, order)
    everything, some = o.pairs(tables, 4.0), o.pairs(tables, 4.0, at_most=2000)
    assert len(everything.gap) > 100_000
    assert len(some.gap) == 2000
    share = everything.wrong.mean()
    assert abs(some.wrong.mean() - share) < 4 * np.sqrt(share * (1 - share) / 2000)
    assert abs(some.gap.mean() - everything.gap.mean()) < 0.1


@given(st.permutations(range(8)), st.lists(st.integers(0, 5), min_size=8, max_size=8))
def test_pairs_and_shifts_of_any_order(order, time):
    """Every pair not submitted at once is there once, right or wrong; nothing is shifted unless one is wrong."""
    tables = transactions(time, order)
    expected = sorted(
        (float(time[j] - time[i]), order[j] < order[i]) for i in range(8) for j in range(8) if time[j] > time[i]
    )
    gap, wrong = o.pairs(tables, max_gap=10.0)
    assert sorted(zip(gap.tolist(), wrong.tolist(), strict=True)) == expected
    assert o.rank_displacement(tables).any() == wrong.any()


def test_rank_displacement_by_hand():
    """The first goes last: it moves by two places, the two others by one."""
    assert sorted(o.rank_displacement(transactions([0, 1, 2], [2, 0, 1]))) == [1, 1, 2]


def test_extraction_by_hand():
    """10 PRANA of each of 20 units went to validator 2, 30 of each of 10 to validator 0: 500 of 4,000 spent."""
    tables = sales()
    assert o.extracted_by_fill(tables).tolist() == [0, 200, 300]
    assert o.extracted_by_proposer(tables).tolist() == [300, 0, 200]
    figures = o.ordering_figures(tables)
    assert figures["extracted_prana"] == 500
    assert figures["extracted_share_of_spending"] == pytest.approx(0.125)


def test_who_pays_by_hand():
    """Consumer 0 spent 1,000 and lost nothing; consumer 1 spent 3,000 and lost 500."""
    p = o.payers_by_spending(sales(), groups=2)
    assert (p.spent.tolist(), p.extracted.tolist()) == ([1000, 3000], [0, 500])
    assert_allclose(p.share, [0, 1 / 6])


def test_who_pays_by_value_by_hand():
    """Jobs worth 120, 150 and 400 a unit lost 0, 200 and 300; the job that was never served is in no group."""
    p = o.payers_by_value(sales(), groups=3)
    assert p.low.tolist() == [120, 150, 400]
    assert p.extracted.tolist() == [0, 200, 300]
    assert p.spent.tolist() == [1000, 2000, 1000]


def test_consumers_loss_by_hand():
    """Consumers gain 70 here and 100 there: they lose 30."""
    here, there = ({"markets": pd.DataFrame({"consumer_surplus_prana": x})} for x in ([50.0, 20.0], [100.0]))
    assert o.consumers_loss(here, there) == 30


def test_interval_by_hand():
    """Of 1, 2, 3: mean 2, standard error 1/sqrt(3), Student's 97.5 % quantile for 2 degrees of freedom 4.3027."""
    assert_allclose(o.interval([1, 2, 3]), [2, 2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)], rtol=1e-6)
    assert o.interval([1.0]).low == -np.inf


def test_summary_of_order_by_hand():
    """Finality after 1, 2 and 6 s: median 2; one pair of three turned round, two of three places off by one."""
    s = summarise(transactions([0, 1, 3], [1, 0, 2], [1, 3, 9]), {})
    assert s["finality_p50_s"] == 2
    assert s["finality_p95_s"] == pytest.approx(5.6)
    assert s["ordered_against_submission_share"] == pytest.approx(1 / 3)
    assert s["rank_displacement_mean"] == pytest.approx(2 / 3)
    assert s["extracted_prana"] == 0


def test_bought_at_own_bid_by_hand():
    """Of 2, 3 and 5 units served the 3 cost what they are worth; a fourth job was never served: 3 of 10."""
    jobs = pd.DataFrame(
        {"price_prana": [10.0, 7.0, 1.0, np.nan], "value_prana": [12.0, 7.0, 9.0, 5.0], "work": [2.0, 3.0, 5.0, 7.0]}
    )
    assert o.bought_at_own_bid({"jobs": jobs}) == pytest.approx(0.3)
    assert np.isnan(o.bought_at_own_bid({}))


def test_nothing_ordered_is_none_not_zero():
    """Without a transaction that became final, the figures of order have no meaning."""
    assert set(o.ordering_figures({}).values()) == {None}
    assert set(o.ordering_figures(transactions([0, 1], [-1, -1], [np.nan, np.nan])).values()) == {None}


@pytest.fixture(scope="module")
def worlds():
    """Return what six worlds made of the fair orders and the greedy ones, in the hour and a half with the surge."""
    return outcomes(6, ("fifo", "hashgraph", *GREEDY), ("ticks=90", "workload.surge_hour=0.75"), workers=1)


@pytest.mark.parametrize("rule", GREEDY)
def test_a_greedy_leader_costs_consumers_more_than_a_hashgraph(rule, worlds):
    """In the same worlds, 95 % interval above zero; what it takes is above zero in every one of them."""
    assert loss(worlds, rule, "hashgraph").low > 0
    assert (worlds[rule][:, 1] > 0).all()


def test_fair_orders_extract_nothing(worlds):
    """Where nobody chooses the order, no PRANA goes to anybody for it."""
    assert not worlds["fifo"][:, 1].any()
    assert not worlds["hashgraph"][:, 1].any()
