"""Who rates whom: customers, invented names and providers as one list of raters and rated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.base import Columns
from celluler_sim.institutions.trust_conduct import HONEST, Conduct
from celluler_sim.ledger import Amounts
from celluler_sim.mechanisms.quality import QualityTerms
from celluler_sim.mechanisms.reputation import Ratings

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick

Bools = npt.NDArray[np.bool_]
RELIABILITY, PERFORMANCE, FAIRNESS = range(3)


class Names:
    """Numbers of all who rate or are rated: first consumers, then invented names, then providers, slot by slot."""

    def __init__(self, economy: Economy, conduct: Conduct) -> None:
        self.economy, self.conduct = economy, conduct
        self.consumers = economy.consumers.size
        praise = conduct.trait("praise", np.arange(len(conduct.fraud)))
        owners = np.flatnonzero((conduct.fraud != HONEST) & np.isin(praise, ["own", "bought"]))
        self.owner = np.repeat(owners, conduct.config.names)  # (n_names,) provider behind each invented name
        self.account = economy.ledger.open_accounts(len(self.owner))
        self.washed = np.zeros(len(self.owner))  # (n_names,) PRANA that each has spent
        self._bought: Slots = np.zeros(0, np.int64)  # names that bought in wash trades since somebody looked

    @property
    def first(self) -> int:
        """Number of the first provider."""
        return self.consumers + len(self.owner)

    def spending(self, n: int) -> Floats | None:
        """Return what everybody has spent, (n,): whom trust springs from; None before anybody has."""
        spent = np.zeros(n)
        spent[: self.consumers] = self.economy.consumers["spent"]
        spent[self.consumers : self.first] = self.washed
        return spent if spent.sum() > 0 else None

    def ratings(self, terms: QualityTerms, fills: Columns, good: Floats, latency: Floats, tick: Tick) -> Ratings:
        """Return what customers say of deliveries: whether they got what they paid for, and how soon it answered."""
        ratee, rater = self.first + fills["provider"], fills["consumer"]
        speed = np.minimum(1.0, terms.latency_ms / np.maximum(latency, 1e-300))
        n = len(ratee)
        metric = np.repeat([RELIABILITY, PERFORMANCE, FAIRNESS], n)
        value = np.concatenate([good, speed, good])
        return Ratings.of(np.tile(ratee, 3), value, metric, np.tile(rater, 3), tick.end)

    def praises(self, tick: Tick) -> Ratings:
        """Return what cheats have said of themselves in one tick; wash trades move the money they pretend to earn."""
        conduct, times = self.conduct, self.conduct.config.praises
        p = self.economy.providers
        praise = conduct.trait("praise", np.arange(len(conduct.fraud)))
        allies = np.flatnonzero((conduct.fraud != HONEST) & (praise == "allies") & p.active)
        rater = [np.repeat(self.first + allies, times)] if len(allies) > 1 else []
        ratee = [np.repeat(self.first + np.roll(allies, 1), times)] if len(allies) > 1 else []
        names = np.arange(len(self.owner))
        active = p.active[self.owner] if len(names) else np.zeros(0, np.bool_)
        bought = (praise[self.owner] == "bought") if len(names) else active
        names = names[active & (~bought | self._washes(names, active & bought))]
        rater.append(np.repeat(self.consumers + names, times))
        ratee.append(np.repeat(self.first + self.owner[names], times))
        who = np.concatenate(ratee)
        metric = np.repeat([RELIABILITY, PERFORMANCE, FAIRNESS], len(who))
        return Ratings.of(np.tile(who, 3), 1.0, metric, np.tile(np.concatenate(rater), 3), tick.end)

    def washes(self) -> tuple[Slots, Slots]:
        """Return (seller, number of the buyer's name) of each wash trade since the last call, (n,) each."""
        names, self._bought = self._bought, np.zeros(0, np.int64)
        return self.owner[names], names

    def _washes(self, names: Slots, which: Bools) -> Bools:
        """Carry out wash trades, and return whose went through, (n_names,): not those the seller cannot cover."""
        done = np.zeros(len(names), np.bool_)
        rows = names[which]
        if not len(rows):
            return done
        amount = Amounts.from_prana(np.full(len(rows), self.conduct.config.wash_prana))
        seller = self.economy.providers["account"][self.owner[rows]]
        moved = ~self.economy.ledger.pay(seller, self.account[rows], amount, "pay")
        self.economy.ledger.pay(self.account[rows[moved]], seller[moved], amount[moved], "pay")
        self.washed[rows[moved]] += self.conduct.config.wash_prana
        self._bought = np.concatenate([self._bought, rows[moved]])
        done[rows[moved]] = True
        return done
