"""Who pays for checks: an account that has the fines and the fees. What it cannot pay for is not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.book import Slots
from celluler_sim.institutions.trust_judging import Findings, price_of_check
from celluler_sim.ledger import TREASURY, Amounts
from celluler_sim.mechanisms.verification import Verification
from celluler_sim.recorder import Coded

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick

KINDS = ("delivery", "report", "screen")  # what is looked at


class Purse:
    """The payer of checks in one economy, and the book of what it paid to whom."""

    def __init__(self, economy: Economy, payer: str) -> None:
        self.economy, self.ledger = economy, economy.ledger
        self.account = TREASURY if payer == "treasury" else int(economy.ledger.open_accounts(1)[0])
        self._number, self._unpaid, self._units = ([0] * len(KINDS) for _ in range(3))

    def affordable(self, price: float) -> int | None:
        """Return how many checks of a price (PRANA) can be paid for now; None: any number."""
        units = Amounts.from_prana(np.array([price])).to_units()[0]
        return self.ledger.units(self.account) // units if units else None

    def most(self, rule: Verification) -> int | None:
        """Return how many rows a rule can look at for the money there is; None: all of them."""
        return self.affordable(price_of_check(rule))

    def pay(self, kind: str, findings: Findings, item: Slots) -> None:
        """Pay those who looked: providers that executed work again, else validators, each row's drawn by its number.

        Parameters
        ----------
        kind
            Of `KINDS`.
        item
            (n,) number of every row that might have been looked at.
        """
        providers, rows = findings.again, item[findings.checked]
        who = self.economy.providers["account"][providers] if len(providers) else self._validators(kind, rows)
        self.spend(kind, findings.verdicts.cost, np.asarray(who), len(rows), findings.unpaid)

    def pay_screen(self, cost: float, tick: Tick, *, unpaid: bool) -> None:
        """Pay a validator for one look at bids and trades, or note that it could not be paid for."""
        self.spend("screen", cost, self._validators("screen", np.array([tick.number])), int(not unpaid), int(unpaid))

    def spend(self, kind: str, cost: float, who: Slots, number: int, unpaid: int) -> None:
        """Pay accounts ``who`` a cost (PRANA) in equal parts, as far as the purse goes, for ``number`` checks."""
        k = KINDS.index(kind)
        self._number[k] += number
        self._unpaid[k] += unpaid
        if cost <= 0 or not len(who):
            return
        part = Amounts.from_prana(np.full(len(who), cost / len(who)))
        refused = self.ledger.pay(np.full(len(who), self.account), who, part, "check")
        self._units[k] += part[~refused].sum_units()

    def _validators(self, kind: str, item: Slots) -> Slots:
        """Return the account of the validator that looks at each item, (n,)."""
        validators = np.asarray(self.economy.validators)
        uniform = self.economy.streams.draws(f"trust.checker.{kind}").uniform(item)
        return validators[(uniform * len(validators)).astype(np.int64)]

    def record(self, tick: Tick) -> None:
        """Write down what was paid in a tick, and begin the next."""
        rows = [k for k in range(len(KINDS)) if self._number[k] or self._unpaid[k]]
        if rows:
            self.economy.recorder.log(
                "checks", tick=np.full(len(rows), tick.number), kind=Coded(np.array(rows), KINDS),
                number=np.array([self._number[k] for k in rows]), unpaid=np.array([self._unpaid[k] for k in rows]),
                paid_prana=Amounts.from_units([self._units[k] for k in rows]),
                purse_prana=float(self.ledger.balance(np.array([self.account]))[0]),
            )  # fmt: skip
        self._number, self._unpaid, self._units = ([0] * len(KINDS) for _ in range(3))
