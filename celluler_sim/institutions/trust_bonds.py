"""Bonds: what providers have staked, what of it is slashed, how it is filled up again; exact to the unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.errors import ScenarioError
from celluler_sim.ledger import TREASURY, Amounts

if TYPE_CHECKING:
    from celluler_sim.economy import Economy

HALF = 0.5  # share of its bond below which a provider is not let in


class Bonds:
    """The stakes of providers in one economy."""

    def __init__(self, economy: Economy, bond_prana: float) -> None:
        self.economy, self.ledger, self.bond = economy, economy.ledger, bond_prana
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
        return amounts

    def give_back(self, provider: Slots, amounts: Amounts) -> None:
        """Return what was slashed without a reason, and lock it again."""
        if len(provider) and amounts.sum_units():
            account = self._accounts(provider)
            self.ledger.pay(np.full(len(provider), TREASURY), account, amounts)
            self.ledger.stake(account, amounts)

    def charge(self, provider: Slots, prana: float) -> None:
        """Take a fee from providers that can pay it."""
        if len(provider) and prana > 0:
            amount = Amounts.from_prana(np.full(len(provider), prana))
            self.ledger.pay(self._accounts(provider), np.full(len(provider), TREASURY), amount, "fee")

    def refill(self) -> None:
        """Let providers whose bond lacks something add to it what they have."""
        if not self._units:
            return
        p = self.economy.providers
        account = np.asarray(p["account"][np.flatnonzero(p.active)])
        held = self.ledger.amounts(account, "stake").to_prana()
        account = account[held < self.bond]
        if not len(account):
            return
        stake = self.ledger.amounts(account, "stake").to_units()
        free = self.ledger.amounts(account).to_units()
        add = [max(0, min(self._units - s, f)) for s, f in zip(stake, free, strict=True)]
        some = np.array([a > 0 for a in add], np.bool_)
        if some.any():
            self.ledger.stake(account[some], Amounts.from_units([a for a in add if a > 0]))
