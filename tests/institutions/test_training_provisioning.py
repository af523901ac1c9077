"""Provisioning through both markets: all of it happens, or nothing but a log row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from celluler_sim.economy import Economy, Tick
from celluler_sim.errors import InvariantError
from celluler_sim.markets.provisioning import Leg, Provisioning, Purchase
from tests.economies import run, scripted
from tests.institutions.training_worlds import market_of, training_economy

MILLION = 10**24  # units


def world(capacity=(2.0, 3.0), ask=(10.0, 20.0)) -> Economy:
    """Return an economy of posted prices with two idle providers, one tick old, three consumers with a million each."""
    return run(scripted((1e9, 2, 1.0, 1.0, 1.0, 1.0), capacity=list(capacity), ask=list(ask)), 1)


TICK = Tick(0, 0.0, 60.0)


def purchase(economy: Economy, **changes) -> Purchase:
    """Return a purchase by consumer 0 of 4 units/s for 100 s, at up to 50 PRANA a unit."""
    account = int(economy.consumers["account"][0])
    return replace(Purchase(7, 1, 0, account, amount=4.0, work=400.0, most=50.0), **changes)


def snapshot(economy: Economy) -> tuple:
    """Return everything that a provision could have touched: money, transfers, jobs, fills, counters."""
    ledger, market = economy.ledger, economy.market
    money = [ledger.amounts(slice(None), b).to_units() for b in ("free", "escrow", "stake")]
    rows = [{k: v.tolist() for k, v in r.alive().items()} for r in (market.waiting, market.running, market.fills)]
    counters = economy._n_jobs, economy._n_fills, economy.due.n_refunds, len(ledger.journal or [])
    return money, rows, counters


def test_all_of_it_by_hand():
    """4 units/s take 2 at 10 and 2 at 20: 15 on average, 6,000 PRANA for 400 units; and a bond of 5."""
    economy = world()
    other = int(economy.consumers["account"][1])
    found = Provisioning(economy).provision(purchase(economy), lambda cost: [Leg(other, cost / 1200)], TICK)
    assert found.done
    assert_allclose([found.price, found.compute, found.reserved], [15.0, 6000.0, 6005.0], rtol=1e-6)
    fills = economy.market.fills.alive()
    assert fills["quantity"].tolist() == [2.0, 2.0]
    assert fills["start"].tolist() == [60.0, 60.0]
    assert fills["end"].tolist() == [160.0, 160.0]
    economy.settle(TICK)
    run(economy, 3)
    assert economy.ledger.units(int(economy.consumers["account"][0])) == MILLION - 6000 * 10**18
    assert economy.ledger.units(other, "escrow") == 5 * 10**18
    earned = economy.ledger.amounts(economy.providers["account"][:2]).to_units()
    assert earned == [2000 * 10**18, 4000 * 10**18]


FAILURES = {
    "capacity": ("check", {"amount": 5.1}, None),
    "price": ("quote", {"most": 14.0}, None),
    "margin": ("quote", {}, "margin"),
    "funds": ("reserve", {}, 2e6),
    "own funds": ("reserve", {"work": 1e5}, 0.0),
    "beyond the supply": ("reserve", {}, 1e12),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_leaves_nothing_but_a_log_row(name):
    """Too little capacity, too high a price, a party that walks away or cannot pay: all is as it was before."""
    stage, changes, terms = FAILURES[name]
    economy = world()
    other = int(economy.consumers["account"][1])
    before, logged = snapshot(economy), economy.recorder.logged("provisions")
    found = Provisioning(economy).provision(
        purchase(economy, **changes), lambda _: terms if isinstance(terms, str) else [Leg(other, terms or 0.0)], TICK
    )
    assert (found.stage, found.done, found.job) == (stage, False, -1)
    assert snapshot(economy) == before
    assert economy.recorder.logged("provisions") == logged + 1


@pytest.mark.parametrize("part", ["running", "fills"])
def test_a_failure_while_executing_returns_the_money(part, monkeypatch):
    """The market breaks when the job is half set going: its rows are taken out, every escrow is free again."""
    economy = world()
    rows, append = getattr(economy.market, part), getattr(economy.market, part).append

    def broken(**columns):
        append(**columns)
        raise InvariantError("the disk is full")

    before = snapshot(economy)
    monkeypatch.setattr(rows, "append", broken)
    found = Provisioning(economy).provision(purchase(economy), lambda _: [], TICK)
    assert (found.stage, found.reason) == ("execute", "the disk is full")
    assert snapshot(economy) == before


def test_two_legs_of_one_account_need_their_sum():
    """600,000 twice is more than a million, although each alone is there."""
    economy = world()
    other = int(economy.consumers["account"][1])
    found = Provisioning(economy).provision(purchase(economy), lambda _: [Leg(other, 6e5), Leg(other, 6e5)], TICK)
    assert found.reason == "funds"


def test_capacity_that_is_taken_is_not_sold_again():
    """Of 5 units/s a first purchase takes 4; a second of 2 finds 1."""
    economy = world()
    provisioning = Provisioning(economy)
    assert provisioning.provision(purchase(economy), lambda _: [], TICK).done
    assert provisioning.provision(purchase(economy, amount=2.0), lambda _: [], TICK).reason == "capacity"
    assert provisioning.provision(purchase(economy, amount=1.0, work=1.0), lambda _: [], TICK).done


def test_orders_are_provisioned_in_consensus_order_and_pay_for_their_compute():
    """Every accepted model's compute is a finished job of the resource market, paid by its trainer's account."""
    economy = run(training_economy(), 80)
    economy.close()
    from celluler_sim.results import Tables

    rows = Tables(economy.recorder)
    done = rows["provisions"].query("stage == 'done'")
    jobs = rows["jobs"].set_index("job").loc[done["job"]]
    trainers = market_of(economy).trainers
    assert (jobs["consumer"].to_numpy() == trainers["buyer"][done["trainer"]]).all()
    assert_allclose(jobs["work"], done["work"])
    models = rows["trainings"].set_index("training").loc[done["training"]]
    ended = (models["status"] != "training").to_numpy()
    assert_allclose(models["compute_prana"][ended], (done["price_prana"] * done["work"])[ended], rtol=1e-9)
    assert np.array_equal(models["started_s"], jobs["started_s"])
