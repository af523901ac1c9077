"""The economy as a whole: what random worlds obey, the figures of one worked by hand, and Mesa's API on it."""

from __future__ import annotations

import mesa
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.testing import assert_allclose

from celluler_sim.agents.consumer import Consumer
from celluler_sim.agents.provider import Provider
from celluler_sim.economy import Economy
from celluler_sim.results import Tables
from tests.economies import Laggard, economy, run, scripted, tables, worlds
from tests.test_money import check_books, check_tables

# ---- what every world obeys ----------------------------------------------------------------------------------------


def check_capacity(world: Economy, rows: Tables) -> None:
    """No provider ever delivers more than its capacity, at any moment between two ticks."""
    fills = rows["fills"]
    for provider, mine in fills.groupby("provider"):
        moments = np.concatenate([mine["start_s"], mine["end_s"]])
        change = np.concatenate([mine["quantity"], -mine["quantity"]])
        order = np.lexsort((change, moments))  # at one moment, what ends makes room for what begins
        busy = np.cumsum(change[order])
        assert busy.max() <= world.providers["capacity"][provider] * (1 + 1e-6)
        assert world.providers["quality"][provider] >= world.setup.market.min_quality


def check_jobs(world: Economy, rows: Tables) -> None:
    """Every job born is written down once, and what it got is what it asked for."""
    jobs, setup = rows["jobs"], world.setup.agents.consumers
    assert jobs["job"].tolist() == list(range(len(jobs)))
    begun = jobs[jobs["started_s"].notna()]
    assert set(begun["status"]) <= {"finished", "running"}
    assert set(jobs["status"][jobs["started_s"].isna()]) <= {"reneged", "refused", "expired", "waiting"}
    assert (begun["started_s"] >= begun["submitted_s"]).all()
    assert (begun["submitted_s"] >= begun["born_s"]).all()
    assert (begun["granted"] <= begun["amount"] * (1 + 1e-6)).all()
    assert (begun["granted"] >= begun["amount"] * setup.min_share * (1 - 1e-6)).all()
    assert (begun["price_prana"] <= begun["value_prana"] * (1 + 1e-8)).all()
    assert_allclose(begun["paid_prana"], begun["price_prana"] * begun["work"])
    done = jobs[jobs["status"] == "finished"]
    assert_allclose(done["finished_s"] - done["started_s"], done["work"] / done["granted"], rtol=1e-6, atol=1e-6)
    per_job = rows["fills"].groupby("job")[["quantity", "work"]].sum()
    assert per_job.index.tolist() == begun["job"].tolist()
    assert_allclose(per_job["quantity"], begun["granted"])
    assert_allclose(per_job["work"], begun["work"])


def check_counts(world: Economy, rows: Tables) -> None:
    """The market's counters add up to what the tables of jobs, fills and transactions hold."""
    m, jobs, transactions = rows["markets"], rows["jobs"], rows["transactions"]
    status = jobs["status"].value_counts().to_dict()
    for counter in ("finished", "reneged", "expired", "refused"):
        if counter != "expired":  # offers expire as well
            assert m[counter].sum() == status.get(counter, 0)
    assert m["granted"].sum() == jobs["started_s"].notna().sum()
    assert m["submitted"].sum() == jobs["submitted_s"].notna().sum()
    requests = transactions[transactions["kind"] == "request"]
    assert m["ordered"].sum() == (requests["order"] >= 0).sum()
    assert status.get("expired", 0) == (requests["order"] < 0).sum()
    assert sorted(transactions["order"][transactions["order"] >= 0]) == list(range((transactions["order"] >= 0).sum()))
    assert m["utilisation"].between(0, 1 + 1e-9).all()
    assert m["window_utilisation"].between(0, 1).all()
    assert m["queue"].iloc[-1] == len(world.market.waiting)


