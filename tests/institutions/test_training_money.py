"""Money through the training market, to the unit: random worlds, every escrow accounted for, and whose it was."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.institutions.training_orders import TRAINING
from celluler_sim.ledger import UNITS, Amounts
from tests.economies import Laggard, economy, run, tables, worlds
from tests.institutions.training_worlds import CALM, market_of, rule, training_economy
from tests.test_money import SUPPLY, locked


def reserved(world) -> Counter[int]:
    """Return what every account must have in escrow: its jobs' in the resource market, its orders' in training."""
    found, market = locked(world), market_of(world)
    o = market.orders.alive()
    busy = o["stage"] == TRAINING
    trainers = market.trainers["account"][o["trainer"]]
    consumers = market.consumers["account"][o["consumer"]]
    for name, accounts in (("agreed", consumers), ("bond", trainers), ("fees", trainers)):
        money = Amounts(o[f"{name}_hi"][busy], o[f"{name}_lo"][busy]).to_units()
        for account, units in zip(accounts[busy].tolist(), money, strict=True):
            found[account] += units
    return +found


def check_books(world) -> None:
    """Count every account's money one by one: nothing is lost, and every unit in escrow has its reason."""
    free, escrow, stake = (world.ledger.amounts(slice(None), b).to_units() for b in ("free", "escrow", "stake"))
    assert min(free) >= 0
    assert sum(free) + sum(escrow) + sum(stake) == SUPPLY
    assert {account: units for account, units in enumerate(escrow) if units} == reserved(world)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_no_unit_is_lost_in_random_worlds(world, data):
    """Whatever the market, the prices, the lies and the sharing rule, after every tick all money has its place."""
    changes, consensus = world
    pick = lambda *choices: data.draw(st.sampled_from(choices))  # noqa: E731
    tick = changes["tick_seconds"]
    market = rule({
        "tasks": pick({"bert": 1.0}, {"resnet": 0.5, "ssd": 0.5}, {"dlrm_dcnv2": 1.0}),
        "trainers.endowment_prana": pick(1e5, 500.0, 0.0), "trainers.overstating": pick(0.0, 0.5, 1.0),
        "trainers.count": pick(1, 5), "trainers.orders": pick(1, 4), "bond_share": pick(0.0, 0.5, 3.0),
        "consumers.endowment_prana": pick(1e5, 3000.0, 0.0), "consumers.orders_per_day": 0.3 * 86_400 / tick,
        "consumers.value_median": pick(2_500.0, 1e5), "consumers.patience_s": 20 * tick, "retry_s": pick(0.0, 5 * tick),
        "fee_prana": pick(0.0, 5.0, 1 / 3), "data_share": pick(0.0, 0.7, 1.0), "pays": pick("score", "claim"),
        "prices.base_price": pick(1_000.0, 1e5), "prices.accuracy_multiplier": pick(1.2, 5.0),
        "data_providers.count": pick(0, 1, 6), "data_providers.exit_after_s": pick(10 * tick, 1e9),
        "validation.folds": pick(2, 5), "validation.appeal_folds": pick(2, 10), "validation.test": pick("t", "normal"),
    })  # fmt: skip
    sharing = pick("shapley", "equal", "proportional", "normalised_marginal")
    changes |= {"training": market, "sharing": {"name": sharing}}
    changes["agents.consumers.endowment_share"] = min(changes["agents.consumers.endowment_share"], 0.5)
    economy_ = economy(changes) if consensus is None else economy(changes, consensus=consensus)
    for _ in range(25):
        run(economy_, 1)
        check_books(economy_)
    economy_.close()


