"""Bonds: what providers have staked, what of it is slashed, how it is filled up again; exact to the unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.consensus.base import STAKE
from celluler_sim.errors import ScenarioError
from celluler_sim.ledger import TREASURY, Amounts
from celluler_sim.markets.rows import Rows

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick

HALF = 0.5  # share of its bond below which a provider is not let in


class Bonds:
    """The stakes of providers in one economy; ``purse`` is the account that has what they lose."""

    def __init__(self, economy: Economy, bond_prana: float, purse: int = TREASURY) -> None:
        self.economy, self.ledger, self.bond, self.purse = economy, economy.ledger, bond_prana, purse
        self.sent = Rows(number=np.int64, provider=np.int64)  # transactions that stake, not final yet
        self._units = Amounts.from_prana(np.array([bond_prana])).to_units()[0]

    def _accounts(self, provider: Slots) -> Slots:
        return np.asarray(self.economy.providers["account"][provider])

    def lend(self, provider: Slots) -> None:
        """Have the treasury endow newcomers with their first bond, and lock it."""
        if not self._units or not len(provider):
            return
        account, amount = self._accounts(provider), Amounts.from_units([self._units] * len(provider))
        if self.ledger.pay(np.full(len(provider), TREASURY), account, amount).any():
            raise ScenarioError(f"trust.bond_prana must be covered by the treasury, got {self.bond}; lower it")
        self.ledger.stake(account, amount)

    def enough(self, provider: Slots) -> npt.NDArray[np.bool_]:
        """Return whose bond is not used up: at least half of it is there, (n,)."""
        if not self._units:
            return np.ones(len(provider), np.bool_)
        return np.asarray(self.ledger.staked(self._accounts(provider)) >= HALF * self.bond)

    def slash(self, provider: Slots, prana: Floats) -> Amounts:
        """Take fines, one a row, out of bonds as far as they go, and return what was taken, (n,)."""
        account = self._accounts(provider)
        left = dict(zip(account.tolist(), self.ledger.amounts(account, "stake").to_units(), strict=True))
        taken = []
        for a, wanted in zip(account.tolist(), Amounts.from_prana(np.asarray(prana, float)).to_units(), strict=True):
            taken.append(min(wanted, left[a]))
            left[a] -= taken[-1]
        amounts = Amounts.from_units(taken)
        some = np.array([t > 0 for t in taken], np.bool_)
        if some.any():
            self.ledger.slash(account[some], amounts[some])
            if self.purse != TREASURY:
                self.ledger.pay(np.full(some.sum(), TREASURY), np.full(some.sum(), self.purse), amounts[some], "fine")
        return amounts

    def give_back(self, provider: Slots, amounts: Amounts) -> None:
        """Return what was slashed without a reason, and lock it again."""
        if len(provider) and amounts.sum_units():
            account = self._accounts(provider)
            self.ledger.pay(np.full(len(provider), self.purse), account, amounts)
            self.ledger.stake(account, amounts)

    def charge(self, provider: Slots, prana: Floats) -> None:
        """Take fees, one a row, from providers that can pay them."""
        rows = np.flatnonzero(prana > 0)
        if len(rows):
            source, amount = self._accounts(provider[rows]), Amounts.from_prana(prana[rows])
            self.ledger.pay(source, np.full(len(rows), self.purse), amount, "fee")

    def refill(self, tick: Tick) -> None:
        """Have providers whose bond lacks something, and that have something, send it; once final, it is locked."""
        if not self._units:
            return
        p = self.economy.providers
        slots = np.flatnonzero(p.active)
        held = self.ledger.amounts(self._accounts(slots), "stake").to_prana()
        waiting = self.sent["provider"][self.sent["alive"]]
        slots = slots[(held < self.bond) & ~np.isin(slots, waiting)]
        slots = slots[np.array(self._lacking(slots), object) > 0]
        validator = p["validator"][slots].astype(np.int64)
        number = self.economy.submit(STAKE, self._accounts(slots), validator, np.full(len(slots), tick.end))
        self.sent.append(number=number, provider=slots)

    def _lacking(self, provider: Slots) -> list[int]:
        """Return what each bond lacks, as far as its provider has it, units."""
        account = self._accounts(provider)
        stake, free = self.ledger.amounts(account, "stake").to_units(), self.ledger.amounts(account).to_units()
        return [max(0, min(self._units - s, f)) for s, f in zip(stake, free, strict=True)]

    def final(self, number: Slots) -> None:
        """Lock what the bonds of those whose transactions are final lack by now, as far as they have it."""
        provider = self.sent.take(np.searchsorted(self.sent["number"], number))["provider"]
        units = self._lacking(provider)
        some = np.array([u > 0 for u in units], np.bool_)
        if some.any():
            self.ledger.stake(self._accounts(provider[some]), Amounts.from_units([u for u in units if u > 0]))

    def expired(self, number: Slots) -> None:
        """Forget transactions that were not final in time; who still lacks something sends another."""
        self.sent.drop(np.flatnonzero(np.isin(self.sent["number"], number) & self.sent["alive"]))