def test_random_worlds_obey_the_rules_of_the_market():
    """Capacity, patience, prices and counters, in twelve random worlds of 60 ticks."""

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(worlds())
    def play(drawn):
        changes, consensus = drawn
        world = run(economy(changes, **({"consensus": consensus} if consensus else {})), 60)
        rows = tables(world)
        check_capacity(world, rows)
        check_jobs(world, rows)
        check_counts(world, rows)

    play()


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_work_is_a_matter_of_taste(unit):
    """With units a thousand million times smaller or larger the same jobs start at the same moments."""
    usual, other = (
        tables(run(economy({
            "market.unit_size": 1e18 * u,
            "pricing.base_price": 100.0 * u,
            "agents.consumers.value_median": 300.0 * u,
            "agents.consumers.jobs_per_day": 600.0,
            "workload.mean_seconds": 240.0,
        }), 30))["jobs"]
        for u in (1.0, unit)
    )  # fmt: skip
    assert usual["status"].tolist() == other["status"].tolist()
    assert_allclose(other["started_s"], usual["started_s"])
    assert_allclose(other["granted"] * unit, usual["granted"])
    assert_allclose(other["paid_prana"], usual["paid_prana"])
    assert usual["status"].tolist().count("finished") > 10


# ---- worked by hand ------------------------------------------------------------------------------------------------

A = (10.0, 0, 2.0, 200.0, 50.0, 1000.0)  # born, consumer, amount, work, value, patience
B = (20.0, 1, 3.0, 90.0, 25.0, 1000.0)
C = (30.0, 2, 1.0, 10.0, 15.0, 85.0)


def three_jobs(*jobs):
    """Return the world of the tests below: P0 asks 10 for 2 units/s, P1 asks 20 for 3, everybody pays the ask."""
    return scripted(*jobs, capacity=[2.0, 3.0], ask=[10.0, 20.0])


def test_three_jobs_by_hand():
    """A takes P0 from 10 s to 110 s, B takes P1 from 20 s to 50 s, C cannot pay P1 and has P0 from 110 s to 120 s."""
    world = run(three_jobs(A, B, C), 4)
    rows = tables(world)
    jobs = rows["jobs"]
    assert jobs["status"].tolist() == ["finished"] * 3
    assert jobs["started_s"].tolist() == [10.0, 20.0, 110.0]
    assert jobs["finished_s"].tolist() == [110.0, 50.0, 120.0]
    assert jobs["wait_s"].tolist() == [0.0, 0.0, 80.0]
    assert jobs["price_prana"].tolist() == [10.0, 20.0, 10.0]
    assert jobs["paid_prana"].tolist() == [2000.0, 1800.0, 100.0]
    assert rows["fills"]["provider"].tolist() == [0, 1, 0]
    assert world.ledger.balance(world.providers["account"]).tolist() == [2100.0, 1800.0]
    assert_allclose(world.ledger.balance(world.consumers["account"]), 1e6 - np.array([2000.0, 1800.0, 100.0]))
    assert world.consumers["spent"].tolist() == [2000.0, 1800.0, 100.0]
    assert world.consumers["surplus"].tolist() == [(50 - 10) * 200.0, (25 - 20) * 90.0, (15 - 10) * 10.0]
    check_books(world)


def test_the_figures_of_the_market_by_hand():
    """5 units/s on offer at a mean ask of (2 x 10 + 3 x 20) / 5 = 16; the first minute uses 2 x 50 s + 3 x 30 s."""
    markets = tables(run(three_jobs(A, B, C), 3))["markets"]
    assert markets["price_prana"].tolist() == [16.0] * 3
    assert markets["capacity"].tolist() == [5.0] * 3
    assert_allclose(markets["utilisation"], [190 / 300, (2 * 50 + 1 * 10) / 300, 0.0])
    assert_allclose(markets["window_utilisation"], [0.0, 190 / 300, 150 / 300])
    assert markets["queue"].tolist() == [1, 0, 0]
    assert markets["granted"].tolist() == [2, 1, 0]
    assert markets["finished"].tolist() == [0, 2, 1]
    assert markets["demand"].tolist() == [6.0, 1.0, 0.0]
    assert markets["consumer_surplus_prana"].tolist() == [40 * 200 + 5 * 90, 50.0, 0.0]
    assert markets["provider_surplus_prana"].tolist() == [0.0, 0.0, 0.0]  # the ask is the cost
    assert markets["revenue_prana"].tolist() == [0.0, 3800.0, 100.0]