def test_a_sale_divides_the_price_to_the_unit():
    """Consumers' spending is what trainers and data providers received, validators' fees and compute come on top."""
    world = run(training_economy({"trainers.overstating": 0.0}), 120)
    rows = tables(world)
    done, market = rows["trainings"], market_of(world)
    accepted = done[done["status"] == "accepted"]
    assert len(accepted) > 10
    assert (accepted["paid_prana"] <= accepted["agreed_prana"] * (1 + 1e-12)).all()
    paid = rows["datasets"].groupby("training")["paid_prana"].sum().reindex(accepted["training"], fill_value=0.0)
    assert_allclose(paid, accepted["data_prana"], rtol=1e-9, atol=1e-9)
    closed = done[done["status"].isin(["accepted", "refused"])]
    start = 50_000.0
    own = market.trainers["account"]
    change = world.ledger.balance(own) + world.ledger.escrow(own) - start
    running = done[done["status"] == "training"]
    assert_allclose(change.sum(), market.trainers["earned"].sum() - market.trainers["spent"].sum(), atol=1e-3)
    fees = world.ledger.balance(market.validators).sum()
    assert_allclose(fees, closed["fees_prana"].sum(), atol=1e-9)
    assert len(running) + len(closed) <= len(done)


def test_a_refused_model_costs_its_consumer_nothing_and_its_trainer_the_bond():
    """All overstate by 0.3 with no appeal won: every judged order is refunded whole, bonds are in the treasury."""
    lies = {"trainers.overstating": 1.0, "trainers.overstatement": 0.3, "trainers.disputing": 0.0}
    world = training_economy({**lies, "tasks": {"resnet": 1.0}})
    treasury = world.ledger.units(0)
    run(world, 60)
    rows, market = tables(world)["trainings"], market_of(world)
    judged = rows[rows["status"].isin(["accepted", "refused"])]
    assert len(judged) > 3
    assert set(judged["status"]) == {"refused"}
    assert (judged["paid_prana"] == 0).all()
    assert_allclose(judged["penalty_prana"], 0.5 * judged["agreed_prana"], rtol=1e-12)
    assert_allclose((world.ledger.units(0) - treasury) / UNITS, judged["penalty_prana"].sum(), rtol=1e-9)
    spent = market.consumers["spent"]
    assert not spent.any()


def test_the_same_seed_gives_the_same_tables_and_another_does_not():
    """Two runs of one seed agree in every cell of every table; another seed orders other models."""

    def found(seed):
        rows = tables(run(training_economy(seed=seed), 40))
        return {name: rows[name] for name in ("trainings", "validations", "datasets", "provisions", "transfers")}

    first, second, other = found(3), found(3), found(4)
    assert all(len(first[name]) and first[name].equals(second[name]) for name in first)
    assert not other["trainings"].equals(first["trainings"])


def test_slow_and_lossy_consensus_loses_orders_but_no_money():
    """Where a tenth of the transactions never becomes final, those orders expire, and the others are served."""
    changes = {**CALM, "training": rule()}
    del changes["consensus"]
    world = run(economy(changes, consensus=Laggard(900.0, 0.2, 1800.0)), 60)
    check_books(world)
    status = tables(world)["trainings"]["status"].value_counts()
    assert status["expired"] > 0
    assert status["accepted"] > 0


@pytest.mark.parametrize("name", ["shapley", "equal"])
def test_data_is_paid_what_it_adds(name):
    """The parts of a model's data sum to what all of it added to the price; sets of equal shards get the same."""
    keys = {"tasks": {"resnet": 1.0}, "prices.accuracy_multiplier": 4.0, "consumers.value_median": 2e4}
    world = run(training_economy(keys, sharing={"name": name}), 60)
    rows = tables(world)["datasets"]
    whole = rows.groupby("training")["share_prana"].sum()
    paid = rows.groupby("training")["paid_prana"].sum()
    assert len(whole) > 5
    assert_allclose(paid, whole, rtol=1e-9)
    copies = rows[rows["copy_of"] >= 0]
    source = rows.set_index(["training", "dataset"])["paid_prana"]
    pairs = [(row.paid_prana, source.get((row.training, row.copy_of), np.nan)) for row in copies.itertuples()]
    assert_allclose(*np.array([p for p in pairs if np.isfinite(p[1])]).T, rtol=1e-9)
