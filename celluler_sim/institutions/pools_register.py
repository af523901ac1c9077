"""Who is in which pool, what each brings, and the rules of entry, exit and expulsion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from celluler_sim.agents.pool_member import NOBODY, PoolMember
from celluler_sim.book import Floats, Slots
from celluler_sim.errors import CellulerError
from celluler_sim.population import Population

Bools = npt.NDArray[np.bool_]
ROUNDING = 1e-12  # by which a contribution may miss the minimum


class PoolError(CellulerError, ValueError):
    """A pool that makes no sense; the message names pool and member."""


@dataclass
class Pool:
    """One pool, alive or not."""

    number: int
    row: int = NOBODY  # slot of the provider as which it sells; -1 before its first member is in
    alive: bool = True
    heirs: Slots = field(
        default_factory=lambda: np.empty(0, np.int64)
    )  # who gets what arrives after the last member has left
    claims: Floats = field(default_factory=lambda: np.empty(0))  # (n_heirs,) their contributions


def contributions(amount: Floats) -> Floats:
    """Return what each member contributes, (n,): the mean of its shares in the resources that the pool has.

    ``amount`` is (n, n_resources), of each resource in its own unit. Contributions sum to 1.

    >>> contributions(np.array([[3.0, 10.0], [1.0, 30.0]]))
    array([0.5, 0.5])
    """
    total = amount.sum(axis=0)
    return np.asarray((amount[:, total > 0] / total[total > 0]).mean(axis=1))


def remaining(amount: Floats, minimum: float) -> Bools:
    """Return who stays, (n,): the smallest contributor goes as long as it brings less than ``minimum`` of the total.

    One at a time, the last of equals first: when one goes the others' contributions grow.
    """
    stays = np.ones(len(amount), np.bool_)
    while stays.any():
        who = np.flatnonzero(stays)
        brought = contributions(amount[who])
        least = len(who) - 1 - int(np.argmin(brought[::-1]))
        if brought[least] >= minimum - ROUNDING:
            break
        stays[who[least]] = False
    return stays


class Register:
    """Membership of all pools.

    Parameters
    ----------
    members
        The population; its columns ``pool`` and ``place`` are written here.
    amount
        (n_members, 1 + n_resources) what each holds: compute in units/s, then each further resource. Contributions are
        reckoned by `said`, which is what each says that it holds.
    kind
        (n_members,) hardware; one pool has one kind, so that its jobs fit all its machines.
    minimum
        Least contribution.
    """

    def __init__(self, members: Population[PoolMember], amount: Floats, kind: Slots, minimum: float) -> None:
        self.members, self.amount, self.kind, self.minimum = members, amount, kind, minimum
        self.said = amount.copy()  # (n_members, 1 + n_resources) what pools go by
        self.pools: list[Pool] = []

    def alive(self) -> list[Pool]:
        """Return the pools there are, by number."""
        return [pool for pool in self.pools if pool.alive]

    def of(self, pool: int) -> Slots:
        """Return the members of a pool, ascending."""
        return np.flatnonzero((self.members["pool"] == pool) & self.members.active)

    def alone(self) -> Slots:
        """Return the members that are in no pool and whose machines are their own again, ascending."""
        m = self.members
        return np.flatnonzero((m["pool"] == NOBODY) & (m["place"] == NOBODY) & m.active)

    def plan(self) -> int:
        """Return the number of a pool to be; it exists from its first member on."""
        self.pools.append(Pool(len(self.pools)))
        return len(self.pools) - 1

    def found(self, name: str, who: Sequence[int]) -> int:
        """Found a pool with these members at once, and return its number.

        Raises
        ------
        PoolError
            Nobody is in it, somebody is unknown or in a pool already, of other hardware, or brings too little.
        """
        slots = np.array(who, np.int64)
        known = self.members.size
        if not len(slots):
            raise PoolError(f"pool {name} must have at least one member, got none")
        if len(np.unique(slots)) < len(slots) or slots.min() < 0 or slots.max() >= known:
            raise PoolError(f"pool {name} must have different members among 0 to {known - 1}, got {list(who)}")
        number = len(self.pools)
        for slot in slots.tolist():
            if why := self._refusal_of_one(slot, slots):
                raise PoolError(f"pool {name}: {why}")
        self.pools.append(Pool(number, heirs=slots, claims=contributions(self.said[slots])))
        self.members["pool"][slots] = number
        return number

    def refusal(self, member: int, pool: int) -> str:
        """Return why a member cannot enter a pool, in one line, or nothing if it can."""
        if not (0 <= pool < len(self.pools) and self.pools[pool].alive):
            return f"pool {pool} does not exist any more"
        return self._refusal_of_one(member, np.append(self.of(pool), member))

    def _refusal_of_one(self, member: int, company: Slots) -> str:
        """Return why a member cannot be in a pool of this company, itself included."""
        m = self.members
        if not m.active[member]:
            return f"member {member} must be in the market, it has left"
        if m["pool"][member] != NOBODY:
            return f"member {member} must be in one pool at most, it is in pool {m['pool'][member]} already"
        if (self.kind[company] != self.kind[member]).any():
            return f"member {member} must have the hardware of the others"
        brought = float(contributions(self.said[company])[np.flatnonzero(company == member)[0]])
        if brought < self.minimum - ROUNDING:
            return f"member {member} must contribute >= {self.minimum:g} of the pool's resources, got {brought:.4g}"
        return ""

    def enter(self, member: int, pool: int) -> Slots:
        """Let a member in; return those who have to go, since they bring too little beside it."""
        self.members["pool"][member] = pool
        self.members["unhappy"][member] = 0
        return self.below(pool)

    def leave(self, member: int) -> None:
        """Let a member go."""
        self.members["pool"][member] = NOBODY
        self.members["unhappy"][member] = 0

    def below(self, pool: int) -> Slots:
        """Return the members who have to go since they bring less than the minimum."""
        who = self.of(pool)
        return who[~remaining(self.said[who], self.minimum)]