def test_escrow_covers_the_bid_then_the_price():
    """C locks its bid, 15 x 10, while it waits; once it has P0 at 10 the rest returns; A locks 2000 until 110 s."""
    world = run(three_jobs(A, B, C), 1)
    account = world.consumers["account"]
    assert_allclose(world.ledger.escrow(account), [2000.0, 1800.0, 150.0], rtol=2e-9)
    assert world.ledger.units(int(account[0]), "escrow") == 2000 * 10**18
    run(world, 1)
    assert world.ledger.escrow(account).tolist() == [0.0, 0.0, 100.0]


def test_patience_that_ends_before_the_start():
    """As C, but giving up at 105 s: P0 is free only at 110 s, so C leaves at 105 s with all its money."""
    world = run(three_jobs(A, B, (*C[:5], 75.0)), 2)
    rows = tables(world)
    left = rows["jobs"].iloc[2]
    assert (left["status"], left["finished_s"]) == ("reneged", 105.0)
    assert np.isnan(left["started_s"])
    assert rows["markets"]["reneged"].tolist() == [0, 1]
    assert world.ledger.units(int(world.consumers["account"][2])) == 10**6 * 10**18
    check_books(world)


def test_what_is_never_ordered_expires_and_the_escrow_returns():
    """A consensus that loses everything: after 100 s each request has expired, and nobody has paid."""
    lossy = Laggard(slowest=1.0, lost=1.0, timeout=100.0)
    world = economy(
        {"agents.consumers.jobs_per_day": 1000.0, "agents.consumers.behaviours": {"truthful": 1.0}}, consensus=lossy
    )
    run(world, 1)
    assert world.ledger.escrow(world.consumers["account"]).sum() > 0
    run(world, 9)
    check_books(world)
    rows = tables(world)
    assert set(rows["jobs"]["status"]) == {"expired", "waiting"}
    assert set(rows["transactions"]["order"]) == {-1}
    assert rows["consensus"]["expired"].sum() == rows["markets"]["expired"].sum() == len(rows["transactions"])
    held = world.ledger.escrow(world.consumers["account"]).sum()
    waiting = rows["jobs"][rows["jobs"]["status"] == "waiting"]
    assert_allclose(held, (waiting["value_prana"] * waiting["work"]).sum(), rtol=2e-9)


def test_the_market_sees_nothing_before_it_is_final():
    """Requests that are final 90 s after submission start no earlier, though capacity is idle."""

    class Slow(Laggard):
        def open(self, streams):
            network = super().open(streams)
            network.submit = lambda t: network.pool.extend(
                (s + 90.0, n, s) for n, s in zip(t.number.tolist(), t.submitted.tolist(), strict=True)
            )
            return network

    world = scripted(A, B, capacity=[2.0, 3.0], ask=[10.0, 20.0], consensus=Slow(0.0, 0.0, 300.0))
    jobs = tables(run(world, 5))["jobs"]
    assert jobs["submitted_s"].tolist() == [10.0, 20.0]
    assert jobs["started_s"].tolist() == [100.0, 110.0]


# ---- Mesa's API ----------------------------------------------------------------------------------------------------


QUICK = {"workload.mean_seconds": 240.0, "agents.consumers.jobs_per_day": 600.0, "agents.consumers.patience_s": 600.0}


def busy_world():
    return run(economy(QUICK), 12)


