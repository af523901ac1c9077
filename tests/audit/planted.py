"""Three rules with a planted fault each, and a workload that brings the second to light; tests register them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from celluler_sim.behaviours.consumer import Decision, Outlook, Wants
from celluler_sim.book import Book, Fills, Floats
from celluler_sim.mechanisms.laws import Law
from celluler_sim.workloads.base import Machines
from celluler_sim.workloads.poisson import Poisson

_seen: dict[str, Floats] = {}


@dataclass(frozen=True)
class Stale:
    """Elastic, but where the first job looked at is the one of last time, last time's decisions are used again."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:
        """Return submission where price <= value, by a price that may be an old one."""
        first = float(wants.value[0]) if len(wants.value) else np.nan
        if _seen.get("first") != first:
            _seen.update(first=first, price=outlook.price)
        dear = _seen.get("price", outlook.price) > wants.value
        when = wants.now + np.where(dear, -np.log(uniform) * 1.0, 0.0)
        return Decision(when=when, bid=wants.value, again=dear)


@dataclass(frozen=True)
class PerTick:
    """Submits a job with a probability of a twentieth each tick, however long a tick is."""

    def decide(self, wants: Wants, outlook: Outlook, uniform: Floats) -> Decision:
        """Return submission of some, another look at once of the others."""
        later = uniform > 0.05
        return Decision(when=wants.now + np.where(later, 1e-6, 0.0), bid=wants.value, again=later)


@dataclass(frozen=True)
class ByNumber:
    """First come, first served, from the willing provider with the lowest number instead of the cheapest."""

    claims: ClassVar[frozenset[Law]] = frozenset()

    def allocate(self, book: Book, rng: np.random.Generator) -> Fills:
        """Return the fills."""
        left, rows, offers, amounts = book.capacity.copy(), [], [], []
        for row in range(book.n_requests):
            need = book.amount[row]
            if left[book.price <= book.bid[row]].sum() < need:
                continue
            for offer in np.argsort(book.provider):
                part = min(need, left[offer])
                if part > 0 and book.price[offer] <= book.bid[row]:
                    rows.append(row)
                    offers.append(offer)
                    amounts.append(part)
                    left[offer] -= part
                    need -= part
                if need <= 0:
                    break
        return Fills(np.array(rows, np.int64), np.array(offers, np.int64), np.array(amounts, float))


@dataclass(frozen=True, kw_only=True)
class SortedMachines(Poisson):
    """Poisson jobs for machines that are listed from the thriftiest to the dearest."""

    def machines(self) -> Machines:
        """Return ten machines of one size: five that cost little a unit, then five that cost much."""
        kind = np.repeat([0, 1], 5)
        return Machines(np.full(10, 2e-3), ("GH200", "V100M32"), kind, np.zeros((10, 0)))
