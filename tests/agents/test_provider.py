"""Providers' traits, their accounts of profit, how often they re-price, when they leave and who comes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.agents.config import ProviderConfig
from celluler_sim.agents.provider import Provider, ProviderMaker, account_profit, candidates, repricing
from celluler_sim.errors import ScenarioError
from celluler_sim.population import ColumnarModel, Population
from celluler_sim.streams import Streams
from tests.economies import economy, run, scripted, tables
from tests.test_money import check_books, check_tables

N = 20_000
DAY = 86_400.0


def made(n=N, family="provider", **config):
    return ProviderMaker(ProviderConfig(**config), Streams(1), 1e18, 5).make(np.arange(n), family)


def test_traits_follow_the_configuration():
    """A third T4, the rest H100, 8 of them on average but at least one; quality is uniform between its bounds."""
    traits = made(hardware={"H100_SXM5": 2.0, "T4": 1.0}, quality_low=0.7, quality_high=0.9, accelerators_cv=0.5)
    assert_allclose(np.bincount(traits.kind) / N, [2 / 3, 1 / 3], atol=0.02)
    per_device = traits.capacity / np.array([9.895e-4, 6.513e-5])[traits.kind]
    assert_allclose(per_device, np.round(per_device), rtol=1e-3)
    assert_allclose(per_device.mean(), 8.0, rtol=0.03)
    assert per_device.min() > 0.99
    assert 0.7 < traits.quality.min() < 0.71
    assert 0.89 < traits.quality.max() < 0.9


def test_costs_scale_with_the_exchange_rate():
    """A PRANA worth twice as much halves every cost in PRANA; costs spread by their coefficient of variation."""
    dear, cheap = made(usd_per_prana=0.02), made(usd_per_prana=0.01)
    assert_allclose(dear.energy_cost * 2, cheap.energy_cost)
    assert_allclose(dear.capital_cost * 2, cheap.capital_cost)
    same = made(hardware={"T4": 1.0}, cost_cv=0.15).capital_cost
    assert_allclose(same.std() / same.mean(), 0.15, rtol=0.05)


def test_one_more_provider_leaves_the_others_as_they_are():
    """And entrants are others than the providers of the beginning."""
    fewer, more, entrants = made(100), made(101), made(100, "entrant")
    for name in ("kind", "capacity", "quality", "energy_cost", "capital_cost", "behaviour", "validator"):
        assert getattr(more, name)[:100].tolist() == getattr(fewer, name).tolist()
    assert not set(entrants.quality.tolist()) & set(fewer.quality.tolist())


def providers(**columns):
    people = Population(ColumnarModel(seed=1), Provider)
    people.add(len(next(iter(columns.values()))), **columns)
    return people


def test_profit_by_hand():
    """Earning 9 PRANA/s, energy 2 x 1.5 busy, capital 1 x 4 of capacity: 2 a second, 120 a minute.

    The mean over a day moves by 1 - exp(-60/86400) of the way; an idle provider loses its capital.
    """
    people = providers(
        earning=[9.0, 0.0], energy_cost=[2.0, 2.0], busy=[1.5, 0.0], capital_cost=[1.0, 1.0], capacity=[4.0, 4.0]
    )
    account_profit(people, 60.0)
    assert people["profit"].tolist() == [120.0, -240.0]
    assert_allclose(people["margin"], np.array([2.0, -4.0]) * (1 - np.exp(-60 / DAY)))
    assert people["losing_s"].tolist() == [0.0, 60.0]
    account_profit(people, 60.0)
    assert people["losing_s"].tolist() == [0.0, 120.0]
    people["earning"][1] = 1000.0
    account_profit(people, 60.0)
    assert people["losing_s"].tolist() == [0.0, 0.0]


def test_two_half_ticks_are_one_tick():
    """The mean and the profit of constant rates do not depend on the length of the tick."""
    whole, halves = (providers(earning=[9.0], capital_cost=[1.0], capacity=[4.0]) for _ in range(2))
    account_profit(whole, 7200.0)
    account_profit(halves, 3600.0)
    account_profit(halves, 3600.0)
    assert_allclose(whole["margin"], halves["margin"])
    assert_allclose(whole["profit"], halves["profit"])


def test_who_has_left_makes_no_profit():
    """Its columns stay as they were."""
    people = providers(earning=[9.0, 9.0], capacity=[1.0, 1.0])
    people.remove([1])
    account_profit(people, 60.0)
    assert people["profit"].tolist() == [540.0, 0.0]


@pytest.mark.parametrize("seconds", [60.0, 1800.0, 7200.0])
def test_asks_are_sticky(seconds):
    """0.28 % of all providers revise their ask in half an hour, however it is cut into ticks; who left never does."""
    people = providers(ask=np.ones(N))
    people.remove([0, 1])
    config = ProviderConfig(reprice_per_half_hour=0.0028)
    ticks = int(90 * 7200 / seconds) if seconds > 60 else 900
    revised = np.concatenate([repricing(people, config, Streams(1), tick, seconds) for tick in range(ticks)])
    expected = (1 - (1 - 0.0028) ** (seconds / 1800)) * (N - 2) * ticks
    assert abs(len(revised) - expected) < 5 * np.sqrt(expected)
    assert revised.min() >= 2
    assert len(set(revised.tolist())) > 0.5 * min(expected, N)  # not the same ones again and again


def test_candidates_come_at_their_rate():
    """0.05 a day and provider of 100: 5 a day, whatever the tick."""
    config = ProviderConfig(entry_per_day=0.05)
    for seconds in (60.0, 3600.0):
        ticks = 3000
        came = sum(candidates(config, Streams(2), tick, seconds, 100) for tick in range(ticks))
        expected = 5 * ticks * seconds / DAY
        assert abs(came - expected) < 5 * np.sqrt(expected)


# ---- coming and going in a running market --------------------------------------------------------------------------


def test_who_loses_money_for_long_leaves():
    """The price is 100: P1 costs 120 and never sells, so after ten ticks of losses it withdraws; P0 sells and stays."""
    jobs = [(60.0 * k + 1, 0, 2.0, 120.0, 500.0, 60.0) for k in range(40)]  # fills P0 all the time
    world = scripted(
        *jobs, capacity=[2.0, 2.0], ask=[50.0, 120.0],
        **{"pricing": {"name": "fixed"}, "agents.providers.exit_after_s": 599.0},
    )  # fmt: skip
    people = world.providers
    run(world, 9)
    assert people["losing_s"].tolist() == [0.0, 540.0]
    run(world, 1)
    assert people["offering"].tolist() == [True, True]  # its withdrawal has been submitted, not ordered
    run(world, 1)
    assert people["offering"].tolist() == [True, False]
    assert people.active.tolist() == [True, False]
    run(world, 10)
    check_books(world)
    rows = tables(world)
    assert rows["transactions"]["kind"].tolist().count("withdraw") == 1
    assert rows["markets"]["providers"].tolist()[9:12] == [2, 2, 1]
    assert rows["markets"]["capacity"].tolist()[9:12] == [4.0, 2.0, 2.0]


def test_who_leaves_finishes_its_work():
    """P0 withdraws with a job of an hour running: it takes no further job, is paid at the end and gone only then."""
    world = scripted(
        (1.0, 0, 1.0, 3600.0, 200.0, 60.0), (700.0, 1, 1.0, 60.0, 200.0, 6000.0),
        capacity=[50.0], ask=[100.0],
        **{"agents.providers.exit_after_s": 599.0},
    )  # fmt: skip
    run(world, 11)
    assert world.providers["losing_s"][0] > 0 or not world.providers["offering"][0]
    assert (len(world.providers), world.market.busy(1).tolist()) == (1, [1.0])
    run(world, 49)
    assert (len(world.providers), len(world.market.waiting)) == (1, 1)
    markets = tables(run(world, 3))["markets"]
    assert len(world.providers) == 0
    assert world.ledger.balance(world.providers["account"]).tolist() == [3600.0 * 100.0]
    assert markets["utilisation"].max() <= 1.0
    assert markets["utilisation"].tolist()[30] == 1.0  # all the capacity there is
    check_books(world)


def entering(price, hurdle=0.1, **changes):
    """Return a world with one provider and 60 candidates a minute, after 20 ticks."""
    return run(
        economy({
            "agents.providers.count": 1,
            "agents.providers.entry_per_day": DAY,
            "agents.providers.hurdle": hurdle,
            "pricing": {"name": "fixed", "base_price": price},
            **changes,
        }),
        20,
    )  # fmt: skip


def test_entry_when_the_price_is_good():
    """At 1,000 PRANA a unit everybody would earn its capital at yesterday's utilisation; at 5 nobody."""
    rich = entering(1000.0)
    assert len(rich.providers) > 500
    assert rich.providers["offering"].sum() > 500
    check_books(rich)
    assert len(entering(5.0).providers) == 1


