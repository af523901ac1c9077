"""Pools in a running economy: money exact, machines at one place at a time, moves by ordered transactions."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from celluler_sim.agents.pool_member import PoolMember
from celluler_sim.economy import Economy
from celluler_sim.errors import CellulerError
from celluler_sim.institutions.pools_formation import Move
from celluler_sim.run import simulate
from celluler_sim.scenario import compose
from tests.economies import Laggard, run, tables
from tests.institutions.pools_worlds import SMALL, pooled

FEW = 8  # random worlds


def pools_of(world: Economy):
    """Return the running pools of an economy."""
    return world.institutions[0]


def check_machines(world: Economy) -> None:
    """Every machine sells at one place; nobody runs more than its machines hold."""
    pools, p = pools_of(world), world.providers
    m, held = pools.members, pools.register.amount
    everything = np.concatenate([p["capacity"][:, None], world.supply], axis=1)
    used = pools.fleet.in_use(np.arange(p.size))
    assert np.all(used[:, 0] <= p["capacity"] * (1 + 1e-9))
    for pool in pools.register.pools:
        if pool.row >= 0:
            here = held[m["place"] == pool.number].sum(axis=0)
            assert np.all(everything[pool.row] <= here * (1 + 1e-9) + 1e-12)
            assert np.all(used[pool.row] <= here * (1 + 1e-9) + 1e-12)
    away = m["place"] >= 0
    assert np.all(p["capacity"][: m.size][away] == 0)
    assert_allclose(p["capacity"][: m.size][~away], held[~away, 0])


@pytest.mark.slow
@settings(max_examples=FEW, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**31), st.sampled_from(["shapley", "equal", "normalised_marginal", "banzhaf"]),
    st.sampled_from(["best_reply", "merge_and_split", "none"]), st.sampled_from([0.0, 1.0]), st.integers(0, 3),
)  # fmt: skip
def test_random_worlds_keep_every_unit_and_every_machine(seed, rule, formation, lost, initial):
    """Whatever the rule, the formation and the delays: supply exact each tick, payouts equal receipts to the unit."""
    setup = compose(
        "resource_pool",
        [*SMALL, f"seed={seed}", f"sharing={rule}", f"pools.formation={formation}", f"pools.initial={initial}",
         "agents.consumers.jobs_per_day=8", "pools.review_per_day=12", "pools.patience_periods=1",
         "agents.providers.cost_cv=0.4"],
    )  # fmt: skip
    world = Economy(replace(setup, mechanisms={**setup.mechanisms, "consensus": Laggard(3000.0, 0.1 * lost, 3600.0)}))
    for _ in range(40):
        world.step()  # `Ledger.check` in each
        check_machines(world)
    found = tables(world)
    by_period = found["pool_members"].groupby(["period", "pool"])["paid_prana"].sum()
    for row in found["pools"].itertuples():
        paid = found["transfers"]
        account = world.providers["account"][row.provider]
        at = (paid["kind"] == "share") & (paid["source"] == account) & (paid["tick"] == round(row.time_s / 900) - 1)
        assert sum(paid["amount_prana"][at], Decimal(0)) == row.received_prana
        assert by_period[row.period, row.pool] >= row.received_prana  # more where a member inherits of a former pool
    assert not found["transfers"].query("kind == 'share'")["refused"].any()


def test_the_members_of_a_pool_get_all_it_received_by_energy_and_share():
    """In the first period of two loyal pools: payouts sum to the receipts, and exceed energy in the ratio of shares."""
    world = run(pooled("pools.behaviours={loyal: 1.0}", "pools.formation=none"), 8)
    found = tables(world)
    assert len(found["pools"]) == 2
    for row in found["pools"].itertuples():
        members = found["pool_members"].query(f"period == {row.period} and pool == {row.pool}")
        assert sum(members["paid_prana"]) == row.received_prana > 0
        assert row.energy_prana + row.profit_prana == pytest.approx(float(row.received_prana))
        slots = members["member"].to_numpy()
        capacity, cost = pools_of(world).members["capacity"][slots], world.providers["energy_cost"][slots]
        energy = cost * capacity / capacity.sum() * row.busy * 7200
        assert energy.sum() == pytest.approx(row.energy_prana)
        profit = members["paid_prana"].astype(float).to_numpy() - energy
        assert_allclose(profit / row.profit_prana, members["share_prana"] / row.worth_prana, rtol=1e-6)
        assert members["share_prana"].sum() == pytest.approx(row.worth_prana)


def test_a_pool_serves_what_no_member_could():
    """Jobs of 24 accelerators, cells of at most 8: pools serve some, the same cells alone not one."""
    large = "workload.gpus={24: 1.0}"
    together = tables(run(pooled(large, "pools.behaviours={loyal: 1.0}"), 40))
    alone = tables(run(pooled(large, "pools.initial=0", "pools.formation=none"), 40))
    assert (together["jobs"]["status"] == "finished").sum() > 3
    assert not alone["jobs"]["status"].isin(["finished", "running"]).any()
    first = together["pools"].query("period == 1")
    assert first["worth_prana"].sum() > 0 == first["alone_prana"].sum()


def test_moves_are_transactions_and_take_effect_when_they_are_final():
    """A member that says twice that it goes to another pool goes once: the second exit and entry are refused."""
    world = pooled("pools.formation=none", "pools.behaviours={loyal: 1.0}", "pools.min_contribution=0.01")
    pools = pools_of(world)
    run(world, 1)
    member = int(pools.register.of(0)[0])
    pools._moves = [Move(member, 1), Move(member, 1)]
    run(world, 1)
    found = tables(world)
    assert pools.members["pool"][member] == 1
    sent = found["transactions"].query("kind in ('leave', 'join')")
    assert sent["kind"].tolist() == ["leave", "leave", "join", "join"]
    assert set(sent["sender"]) == {pools.members["account"][member]}
    moves = found["pool_moves"]
    assert list(zip(moves["kind"], moves["accepted"], strict=True)) == [
        ("leave", True), ("leave", False), ("join", True), ("join", False)
    ]  # fmt: skip


def test_machines_that_leave_wait_for_the_jobs_on_them():
    """When all leave a busy pool, its offer ends, its jobs do not, and what they pay goes to the last members."""
    world = pooled("pools.formation=none", "pools.behaviours={loyal: 1.0}", "pools.initial=1")
    pools = pools_of(world)
    run(world, 8)
    row, who = pools.register.pools[0].row, pools.register.of(0)
    pools._moves = [Move(int(i), -1) for i in who]
    run(world, 1)
    assert pools.register.of(0).size == 0
    assert pools.fleet.in_use(np.array([row]))[0, 0] > 0
    assert (pools.members["place"][who] == 0).any()
    run(world, 31)
    assert (pools.members["place"] == -1).all()
    assert world.ledger.units(int(world.providers["account"][row])) == 0
    account = world.providers["account"][row]
    late = tables(world)["transfers"].query(f"kind == 'share' and tick > 9 and source == {account}")
    assert set(late["target"]) == set(pools.members["account"][who])


def test_members_leave_after_as_many_bad_periods_as_their_patience():
    """Under equal shares some would do better alone; at a patience of 2 nobody leaves at the first payout."""
    more = ("pools.patience_periods=2", "pools.formation=none", "workload.cell_cv=1.0", "pools.gain=0.0")
    world = run(pooled("sharing=equal", "agents.consumers.jobs_per_day=5", *more), 40)
    found = tables(world)
    left = found["pool_moves"].query("kind == 'leave'")
    assert len(left)
    assert left["tick"].min() >= 2 * 8
    before = found["pool_members"].query("unhappy >= 2")
    assert set(left["member"]) == set(before["member"])


def test_loyal_members_never_leave_by_themselves():
    """The same world with loyal members: no exits but by dissolution."""
    world = run(pooled("sharing=equal", "pools.behaviours={loyal: 1.0}", "workload.cell_cv=1.0"), 40)
    assert not (tables(world)["pool_moves"]["kind"] == "leave").any()


@pytest.mark.parametrize("formation", ["best_reply", "merge_and_split"])
def test_pools_form_where_there_were_none(formation):
    """Cells that start alone form pools, and nobody enters one for less than it had."""
    world = run(pooled("pools.initial=0", f"pools.formation={formation}", "pools.review_per_day=12"), 40)
    found = tables(world)
    assert found["pool_moves"].query("kind == 'join' and accepted").shape[0] >= 2
    last = found["pool_members"].query("period == 4")
    assert (last["pool"] >= 0).any()
    sizes = last[last["pool"] >= 0].groupby("pool").size()
    assert sizes.between(2, 10).all()


def test_pools_split_where_both_parts_gain():
    """Without rivals and with hardly any demand each part counts on all the jobs: one pool of many splits."""
    more = ("pools.rivals=none", "pools.formation=merge_and_split", "agents.consumers.jobs_per_day=1",
            "pools.initial=1", "workload.gpus={1: 1.0}", "pools.patience_periods=99", "pools.gain=0.0")  # fmt: skip
    moves = tables(run(pooled(*more), 40))["pool_moves"]
    assert (moves["kind"] == "leave").any()


def test_members_are_agents_and_pools_are_providers():
    """A member is an agent of its own type, in the slot of its provider; a pool is one more provider."""
    world = pooled()
    pools = pools_of(world)
    assert len(world.agents_by_type[PoolMember]) == 8
    assert world.providers.size == 10
    member = pools.members.agent(3)
    assert member.account == world.providers["account"][3]
    assert member.memory == world.supply[3, 0]
    total, used = pools.resources(0)
    who = pools.register.of(0)
    assert_allclose(total, pools.register.amount[who].sum(axis=0))
    assert_allclose(used, 0)
    assert_allclose(world.supply[8], total[1:])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["market.split=true"], "market.split must be false where pools=resource, got true"),
        (["pools.initial=0", "pools.membership={alpha: []}"], "pool alpha must have at least one member, got none"),
        (["pools.initial=0", "pools.membership={a: [0, 1], b: [1, 2]}"],
         "pool b: member 1 must be in one pool at most"),
        (["pools.initial=0", "pools.membership={a: [0, 1, 2, 3, 4, 5, 6, 7]}", "pools.min_contribution=0.13"],
         "must contribute >= 0.13 of the pool's resources"),
        (["pools.membership={a: [0, 1]}"], "pools.initial must be 0 where pools.membership names the pools"),
        (["pools.behaviours={nobody: 1.0}"], "pools.behaviours must name some of best_reply, loyal; got 'nobody'"),
        (["pools.min_contribution=0"], "pools.min_contribution must be > 0 and <= 1, got 0"),
        (["pools.period_s=-1"], "pools.period_s must be > 0 s, got -1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(overrides, message):
    """Name, rule, value; one line."""
    with pytest.raises(CellulerError) as caught:
        pooled(*overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


AGAIN = """
import sys
from celluler_sim.run import simulate
from tests.institutions.pools_worlds import SMALL
simulate("pool_formation", [*SMALL, "pools.initial=0", "variants={}"], seed=5, folder=sys.argv[1])
"""


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path):
    """All tables of a short run with pools that form, here and there."""
    simulate("pool_formation", [*SMALL, "pools.initial=0", "variants={}"], seed=5, folder=tmp_path / "here")
    subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path / "there")], check=True, cwd=Path(__file__).parents[2])
    here, there = (
        {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in (tmp_path / p).glob("*.parquet")}
        for p in ("here", "there")
    )
    assert here == there
    assert {"pools.parquet", "pool_members.parquet", "pool_moves.parquet"} <= set(here)


def test_what_the_books_say_a_pool_could_have_earned_is_what_it_earned():
    """Over five periods two pools earn within a tenth of the worth of all members: the game is the market's."""
    world = run(pooled("pools.behaviours={loyal: 1.0}", "pools.formation=none", "agents.consumers.jobs_per_day=10"), 40)
    found = tables(world)["pools"]
    assert found["worth_prana"].sum() > 1000
    assert 0.9 < found["profit_prana"].sum() / found["worth_prana"].sum() < 1.1
