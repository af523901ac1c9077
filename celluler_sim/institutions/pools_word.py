"""What members tell their pool that they bring, and what their word is worth to them.

Machines that run are seen by everybody; what a member could have run is its word. A pool sells the machines that there
are, and shares its profit, and the energy its work took, by what its members say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from celluler_sim.agents.pool_member import NOBODY
from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.pools_worth import Division

if TYPE_CHECKING:
    from celluler_sim.economy import Tick
    from celluler_sim.institutions.base import Institution
    from celluler_sim.institutions.pools_running import RunningPools


class Word:
    """The reports of all members of pools in one economy, period by period."""

    def __init__(self, pools: RunningPools) -> None:
        self.pools = pools
        self.who: Slots = np.zeros(0, np.int64)  # (n,) members of pools at this period's end, ascending
        self.said: Floats = np.zeros((0, 0))  #     (n, 1 + n_resources) what each said then
        self.alone: dict[int, float] = {}  # PRANA that each who overstated would really have earned alone

    @property
    def others(self) -> list[Institution]:
        """The institutions beside the pools."""
        return [other for other in self.pools.economy.institutions if other is not self.pools]

    def unwelcome(self, member: Slots, tick: Tick) -> Slots:
        """Return those of some members that nobody may buy from as things stand: pools do not have them either."""
        bad = np.zeros(len(member), np.bool_)
        for other in self.others:
            if (admitted := other.admits(member, tick)) is not None:
                bad |= ~admitted
        return member[bad]

    def give(self, tick: Tick) -> None:
        """At a period's end: have members say what they brought, and others look; note what pools go by."""
        m, register = self.pools.members, self.pools.register
        self.who = np.flatnonzero((m["pool"] != NOBODY) & m.active)
        held = register.amount[self.who]
        self.said = _first([other.stated(self.who, held, tick) for other in self.others], held)
        believed = [other.believed(self.who, held, self.said, tick) for other in self.others]
        register.said = register.amount.copy()  # who is alone says nothing
        register.said[self.who] = _first(believed, self.said)

    def weigh(self, found: dict[int, Division], tick: Tick) -> None:
        """Reckon what each word that is not true brings its author, and tell whoever wants to know."""
        self.alone = {}
        gain = np.zeros(len(self.who))
        lies = np.flatnonzero((self.said != self.pools.register.amount[self.who]).any(axis=1))
        for k in lies.tolist():
            gain[k] = self._gain(k, found, tick)
        for other in self.others:
            other.overpaid(self.who, gain, tick)

    def _gain(self, k: int, found: dict[int, Division], tick: Tick) -> float:
        """Return what a member gets by its word less what it gets by the truth, PRANA, all others as believed.

        Steps: divide the period's worth by both; apply the pool's rule of payment to what it has.
        """
        pools, member = self.pools, int(self.who[k])
        number = int(pools.members["pool"][member])
        if number not in found or (row := pools.register.pools[number].row) == NOBODY:
            return 0.0
        who = found[number].who
        place = int(np.searchsorted(who, member))
        paid = {}
        for name, own in (("word", self.said[k]), ("truth", pools.register.amount[member])):
            held = pools.register.said[who].copy()
            same = np.array_equal(held[place], own)
            held[place] = own
            d = found[number] if same else pools.appraise(who, [row], tick, held)
            cash, done = pools.takings(row, tick)
            paid[name] = _paid(pools.books.claims(d, held[:, 0], cash, done)[0], cash)[place]
            self.alone[member] = float(d.alone[place])
        return float(paid["word"] - paid["truth"])


def _paid(claim: Floats, cash: float) -> Floats:
    """Return what claims come to where there is so much to share, (n,) PRANA."""
    whole = float(claim.sum())
    return claim / whole * cash if whole > 0 else np.full(len(claim), cash / max(len(claim), 1))


def _first(answers: list[Floats | None], otherwise: Floats) -> Floats:
    """Return the first answer that is one."""
    return next((answer for answer in answers if answer is not None), otherwise)