def test_only_those_enter_whose_costs_are_covered():
    """With half of the time in use, an entrant needs (price - energy) / 2 > capital (1 + hurdle)."""
    world = entering(90.0, hurdle=0.2, **{"agents.consumers.jobs_per_day": 0.001})
    new = slice(1, None)
    energy, capital = world.providers["energy_cost"][new], world.providers["capital_cost"][new]
    assert 0 < len(energy) < 1100
    assert ((90.0 - energy) * 0.5 > capital * 1.2 * 0.99).all()
    assert (world.providers["ask"][new] == energy + capital).all()


def test_entrants_offer_after_their_offer_is_ordered():
    """Who enters in a tick is no provider on offer before the next one; its account starts empty and it is paid."""
    world = entering(1000.0, **{"agents.consumers.jobs_per_day": 2000.0})
    rows = tables(world)
    happened = check_tables(world, rows)
    first = rows["fills"].groupby("provider")["tick"].min()
    entered = world.providers["account"]
    assert (first[first.index > 0] > 0).all()
    assert len(first) > 1
    assert happened["finished"] + happened["running"] > 0
    assert world.ledger.amounts(entered, "escrow").sum_units() == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"count": 0}, "agents.providers.count must be >= 1, got 0"),
        ({"quality_low": 0.9, "quality_high": 0.8}, "agents.providers.quality_low must be >= 0 and <= 0.8, got 0.9"),
        ({"quality_high": 1.2}, "agents.providers.quality_high must be >= 0 and <= 1, got 1.2"),
        ({"reprice_per_half_hour": 1.0}, "agents.providers.reprice_per_half_hour must be >= 0 and < 1, got 1"),
        ({"usd_per_prana": 0.0}, "agents.providers.usd_per_prana must be > 0, got 0"),
        ({"hardware": {"T4": 0.0}}, "agents.providers.hardware must give a positive share"),
    ],
)
def test_ranges(config, message):
    with pytest.raises(ScenarioError, match=f"^{message}"):
        ProviderConfig(**config)