def test_agents_are_mesa_agents():
    """By type, selected, aggregated, read and written as in any Mesa model."""
    world = busy_world()
    providers, consumers = world.agents_by_type[Provider], world.agents_by_type[Consumer]
    assert (len(providers), len(consumers), len(world.agents)) == (4, 20, 24)
    assert set(world.agent_types) == {Provider, Consumer}
    assert all(isinstance(agent, mesa.Agent) for agent in world.agents)
    assert world.agents.agg("unique_id", len) == 24
    assert providers.agg("capacity", sum) == pytest.approx(world.providers["capacity"].sum())
    spenders = consumers.select(lambda agent: agent.spent > 0)
    assert 0 < len(spenders) < 20
    assert sorted(agent.slot for agent in spenders) == np.flatnonzero(world.consumers["spent"] > 0).tolist()
    first = providers[0]
    assert first.unit_cost == world.providers["energy_cost"][0] + world.providers["capital_cost"][0]
    first.ask = 12.5
    assert world.providers["ask"][0] == 12.5
    assert consumers.get("rate") == world.consumers["rate"].tolist()
    consumers.set("weight", 2.0)
    assert set(world.consumers["weight"].tolist()) == {2.0}
    assert consumers.groupby("behaviour").count() == dict(enumerate(np.bincount(world.consumers["behaviour"]).tolist()))


def test_data_collector():
    """Model and agent reporters, tick by tick."""
    world = economy(QUICK)
    collector = mesa.DataCollector(
        model_reporters={"price": lambda m: m.market.last_price, "active": lambda m: len(m.agents)},
        agent_reporters={"kind": lambda a: type(a).__name__, "account": "account"},
        agenttype_reporters={Provider: {"busy": "busy"}},
    )
    for _ in range(3):
        world.step()
        collector.collect(world)
    assert collector.get_model_vars_dataframe()["active"].tolist() == [24] * 3
    agents = collector.get_agent_vars_dataframe()
    assert len(agents) == 72
    assert agents["account"].groupby("Step").nunique().tolist() == [24] * 3
    assert collector.get_agenttype_vars_dataframe(Provider)["busy"].tolist()[-4:] == world.providers["busy"].tolist()


def test_a_consumer_leaves():
    """It wants nothing new from then on; what it has running or waiting goes on and is paid to the last unit."""
    world = busy_world()
    owner = int(np.bincount(world.market.running.alive()["consumer"], minlength=20).argmax())
    agent = next(agent for agent in world.agents_by_type[Consumer] if agent.slot == owner)
    agent.remove()
    assert (len(world.agents_by_type[Consumer]), agent in world.agents) == (19, False)
    before = world._n_jobs
    for _ in range(80):
        world.step()
        check_books(world)
    rows = tables(world)
    jobs = rows["jobs"]
    assert owner not in set(jobs["consumer"][jobs["job"] >= before])
    assert len(set(jobs["consumer"][jobs["job"] >= before])) > 10
    mine = jobs[(jobs["consumer"] == owner) & (jobs["finished_s"] > 720)]
    assert "finished" in set(mine["status"])
    check_tables(world, rows)


def test_a_provider_leaves():
    """It serves nobody new; its running jobs end and are paid, and the market's capacity falls."""
    world = busy_world()
    slot = int(world.providers["busy"].argmax())
    agent = world.providers.agent(slot)
    assert agent.busy > 0
    agent.remove()
    assert len(world.agents_by_type[Provider]) == 3
    earned = world.providers["earned"][slot]
    for _ in range(80):
        world.step()
        check_books(world)
    rows = tables(world)
    fills = rows["fills"]
    assert fills["tick"][fills["provider"] == slot].max() < 12
    assert (fills["tick"] >= 12).any()
    assert world.providers["earned"][slot] > earned
    check_capacity(world, rows)
    check_counts(world, rows)
    check_tables(world, rows)


def test_everybody_leaves():
    """With no provider left nothing starts; with no agent left the market stands still, and the money is all there."""
    world = busy_world()
    for agent in list(world.agents_by_type[Provider]):
        agent.remove()
    run(world, 3)
    world.remove_all_agents()
    run(world, 70)
    assert len(world.agents) == 0
    check_books(world)
    rows = tables(world)
    assert rows["fills"]["tick"].max() < 12
    assert rows["jobs"]["born_s"].max() < 15 * 60
    assert len(world.market.waiting) == 0
    check_tables(world, rows)
