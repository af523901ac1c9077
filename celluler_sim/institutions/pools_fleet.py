"""Where the members' machines are: on their own offer, or on that of a pool, which is one provider of the market."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.pool_member import NOBODY, PoolMember
from celluler_sim.book import Floats, Slots
from celluler_sim.institutions.pools_register import Pool, Register
from celluler_sim.population import Population

if TYPE_CHECKING:
    from celluler_sim.economy import Economy

Bools = npt.NDArray[np.bool_]


class Fleet:
    """Moves machines with their owners, but never from under a running job.

    A machine that enters a pool finishes what it runs on its own offer first. One that leaves a pool is free once what
    the pool still runs fits on the machines that stay (jobs move between machines of one pool); until then the pool
    sells nothing that would need it.
    """

    def __init__(self, economy: Economy, members: Population[PoolMember], register: Register) -> None:
        self.economy, self.members, self.register = economy, members, register

    def open_row(self, pool: Pool, founder: int) -> None:
        """Make the provider as which a pool sells; it has no machines yet."""
        e, p = self.economy, self.economy.providers
        like = {name: p[name][founder] for name in ("kind", "quality", "markup", "behaviour", "validator", "ask")}
        cost = {name: p[name][founder] for name in ("energy_cost", "capital_cost")}
        rows = p.add(
            1, account=e.ledger.open_accounts(1), capacity=0.0, offering=True, use=p["use"][founder], **like, **cost
        )
        pool.row = int(rows[0])
        e.supply = np.concatenate([e.supply, np.zeros((p.size - len(e.supply), e.supply.shape[1]))])

    def close_row(self, pool: Pool) -> None:
        """Take a pool's offer off the market; the economy removes the provider once its jobs have ended."""
        pool.alive = False
        if pool.row != NOBODY:
            self.economy.providers["offering"][pool.row] = False

    def absent(self) -> Bools:
        """Return whose machines are not on, or about to leave, their own offer, (n_members,)."""
        m = self.members
        return np.asarray((m["pool"] != NOBODY) | (m["place"] != NOBODY))

    def in_use(self, rows: Slots) -> Floats:
        """Return what these providers' running jobs hold, (n_rows, 1 + n_resources)."""
        market, size = self.economy.market, self.economy.providers.size
        return np.concatenate([market.busy(size)[rows, None], market.used(size)[rows]], axis=1)

    def move(self) -> None:
        """Move what can be moved by now; pools with machines that wait to leave sell no more than will be left."""
        m = self.members
        movers = np.flatnonzero(m["place"] != m["pool"])
        if not len(movers):
            return
        touched = set()
        for member in movers.tolist():
            touched |= {int(m["place"][member]), int(m["pool"][member])}
            if m["place"][member] != NOBODY and self._spare(member):
                m["place"][member] = NOBODY
            if m["place"][member] == NOBODY and self._idle(member):
                m["place"][member] = m["pool"][member]
            self._refit_own(member)
        for number in sorted(touched - {NOBODY}):
            self.refit(self.register.pools[number])

    def _idle(self, member: int) -> bool:
        return bool(self.in_use(np.array([member]))[0, 0] == 0)

    def _spare(self, member: int) -> bool:
        """Whether what the pool runs fits on the other machines it has."""
        place = self.members["place"]
        pool = self.register.pools[place[member]]
        others = place == place[member]
        others[member] = False
        used = self.in_use(np.array([pool.row]))[0]
        return bool(np.all(used <= self.register.amount[others].sum(axis=0) * (1 + 1e-9)))

    def _refit_own(self, member: int) -> None:
        """Show on the market what a member's own offer has: all or, while its machines are elsewhere, nothing."""
        p, away = self.economy.providers, self.members["place"][member] != NOBODY
        p["capacity"][member] = 0.0 if away else self.register.amount[member, 0]
        if away:
            p["margin"][member] = p["losing_s"][member] = 0.0  # an offer without machines loses nothing

    def refit(self, pool: Pool) -> None:
        """Show on the market what a pool has: the machines that stay, and as much more as its jobs still hold."""
        if pool.row == NOBODY:
            return
        p, m, row = self.economy.providers, self.members, pool.row
        who = np.flatnonzero((m["place"] == pool.number) & (m["pool"] == pool.number))
        used = self.in_use(np.array([row]))[0]
        here = np.maximum(self.register.amount[who].sum(axis=0), used)
        p["capacity"][row], self.economy.supply[row] = here[0], here[1:]
        if not len(who):
            return
        weight = self.register.amount[who, 0]
        for name in ("energy_cost", "capital_cost", "ask", "markup"):
            p[name][row] = np.average(p[name][who], weights=weight) if weight.sum() > 0 else p[name][who].mean()
        p["quality"][row] = p["quality"][who].min()  # of the weakest machine a job may run on
