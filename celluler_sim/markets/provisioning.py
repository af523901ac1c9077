"""Provisioning as one atomic operation: check, quote, reserve, execute; whatever fails leaves nothing but a log row.

A trainer that takes an order needs two markets at once: it buys compute in the resource market with its own money, and
sells a model in the training market for its consumer's. Either all of it happens or none:

1. check: the resource market has the capacity free, beside what it has just cleared;
2. quote: the market's standing price is not above the most the buyer pays, and every party accepts what follows;
3. reserve: each party's money is there, and goes into escrow;
4. execute: the job starts, capacity is held.

What was reserved is released to those who earned it when the work has been done, or refunded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.book import ANY_KIND, Floats, Slots
from celluler_sim.errors import CellulerError, InvariantError
from celluler_sim.ledger import SUPPLY_PRANA, Amounts
from celluler_sim.markets.resource import Offers, Quote, Started

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick

STAGES = ("check", "quote", "reserve", "execute", "done")
MARGIN = 1e-9  # share by which what is locked exceeds what is due: amounts due are rounded, an escrow must cover them


@dataclass(frozen=True)
class Purchase:
    """Compute that somebody wants, all of it or none."""

    order: int  #   number of the order that it is for
    seller: int  #  slot of the trainer
    buyer: int  #   its slot among the resource market's consumers
    account: int  # its account
    amount: float  # units/s
    work: float  #  units
    most: float  #  PRANA per unit that it pays


@dataclass(frozen=True)
class Leg:
    """Money that one party puts into escrow."""

    account: int
    prana: float

    @property
    def amount(self) -> Amounts:
        """Return the exact amount, (1,)."""
        return Amounts.from_prana(self.prana)


Terms = Callable[[float], Sequence[Leg] | str]
"""Given the cost of the compute in PRANA: the other legs, or the reason why a party walks away."""


@dataclass(frozen=True)
class Provision:
    """How far an attempt came; all money is where it was, unless it is done."""

    stage: str  # of `STAGES`
    reason: str = ""
    price: float = float("nan")  # PRANA per unit, mean over the fills
    reserved: float = 0.0  # PRANA, by all parties together
    job: int = -1
    compute: float = 0.0  # PRANA that the compute costs

    @property
    def done(self) -> bool:
        """Whether it went through."""
        return self.stage == "done"


@dataclass(frozen=True)
class _Taken:
    """Offers that together have what is wanted, the cheapest first."""

    offer: Slots  #    (n,) rows of the offers
    quantity: Floats  # (n,) units/s
    price: Floats  #   (n,) PRANA per unit

    @property
    def mean(self) -> float:
        """Mean price, PRANA per unit."""
        return float(self.price @ self.quantity / self.quantity.sum())


class Provisioning:
    """The provisioning of one economy: every attempt is one row of the table ``provisions``."""

    def __init__(self, economy: Economy) -> None:
        self.economy = economy
        self.attempts = 0

    def provision(self, purchase: Purchase, terms: Terms, tick: Tick) -> Provision:
        """Buy compute and lock every party's money, or leave everything as it was.

        Parameters
        ----------
        purchase
            What is wanted from the resource market.
        terms
            The other parties' legs, asked for once the cost is known.
        """
        found = self._attempt(purchase, terms, tick)
        self.log(purchase.order, purchase.seller, found, purchase.amount, purchase.work, tick)
        return found

    def log(self, order: int, seller: int, found: Provision, amount: float, work: float, tick: Tick) -> None:
        """Write down how far an attempt came, one that failed before there was anything to buy too."""
        self.economy.recorder.log(
            "provisions", provision=self.attempts, tick=tick.number, training=order, trainer=seller, stage=found.stage,
            reason=found.reason, amount=amount, work=work, price_prana=found.price, reserved_prana=found.reserved,
            job=found.job,
        )  # fmt: skip
        self.attempts += 1

    def _attempt(self, purchase: Purchase, terms: Terms, tick: Tick) -> Provision:
        offers, quote = self.economy.standing()
        if (taken := _cheapest(offers, quote, purchase.amount)) is None:
            return Provision("check", "capacity")
        price = taken.mean
        if price > purchase.most:
            return Provision("quote", "price", price)
        compute = price * purchase.work
        legs = terms(compute)
        if isinstance(legs, str):
            return Provision("quote", legs, price)
        own = Leg(purchase.account, compute * (1 + MARGIN))
        if not self._covered([own, *legs]):
            return Provision("reserve", "funds", price)
        return self._carry_out(purchase, taken, [own, *legs], tick, offers)

    def _covered(self, legs: Sequence[Leg]) -> bool:
        """Return whether every account has what its legs need together."""
        needed: dict[int, int] = {}
        for leg in legs:
            if leg.prana > SUPPLY_PRANA:  # nobody can hold that much
                return False
            needed[leg.account] = needed.get(leg.account, 0) + leg.amount.to_units()[0]
        return all(self.economy.ledger.units(account) >= units for account, units in needed.items())

    def _carry_out(
        self, purchase: Purchase, taken: _Taken, legs: Sequence[Leg], tick: Tick, offers: Offers
    ) -> Provision:  # fmt: skip
        """Lock the money and start the job; where that fails, return the money and forget the movement."""
        ledger = self.economy.ledger
        mark = None if ledger.journal is None else len(ledger.journal)
        account = np.array([leg.account for leg in legs])
        amount = Amounts.from_units([leg.amount.to_units()[0] for leg in legs])
        if ledger.lock(account, amount).any():
            raise InvariantError(f"tick {tick.number}: money that was there must be locked, got a lock refused")
        try:
            job = self.economy.start_now(
                _job(purchase, taken.mean, amount, tick, offers), _started(taken, tick), offers, tick
            )
        except CellulerError as error:
            ledger.release(account, amount)
            if ledger.journal is not None:
                del ledger.journal[mark:]
            return Provision("execute", " ".join(str(error).split())[:80], taken.mean)
        reserved = float(amount.to_prana().sum())
        return Provision("done", "", taken.mean, reserved, job, taken.mean * purchase.work)


def _cheapest(offers: Offers, quote: Quote, amount: float) -> _Taken | None:
    """Return the cheapest free capacity of willing offers that makes up ``amount``; None: too little."""
    free = np.where(offers.ask <= quote.price * (1 + 1e-12), offers.free, 0.0)
    order = np.flatnonzero(free > 0)
    order = order[np.argsort(quote.price[order], kind="stable")]
    before = np.cumsum(free[order]) - free[order]
    order = order[before < amount]
    quantity = np.minimum(free[order], amount - before[before < amount])
    if not len(order) or quantity.sum() < amount * (1 - 1e-12):
        return None
    return _Taken(order, quantity, quote.price[order])


def _started(taken: _Taken, tick: Tick) -> Started:
    """Return the fills as the resource market's own clearing would have made them, from the end of the tick."""
    n = len(taken.offer)
    return Started(
        row=np.zeros(1, np.int64), start=np.array([tick.end]), granted=np.array([taken.quantity.sum()]),
        price=np.array([taken.mean]), job=np.zeros(n, np.int64), offer=taken.offer, quantity=taken.quantity,
        unit_price=taken.price, skim=np.zeros(n), relaxed=False,
    )  # fmt: skip


def _job(purchase: Purchase, price: float, locked: Amounts, tick: Tick, offers: Offers) -> dict[str, np.ndarray]:
    """Return the request as a row of the resource market, with the escrow that its own leg holds."""
    whole = {
        "transaction": -1, "consumer": purchase.buyer, "account": purchase.account, "conduct": 0, "proposer": -1,
        "escrow_hi": int(locked.hi[0]), "escrow_lo": int(locked.lo[0]),
    }  # fmt: skip
    real = {
        "born": tick.end, "submitted": tick.end, "ready": tick.end, "bid": price, "value": price,
        "amount": purchase.amount, "work": purchase.work, "weight": 1.0, "least": purchase.amount,
        "deadline": np.inf, "give_up": np.inf,
    }  # fmt: skip
    row: dict[str, np.ndarray] = {name: np.array([value]) for name, value in whole.items()}
    row |= {name: np.array([value], dtype=np.float64) for name, value in real.items()}
    return row | {"kinds": np.array([ANY_KIND]), "demand": np.zeros((1, offers.supply.shape[1]))}
