"""Checks are paid for: by whom, to whom, to the unit, and only as far as the money goes."""

from __future__ import annotations

import numpy as np
import pytest

from celluler_sim.economy import Economy
from celluler_sim.errors import ScenarioError
from celluler_sim.ledger import TREASURY, Amounts
from tests.institutions.trust_worlds import TRUST, now, stepped, table, trust_of, trusting, world

CHEATS = "trust.fraud.shares={overclaim:0.4}"
UNIT = 10**18


def units(economy: Economy, name: str, column: str) -> int:
    """Return the exact sum of a column of PRANA, in units."""
    return sum(int(v.scaleb(18)) for v in table(economy, name)[column])


def test_validators_are_paid_for_every_look_at_a_delivery() -> None:
    """At a quarter of a PRANA a check the validators have exactly that many more, and the treasury that many less."""
    economy = world(*TRUST, "verification.probability=0.5", "verification.cost_per_check=0.25")
    before, validators = economy.ledger.units(TREASURY), economy.validators
    held = sum(economy.ledger.amounts(validators).to_units())
    stepped(economy, 20)
    checks, checked = table(economy, "checks"), int(table(economy, "deliveries").checked.sum())
    assert checks.number.sum() == checked > 20
    assert units(economy, "checks", "paid_prana") == checked * UNIT // 4
    assert sum(economy.ledger.amounts(validators).to_units()) - held == checked * UNIT // 4
    assert before - economy.ledger.units(TREASURY) == checked * UNIT // 4
    assert float(checks.purse_prana.iloc[-1]) == economy.ledger.balance(np.array([TREASURY]))[0]


def test_providers_that_execute_work_again_are_paid_for_it() -> None:
    """Two further executions of each checked job cost one PRANA each, paid to other providers than the first."""
    economy = trusting("verification=redundant_execution", "verification.probability=1", ticks=6)
    transfers = table(economy, "transfers")
    paid = transfers[transfers.kind == "check"]
    checked = int(table(economy, "deliveries").checked.sum())
    assert len(paid) == 2 * checked > 0
    assert np.isin(paid.target, economy.providers["account"]).all()
    assert units(economy, "checks", "paid_prana") == 2 * checked * UNIT


def test_a_fund_without_money_looks_at_nothing() -> None:
    """Whose only income would be fines never starts: nothing is checked, and that is written down."""
    economy = trusting("trust.payer=fund", "verification.probability=0.5", CHEATS, "trust.fine_multiple=2", ticks=20)
    assert not table(economy, "deliveries").checked.any()
    checks = table(economy, "checks")
    assert checks.unpaid.sum() > 10
    assert checks.number.sum() == 0
    assert units(economy, "penalties", "slashed_prana") == 0


def test_a_fund_has_fees_and_fines_and_nothing_else() -> None:
    """A hundredth of what providers earn starts the checks; what the fund has is what came in less what it paid."""
    economy = world(
        *TRUST, "trust.payer=fund", "trust.check_fee=0.01", "verification.probability=0.5", CHEATS,
        "trust.fine_multiple=2", "verification.cost_per_check=3",
    )  # fmt: skip
    before = economy.ledger.units(TREASURY)
    stepped(economy, 30)
    purse, transfers = trust_of(economy).purse.account, table(economy, "transfers")
    fees = transfers[(transfers.kind == "fee") & ~transfers.refused]
    rows = table(economy, "deliveries")
    assert purse != TREASURY
    assert set(fees.target) == {purse}
    assert np.isclose(float(fees.amount_prana.sum()), 0.01 * rows.earned_prana.sum())
    came = sum(int(v.scaleb(18)) for v in fees.amount_prana) + units(economy, "penalties", "slashed_prana")
    assert economy.ledger.units(purse) == came - units(economy, "checks", "paid_prana") > 0
    assert economy.ledger.units(TREASURY) == before  # fines pass through it
    assert rows.checked.any()
    checks = table(economy, "checks")
    assert checks.unpaid.iloc[0] > 0  # before the first fee there was nothing
    assert checks.unpaid.iloc[-5:].sum() == 0


def test_the_first_checks_are_those_that_are_paid_for() -> None:
    """With money for two of all deliveries of a tick the two of lowest number among those drawn are looked at."""
    economy = world(*TRUST, "trust.payer=fund", "verification.probability=1", "verification.cost_per_check=5")
    purse = trust_of(economy).purse
    stepped(economy, 8)
    economy.ledger.pay(np.array([TREASURY]), np.array([purse.account]), Amounts.from_prana(np.array([14.0])))
    stepped(economy, 2)
    rows = table(economy, "deliveries")
    late = rows[rows.tick >= 8].sort_values(["tick", "fill"])
    assert late.checked.sum() == 2
    assert late.checked.iloc[:2].all()
    assert economy.ledger.balance(np.array([purse.account]))[0] == 4.0


def test_a_granted_appeal_is_paid_back_by_the_fund() -> None:
    """What an honest provider lost comes back out of the account that had it."""
    economy = trusting("penalty.slash=1", "trust.payer=fund", ticks=1)
    trust, honest = trust_of(economy), np.array([0])
    staked = economy.ledger.units(int(economy.providers["account"][0]), "stake")
    trust.accuse(honest, 3, now(economy))
    assert economy.ledger.units(trust.purse.account) == 0
    assert economy.ledger.units(int(economy.providers["account"][0]), "stake") == staked
    assert economy.ledger.total() == economy.ledger.supply


def test_screens_are_paid_for_or_do_not_look() -> None:
    """A screen at 7 PRANA a look takes them from the treasury; a fund without money has nobody look."""
    more = ("screens=bid_rotation", "screens.cost=7", "screens.minimum=2", "trust.screen_s=1200",
            "trust.screen_every=4", "pricing=posted", "verification=none")  # fmt: skip
    paid = table(trusting(*more, ticks=20), "checks")
    assert (paid.kind == "screen").all()
    assert paid.paid_prana.astype(float).tolist() == [7.0] * len(paid)
    assert len(paid) == 2
    idle = table(trusting(*more, "trust.payer=fund", ticks=20), "checks")
    assert idle.unpaid.tolist() == [1, 1]
    assert idle.paid_prana.astype(float).sum() == 0


def test_an_unknown_payer_is_refused() -> None:
    """The line says which there are."""
    with pytest.raises(ScenarioError, match=r"trust\.payer must be one of treasury, fund, got 'nobody'"):
        world(*TRUST, "trust.payer=nobody")
