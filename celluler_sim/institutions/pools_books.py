"""The pools' books: what came in is paid out to the unit, and every period and every move is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from celluler_sim.agents.pool_member import NOBODY, PoolMember, better
from celluler_sim.book import Floats
from celluler_sim.errors import InvariantError
from celluler_sim.institutions.pools_fleet import Fleet
from celluler_sim.institutions.pools_jobs import JobLog
from celluler_sim.institutions.pools_register import Pool, Register
from celluler_sim.institutions.pools_worth import Division
from celluler_sim.ledger import Amounts
from celluler_sim.mechanisms.shares import payouts
from celluler_sim.population import Population

if TYPE_CHECKING:
    from celluler_sim.economy import Economy, Tick


class PoolBooks:
    """Pays, audits and records."""

    def __init__(
        self, economy: Economy, members: Population[PoolMember], register: Register, fleet: Fleet
    ) -> None:  # fmt: skip
        self.economy, self.members, self.register, self.fleet = economy, members, register, fleet
        self.fills_seen = 0  # number of the first fill that has not been looked at
        self._n_moves = 0
        self._exact: dict[int, int] = {}  # the same by member, units of 1e-18 PRANA
        self._rows: list[dict[str, Any]] = []

    # ---- paying ----------------------------------------------------------------------------------------------------

    def pay(self, found: dict[int, Division], jobs: JobLog, since: float, until: float) -> None:
        """Pay out all that each pool has: first the energy of its members' machines, the rest by their shares.

        A pool's work is put down to its machines by compute, as if all were equally busy. What a pool without members
        still receives, for jobs that ended after they left, goes to its last members by their contributions.
        """
        self._exact, self._rows = {}, []
        for pool in self.register.pools:
            if pool.row == NOBODY:
                continue
            account = self.economy.providers["account"][[pool.row]]
            cash = self.economy.ledger.amounts(account)
            if pool.number in found:
                d = found[pool.number]
                done = float(jobs.done(np.array([pool.row]), since, until)[0])
                weight, energy = self.claims(d, self.register.said[d.who, 0], float(cash.to_prana()[0]), done)
                self._rows.append(self._period_of(pool, d, energy, float(cash.to_prana()[0]), done / (until - since)))
                pool.heirs, pool.claims = d.who, d.brought
            else:
                weight = pool.claims
            if cash.sum_units():
                self._pay_out(pool, int(account[0]), cash, weight)

    def claims(self, d: Division, compute: Floats, cash: float, done: float) -> tuple[Floats, float]:
        """Return what each member is due of a pool's money, (n,) PRANA, and what all need for energy, PRANA.

        Parameters
        ----------
        compute
            (n,) units/s that the pool believes its members to have.
        cash, done
            What the pool has, PRANA, and the units of work that it did in the period.
        """
        cost = self.economy.providers["energy_cost"][d.who]
        by_compute = compute / compute.sum() if compute.sum() > 0 else d.brought
        energy = cost * by_compute * done
        whole = float(d.share.sum())
        fraction = d.share / whole if whole > 0 else d.brought
        return np.asarray(energy + max(cash - float(energy.sum()), 0.0) * fraction), float(energy.sum())

    def _pay_out(self, pool: Pool, account: int, cash: Amounts, weight: Floats) -> None:
        """Move a pool's money to its members by their claims, to the unit."""
        who = pool.heirs
        parts = payouts(weight, cash, np.array([0]))
        refused = self.economy.ledger.pay(np.full(len(who), account), self.members["account"][who], parts, "share")
        if refused.any() or self.economy.ledger.units(account):
            raise InvariantError(f"pool {pool.number} must pay out exactly what it has, got a rest or a refusal")
        self.members["paid"][who] += parts.to_prana()
        for slot, units in zip(who.tolist(), parts.to_units(), strict=True):
            self._exact[slot] = self._exact.get(slot, 0) + units

    def _period_of(
        self, pool: Pool, d: Division, energy: float, cash: float, busy: float
    ) -> dict[str, Any]:  # fmt: skip
        m, used = self.members, self.fleet.in_use(np.array([pool.row]))[0]
        names = [name.split("_")[0] for name in self.economy.setup.workload.resources]
        held = {f"{name}_used": float(used[1 + k]) for k, name in enumerate(names) if name in ("memory", "storage")}
        return {
            "pool": pool.number, "provider": pool.row, "members": len(d.who),
            "capacity": float(m["capacity"][d.who].sum()), "busy": busy,
            "memory": float(m["memory"][d.who].sum()), "storage": float(m["storage"][d.who].sum()),
            "memory_used": 0.0, "storage_used": 0.0, **held,
            "worth_prana": d.worth, "alone_prana": float(d.alone.sum()),
            "received_prana": self.economy.ledger.amounts(self.economy.providers["account"][[pool.row]]),
            "energy_prana": min(energy, cash), "profit_prana": max(cash - energy, 0.0), "excess_prana": d.excess,
            "better_outside": int(better(d.alone, d.share, 0.0).sum()),
        }  # fmt: skip

    # ---- writing down ----------------------------------------------------------------------------------------------

    def record(self, period: int, found: dict[int, Division], alone: Floats, tick: Tick) -> None:
        """Write down a period: a row per pool, and a row per member that is in a pool or alone."""
        for row in self._rows:
            self.economy.recorder.log("pools", period=period, time_s=tick.end, **row)
        m = self.members
        blank = np.full(m.size, np.nan)
        columns = {"contribution": blank.copy(), "share": blank.copy(), "error": blank.copy()}
        outside, blocking = alone.copy(), np.zeros(m.size, np.bool_)
        for d in found.values():
            columns["contribution"][d.who], columns["share"][d.who], columns["error"][d.who] = (
                d.brought, d.share, d.error
            )  # fmt: skip
            outside[d.who], blocking[d.who] = d.alone, d.blocked
        who = m.slots
        if not len(who):
            return
        self.economy.recorder.log(
            "pool_members", period=period, member=who, pool=m["pool"][who].astype(np.int64),
            contribution=columns["contribution"][who], share_prana=columns["share"][who],
            standard_error_prana=columns["error"][who], outside_prana=outside[who],
            better_outside=np.nan_to_num(outside[who]) > np.nan_to_num(columns["share"][who], nan=np.inf),
            blocking=blocking[who], unhappy=m["unhappy"][who].astype(np.int64),
            paid_prana=Amounts.from_units([self._exact.get(slot, 0) for slot in who.tolist()]),
        )  # fmt: skip

    def move(self, tick: int, kind: str, member: int, pool: int, *, accepted: bool) -> None:
        """Write down an entry, an exit or an expulsion."""
        self.economy.recorder.log(
            "pool_moves", move=self._n_moves, tick=tick, kind=kind, member=member, pool=pool, accepted=accepted
        )
        self._n_moves += 1
