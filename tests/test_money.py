"""Money in a running economy: random worlds keep every PRANA, to the last of its 10**27 units."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
from hypothesis import HealthCheck, given, settings

from celluler_sim.economy import Economy
from celluler_sim.ledger import TREASURY, Amounts
from celluler_sim.results import Tables
from tests.economies import economy, run, tables, worlds

SUPPLY = 10**27
WORLDS, TICKS = 50, 200


def units(rows, hi, lo):
    """Return (account, units) of some rows."""
    return zip(rows["account"].tolist(), Amounts(rows[hi], rows[lo]).to_units(), strict=True)


def locked(world: Economy) -> Counter[int]:
    """Return what each account's open requests and running jobs must have in escrow, in units."""
    market, found = world.market, Counter()
    for rows in (market.mempool, market.waiting):
        for account, amount in units(rows.alive(), "escrow_hi", "escrow_lo"):
            found[account] += amount
    for account, amount in units(market.fills.alive(), "due_hi", "due_lo"):
        found[account] += amount
    return found


def check_books(world: Economy) -> None:
    """Count every account's money one by one."""
    free, escrow, stake = (world.ledger.amounts(slice(None), b).to_units() for b in ("free", "escrow", "stake"))
    assert min(free) >= 0
    assert min(escrow) >= 0
    assert sum(free) + sum(escrow) + sum(stake) == SUPPLY == world.ledger.total()
    assert {account: amount for account, amount in enumerate(escrow) if amount} == +locked(world)


MOVES = {
    "lock": ("free", "escrow"),
    "release": ("escrow", "free"),
    "pay": ("escrow", "free"),
    "stake": ("free", "stake"),
}


def replayed(rows: Tables) -> dict[str, Counter[int]]:
    """Return what every account has in each bucket by replaying the table of transfers, in Decimals."""
    held = {"free": Counter({TREASURY: Decimal(10**9)}), "escrow": Counter(), "stake": Counter()}
    for row in rows.arrow("transfers").to_pylist():
        endows = row["source"] == TREASURY
        giving, taking = (held[bucket] for bucket in (("free", "free") if endows else MOVES[row["kind"]]))
        assert row["refused"] == (giving[row["source"]] < row["amount_prana"])
        if not row["refused"]:
            giving[row["source"]] -= row["amount_prana"]
            taking[row["target"]] += row["amount_prana"]
    return held


def exact(world: Economy, bucket: str) -> dict[int, Decimal]:
    """Return what each account holds that holds anything."""
    held = world.ledger.amounts(slice(None), bucket).to_units()
    return {account: Decimal(amount).scaleb(-18) for account, amount in enumerate(held) if amount}


def check_tables(world: Economy, rows: Tables) -> Counter[str]:
    """Hold the written tables against the ledger; return how often what happened."""
    for bucket, held in replayed(rows).items():
        assert exact(world, bucket) == {account: amount for account, amount in held.items() if amount}
    paid = Counter()
    for row in rows.arrow("transfers").to_pylist():
        if row["kind"] == "pay" and row["source"] != TREASURY:
            paid[row["target"]] += row["amount_prana"]
    account = world.providers["account"].tolist()
    assert {a: paid[a] for a in account} == {a: exact(world, "free").get(a, Decimal(0)) for a in account}
    np.testing.assert_allclose(world.providers["earned"], [float(paid[a]) for a in account], rtol=1e-9, atol=1e-15)
    happened = Counter(rows["jobs"]["status"].tolist())
    refused = sum(row["refused"] for row in rows.arrow("transfers").to_pylist())
    assert refused == happened["refused"] == rows["markets"]["refused"].sum()
    return happened


def test_ten_thousand_ticks_of_random_worlds():
    """After each of 10,000 ticks the supply is exact, nobody owes, and escrow is what open business has locked."""
    ticks, happened = 0, Counter()

    @settings(max_examples=WORLDS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(worlds())
    def play(drawn):
        nonlocal ticks
        changes, consensus = drawn
        world = economy(changes, **({"consensus": consensus} if consensus else {}))
        for _ in range(TICKS):
            world.step()
            check_books(world)
        ticks += TICKS
        happened.update(check_tables(world, tables(world)))

    play()
    assert ticks >= 10_000
    assert min(happened[s] for s in ("finished", "reneged", "refused", "running", "waiting", "expired")) > 20, happened


def test_a_transfer_beyond_a_balance_is_refused_and_logged():
    """A provider without money cannot pay 1 PRANA, a consumer not one unit more than it has; the run goes on."""
    world = run(economy({"agents.consumers.jobs_per_day": 0.001}), 1)
    ledger = world.ledger
    provider, consumer = world.providers["account"][:1], world.consumers["account"][:1]
    whole = ledger.amounts(consumer).to_units()[0]
    assert ledger.pay(provider, consumer, Amounts.from_prana([1.0])).tolist() == [True]
    assert ledger.pay(consumer, provider, Amounts.from_units([whole + 1])).tolist() == [True]
    assert ledger.lock(consumer, Amounts.from_units([whole + 1])).tolist() == [True]
    assert ledger.pay(consumer, provider, Amounts.from_units([whole])).tolist() == [False]
    run(world, 2)
    check_books(world)
    transfers = tables(world)["transfers"]
    mine = transfers[(transfers["tick"] == 1) & transfers["source"].isin([*provider.tolist(), *consumer.tolist()])]
    assert mine["refused"].tolist()[:4] == [True, True, True, False]
    assert mine["amount_prana"].tolist()[0] == Decimal(1)
    assert mine["amount_prana"].tolist()[1] == Decimal(whole + 1).scaleb(-18)


def test_who_cannot_afford_its_bid_is_refused_and_keeps_its_money():
    """Endowed with a PRANA or so each, nobody can lock a job's worth: all are refused, nobody is served."""
    world = run(
        economy({"agents.consumers.endowment_share": 2e-8, "agents.consumers.behaviours": {"truthful": 1.0}}), 30
    )
    before = world.ledger.amounts(world.consumers["account"]).sum_units()
    happened = check_tables(world, tables(world))
    assert happened["refused"] > 0.5 * happened.total()
    assert abs(before + world.ledger.amounts(slice(None), "escrow").sum_units() - 20 * 10**18) < 10**18
